-- What partitions of the log told up to where they were truncated.

CREATE TABLE state_snapshot (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
);
