-- State. One table for each `luopan_store::Table`; `digest` is the first 16 bytes of the SHA-256 of `value`, computed by who writes.
--
-- Values are stored outside of the row only when it grows beyond a page, and never compressed: the server's processor is dearer
-- than its disk. Tables whose rows are rewritten leave room in each page, so that a rewrite needs no new entry in the index; tables that
-- are filled and emptied like queues are vacuumed early, so that a scan from their beginning does not walk over what is gone.

-- What made this database. `format` is raised when an older program could no longer work with it.
CREATE TABLE luopan_installation (
    one int2 PRIMARY KEY CHECK (one = 1),
    format int4 NOT NULL,
    partitions int4 NOT NULL,
    id text NOT NULL,
    -- True once the key store of this installation was made: from then on an empty one is a lost one.
    whole boolean NOT NULL DEFAULT false
);

-- How many entries of a partition's log State reflects.
CREATE TABLE state_position (
    partition int4 PRIMARY KEY CHECK (partition BETWEEN 0 AND 65535),
    entries int8 NOT NULL CHECK (entries >= 0)
) WITH (fillfactor = 50);

-- What is spent of a budget and period, spread over numbered shares. The name is UTF-8.
CREATE TABLE state_budget (
    budget bytea NOT NULL,
    share int4 NOT NULL CHECK (share BETWEEN 0 AND 65535),
    spent int8 NOT NULL CHECK (spent >= 0),
    PRIMARY KEY (budget, share)
) WITH (fillfactor = 50);

CREATE TABLE state_profile (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (fillfactor = 80, toast_tuple_target = 8160);

CREATE TABLE state_dedup (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
);

CREATE TABLE state_timer (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE state_member (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
);

CREATE TABLE state_member_count (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (fillfactor = 50);

CREATE TABLE state_identity (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (fillfactor = 90);

CREATE TABLE state_customer (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (fillfactor = 90);

CREATE TABLE state_dirty (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE state_contacts (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (fillfactor = 80, toast_tuple_target = 8160);

CREATE TABLE state_decision (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (toast_tuple_target = 8160);

CREATE TABLE state_decision_key (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
);

CREATE TABLE state_outbox (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE state_quarantine (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
);

CREATE TABLE state_checkpoint (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
);

CREATE TABLE state_scene_version (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
);

CREATE TABLE state_halt (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
);

CREATE TABLE state_item (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (fillfactor = 90, toast_tuple_target = 8160);

CREATE TABLE state_item_past (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
);

CREATE TABLE state_nav (
    partition int4 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, digest bytea NOT NULL, PRIMARY KEY (partition, key)
) WITH (fillfactor = 80, toast_tuple_target = 8160);

ALTER TABLE state_profile ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE state_contacts ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE state_decision ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE state_outbox ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE state_quarantine ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE state_checkpoint ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE state_item ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE state_item_past ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE state_nav ALTER COLUMN value SET STORAGE EXTERNAL;
