-- The mark of the data folder that this database belongs to.
CREATE TABLE folder (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    mark TEXT NOT NULL
) STRICT;
