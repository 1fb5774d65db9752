-- The registry of models: lines that are only ever added.
CREATE TABLE registry (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    model TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    act TEXT NOT NULL,
    artifact BLOB CHECK (length(artifact) = 32),
    detail TEXT NOT NULL,
    at INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX registry_version ON registry (model, version) WHERE artifact IS NOT NULL;
