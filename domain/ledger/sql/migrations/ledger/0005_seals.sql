CREATE TABLE seal (
    number integer PRIMARY KEY CHECK (number > 0),
    position bigint NOT NULL UNIQUE,
    sealed_at timestamptz NOT NULL,
    record bytea NOT NULL,
    peaks bytea NOT NULL,
    checkpoint bytea NOT NULL
);
COMMENT ON TABLE seal IS 'Seals of the log: signed, chained, never changed.';
COMMENT ON COLUMN seal.position IS 'The log is sealed up to here.';
COMMENT ON COLUMN seal.record IS 'What the seal says: a leaf of the log of seals.';
COMMENT ON COLUMN seal.peaks IS 'The log of seals before it: with the record they come to the root that is signed.';
COMMENT ON COLUMN seal.checkpoint IS 'The signed note (C2SP tlog-checkpoint).';

CREATE TABLE sealed_head (
    subject text NOT NULL,
    seal integer NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    PRIMARY KEY (subject, seal)
);
CREATE INDEX sealed_head_seal ON sealed_head (seal);
COMMENT ON TABLE sealed_head IS 'The last event of each stream that a seal changed: which seal still holds, and which not.';

CREATE TABLE sealed_page (
    path text COLLATE "C" PRIMARY KEY,
    content bytea NOT NULL
);
COMMENT ON TABLE sealed_page IS
    'The map of all streams'' heads at the last seal: a cache that can be made anew, and is checked when read.';

CREATE TABLE seal_timestamp (
    seal integer NOT NULL REFERENCES seal,
    authority text NOT NULL,
    token bytea NOT NULL,
    obtained_at timestamptz NOT NULL,
    PRIMARY KEY (seal, authority)
);
COMMENT ON TABLE seal_timestamp IS 'RFC 3161 responses: that a checkpoint was there at a time, by a third party''s word.';

CREATE TRIGGER seal_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON seal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sealed_head_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON sealed_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER seal_timestamp_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON seal_timestamp
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON seal, sealed_head, seal_timestamp TO recount_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON sealed_page TO recount_writer;
GRANT SELECT ON seal, sealed_head, sealed_page, seal_timestamp TO recount_reader;
