-- cases: its tables, and what is asked of them, by name.

-- name: tables
CREATE TABLE conduct_case (
    subject text PRIMARY KEY,
    case_id text NOT NULL UNIQUE,
    region text NOT NULL,
    kind text NOT NULL,
    category text,
    channel text NOT NULL,
    party_id text,
    account_ids jsonb NOT NULL,
    owner_id text,
    unit text,
    received_at timestamptz NOT NULL,
    received_on date NOT NULL,
    answer_due_on date,
    handling_since timestamptz,
    answered_on date,
    answer text,
    closed_on date,
    outcome text,
    days_to_answer integer,
    days_to_close integer,
    contacts integer NOT NULL,
    staff integer NOT NULL,
    unclear_contacts integer NOT NULL,
    appeals integer NOT NULL,
    appeals_decided integer NOT NULL,
    appeals_upheld integer NOT NULL,
    remedies integer NOT NULL,
    apologies integer NOT NULL
);
CREATE INDEX conduct_case_received ON conduct_case (received_on);
COMMENT ON TABLE conduct_case IS 'One row a case: a complaint or an investigation. Open days are counted when read.';
COMMENT ON COLUMN conduct_case.subject IS 'The case''s stream.';
COMMENT ON COLUMN conduct_case.case_id IS 'The case.';
COMMENT ON COLUMN conduct_case.region IS 'Province and city it was opened in.';
COMMENT ON COLUMN conduct_case.kind IS 'complaint, or investigation where no complaint is on record.';
COMMENT ON COLUMN conduct_case.category IS 'What the complaint was about.';
COMMENT ON COLUMN conduct_case.channel IS 'How it came in.';
COMMENT ON COLUMN conduct_case.party_id IS 'Whose case it is.';
COMMENT ON COLUMN conduct_case.account_ids IS 'The accounts it is about.';
COMMENT ON COLUMN conduct_case.owner_id IS 'Who owns it now.';
COMMENT ON COLUMN conduct_case.unit IS 'The unit that has it now.';
COMMENT ON COLUMN conduct_case.received_at IS 'When the complaint came, or the investigation was opened.';
COMMENT ON COLUMN conduct_case.received_on IS 'The day of that in its region.';
COMMENT ON COLUMN conduct_case.answer_due_on IS 'By when an answer was promised.';
COMMENT ON COLUMN conduct_case.handling_since IS 'Since when it is handled.';
COMMENT ON COLUMN conduct_case.answered_on IS 'When it was first answered.';
COMMENT ON COLUMN conduct_case.answer IS 'The last answer: upheld, partly_upheld or rejected.';
COMMENT ON COLUMN conduct_case.closed_on IS 'When it was closed last.';
COMMENT ON COLUMN conduct_case.outcome IS 'With which outcome.';
COMMENT ON COLUMN conduct_case.days_to_answer IS 'Days from the complaint to the answer.';
COMMENT ON COLUMN conduct_case.days_to_close IS 'Days from the complaint to the closing.';
COMMENT ON COLUMN conduct_case.contacts IS 'How often staff and customer spoke.';
COMMENT ON COLUMN conduct_case.staff IS 'How many different staff did.';
COMMENT ON COLUMN conduct_case.unclear_contacts IS 'Contacts marked as not clearly explained.';
COMMENT ON COLUMN conduct_case.appeals IS 'Appeals filed.';
COMMENT ON COLUMN conduct_case.appeals_decided IS 'Appeals decided.';
COMMENT ON COLUMN conduct_case.appeals_upheld IS 'Appeals that were right.';
COMMENT ON COLUMN conduct_case.remedies IS 'Remedies granted.';
COMMENT ON COLUMN conduct_case.apologies IS 'Apologies issued.';
CREATE TABLE promise (
    subject text NOT NULL,
    version integer NOT NULL,
    case_id text NOT NULL,
    commitment_id text NOT NULL,
    region text NOT NULL,
    unit text,
    owner_id text,
    channel text NOT NULL,
    party_id text,
    solution text NOT NULL,
    remedy_if_missed text NOT NULL,
    made_at timestamptz NOT NULL,
    made_before_handling boolean NOT NULL,
    due_at timestamptz NOT NULL,
    met_at timestamptz,
    missed_at timestamptz,
    remedy_at timestamptz,
    PRIMARY KEY (subject, version)
);
CREATE INDEX promise_due ON promise (due_at);
COMMENT ON TABLE promise IS 'Each commitment. Whether an open one is missed by now is counted when read.';
COMMENT ON COLUMN promise.subject IS 'The case''s stream.';
COMMENT ON COLUMN promise.version IS 'The promise''s version in it.';
COMMENT ON COLUMN promise.case_id IS 'The case.';
COMMENT ON COLUMN promise.commitment_id IS 'The commitment.';
COMMENT ON COLUMN promise.region IS 'Province and city the case was opened in.';
COMMENT ON COLUMN promise.unit IS 'The unit that has the case now.';
COMMENT ON COLUMN promise.owner_id IS 'Who owns the case now.';
COMMENT ON COLUMN promise.channel IS 'How the complaint came in.';
COMMENT ON COLUMN promise.party_id IS 'To whom it was promised.';
COMMENT ON COLUMN promise.solution IS 'What was promised.';
COMMENT ON COLUMN promise.remedy_if_missed IS 'What was promised should it be missed.';
COMMENT ON COLUMN promise.made_at IS 'When it was made.';
COMMENT ON COLUMN promise.made_before_handling IS 'Whether it was on record before handling started.';
COMMENT ON COLUMN promise.due_at IS 'By when it is to be met.';
COMMENT ON COLUMN promise.met_at IS 'When it was met, as far as is on record.';
COMMENT ON COLUMN promise.missed_at IS 'When it was said to be missed.';
COMMENT ON COLUMN promise.remedy_at IS 'When a remedy was granted that is for it, should it be missed.';

-- name: cases
-- Cases with how long they took or have been open, and whether the answer came in time.
SELECT * FROM (
    SELECT c.case_id, c.kind, c.category, c.channel, c.region, c.party_id, c.account_ids, c.owner_id, c.unit,
           c.received_on, c.answer_due_on, c.handling_since, c.answered_on, c.answer, c.closed_on, c.outcome,
           c.days_to_answer, c.days_to_close, c.contacts, c.staff, c.unclear_contacts,
           c.appeals, c.appeals_decided, c.appeals_upheld, c.remedies, c.apologies,
           CASE WHEN c.kind = 'complaint' THEN c.received_on + m.days END AS must_answer_by,
           CASE WHEN c.closed_on IS NULL THEN greatest(0, %(today)s - c.received_on) END AS days_open,
           CASE
               WHEN c.closed_on IS NOT NULL THEN 'closed'
               WHEN c.answered_on IS NOT NULL THEN 'answered'
               ELSE 'open'
           END AS status,
           CASE
               WHEN c.kind <> 'complaint' THEN 'not_required'
               WHEN c.answered_on <= c.received_on + m.days THEN 'in_time'
               WHEN c.answered_on IS NOT NULL THEN 'late'
               WHEN %(today)s <= c.received_on + m.days THEN 'due'
               ELSE 'missed'
           END AS answer_timing
    FROM conduct_case AS c
    JOIN unnest(%(since)s::date[], %(until)s::date[], %(days)s::int[]) AS m(since, until, days)
         ON m.since <= c.received_on AND c.received_on < m.until
    WHERE (%(city)s::text IS NULL OR c.region = %(city)s)
      AND (%(unit)s::text IS NULL OR c.unit = %(unit)s)
      AND (%(channel)s::text IS NULL OR c.channel = %(channel)s)
      AND (%(category)s::text IS NULL OR c.category = %(category)s)
      AND (%(party_id)s::text IS NULL OR c.party_id = %(party_id)s)
      AND (%(received_since)s::date IS NULL OR c.received_on >= %(received_since)s)
      AND (%(received_before)s::date IS NULL OR c.received_on < %(received_before)s)
) AS cases
WHERE (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(answer)s::text IS NULL OR answer_timing = %(answer)s);

-- name: times
-- By unit and channel; `listed` is the query cases. The percentiles are of those that came to it.
SELECT unit, channel, count(*) AS cases,
       count(*) FILTER (WHERE status = 'open') AS open,
       count(*) FILTER (WHERE closed_on IS NOT NULL) AS closed,
       count(*) FILTER (WHERE answer_timing = 'in_time') AS answered_in_time,
       count(*) FILTER (WHERE answer_timing = 'late') AS answered_late,
       count(*) FILTER (WHERE answer_timing = 'due') AS answer_due,
       count(*) FILTER (WHERE answer_timing = 'missed') AS answer_missed,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY days_to_answer) AS days_to_answer_median,
       percentile_disc(0.9) WITHIN GROUP (ORDER BY days_to_answer) AS days_to_answer_p90,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY days_to_close) AS days_to_close_median,
       percentile_disc(0.9) WITHIN GROUP (ORDER BY days_to_close) AS days_to_close_p90
FROM listed GROUP BY unit, channel ORDER BY unit NULLS LAST, channel LIMIT 1000;

-- name: commitments
-- Commitments: met in time, open, or missed, with their remedy granted or not.
SELECT * FROM (
    SELECT p.case_id, p.version, p.commitment_id, p.region, p.unit, p.owner_id, p.channel, p.party_id, p.solution,
           p.remedy_if_missed, p.made_at, p.made_before_handling, p.due_at, p.met_at, p.missed_at,
           CASE
               WHEN p.missed_at IS NULL AND p.met_at <= p.due_at THEN 'met'
               WHEN p.missed_at IS NULL AND p.due_at > %(now)s THEN 'open'
               WHEN p.remedy_at IS NOT NULL THEN 'remedied'
               ELSE 'missed'
           END AS status,
           p.remedy_at
    FROM promise AS p
    WHERE (%(city)s::text IS NULL OR p.region = %(city)s)
      AND (%(unit)s::text IS NULL OR p.unit = %(unit)s)
      AND (%(channel)s::text IS NULL OR p.channel = %(channel)s)
      AND (%(case_id)s::text IS NULL OR p.case_id = %(case_id)s)
) AS promises
WHERE %(status)s::text IS NULL OR status = %(status)s;
