-- Which master key wraps the keys of this ledger, so that it can be changed without losing one; and what a
-- destroyed key leaves: the digest of what was destroyed, for the receipt.

CREATE TABLE wrapping_key (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    id text,
    next_id text
);
INSERT INTO wrapping_key DEFAULT VALUES;
COMMENT ON TABLE wrapping_key IS
    'The master key that wraps the keys made in this ledger. Keys are made under the counter''s lock, where it is read.';
COMMENT ON COLUMN wrapping_key.next_id IS 'The one that takes its place, inside the transaction that wraps anew.';

ALTER TABLE party_key ADD COLUMN destroyed_digest bytea;
COMMENT ON COLUMN party_key.destroyed_digest IS 'SHA-256 of the wrapped key that was destroyed.';

CREATE OR REPLACE FUNCTION only_destroy_keys() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE rewraps boolean;
BEGIN
    IF (NEW.key_id, NEW.owner, NEW.created_at) = (OLD.key_id, OLD.owner, OLD.created_at)
        AND OLD.wrapped IS NOT NULL THEN
        IF NEW.wrapped IS NULL THEN
            NEW.destroyed_digest := sha256(OLD.wrapped);
            RETURN NEW;
        END IF;
        -- The tables' owner, and only where the transaction said by which master key, wraps a key anew.
        EXECUTE format('SELECT next_id IS NOT NULL FROM %I.wrapping_key', TG_TABLE_SCHEMA) INTO rewraps;
        IF rewraps AND NEW.destroyed_digest IS NULL
            AND current_user = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a key is destroyed or kept, never changed' USING ERRCODE = 'insufficient_privilege';
END $$;

GRANT SELECT ON wrapping_key TO recount_writer, recount_reader;
