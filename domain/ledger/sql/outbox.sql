-- The queue of notices, by name. They run with search_path = the ledger's schema.

-- name: add
-- What was never asked for before; the rest is left as it is.
INSERT INTO notice_request (account_id, notice_id, purpose, channel, contact_point_id, package_id, charge_ids,
                            useful_until, requested_at, next_try_at)
SELECT account_id, notice_id, purpose, channel, contact_point_id, package_id, charge_ids, useful_until,
       %(requested_at)s, %(requested_at)s
FROM jsonb_to_recordset(%(requests)s::jsonb) AS asked
    (account_id text, notice_id text, purpose text, channel text, contact_point_id text, package_id text,
     charge_ids text[], useful_until date)
ON CONFLICT (account_id, notice_id) DO NOTHING;

-- name: ask_again
-- What came to its end without being sent, and is asked for again.
UPDATE notice_request AS known
SET purpose = asked.purpose, channel = asked.channel, contact_point_id = asked.contact_point_id,
    package_id = asked.package_id, charge_ids = asked.charge_ids, useful_until = asked.useful_until,
    requested_at = %(requested_at)s, next_try_at = %(requested_at)s, status = 'queued', tries = 0,
    settled_at = NULL, reason = NULL
FROM jsonb_to_recordset(%(requests)s::jsonb) AS asked
    (account_id text, notice_id text, purpose text, channel text, contact_point_id text, package_id text,
     charge_ids text[], useful_until date)
WHERE known.account_id = asked.account_id AND known.notice_id = asked.notice_id
    AND known.status IN ('refused', 'lapsed', 'failed');

-- name: take
-- The next requests that are due, locked until the transaction ends; others take what comes after them.
SELECT account_id, notice_id, purpose, channel, contact_point_id, package_id, charge_ids, useful_until,
       status, requested_at, tries, next_try_at, settled_at, reason
FROM notice_request
WHERE status = 'queued' AND next_try_at <= %(due)s
ORDER BY next_try_at, account_id, notice_id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED;

-- name: settle
UPDATE notice_request SET status = %(status)s, settled_at = %(at)s, reason = %(reason)s
WHERE account_id = %(account_id)s AND notice_id = %(notice_id)s;

-- name: postpone
UPDATE notice_request SET tries = tries + 1, next_try_at = %(next_try_at)s, reason = %(reason)s
WHERE account_id = %(account_id)s AND notice_id = %(notice_id)s;

-- name: count_by_status
SELECT status, count(*) FROM notice_request GROUP BY status;

-- name: count_queued
SELECT count(*) FROM notice_request WHERE status = 'queued';

-- name: oldest
SELECT account_id, notice_id, purpose, channel, contact_point_id, package_id, charge_ids, useful_until,
       status, requested_at, tries, next_try_at, settled_at, reason
FROM notice_request
WHERE status = %(status)s
ORDER BY requested_at, account_id, notice_id
LIMIT %(limit)s;
