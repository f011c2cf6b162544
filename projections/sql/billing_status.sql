-- billing_status: its tables, and what is asked of them, by name.

-- name: tables
CREATE TABLE billing_status (
    subject text PRIMARY KEY,
    account_id text NOT NULL,
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
    counted_from timestamptz
);
CREATE UNIQUE INDEX billing_status_account ON billing_status (account_id);
CREATE INDEX billing_status_party ON billing_status (party_id, account_id);
CREATE INDEX billing_status_position ON billing_status (position);
CREATE INDEX billing_status_counted ON billing_status (counted_from);
COMMENT ON TABLE billing_status IS 'One row an account: what is owed, and on what. Days past due are counted when read.';
COMMENT ON COLUMN billing_status.subject IS 'The account''s stream.';
COMMENT ON COLUMN billing_status.account_id IS 'The account.';
COMMENT ON COLUMN billing_status.party_id IS 'Who holds it.';
COMMENT ON COLUMN billing_status.region IS 'Province and city it was opened in.';
COMMENT ON COLUMN billing_status.line_of_business IS 'fixed_broadband, mobile or fixed_voice.';
COMMENT ON COLUMN billing_status.status IS 'pending, active, suspended or terminated.';
COMMENT ON COLUMN billing_status.status_since IS 'Since when.';
COMMENT ON COLUMN billing_status.package IS 'The package in force: package_id, offer_id, cycle, price_fen, start, end, …';
COMMENT ON COLUMN billing_status.balance_fen IS 'What is owed in all; negative is a credit.';
COMMENT ON COLUMN billing_status.principal_fen IS 'Unpaid charges.';
COMMENT ON COLUMN billing_status.late_fee_fen IS 'Unpaid late fees.';
COMMENT ON COLUMN billing_status.credit_fen IS 'Money in hand that no debt has taken.';
COMMENT ON COLUMN billing_status.open_items IS 'Charges not settled, oldest first: charge_id, due_on, unpaid_fen.';
COMMENT ON COLUMN billing_status.held IS 'Whether a dispute hold stands.';
COMMENT ON COLUMN billing_status.stream_version IS 'How many events of the account the row rests on.';
COMMENT ON COLUMN billing_status.position IS 'The log position of the last of them.';
COMMENT ON COLUMN billing_status.counted_from IS
    'The latest moment from which an event of it, a payment by its value date or a plan change counts.';

-- name: status_of
SELECT 'account/' || s.account_id, s.account_id, s.party_id, s.region, s.line_of_business, s.status, s.status_since,
       s.package, s.balance_fen, s.principal_fen, s.late_fee_fen, s.credit_fen, s.open_items, s.held,
       s.stream_version, s.position
FROM billing_status AS s WHERE s.account_id = %(account_id)s;

-- name: statuses
SELECT 'account/' || s.account_id, s.account_id, s.party_id, s.region, s.line_of_business, s.status, s.status_since,
       s.package, s.balance_fen, s.principal_fen, s.late_fee_fen, s.credit_fen, s.open_items, s.held,
       s.stream_version, s.position
FROM billing_status AS s
WHERE s.account_id > %(after)s
  AND (%(city)s::text IS NULL OR s.region = %(city)s)
  AND (%(party_id)s::text IS NULL OR s.party_id = %(party_id)s)
  AND (%(status)s::text IS NULL OR s.status = %(status)s)
  AND (NOT %(owing)s OR s.balance_fen > 0)
ORDER BY s.account_id LIMIT %(limit)s;

-- name: horizon
-- How far a reader of changes may go: as far as the slowest part of the model, and up to the next moment at which a
-- row will read otherwise though nothing happens, or now.
SELECT g.version, min(p.position), least(%(now)s::timestamptz, min(p.due_at))
FROM read_model_generation AS g JOIN read_model_partition AS p USING (generation)
WHERE g.model = 'billing_status' AND g.state = 'live'
GROUP BY g.version;

-- name: changes
-- The two halves apart, so that each goes along its index: rows of new events, and older ones that count anew.
SELECT * FROM (
    (
        SELECT s.* FROM billing_status AS s
        WHERE s.position > greatest(%(position)s, %(at)s) AND s.position <= %(to_position)s
          AND (%(city)s::text IS NULL OR s.region = %(city)s)
        ORDER BY s.position LIMIT %(limit)s
    ) UNION ALL (
        SELECT s.* FROM billing_status AS s
        WHERE s.counted_from >= %(moment)s AND s.position > %(at)s AND s.position <= %(position)s
          AND (%(city)s::text IS NULL OR s.region = %(city)s)
        ORDER BY s.position LIMIT %(limit)s
    )
) AS changed
ORDER BY position LIMIT %(limit)s;
