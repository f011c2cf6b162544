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
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE deployment_key IS
    'The secret that keys fingerprints and identity hashes, wrapped by the master key, never in clear.';

GRANT USAGE ON SCHEMA recount TO recount_app;
GRANT SELECT ON ledger, deployment_key TO recount_app;
