-- notices: its tables, and what is asked of them, by name.

-- name: tables
CREATE TABLE notice (
    subject text NOT NULL,
    version integer NOT NULL,
    account_id text NOT NULL,
    region text NOT NULL,
    notice_id text NOT NULL,
    purpose text NOT NULL,
    channel text NOT NULL,
    contact_point_id text,
    package_id text,
    holder_id text,
    attempted_at timestamptz NOT NULL,
    attempted_on date NOT NULL,
    outcome text NOT NULL,
    reason text,
    outcome_at timestamptz,
    outcome_recorded_at timestamptz,
    outcome_known_on date,
    PRIMARY KEY (subject, version)
);
CREATE INDEX notice_contact_point ON notice (contact_point_id);
COMMENT ON TABLE notice IS 'Each notice that was attempted, and what became of it. Delivered is not yet reached.';
COMMENT ON COLUMN notice.subject IS 'The account''s stream.';
COMMENT ON COLUMN notice.version IS 'The attempt''s version in it.';
COMMENT ON COLUMN notice.account_id IS 'The account.';
COMMENT ON COLUMN notice.region IS 'Province and city it was opened in.';
COMMENT ON COLUMN notice.notice_id IS 'The notice; a legacy system may use one id twice.';
COMMENT ON COLUMN notice.purpose IS 'pre_expiry, post_expiry, arrears, suspension, termination, blacklist or renewal.';
COMMENT ON COLUMN notice.channel IS 'web_push, sms, call, visit, email, letter or app.';
COMMENT ON COLUMN notice.contact_point_id IS 'Where it went, as far as is on record.';
COMMENT ON COLUMN notice.package_id IS 'The package it was about, where it names one.';
COMMENT ON COLUMN notice.holder_id IS 'Whose the account was at its outcome, before that at the attempt.';
COMMENT ON COLUMN notice.attempted_at IS 'When it was attempted.';
COMMENT ON COLUMN notice.attempted_on IS 'The day of that in its region.';
COMMENT ON COLUMN notice.outcome IS 'pending, failed or delivered.';
COMMENT ON COLUMN notice.reason IS 'Why it failed.';
COMMENT ON COLUMN notice.outcome_at IS 'When it was delivered or failed.';
COMMENT ON COLUMN notice.outcome_recorded_at IS 'When that was recorded.';
COMMENT ON COLUMN notice.outcome_known_on IS 'From which day it was both done and on record.';
CREATE TABLE annual_term (
    subject text NOT NULL,
    version integer NOT NULL,
    account_id text NOT NULL,
    region text NOT NULL,
    line_of_business text NOT NULL,
    package_id text NOT NULL,
    start_on date NOT NULL,
    end_on date,
    renewal boolean NOT NULL,
    ended_early boolean NOT NULL,
    PRIMARY KEY (subject, version)
);
CREATE INDEX annual_term_end ON annual_term (end_on);
COMMENT ON TABLE annual_term IS 'Each year that was sold or renewed.';
COMMENT ON COLUMN annual_term.subject IS 'The account''s stream.';
COMMENT ON COLUMN annual_term.version IS 'The version in it of the sale or renewal.';
COMMENT ON COLUMN annual_term.account_id IS 'The account.';
COMMENT ON COLUMN annual_term.region IS 'Province and city it was opened in.';
COMMENT ON COLUMN annual_term.line_of_business IS 'fixed_broadband, mobile or fixed_voice; empty where not on record.';
COMMENT ON COLUMN annual_term.package_id IS 'The package.';
COMMENT ON COLUMN annual_term.start_on IS 'Its first day.';
COMMENT ON COLUMN annual_term.end_on IS 'The first day after it; null where not on record.';
COMMENT ON COLUMN annual_term.renewal IS 'Whether it was renewed and not newly sold.';
COMMENT ON COLUMN annual_term.ended_early IS 'Whether the service was terminated before its end.';
CREATE TABLE contact_period (
    subject text NOT NULL,
    contact_point_id text NOT NULL,
    number integer NOT NULL,
    party_id text NOT NULL,
    region text NOT NULL,
    kind text NOT NULL,
    added_at timestamptz NOT NULL,
    until timestamptz,
    reason text,
    latest boolean NOT NULL,
    PRIMARY KEY (subject, contact_point_id, number)
);
CREATE INDEX contact_period_party ON contact_period (party_id, contact_point_id);
CREATE INDEX contact_period_point ON contact_period (contact_point_id, party_id);
COMMENT ON TABLE contact_period IS 'Each time in which a contact point reached its party.';
COMMENT ON COLUMN contact_period.subject IS 'The party''s stream.';
COMMENT ON COLUMN contact_period.contact_point_id IS 'The contact point; its value is personal and not here.';
COMMENT ON COLUMN contact_period.number IS '1 for the first time, 2 after it was added anew.';
COMMENT ON COLUMN contact_period.party_id IS 'The party.';
COMMENT ON COLUMN contact_period.region IS 'Province and city the party was registered in.';
COMMENT ON COLUMN contact_period.kind IS 'mobile, landline, email, postal or web_account.';
COMMENT ON COLUMN contact_period.added_at IS 'Since when it reached the party.';
COMMENT ON COLUMN contact_period.until IS 'Since when it no longer did; null where it still does.';
COMMENT ON COLUMN contact_period.reason IS 'Why it does not any more.';
COMMENT ON COLUMN contact_period.latest IS 'Whether it is the contact point''s last time.';
CREATE TABLE person (
    subject text PRIMARY KEY,
    party_id text NOT NULL UNIQUE,
    region text NOT NULL,
    merged_into text
);
COMMENT ON TABLE person IS 'Each party: a party and those it was merged into are one person.';
COMMENT ON COLUMN person.subject IS 'The party''s stream.';
COMMENT ON COLUMN person.party_id IS 'The party.';
COMMENT ON COLUMN person.region IS 'Province and city it was registered in.';
COMMENT ON COLUMN person.merged_into IS 'The party it was merged into, if it was.';
CREATE VIEW reached_notice AS
SELECT n.*,
       CASE
           WHEN n.outcome <> 'delivered' THEN n.outcome
           WHEN n.contact_point_id IS NULL OR holder.subject IS NULL THEN 'unknown'
           WHEN EXISTS (
               SELECT FROM contact_period AS c
               WHERE c.party_id = n.holder_id AND c.contact_point_id = n.contact_point_id
                 AND c.added_at <= n.outcome_at AND (c.until IS NULL OR n.outcome_at < c.until)
           ) THEN 'reached'
           WHEN holder.merged_into IS NULL THEN 'astray'
           WHEN EXISTS (
               WITH RECURSIVE one(party_id) AS (
                   SELECT n.holder_id
                   UNION
                   SELECT p.merged_into FROM one JOIN person AS p USING (party_id) WHERE p.merged_into IS NOT NULL
               )
               SELECT FROM one JOIN contact_period AS c USING (party_id)
               WHERE c.contact_point_id = n.contact_point_id AND c.added_at <= n.outcome_at
                 AND (c.until IS NULL OR n.outcome_at < c.until)
           ) THEN 'reached'
           ELSE 'astray'
       END AS reach
FROM notice AS n LEFT JOIN person AS holder ON holder.party_id = n.holder_id;
COMMENT ON VIEW reached_notice IS 'Notices with whom they reached: a delivery to a point that was not the holder''s own then is astray.';

-- name: reaches
SELECT subject, version, reach FROM reached_notice ORDER BY subject, version;

-- name: terms
-- Ended or ending terms of broadband, what was sent in the rulebook's windows around the end, and the finding's verdict.
SELECT * FROM (
SELECT t.account_id, t.version, t.package_id, t.region, t.renewal, t.start_on, t.end_on,
       t.end_on - m.before_days AS opens_on, t.end_on + m.after_days AS closes_on,
       s.attempts_before, s.reached_before, s.channels_tried, s.attempts_after, s.reached_after,
       v.before, v.after,
       CASE
           WHEN NOT m.in_force THEN 'not_applicable'
           WHEN 'breach' IN (v.before, v.after) THEN 'breach'
           WHEN 'undetermined' IN (v.before, v.after) THEN 'undetermined'
           ELSE 'kept'
       END AS verdict
FROM annual_term AS t
JOIN unnest(%(since)s::date[], %(until)s::date[], %(in_force)s::boolean[], %(before_days)s::int[], %(after_days)s::int[],
            %(channels)s::text[]) AS m(since, until, in_force, before_days, after_days, channels)
     ON m.since <= t.end_on AND t.end_on < m.until
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE n.early) AS attempts_before,
           count(*) FILTER (WHERE n.early AND n.in_time AND n.reach = 'reached') AS reached_before,
           coalesce(array_agg(DISTINCT n.channel) FILTER (WHERE n.early), '{}') AS channels_tried,
           coalesce(bool_or(n.early AND n.in_time AND n.reach = 'unknown'), false) AS silent_before,
           count(*) FILTER (WHERE NOT n.early) AS attempts_after,
           count(*) FILTER (WHERE NOT n.early AND n.known_in_time AND n.reach = 'reached') AS reached_after,
           coalesce(bool_or(NOT n.early AND n.known_in_time AND n.reach = 'unknown'), false) AS silent_after
    FROM (
        SELECT r.channel, r.reach, r.attempted_on < t.end_on AS early,
               r.outcome_recorded_at < t.end_on::timestamp AT TIME ZONE %(zone)s AS in_time,
               r.outcome_known_on <= t.end_on + m.after_days AS known_in_time
        FROM reached_notice AS r
        WHERE r.subject = t.subject
          AND (r.package_id IS NULL OR r.package_id = t.package_id)
          AND (r.attempted_on >= t.end_on - m.before_days AND r.attempted_on < t.end_on
               AND r.purpose IN ('pre_expiry', 'renewal')
               OR r.attempted_on >= t.end_on AND r.attempted_on <= t.end_on + m.after_days
               AND r.purpose = 'post_expiry')
    ) AS n
) AS s
CROSS JOIN LATERAL (
    SELECT CASE
               WHEN s.reached_before > 0 OR s.channels_tried @> array_remove(string_to_array(m.channels, ','), '') THEN 'kept'
               WHEN %(today)s < t.end_on OR s.silent_before THEN 'undetermined'
               ELSE 'breach'
           END AS before,
           CASE
               WHEN s.reached_after > 0 THEN 'kept'
               WHEN %(today)s <= t.end_on + m.after_days OR s.silent_after THEN 'undetermined'
               ELSE 'breach'
           END AS after
) AS v
WHERE t.line_of_business = 'fixed_broadband' AND NOT t.ended_early
  AND (%(ended_since)s::date IS NULL OR t.end_on >= %(ended_since)s)
  AND (%(ended_before)s::date IS NULL OR t.end_on < %(ended_before)s)
  AND (%(city)s::text IS NULL OR t.region = %(city)s)
  AND (%(account_id)s::text IS NULL OR t.account_id = %(account_id)s)
) AS measured
WHERE %(verdict)s::text IS NULL OR verdict = %(verdict)s;

-- name: coverage
-- Notices in the windows around ended or ending terms of broadband: by side, channel and what became of them.
SELECT n.side, n.channel, n.outcome, count(*), count(DISTINCT (n.subject, n.term))
FROM (
    SELECT r.subject, t.version AS term, r.channel,
           CASE WHEN r.attempted_on < t.end_on THEN 'before' ELSE 'after' END AS side,
           CASE
               WHEN r.outcome = 'delivered' AND CASE
                   WHEN r.attempted_on < t.end_on
                   THEN r.outcome_recorded_at >= t.end_on::timestamp AT TIME ZONE %(zone)s
                   ELSE r.outcome_known_on > t.end_on + m.after_days
               END THEN 'late'
               ELSE r.reach
           END AS outcome
    FROM annual_term AS t
    JOIN unnest(%(since)s::date[], %(until)s::date[], %(before_days)s::int[], %(after_days)s::int[])
         AS m(since, until, before_days, after_days) ON m.since <= t.end_on AND t.end_on < m.until
    JOIN reached_notice AS r
         ON r.subject = t.subject AND (r.package_id IS NULL OR r.package_id = t.package_id)
         AND (r.attempted_on >= t.end_on - m.before_days AND r.attempted_on < t.end_on
              AND r.purpose IN ('pre_expiry', 'renewal')
              OR r.attempted_on >= t.end_on AND r.attempted_on <= t.end_on + m.after_days
              AND r.purpose = 'post_expiry')
    WHERE t.line_of_business = 'fixed_broadband' AND NOT t.ended_early
      AND (%(ended_since)s::date IS NULL OR t.end_on >= %(ended_since)s)
      AND (%(ended_before)s::date IS NULL OR t.end_on < %(ended_before)s)
      AND (%(city)s::text IS NULL OR t.region = %(city)s)
      AND (%(account_id)s::text IS NULL OR t.account_id = %(account_id)s)
) AS n
GROUP BY n.side, n.channel, n.outcome
ORDER BY n.side DESC, n.channel, n.outcome;

-- name: contact_points
-- Contact points as they are, with what was sent to them, what of it since they no longer reach anyone. A legacy system
-- may count them by party: where several parties have one of a name, each has what was sent to its own accounts.
SELECT * FROM (
    SELECT c.party_id, c.contact_point_id, c.region, c.kind, c.added_at, c.until AS invalid_since, c.reason,
           s.attempts, s.failed, s.delivered, s.attempts_since, s.delivered_since, s.last_attempt_at,
           EXISTS (SELECT FROM contact_period AS o WHERE o.party_id = c.party_id AND o.until IS NULL) AS party_reachable,
           c.until IS NOT NULL OR s.delivered = 0 AND s.failed > 0 AS reaches_nobody
    FROM contact_period AS c
    CROSS JOIN LATERAL (
        SELECT count(*) AS attempts,
               count(*) FILTER (WHERE n.outcome = 'failed') AS failed,
               count(*) FILTER (WHERE n.outcome = 'delivered') AS delivered,
               count(*) FILTER (WHERE n.attempted_at >= c.until) AS attempts_since,
               count(*) FILTER (WHERE n.outcome = 'delivered' AND n.outcome_at >= c.until) AS delivered_since,
               max(n.attempted_at) AS last_attempt_at
        FROM notice AS n
        WHERE n.contact_point_id = c.contact_point_id
          AND (n.holder_id = c.party_id OR NOT EXISTS (
              SELECT FROM contact_period AS o WHERE o.contact_point_id = c.contact_point_id AND o.party_id <> c.party_id
          ))
    ) AS s
    WHERE c.latest
      AND (%(city)s::text IS NULL OR c.region = %(city)s)
      AND (%(party_id)s::text IS NULL OR c.party_id = %(party_id)s)
      AND (%(kind)s::text IS NULL OR c.kind = %(kind)s)
      AND (%(reason)s::text IS NULL OR c.reason = %(reason)s)
) AS points
WHERE (%(reaches_nobody)s::boolean IS NULL OR reaches_nobody = %(reaches_nobody)s)
  AND (%(still_used)s::boolean IS NULL OR (attempts_since > 0) = %(still_used)s);

-- name: coverage_verdicts
-- How many terms came to which verdict, and why; `measured_term` is the query terms.
SELECT verdict, before, after, count(*) FROM measured_term GROUP BY verdict, before, after
ORDER BY verdict, before, after;
