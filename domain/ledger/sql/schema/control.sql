-- What the schema recount is now, for reading: the migrations make it, and tests/test_migrations.py holds the
-- two equal. Runs with search_path = recount.

CREATE TABLE ledger (
    name text PRIMARY KEY,
    schema_name text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ledger IS 'The regional ledgers of this deployment: one province, one schema.';

CREATE TABLE deployment_key (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    wrapped_by text
);
COMMENT ON COLUMN deployment_key.wrapped_by IS 'The id of the master key that wraps it: a digest, no secret.';
COMMENT ON TABLE deployment_key IS
    'The secret that keys fingerprints and identity hashes, wrapped by the master key, never in clear.';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%s are never changed: % on %.% is refused', TG_TABLE_NAME, TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Without it no personal data is ever opened again.';
END $$;
CREATE TRIGGER deployment_key_is_kept BEFORE DELETE OR TRUNCATE ON deployment_key
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE master_key_rotation (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    old_id text NOT NULL,
    new_id text NOT NULL,
    new_by_old bytea NOT NULL,
    old_by_new bytea NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE master_key_rotation IS
    'While the master key is changed: each of the two wrapped by the other, so that either opens everything.';
REVOKE ALL ON deployment_key, master_key_rotation FROM PUBLIC; -- they are the owner's alone
GRANT USAGE ON SCHEMA recount TO recount_writer, recount_reader;
GRANT SELECT ON ledger TO recount_writer, recount_reader;
