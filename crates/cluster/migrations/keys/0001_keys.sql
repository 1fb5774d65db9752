-- The key store: foreign ids beside internal ones. It may stand in a database of its own, to be erased and backed up apart.

-- Which installation this key store belongs to.
CREATE TABLE luopan_key_installation (
    one int2 PRIMARY KEY CHECK (one = 1),
    format int4 NOT NULL,
    id text NOT NULL
);

-- A foreign id is text as received, in UTF-8; it is kept as bytes because text of PostgreSQL cannot hold the character 0.
-- What was erased is vacuumed early, so that it does not lie in the table's pages for long.
CREATE TABLE key_row (
    tenant int8 NOT NULL CHECK (tenant BETWEEN 0 AND 4294967295),
    foreign_id bytea NOT NULL,
    internal bytea NOT NULL CHECK (length(internal) = 16),
    PRIMARY KEY (tenant, foreign_id),
    UNIQUE (tenant, internal)
) WITH (autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0.001);
