-- The read models' queries, by name. They run with search_path = the ledger's schema.

-- name: enrol
INSERT INTO projection (name, version) VALUES (%(name)s, %(version)s) ON CONFLICT (name) DO NOTHING;

-- name: take
-- Where the model stands; whoever holds the row is the one who moves it on.
SELECT position, failure FROM projection WHERE name = %(name)s FOR UPDATE SKIP LOCKED;

-- name: move
UPDATE projection
SET position = %(position)s, moved_at = clock_timestamp(), failed_position = NULL, failure = NULL
WHERE name = %(name)s;

-- name: fail
UPDATE projection SET failed_position = %(position)s, failure = %(failure)s WHERE name = %(name)s;

-- name: standings
SELECT projection.name, projection.version, projection.position, counter.position, projection.moved_at,
       projection.failed_position, projection.failure
FROM projection, counter ORDER BY projection.name;

-- name: put_status
INSERT INTO billing_status
    (account_id, party_id, region, line_of_business, status, status_since, package, balance_fen,
     principal_fen, late_fee_fen, credit_fen, open_items, held, stream_version, position, stale_on)
VALUES
    (%(account_id)s, %(party_id)s, %(region)s, %(line_of_business)s, %(status)s, %(status_since)s,
     %(package)s, %(balance_fen)s, %(principal_fen)s, %(late_fee_fen)s, %(credit_fen)s, %(open_items)s,
     %(held)s, %(stream_version)s, %(position)s, %(stale_on)s)
ON CONFLICT (account_id) DO UPDATE SET
    party_id = excluded.party_id, region = excluded.region, line_of_business = excluded.line_of_business,
    status = excluded.status, status_since = excluded.status_since, package = excluded.package,
    balance_fen = excluded.balance_fen, principal_fen = excluded.principal_fen,
    late_fee_fen = excluded.late_fee_fen, credit_fen = excluded.credit_fen,
    open_items = excluded.open_items, held = excluded.held, stream_version = excluded.stream_version,
    position = excluded.position, stale_on = excluded.stale_on;

-- name: stale
SELECT account_id FROM billing_status WHERE stale_on <= %(today)s ORDER BY account_id LIMIT %(limit)s;

-- name: status_of
SELECT status.account_id, status.party_id, status.region, status.line_of_business, status.status,
       status.status_since, status.package, status.balance_fen, status.principal_fen, status.late_fee_fen,
       status.credit_fen, status.open_items, status.held, status.stream_version, status.position
FROM billing_status AS status WHERE status.account_id = %(account_id)s;

-- name: statuses
SELECT status.account_id, status.party_id, status.region, status.line_of_business, status.status,
       status.status_since, status.package, status.balance_fen, status.principal_fen, status.late_fee_fen,
       status.credit_fen, status.open_items, status.held, status.stream_version, status.position
FROM billing_status AS status
WHERE status.account_id > %(after)s
  AND (%(party_id)s::text IS NULL OR status.party_id = %(party_id)s)
  AND (%(status)s::text IS NULL OR status.status = %(status)s)
  AND (NOT %(owing)s OR status.balance_fen > 0)
ORDER BY status.account_id LIMIT %(limit)s;
