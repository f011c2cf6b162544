-- Each of the service's roles may do what it is for and nothing else: see domain/ledger/database.py. The group
-- recount_app, which did everything before, keeps its members and no right of its own. What only grows refuses
-- anything else by a trigger too: the tables' owner has every right, and should not change them by mistake.

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%s are never changed: % on %.% is refused', TG_TABLE_NAME, TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'A correction is a new event.';
END $$;

CREATE TRIGGER receipt_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON receipt
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stream_link_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON stream_link
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER party_key_is_kept BEFORE DELETE OR TRUNCATE ON party_key
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER counter_is_kept BEFORE DELETE OR TRUNCATE ON counter
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$ BEGIN
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM recount_app', current_schema());
    EXECUTE format(
        'GRANT USAGE ON SCHEMA %I TO recount_writer, recount_projector, recount_reader', current_schema()
    );
END $$;
REVOKE ALL ON event, stream_link, receipt, party_key, counter, closing, notice_request FROM recount_app;

GRANT SELECT, INSERT ON event, stream_link, receipt, party_key TO recount_writer;
GRANT SELECT, UPDATE ON counter TO recount_writer;
GRANT SELECT, INSERT, UPDATE ON closing, notice_request TO recount_writer;
GRANT UPDATE (wrapped, destroyed_at) ON party_key TO recount_writer; -- erasure destroys a key, and nothing else
GRANT SELECT ON event, counter, stream_link TO recount_projector;
GRANT SELECT ON event, stream_link, receipt, party_key, counter, closing, notice_request TO recount_reader;
