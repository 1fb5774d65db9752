-- Scene versions, their files, artifacts, named streams, API keys and the audit. Times are microseconds since
-- 1970-01-01T00:00:00Z; names are ordered by their bytes, whatever the database's locale is.
CREATE TABLE scene (
    number int4 PRIMARY KEY CHECK (number BETWEEN 1 AND 65535),
    name text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE scene_version (
    scene int4 NOT NULL REFERENCES scene (number),
    version int8 NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    plan bytea NOT NULL,
    applied_at int8 NOT NULL,
    applied_by text NOT NULL,
    announced boolean NOT NULL DEFAULT false,
    PRIMARY KEY (scene, version)
);

CREATE TABLE scene_file (
    scene int4 NOT NULL,
    version int8 NOT NULL,
    ordinal int4 NOT NULL,
    path text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (scene, version, ordinal),
    FOREIGN KEY (scene, version) REFERENCES scene_version (scene, version)
);

CREATE TABLE artifact (
    sha256 bytea PRIMARY KEY CHECK (length(sha256) = 32),
    content bytea NOT NULL
);
ALTER TABLE artifact ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE stream (
    partition int4 PRIMARY KEY CHECK (partition BETWEEN 257 AND 65535),
    name text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE api_key (
    name text COLLATE "C" PRIMARY KEY,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    made_at int8 NOT NULL
);

CREATE TABLE audit (
    number int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    done_at int8 NOT NULL,
    done_by text NOT NULL,
    action text NOT NULL,
    detail text NOT NULL
);
