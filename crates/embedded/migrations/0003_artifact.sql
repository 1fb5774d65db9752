-- Trained artifacts that scenes name, each under the SHA-256 of its bytes.
CREATE TABLE artifact (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    content BLOB NOT NULL
) STRICT;
