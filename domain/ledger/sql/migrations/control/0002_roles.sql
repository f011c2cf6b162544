-- Each of the service's roles may do what it is for and nothing else: see domain/ledger/database.py. The group
-- recount_app, which did everything before, keeps its members and no right of its own.
REVOKE ALL ON SCHEMA recount FROM recount_app;
REVOKE ALL ON ledger, deployment_key FROM recount_app;
GRANT USAGE ON SCHEMA recount TO recount_writer, recount_reader;
GRANT SELECT ON ledger TO recount_writer, recount_reader;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%s are never changed: % on %.% is refused', TG_TABLE_NAME, TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Without it no personal data is ever opened again.';
END $$;
CREATE TRIGGER deployment_key_is_kept BEFORE DELETE OR TRUNCATE ON deployment_key
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
