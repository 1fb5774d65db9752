-- Scene versions, their files, named streams, API keys and the audit. Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE scene (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 65535),
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE scene_version (
    scene INTEGER NOT NULL REFERENCES scene (number),
    version INTEGER NOT NULL CHECK (version >= 1),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    plan BLOB NOT NULL,
    applied_at INTEGER NOT NULL,
    applied_by TEXT NOT NULL,
    announced INTEGER NOT NULL DEFAULT 0 CHECK (announced IN (0, 1)),
    PRIMARY KEY (scene, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE scene_file (
    scene INTEGER NOT NULL,
    version INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    path TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (scene, version, ordinal),
    FOREIGN KEY (scene, version) REFERENCES scene_version (scene, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE stream (
    partition INTEGER PRIMARY KEY CHECK (partition BETWEEN 257 AND 65535),
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE api_key (
    name TEXT PRIMARY KEY,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
