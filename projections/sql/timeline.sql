-- timeline: its table, and what is asked of it and of the log, by name.

-- name: tables
CREATE TABLE timeline_tie (
    subject text NOT NULL,
    role text NOT NULL,
    other text NOT NULL,
    number integer NOT NULL,
    since timestamptz,
    until timestamptz,
    PRIMARY KEY (subject, role, other, number)
);
CREATE INDEX timeline_tie_other ON timeline_tie (other, role);
COMMENT ON TABLE timeline_tie IS 'Which streams belong to the timeline of which party, directly or through another.';
COMMENT ON COLUMN timeline_tie.subject IS 'The stream that says so.';
COMMENT ON COLUMN timeline_tie.role IS
    'What the other is to it: holder of an account, what a case is about, a case or a dealer it speaks of, or the '
    'party it was merged into.';
COMMENT ON COLUMN timeline_tie.other IS 'The other subject.';
COMMENT ON COLUMN timeline_tie.number IS 'Counts how often a party has held an account; 1 otherwise.';
COMMENT ON COLUMN timeline_tie.since IS 'Since when; of an account''s first holder empty, from its beginning.';
COMMENT ON COLUMN timeline_tie.until IS 'Until when an account was held; empty while it is.';

-- The streams of each party's timeline: its own and those merged into it, the accounts they held and when, and the
-- cases and dealers tied to these. A case that names accounts but nobody is of whoever held one of them then.
CREATE FUNCTION timeline_streams(of_party text)
RETURNS TABLE (subject text, since timestamptz, until timestamptz)
LANGUAGE sql STABLE
AS $$
    WITH RECURSIVE person AS (
        SELECT of_party AS subject
        UNION
        SELECT t.subject FROM person AS p JOIN timeline_tie AS t ON t.other = p.subject AND t.role = 'merged_into'
    ), own AS (
        SELECT p.subject, NULL::timestamptz AS since, NULL::timestamptz AS until FROM person AS p
        UNION
        SELECT t.subject, t.since, t.until
        FROM person AS p JOIN timeline_tie AS t ON t.other = p.subject AND t.role = 'holder'
    )
    SELECT * FROM own
    UNION
    SELECT t.subject, NULL, NULL
    FROM person AS p JOIN timeline_tie AS t ON t.other = p.subject AND t.role = 'about'
    UNION
    SELECT t.subject, NULL, NULL
    FROM own AS o JOIN timeline_tie AS t ON t.other = o.subject AND t.role = 'about'
    WHERE t.since >= coalesce(o.since, '-infinity') AND t.since <= coalesce(o.until, 'infinity')
      AND NOT EXISTS (
          SELECT FROM timeline_tie AS n
          WHERE n.subject = t.subject AND n.role = 'about' AND starts_with(n.other, 'party/')
      )
    UNION
    SELECT t.other, NULL, NULL
    FROM own AS o JOIN timeline_tie AS t ON t.subject = o.subject AND t.role IN ('case', 'dealer')
    WHERE t.since >= coalesce(o.since, '-infinity') AND t.since <= coalesce(o.until, 'infinity')
$$;

-- name: place_of
-- An event's place in the order of the world.
SELECT occurred_at, recorded_at, position FROM event WHERE position = %(position)s;

-- name: width
-- How many streams a timeline spans, counted up to a bound.
SELECT count(*) FROM (
    SELECT DISTINCT subject FROM timeline_streams(%(party)s) LIMIT %(streams_max)s
) AS found;

-- name: events_of
-- A page of the log's own rows. A payment may count before its time.
SELECT e.subject, e.version, e.type, e.state, page.position, e.appended_at, e.digest, e.fingerprint
FROM (
    SELECT * FROM (
        SELECT DISTINCT e.occurred_at, e.recorded_at, e.position
        FROM timeline_streams(%(party)s) AS s
        JOIN event AS e ON e.subject = s.subject
            AND (s.since IS NULL OR e.occurred_at >= s.since) AND (s.until IS NULL OR e.occurred_at <= s.until)
        WHERE e.position <= %(bound)s AND e.recorded_at <= %(now)s
          AND (e.occurred_at <= %(now)s OR e.type = 'PaymentReceived')
          AND (%(kind)s::text IS NULL OR starts_with(e.subject, %(kind)s || '/'))
          AND (%(type)s::text IS NULL OR e.type = %(type)s)
    ) AS every
    WHERE {after} ORDER BY {order} LIMIT %(limit)s
) AS page
CROSS JOIN LATERAL (
    SELECT subject, version, type, state, appended_at, digest, fingerprint
    FROM event WHERE event.position = page.position
) AS e
ORDER BY {order};
