-- What the read models' tables in a ledger are now, for reading: the migrations make them, and
-- tests/test_migrations.py holds the two equal. Runs with search_path = the ledger's own schema.

CREATE TABLE projection (
    name text PRIMARY KEY,
    version integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    failed_position bigint,
    failure text
);
COMMENT ON TABLE projection IS 'How far each read model has folded the log: it commits with the model''s rows.';
COMMENT ON COLUMN projection.failure IS 'Why the model stopped at failed_position; empty where it goes on.';

CREATE TABLE billing_status (
    account_id text PRIMARY KEY,
    party_id text NOT NULL,
    region text NOT NULL,
    line_of_business text NOT NULL,
    status text NOT NULL,
    status_since timestamptz,
    package jsonb,
    balance_fen bigint NOT NULL,
    principal_fen bigint NOT NULL,
    late_fee_fen bigint NOT NULL,
    credit_fen bigint NOT NULL,
    open_items jsonb NOT NULL,
    held boolean NOT NULL,
    stream_version integer NOT NULL,
    position bigint NOT NULL,
    stale_on date
);
CREATE INDEX billing_status_party ON billing_status (party_id, account_id);
CREATE INDEX billing_status_stale ON billing_status (stale_on) WHERE stale_on IS NOT NULL;
COMMENT ON TABLE billing_status IS 'One row an account: what is owed, and on what. Days past due are counted when read.';
COMMENT ON COLUMN billing_status.open_items IS 'Charges not settled, oldest first: charge_id, due_on, unpaid_fen.';
COMMENT ON COLUMN billing_status.stale_on IS
    'The day on which a payment, a plan change or a value date already known begins to count: the row is folded again.';

GRANT SELECT, INSERT, UPDATE, DELETE ON projection, billing_status TO recount_app;
