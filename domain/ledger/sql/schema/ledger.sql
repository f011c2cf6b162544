-- What a ledger's schema is now, for reading: the migrations make it, and tests/test_migrations.py holds the
-- two equal. Runs with search_path = the ledger's own schema; who may use the schema is granted with its name.

CREATE TABLE event (
    position bigint PRIMARY KEY,
    subject text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    type text NOT NULL,
    source text NOT NULL,
    id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    appended_at timestamptz NOT NULL,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    state bytea NOT NULL,
    CONSTRAINT event_version_once UNIQUE (subject, version),
    CONSTRAINT event_id_once UNIQUE (source, id)
);
COMMENT ON TABLE event IS 'The log: what was stored once is never changed.';
COMMENT ON COLUMN event.position IS 'Place in the ledger, from 1, without gaps, in commit order.';
COMMENT ON COLUMN event.version IS 'Place in the stream, from 1, without gaps.';
COMMENT ON COLUMN event.appended_at IS 'The ledger''s own clock: no import can set it.';
COMMENT ON COLUMN event.fingerprint IS 'HMAC of the event as it arrived, in clear: tells a repeat from a clash.';
COMMENT ON COLUMN event.digest IS 'SHA-256 of the digest before it in the stream and of state.';
COMMENT ON COLUMN event.state IS 'The canonical CloudEvents bytes, personal data as ciphertext.';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%s are never changed: % on %.% is refused', TG_TABLE_NAME, TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'A correction is a new event.';
END $$;

CREATE TRIGGER event_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE counter (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    position bigint NOT NULL DEFAULT 0,
    recorded_at timestamptz NOT NULL DEFAULT 'epoch'
) WITH (fillfactor = 10); -- one row, changed at every append: room for in-page updates
INSERT INTO counter DEFAULT VALUES;
CREATE TRIGGER counter_is_kept BEFORE DELETE OR TRUNCATE ON counter
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
COMMENT ON TABLE counter IS
    'The last position given out, and the latest recorded time of a live command: taken in the appending'
    ' transaction, so that positions have no gaps and commit in order.';

CREATE TABLE stream_link (
    subject text NOT NULL,
    related text NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (related, subject, occurred_at)
);
CREATE INDEX stream_link_subject ON stream_link (subject, occurred_at);
CREATE TRIGGER stream_link_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON stream_link
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
COMMENT ON TABLE stream_link IS 'Which streams speak of which: a party''s accounts, cases and dealers.';

CREATE TABLE receipt (
    scope text NOT NULL,
    key text NOT NULL,
    request bytea NOT NULL,
    response bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (scope, key)
);
CREATE TRIGGER receipt_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON receipt
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
COMMENT ON TABLE receipt IS 'The first answer to each command, written with its events: a retry gets it again.';

CREATE TABLE party_key (
    key_id text PRIMARY KEY,
    owner text NOT NULL,
    wrapped bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    destroyed_at timestamptz,
    destroyed_digest bytea,
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);
CREATE INDEX party_key_owner ON party_key (owner);
CREATE FUNCTION only_destroy_keys() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER party_key_is_destroyed_only BEFORE UPDATE ON party_key
    FOR EACH ROW EXECUTE FUNCTION only_destroy_keys();
CREATE TRIGGER party_key_is_kept BEFORE DELETE OR TRUNCATE ON party_key
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
COMMENT ON COLUMN party_key.destroyed_digest IS 'SHA-256 of the wrapped key that was destroyed.';
COMMENT ON TABLE party_key IS 'Keys of personal data, one owner each, wrapped by the master key, never in clear.';

CREATE TABLE wrapping_key (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    id text,
    next_id text
);
INSERT INTO wrapping_key DEFAULT VALUES;
COMMENT ON TABLE wrapping_key IS
    'The master key that wraps the keys made in this ledger. Keys are made under the counter''s lock, where it is read.';
COMMENT ON COLUMN wrapping_key.next_id IS 'The one that takes its place, inside the transaction that wraps anew.';

CREATE TABLE notice_request (
    account_id text NOT NULL,
    notice_id text NOT NULL,
    purpose text NOT NULL,
    channel text NOT NULL,
    contact_point_id text,
    package_id text,
    charge_ids text[],
    useful_until date NOT NULL,
    requested_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'handed_over', 'refused', 'lapsed', 'failed', 'unrecorded')),
    tries integer NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL,
    settled_at timestamptz,
    reason text,
    PRIMARY KEY (account_id, notice_id),
    CHECK ((status = 'queued') = (settled_at IS NULL))
);
CREATE INDEX notice_request_next ON notice_request (next_try_at, account_id, notice_id)
    WHERE status = 'queued';
COMMENT ON TABLE notice_request IS
    'Notices that should go out, until a gateway has taken them over: nothing in here has happened yet.';
COMMENT ON COLUMN notice_request.useful_until IS 'The last day on which it is worth sending.';
COMMENT ON COLUMN notice_request.tries IS 'How often a gateway was offered it in vain.';
COMMENT ON COLUMN notice_request.reason IS 'Why it was last not taken over or not sent: a code, never a text of others.';

CREATE TABLE closing (
    day date NOT NULL,
    region text NOT NULL,
    began_at timestamptz NOT NULL,
    finished_at timestamptz,
    cursor text NOT NULL DEFAULT '',
    PRIMARY KEY (day, region)
);
COMMENT ON TABLE closing IS
    'Which days were closed, and how far an unfinished one is: only spares work, what is due follows from events.';
COMMENT ON COLUMN closing.cursor IS 'The last stream that was done; empty before the first and after the last.';

GRANT SELECT, INSERT ON event, stream_link, receipt, party_key TO recount_writer;
GRANT SELECT, UPDATE ON counter TO recount_writer;
GRANT SELECT, INSERT, UPDATE ON closing, notice_request TO recount_writer;
GRANT UPDATE (wrapped, destroyed_at) ON party_key TO recount_writer; -- erasure destroys a key, and nothing else
GRANT SELECT ON event, counter, stream_link TO recount_projector;
GRANT SELECT ON event, stream_link, receipt, party_key, counter, closing, notice_request TO recount_reader;
GRANT SELECT ON wrapping_key TO recount_writer, recount_reader;
