-- Internal ids that were erased: a key store put back from an older backup is told to forget them again.
CREATE TABLE key_erased (
    tenant int8 NOT NULL CHECK (tenant BETWEEN 0 AND 4294967295),
    internal bytea NOT NULL CHECK (length(internal) = 16),
    PRIMARY KEY (tenant, internal)
);
