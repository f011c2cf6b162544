-- Seals, by name. They run with search_path = the ledger's schema.

-- name: lock
-- From here to commit this transaction alone seals.
SELECT pg_advisory_xact_lock(hashtextextended('seal ' || %(schema)s, 0));

-- name: last
SELECT number, position, sealed_at, record, peaks, checkpoint FROM seal ORDER BY number DESC LIMIT 1;

-- name: by_number
SELECT number, position, sealed_at, record, peaks, checkpoint FROM seal WHERE number = %(number)s;

-- name: first_from
-- The first seal that covers a position.
SELECT number, position, sealed_at, record, peaks, checkpoint FROM seal
WHERE position >= %(position)s ORDER BY position LIMIT 1;

-- name: page
SELECT number, position, sealed_at, record, peaks, checkpoint FROM seal
WHERE number > %(after)s ORDER BY number LIMIT %(limit)s;

-- name: add
INSERT INTO seal (number, position, sealed_at, record, peaks, checkpoint)
VALUES (%(number)s, %(position)s, %(sealed_at)s, %(record)s, %(peaks)s, %(checkpoint)s);

-- name: heads_between
-- The head of each stream with events in a stretch of the log, and from which version on without a gap.
SELECT subject, min(version), max(version), count(*), (array_agg(digest ORDER BY version DESC))[1]
FROM event
WHERE position > %(after)s AND position <= %(upto)s
GROUP BY subject
ORDER BY subject COLLATE "C";

-- name: log_between
SELECT position, (extract(epoch FROM appended_at) * 1000000)::bigint, digest, fingerprint FROM event
WHERE position > %(after)s AND position <= %(upto)s
ORDER BY position;

-- name: digests_at
-- The digests of some streams' versions; what is not there is absent.
SELECT event.subject, event.digest
FROM unnest(%(subjects)b::text[], %(versions)b::integer[]) AS asked (subject, version)
JOIN event ON event.subject = asked.subject AND event.version = asked.version;

-- name: add_heads
INSERT INTO sealed_head (subject, seal, version, digest)
SELECT subject, %(seal)s, version, digest
FROM unnest(%(subjects)b::text[], %(versions)b::integer[], %(digests)b::bytea[]) AS head (subject, version, digest);

-- name: heads_of_seal
SELECT subject, version, digest FROM sealed_head WHERE seal = %(seal)s ORDER BY subject COLLATE "C";

-- name: heads_at
-- The last head of every stream as a seal left it.
SELECT DISTINCT ON (subject COLLATE "C") subject, version, digest FROM sealed_head
WHERE seal <= %(seal)s ORDER BY subject COLLATE "C", seal DESC;

-- name: heads_by_key
-- The same in the order of the map.
SELECT subject, version, digest FROM (
    SELECT DISTINCT ON (subject) subject, version, digest FROM sealed_head
    WHERE seal <= %(seal)s ORDER BY subject, seal DESC
) AS head
ORDER BY sha256(convert_to(subject, 'UTF8'));

-- name: changed_since
-- The streams that later seals changed, with their heads as a seal left them: none where it did not know them.
SELECT later.subject, earlier.version, earlier.digest
FROM (SELECT DISTINCT subject FROM sealed_head WHERE seal > %(seal)s LIMIT %(limit)s) AS later
LEFT JOIN LATERAL (
    SELECT version, digest FROM sealed_head AS h
    WHERE h.subject = later.subject AND h.seal <= %(seal)s ORDER BY h.seal DESC LIMIT 1
) AS earlier ON true;

-- name: pages
SELECT path, content FROM sealed_page WHERE path = ANY(%(paths)b::text[]);

-- name: put_pages
INSERT INTO sealed_page (path, content)
SELECT * FROM unnest(%(paths)b::text[], %(contents)b::bytea[])
ON CONFLICT (path) DO UPDATE SET content = excluded.content;

-- name: drop_pages
DELETE FROM sealed_page;

-- name: add_timestamp
INSERT INTO seal_timestamp (seal, authority, token, obtained_at)
VALUES (%(seal)s, %(authority)s, %(token)s, %(obtained_at)s)
ON CONFLICT DO NOTHING;

-- name: timestamps
SELECT authority, token, obtained_at FROM seal_timestamp WHERE seal = %(seal)s ORDER BY authority;

-- name: without_timestamp
-- The latest seals that an authority has not stamped yet.
SELECT number, checkpoint FROM seal
WHERE NOT EXISTS (SELECT FROM seal_timestamp AS t WHERE t.seal = number AND t.authority = %(authority)s)
ORDER BY number DESC LIMIT %(limit)s;

-- name: all_seals
SELECT number, position, sealed_at, record, peaks, checkpoint FROM seal ORDER BY number;

-- name: contradicted
-- Sealed heads that the log has otherwise or not at all, of all streams or of some.
SELECT h.subject, h.seal, h.version, e.digest IS NULL
FROM sealed_head AS h
LEFT JOIN event AS e ON e.subject = h.subject AND e.version = h.version
WHERE e.digest IS DISTINCT FROM h.digest
  AND (%(subjects)s::text[] IS NULL OR h.subject = ANY(%(subjects)s::text[]))
ORDER BY h.subject, h.seal;

-- name: held_before
-- The last head of a stream that was sealed before a seal.
SELECT seal, version FROM sealed_head WHERE subject = %(subject)s AND seal < %(seal)s ORDER BY seal DESC LIMIT 1;

-- name: otherwise_in
-- Streams that a stretch of the log has grown otherwise than its seal says: (subject, version sealed, version there).
SELECT coalesce(sealed.subject, there.subject) AS subject, sealed.version, there.version
FROM (SELECT subject, version FROM sealed_head WHERE seal = %(seal)s) AS sealed
FULL JOIN (
    SELECT subject, max(version) AS version FROM event
    WHERE position > %(after)s AND position <= %(upto)s GROUP BY subject
) AS there ON there.subject = sealed.subject
WHERE there.version IS DISTINCT FROM sealed.version
ORDER BY 1
LIMIT %(limit)s;

-- name: some_sealed
SELECT subject FROM (SELECT DISTINCT subject FROM sealed_head) AS known ORDER BY random() LIMIT %(sample)s;

-- name: stamps_of_all
SELECT t.seal, t.authority, t.token, s.checkpoint FROM seal_timestamp AS t JOIN seal AS s ON s.number = t.seal
ORDER BY t.seal, t.authority;
