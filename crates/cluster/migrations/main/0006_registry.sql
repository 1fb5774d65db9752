-- The registry of models: lines that are only ever added.
CREATE TABLE registry (
    number int8 PRIMARY KEY CHECK (number >= 1),
    model text COLLATE "C" NOT NULL,
    version int8 NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    act text NOT NULL,
    artifact bytea CHECK (length(artifact) = 32),
    detail text NOT NULL,
    done_at int8 NOT NULL,
    done_by text NOT NULL
);
CREATE UNIQUE INDEX registry_version ON registry (model, version) WHERE artifact IS NOT NULL;
