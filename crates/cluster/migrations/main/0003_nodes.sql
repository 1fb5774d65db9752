-- Who folds a partition, and which nodes are at work. A node is there until its time is over, by this server's clock.

CREATE TABLE state_claim (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (fillfactor = 50);

CREATE TABLE luopan_node (
    id bytea PRIMARY KEY,
    name text NOT NULL,
    address text NOT NULL,
    alive_until timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 500);
