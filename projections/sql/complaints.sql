-- complaints: its tables, and what is asked of them, by name.

-- name: tables
CREATE TABLE complaint (
    subject text PRIMARY KEY,
    case_id text NOT NULL,
    region text NOT NULL,
    category text NOT NULL,
    party_id text NOT NULL,
    received_at timestamptz NOT NULL,
    received_on date NOT NULL,
    answer_due_on date NOT NULL,
    answered_at timestamptz,
    closed_at timestamptz,
    breaches integer NOT NULL,
    findings_fen bigint NOT NULL,
    causes jsonb NOT NULL,
    cause_basis text NOT NULL,
    actions jsonb NOT NULL
);
CREATE INDEX complaint_received ON complaint (received_on);
COMMENT ON TABLE complaint IS 'One row a complaint: where, about what, and what was found and done.';
COMMENT ON COLUMN complaint.subject IS 'The case''s stream.';
COMMENT ON COLUMN complaint.case_id IS 'The case.';
COMMENT ON COLUMN complaint.region IS 'Province and city in which it was first made.';
COMMENT ON COLUMN complaint.category IS 'What it is about, in the operator''s words.';
COMMENT ON COLUMN complaint.party_id IS 'Who complained.';
COMMENT ON COLUMN complaint.received_at IS 'When it was first made.';
COMMENT ON COLUMN complaint.received_on IS 'The day of that in its region: the period it counts in.';
COMMENT ON COLUMN complaint.answer_due_on IS 'The last day to answer it.';
COMMENT ON COLUMN complaint.answered_at IS 'When it was answered last.';
COMMENT ON COLUMN complaint.closed_at IS 'When the case was closed.';
COMMENT ON COLUMN complaint.breaches IS 'Findings of a breach recorded on the case.';
COMMENT ON COLUMN complaint.findings_fen IS 'The sum of their amounts, as recorded.';
COMMENT ON COLUMN complaint.causes IS 'Its root causes: any of rule, execution, system.';
COMMENT ON COLUMN complaint.cause_basis IS
    'recorded (by corrective actions), derived (from the rules found in breach) or unknown.';
COMMENT ON COLUMN complaint.actions IS
    'Corrective actions of the case: action_id, title, scope, root_cause, due_on, steps, closed.';

CREATE TABLE complaint_account (
    subject text NOT NULL,
    account_id text NOT NULL,
    PRIMARY KEY (subject, account_id)
);
COMMENT ON TABLE complaint_account IS 'The accounts a complaint is about.';
COMMENT ON COLUMN complaint_account.subject IS 'The case''s stream.';
COMMENT ON COLUMN complaint_account.account_id IS 'An account.';

CREATE TABLE disputed (
    subject text NOT NULL,
    hold_id text NOT NULL,
    case_id text NOT NULL,
    amount_fen bigint NOT NULL,
    PRIMARY KEY (subject, hold_id)
);
CREATE INDEX disputed_case ON disputed (case_id);
COMMENT ON TABLE disputed IS 'The dispute holds that stand.';
COMMENT ON COLUMN disputed.subject IS 'The account''s stream.';
COMMENT ON COLUMN disputed.hold_id IS 'The hold.';
COMMENT ON COLUMN disputed.case_id IS 'The case it was placed for.';
COMMENT ON COLUMN disputed.amount_fen IS 'The sum in dispute.';

CREATE TABLE owed (
    subject text PRIMARY KEY,
    account_id text NOT NULL,
    balance_fen bigint NOT NULL
);
CREATE UNIQUE INDEX owed_account ON owed (account_id);
COMMENT ON TABLE owed IS 'What accounts owe, where that is more than nothing.';
COMMENT ON COLUMN owed.subject IS 'The account''s stream.';
COMMENT ON COLUMN owed.account_id IS 'The account.';
COMMENT ON COLUMN owed.balance_fen IS 'Its balance, positive.';

-- name: room
-- For a report over a whole province's year: sorted and grouped in memory, for this transaction only.
SELECT set_config('work_mem', '64MB', true);

-- name: hot_spots
-- What hangs on a complaint: what its findings amount to; where there are none, the sums in dispute; where there are
-- none of these either, what its accounts owe. No account's balance counts twice in a group, or beside a complaint of
-- the group about the same account that counts by the other two.
WITH found AS (
    SELECT c.subject, c.case_id, c.category, c.findings_fen, c.actions,
           CASE %(by)s::text WHEN 'province' THEN split_part(c.region, '.', 1) ELSE c.region END AS place,
           c.party_id, c.received_on, c.answered_at IS NULL AS unanswered, c.closed_at IS NULL AS not_closed, c.breaches,
           c.causes, c.cause_basis
    FROM complaint AS c
    WHERE (%(since)s::date IS NULL OR c.received_on >= %(since)s)
      AND (%(until)s::date IS NULL OR c.received_on <= %(until)s)
      AND (%(category)s::text IS NULL OR c.category = %(category)s)
      AND (%(region)s::text IS NULL OR c.region = %(region)s OR starts_with(c.region, %(region)s || '.'))
), in_dispute AS (
    SELECT d.case_id, sum(d.amount_fen) AS fen FROM disputed AS d GROUP BY d.case_id
), stake AS (
    SELECT f.subject, f.place, f.category, f.findings_fen,
           CASE WHEN f.findings_fen > 0 THEN 0 ELSE coalesce(d.fen, 0) END AS disputed_fen
    FROM found AS f LEFT JOIN in_dispute AS d USING (case_id)
), touched AS (
    SELECT s.place, s.category, a.account_id, bool_and(s.findings_fen + s.disputed_fen = 0) AS by_balance
    FROM stake AS s JOIN complaint_account AS a USING (subject)
    GROUP BY s.place, s.category, a.account_id
), wide AS (
    SELECT t.place, t.category, count(*) AS accounts,
           coalesce(sum(o.balance_fen) FILTER (WHERE t.by_balance), 0) AS owed_fen
    FROM touched AS t LEFT JOIN owed AS o USING (account_id)
    GROUP BY t.place, t.category
), sums AS (
    SELECT s.place, s.category, sum(s.findings_fen) AS findings_fen, sum(s.disputed_fen) AS disputed_fen
    FROM stake AS s GROUP BY s.place, s.category
), acted AS (
    SELECT f.place, f.category, count(*) AS actions,
           count(*) FILTER (WHERE (a.action ->> 'closed')::boolean) AS closed,
           count(*) FILTER (WHERE NOT (a.action ->> 'closed')::boolean
                            AND (a.action ->> 'due_on')::date < %(today)s::date) AS overdue,
           min((a.action ->> 'due_on')::date) FILTER (WHERE NOT (a.action ->> 'closed')::boolean) AS next_due_on
    FROM found AS f CROSS JOIN LATERAL jsonb_array_elements(f.actions) AS a (action)
    GROUP BY f.place, f.category
), grouped AS (
    SELECT f.place, f.category, count(*) AS complaints, count(DISTINCT f.party_id) AS parties,
           count(*) FILTER (WHERE f.unanswered) AS unanswered, count(*) FILTER (WHERE f.not_closed) AS not_closed,
           min(f.received_on) AS first_on, max(f.received_on) AS last_on, sum(f.breaches) AS breaches,
           count(*) FILTER (WHERE f.causes @> '["rule"]') AS cause_rule,
           count(*) FILTER (WHERE f.causes @> '["execution"]') AS cause_execution,
           count(*) FILTER (WHERE f.causes @> '["system"]') AS cause_system,
           count(*) FILTER (WHERE f.cause_basis = 'unknown') AS cause_unknown,
           count(*) FILTER (WHERE f.cause_basis = 'derived') AS causes_derived
    FROM found AS f
    GROUP BY f.place, f.category
)
SELECT g.place AS region, g.category, g.complaints, coalesce(w.accounts, 0) AS accounts, g.parties, g.unanswered,
       g.not_closed, g.first_on, g.last_on, g.breaches, s.findings_fen::bigint, s.disputed_fen::bigint,
       coalesce(w.owed_fen, 0)::bigint AS owed_fen,
       (s.findings_fen + s.disputed_fen + coalesce(w.owed_fen, 0))::bigint AS at_stake_fen,
       g.cause_rule, g.cause_execution, g.cause_system, g.cause_unknown, g.causes_derived,
       coalesce(a.actions, 0) AS actions, coalesce(a.closed, 0) AS actions_closed,
       coalesce(a.overdue, 0) AS actions_overdue, a.next_due_on
FROM grouped AS g
JOIN sums AS s USING (place, category)
LEFT JOIN wide AS w USING (place, category)
LEFT JOIN acted AS a USING (place, category);

-- name: actions_beside
-- The corrective actions of some hot spots: of each the first few, those not closed and due soonest before.
SELECT place, category, case_id, action FROM (
    SELECT g.place, g.category, f.case_id, a.action,
           row_number() OVER (
               PARTITION BY g.place, g.category
               ORDER BY (a.action ->> 'closed')::boolean, (a.action ->> 'due_on')::date, f.case_id,
                        a.action ->> 'action_id'
           ) AS number
    FROM unnest(%(regions)s::text[], %(categories)s::text[]) AS g (place, category)
    JOIN complaint AS f ON f.category = g.category
        AND CASE %(by)s::text WHEN 'province' THEN split_part(f.region, '.', 1) ELSE f.region END = g.place
    CROSS JOIN LATERAL jsonb_array_elements(f.actions) AS a (action)
    WHERE (%(since)s::date IS NULL OR f.received_on >= %(since)s)
      AND (%(until)s::date IS NULL OR f.received_on <= %(until)s)
      AND (%(region)s::text IS NULL OR f.region = %(region)s OR starts_with(f.region, %(region)s || '.'))
) AS numbered
WHERE number <= %(shown)s
ORDER BY place, category, number;
