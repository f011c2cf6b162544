-- The log's queries, by name. They run with search_path = the ledger's schema.
-- Arrays travel in binary (%b): as text, quoting them costs more than all else in an import.

-- name: heads
-- The last version and digest of each stream asked for; streams without events are absent.
SELECT asked.subject, head.version, head.digest
FROM unnest(%(subjects)b::text[]) AS asked (subject)
CROSS JOIN LATERAL (
    SELECT version, digest FROM event WHERE event.subject = asked.subject ORDER BY version DESC LIMIT 1
) AS head;

-- name: stream
-- One stream in version order.
SELECT subject, version, type, state, position, appended_at, digest, fingerprint
FROM event
WHERE subject = %(subject)s AND version > %(gt)s AND version <= %(lte)s
ORDER BY version
LIMIT %(limit)s;

-- name: stream_backwards
-- One stream, the last version first.
SELECT subject, version, type, state, position, appended_at, digest, fingerprint
FROM event
WHERE subject = %(subject)s AND version > %(gt)s AND version <= %(lte)s
ORDER BY version DESC
LIMIT %(limit)s;

-- name: streams
-- Several streams, each in version order.
SELECT subject, version, type, state, position, appended_at, digest, fingerprint
FROM event
WHERE subject = ANY(%(subjects)s) AND position <= %(position)s
ORDER BY subject, version;

-- name: log
-- The log after a position, in position order.
SELECT subject, version, type, state, position, appended_at, digest, fingerprint
FROM event
WHERE position > %(after)s AND position <= %(upto)s
ORDER BY position
LIMIT %(limit)s;

-- name: log_of_types
-- The log after a position, only events of some types.
SELECT subject, version, type, state, position, appended_at, digest, fingerprint
FROM event
WHERE position > %(after)s AND position <= %(upto)s AND type = ANY(%(types)s)
ORDER BY position
LIMIT %(limit)s;

-- name: first_after
-- The first event of some streams after a position.
SELECT subject FROM event
WHERE position > %(position)s AND subject = ANY(%(subjects)b::text[])
ORDER BY position LIMIT 1;

-- name: last_position
SELECT position FROM counter;

-- name: lock_counter
-- From here to commit this transaction alone appends: versions and receipts read now stay true.
SELECT position, recorded_at FROM counter FOR UPDATE;

-- name: counter
SELECT position, recorded_at FROM counter;

-- name: append
-- Takes the next positions and inserts the events in the order given, in one statement.
WITH claimed AS (
    UPDATE counter
    SET position = position + %(count)s,
        recorded_at = greatest(recorded_at, coalesce(%(recorded_at)s::timestamptz, recorded_at))
    RETURNING position - %(count)s AS base, clock_timestamp() AS appended_at
)
INSERT INTO event
    (position, subject, version, type, source, id, occurred_at, recorded_at, appended_at,
     fingerprint, digest, state)
SELECT claimed.base + e.ordinal, e.subject, e.version, e.type, e.source, e.id, e.occurred_at, e.recorded_at,
       claimed.appended_at, e.fingerprint, e.digest, e.state
FROM claimed, unnest(
    %(subjects)b::text[], %(versions)b::integer[], %(types)b::text[], %(sources)b::text[], %(ids)b::text[],
    %(occurred)b::timestamptz[], %(recorded)b::timestamptz[], %(fingerprints)b::bytea[],
    %(digests)b::bytea[], %(states)b::bytea[]
) WITH ORDINALITY AS e
    (subject, version, type, source, id, occurred_at, recorded_at, fingerprint, digest, state, ordinal)
RETURNING position, appended_at;

-- name: claim
-- Takes the next positions: from here to commit this transaction alone appends.
UPDATE counter SET position = position + %(count)s
RETURNING position - %(count)s AS base, clock_timestamp() AS appended_at;

-- name: copy_events
-- Takes rows in binary: what is known last stands first in them.
COPY event (position, appended_at, version, digest, state, subject, type, source, id, occurred_at, recorded_at,
            fingerprint)
FROM STDIN (FORMAT binary);

-- name: add_links
INSERT INTO stream_link (subject, related, occurred_at)
SELECT * FROM unnest(%(subjects)b::text[], %(related)b::text[], %(occurred)b::timestamptz[])
ON CONFLICT DO NOTHING;

-- name: linked_to
-- The streams that speak of a subject.
SELECT DISTINCT subject FROM stream_link WHERE related = %(related)s ORDER BY subject;

-- name: linked_of_kind
-- The streams of a kind that speak of a subject, some of them where there are very many.
SELECT DISTINCT subject FROM stream_link WHERE related = %(related)s AND subject LIKE %(prefix)s
ORDER BY subject LIMIT %(limit)s;

-- name: related_of
-- The streams that some streams speak of.
SELECT DISTINCT related FROM stream_link WHERE subject = ANY(%(subjects)b::text[]) ORDER BY related;

-- name: owners
-- Whose each account or case has been, in the order of the world.
SELECT link.subject, link.related, link.occurred_at
FROM stream_link AS link
WHERE link.subject = ANY(%(subjects)s) AND link.related LIKE 'party/%%'
ORDER BY link.occurred_at;

-- name: known
-- The fingerprints of events that already stand in the log.
SELECT event.source, event.id, event.fingerprint
FROM unnest(%(sources)b::text[], %(ids)b::text[]) AS asked (source, id)
JOIN event ON event.source = asked.source AND event.id = asked.id;

-- name: openings
-- Which opening events a stream has.
SELECT subject, type FROM event WHERE subject = ANY(%(subjects)s) AND type = ANY(%(types)s);

-- name: subject_exists
SELECT 1 FROM event WHERE subject = %(subject)s AND version = 1;

-- name: write
-- Events, links and receipts in one statement, where the counter still stands where the decisions were made;
-- no row and nothing written where it does not. A receipt that stands already is an error.
WITH claimed AS (
    UPDATE counter
    SET position = position + %(count)s::bigint, recorded_at = greatest(recorded_at, %(recorded_at)s::timestamptz)
    WHERE position = %(expected)s::bigint
    RETURNING clock_timestamp() AS appended_at
), appended AS (
    INSERT INTO event
        (position, subject, version, type, source, id, occurred_at, recorded_at, appended_at,
         fingerprint, digest, state)
    SELECT %(expected)s::bigint + e.ordinal, e.subject, e.version, e.type, %(source)s::text, e.id, e.occurred_at,
           %(recorded_at)s::timestamptz, claimed.appended_at, e.fingerprint, e.digest, e.state
    FROM claimed, unnest(
        %(subjects)b::text[], %(versions)b::integer[], %(types)b::text[], %(ids)b::text[],
        %(occurred)b::timestamptz[], %(fingerprints)b::bytea[], %(digests)b::bytea[], %(states)b::bytea[]
    ) WITH ORDINALITY AS e (subject, version, type, id, occurred_at, fingerprint, digest, state, ordinal)
), linked AS (
    INSERT INTO stream_link (subject, related, occurred_at)
    SELECT l.subject, l.related, l.occurred_at
    FROM claimed, unnest(
        %(linking)b::text[], %(related)b::text[], %(linked_at)b::timestamptz[]
    ) AS l (subject, related, occurred_at)
    ON CONFLICT DO NOTHING
), kept AS (
    INSERT INTO receipt (scope, key, request, response)
    SELECT r.scope, r.key, r.request, r.response
    FROM claimed, unnest(
        %(scopes)b::text[], %(keys)b::text[], %(requests)b::bytea[], %(responses)b::bytea[]
    ) AS r (scope, key, request, response)
)
SELECT appended_at FROM claimed;

-- name: find_receipts
SELECT scope, key, request, response FROM receipt
JOIN unnest(%(scopes)b::text[], %(keys)b::text[]) AS asked (scope, key) USING (scope, key);

-- name: find_receipt
SELECT request, response FROM receipt WHERE scope = %(scope)s AND key = %(key)s;

-- name: add_receipt
INSERT INTO receipt (scope, key, request, response)
VALUES (%(scope)s, %(key)s, %(request)s, %(response)s);

-- name: keys_of_owners
SELECT owner, key_id, wrapped FROM party_key WHERE owner = ANY(%(owners)s) ORDER BY created_at, key_id;

-- name: keys_by_id
SELECT key_id, owner, wrapped FROM party_key WHERE key_id = ANY(%(key_ids)s);

-- name: all_keys
SELECT key_id, owner, wrapped FROM party_key ORDER BY key_id;

-- name: wrapping_key
-- Which master key wraps what is made here.
SELECT id FROM wrapping_key;

-- name: begin_wrapping
-- A ledger's keys are wrapped by the master key that opened it first.
UPDATE wrapping_key SET id = %(master)s WHERE id IS NULL;

-- name: rewrapping
UPDATE wrapping_key SET next_id = %(master)s;

-- name: rewrapped
UPDATE wrapping_key SET id = next_id, next_id = NULL;

-- name: keys_to_rewrap
SELECT key_id, wrapped FROM party_key WHERE key_id > %(after)s AND wrapped IS NOT NULL ORDER BY key_id LIMIT %(limit)s;

-- name: rewrap_keys
UPDATE party_key SET wrapped = made.wrapped
FROM unnest(%(key_ids)b::text[], %(wrapped)b::bytea[]) AS made (key_id, wrapped)
WHERE party_key.key_id = made.key_id;

-- name: add_keys
INSERT INTO party_key (key_id, owner, wrapped)
SELECT * FROM unnest(%(key_ids)b::text[], %(owners)b::text[], %(wrapped)b::bytea[])
ON CONFLICT (key_id) DO NOTHING
RETURNING key_id;

-- name: destroy_keys
UPDATE party_key SET wrapped = NULL, destroyed_at = clock_timestamp()
WHERE owner = ANY(%(owners)b::text[]) AND wrapped IS NOT NULL;

-- name: add_destroyed_keys
INSERT INTO party_key (key_id, owner, wrapped, destroyed_at)
SELECT key_id, owner, NULL, clock_timestamp()
FROM unnest(%(key_ids)b::text[], %(owners)b::text[]) AS gone (key_id, owner)
ON CONFLICT (key_id) DO NOTHING
RETURNING key_id;

-- name: streams_after
-- The next streams of some kinds, by subject: each step is one look into the index, however long a stream is.
WITH RECURSIVE next (subject) AS (
    (SELECT subject FROM event WHERE subject > %(after)s ORDER BY subject LIMIT 1)
    UNION ALL
    SELECT (SELECT e.subject FROM event AS e WHERE e.subject > next.subject ORDER BY e.subject LIMIT 1)
    FROM next WHERE next.subject IS NOT NULL
)
SELECT subject FROM next
WHERE split_part(subject, '/', 1) = ANY(%(kinds)s)
LIMIT %(limit)s;

-- name: streams_left
-- How many streams of some kinds come after one, by subject.
SELECT count(*) FROM event
WHERE version = 1 AND subject > %(after)s AND split_part(subject, '/', 1) = ANY(%(kinds)s);

-- name: lock_closing
SELECT pg_try_advisory_lock(hashtextextended('close-day ' || %(schema)s, 0));

-- name: unlock_closing
SELECT pg_advisory_unlock(hashtextextended('close-day ' || %(schema)s, 0));

-- name: begin_closing
-- Opens a day, or opens it again; what was not finished goes on where it stopped.
INSERT INTO closing (day, region, began_at) VALUES (%(day)s, %(region)s, %(now)s)
ON CONFLICT (day, region) DO UPDATE
SET began_at = CASE WHEN closing.finished_at IS NULL THEN closing.began_at ELSE excluded.began_at END,
    cursor = CASE WHEN closing.finished_at IS NULL THEN closing.cursor ELSE '' END,
    finished_at = NULL
RETURNING cursor;

-- name: move_closing
UPDATE closing SET cursor = %(cursor)s WHERE day = %(day)s AND region = %(region)s;

-- name: finish_closing
UPDATE closing SET cursor = '', finished_at = %(now)s WHERE day = %(day)s AND region = %(region)s;

-- name: last_closed
SELECT max(day) FROM closing WHERE region = %(region)s AND finished_at IS NOT NULL AND day < %(day)s;
