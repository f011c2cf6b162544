-- accountability: its tables, and what is asked of them, by name.

-- name: tables
CREATE TABLE penalty (
    subject text NOT NULL,
    penalty_id text NOT NULL,
    case_id text NOT NULL,
    region text NOT NULL,
    imposed_at timestamptz NOT NULL,
    imposed_on date NOT NULL,
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    kind text NOT NULL,
    amount_fen bigint,
    finding_ids jsonb NOT NULL,
    event_id text NOT NULL,
    PRIMARY KEY (subject, penalty_id)
);
CREATE INDEX penalty_subject ON penalty (subject_kind, subject_id);
CREATE INDEX penalty_imposed ON penalty (imposed_at);
COMMENT ON TABLE penalty IS 'Who was held to account, in which case, and how.';
COMMENT ON COLUMN penalty.subject IS 'The case''s stream.';
COMMENT ON COLUMN penalty.penalty_id IS 'The penalty, within its case.';
COMMENT ON COLUMN penalty.case_id IS 'The case.';
COMMENT ON COLUMN penalty.region IS 'Province and city the event names.';
COMMENT ON COLUMN penalty.imposed_at IS 'When it was imposed.';
COMMENT ON COLUMN penalty.imposed_on IS 'The day of that in its region: the period it counts in.';
COMMENT ON COLUMN penalty.subject_kind IS 'manager, staff, dealer or department.';
COMMENT ON COLUMN penalty.subject_id IS 'Which of them.';
COMMENT ON COLUMN penalty.kind IS 'accountability, warning, pay_deduction, fine or blocking.';
COMMENT ON COLUMN penalty.amount_fen IS 'The sum, where one is named.';
COMMENT ON COLUMN penalty.finding_ids IS 'The findings it rests on.';
COMMENT ON COLUMN penalty.event_id IS 'The event.';

CREATE TABLE finding (
    subject text NOT NULL,
    finding_id text NOT NULL,
    rule_id text NOT NULL,
    rule_version text NOT NULL,
    verdict text NOT NULL,
    amount_fen bigint NOT NULL,
    recorded_on date NOT NULL,
    PRIMARY KEY (subject, finding_id)
);
COMMENT ON TABLE finding IS 'Findings that were put on cases.';
COMMENT ON COLUMN finding.subject IS 'The case''s stream.';
COMMENT ON COLUMN finding.finding_id IS 'The finding, within its case.';
COMMENT ON COLUMN finding.rule_id IS 'The rule.';
COMMENT ON COLUMN finding.rule_version IS 'The version of it.';
COMMENT ON COLUMN finding.verdict IS 'breach, kept, not_applicable or undetermined.';
COMMENT ON COLUMN finding.amount_fen IS 'What hangs on it.';
COMMENT ON COLUMN finding.recorded_on IS 'The day it was put on the case.';

CREATE TABLE corrective_action (
    subject text NOT NULL,
    action_id text NOT NULL,
    case_id text NOT NULL,
    region text NOT NULL,
    title text NOT NULL,
    scope text NOT NULL,
    root_cause text NOT NULL,
    due_on date NOT NULL,
    opened_at timestamptz NOT NULL,
    opened_on date NOT NULL,
    closed_at timestamptz,
    closed_on date,
    steps jsonb NOT NULL,
    PRIMARY KEY (subject, action_id)
);
CREATE INDEX corrective_action_due ON corrective_action (due_on);
COMMENT ON TABLE corrective_action IS 'Problems behind cases that are to be put right by a day.';
COMMENT ON COLUMN corrective_action.subject IS 'The case''s stream.';
COMMENT ON COLUMN corrective_action.action_id IS 'The action, within its case.';
COMMENT ON COLUMN corrective_action.case_id IS 'The case.';
COMMENT ON COLUMN corrective_action.region IS 'Province and city the event names.';
COMMENT ON COLUMN corrective_action.title IS 'What is to be put right.';
COMMENT ON COLUMN corrective_action.scope IS 'store, city, province or national.';
COMMENT ON COLUMN corrective_action.root_cause IS 'rule, execution or system.';
COMMENT ON COLUMN corrective_action.due_on IS 'The last day for it.';
COMMENT ON COLUMN corrective_action.opened_at IS 'When it was opened.';
COMMENT ON COLUMN corrective_action.opened_on IS 'The day of that in its region.';
COMMENT ON COLUMN corrective_action.closed_at IS 'When it was closed.';
COMMENT ON COLUMN corrective_action.closed_on IS 'The day of that in its region.';
COMMENT ON COLUMN corrective_action.steps IS 'The steps that were done: kind, done_at.';

CREATE TABLE dealer_manager (
    subject text NOT NULL,
    number integer NOT NULL,
    dealer_id text NOT NULL,
    manager_id text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (subject, number)
);
CREATE INDEX dealer_manager_dealer ON dealer_manager (dealer_id);
CREATE INDEX dealer_manager_manager ON dealer_manager (manager_id);
COMMENT ON TABLE dealer_manager IS 'Who answers for a dealer: a row each time it was authorised.';
COMMENT ON COLUMN dealer_manager.subject IS 'The dealer''s stream.';
COMMENT ON COLUMN dealer_manager.number IS 'Counts them.';
COMMENT ON COLUMN dealer_manager.dealer_id IS 'The dealer.';
COMMENT ON COLUMN dealer_manager.manager_id IS 'Who answers for it inside the operator.';
COMMENT ON COLUMN dealer_manager.since IS 'Since when.';

CREATE TABLE dealer_block (
    subject text NOT NULL,
    number integer NOT NULL,
    dealer_id text NOT NULL,
    region text NOT NULL,
    blocked_at timestamptz NOT NULL,
    blocked_on date NOT NULL,
    reason text NOT NULL,
    case_id text,
    lifted_at timestamptz,
    PRIMARY KEY (subject, number)
);
COMMENT ON TABLE dealer_block IS 'Blocks of dealers; being blocked again while a block stands makes no new one.';
COMMENT ON COLUMN dealer_block.subject IS 'The dealer''s stream.';
COMMENT ON COLUMN dealer_block.number IS 'Counts them.';
COMMENT ON COLUMN dealer_block.dealer_id IS 'The dealer.';
COMMENT ON COLUMN dealer_block.region IS 'Province and city the event names.';
COMMENT ON COLUMN dealer_block.blocked_at IS 'From when.';
COMMENT ON COLUMN dealer_block.blocked_on IS 'The day of that in its region.';
COMMENT ON COLUMN dealer_block.reason IS 'Why.';
COMMENT ON COLUMN dealer_block.case_id IS 'The case it followed from.';
COMMENT ON COLUMN dealer_block.lifted_at IS 'When the dealer was reinstated.';

CREATE TABLE misuse (
    subject text NOT NULL,
    number integer NOT NULL,
    party_id text NOT NULL,
    region text NOT NULL,
    confirmed_on date NOT NULL,
    dealer_id text,
    case_id text,
    registrations integer NOT NULL,
    numbers integer NOT NULL,
    PRIMARY KEY (subject, number)
);
COMMENT ON TABLE misuse IS 'Confirmed misuses of somebody''s identity.';
COMMENT ON COLUMN misuse.subject IS 'The party''s stream.';
COMMENT ON COLUMN misuse.number IS 'Counts them.';
COMMENT ON COLUMN misuse.party_id IS 'Whose identity.';
COMMENT ON COLUMN misuse.region IS 'Province and city the event names.';
COMMENT ON COLUMN misuse.confirmed_on IS 'The day it was confirmed.';
COMMENT ON COLUMN misuse.dealer_id IS 'The dealer it names.';
COMMENT ON COLUMN misuse.case_id IS 'The case it names.';
COMMENT ON COLUMN misuse.registrations IS 'How many registrations.';
COMMENT ON COLUMN misuse.numbers IS 'How many numbers.';

CREATE TABLE audit (
    subject text NOT NULL,
    number integer NOT NULL,
    party_id text NOT NULL,
    region text NOT NULL,
    registration_id text NOT NULL,
    audited_on date NOT NULL,
    result text NOT NULL,
    PRIMARY KEY (subject, number)
);
CREATE INDEX audit_day ON audit (audited_on);
COMMENT ON TABLE audit IS 'Audits of registrations.';
COMMENT ON COLUMN audit.subject IS 'The party''s stream.';
COMMENT ON COLUMN audit.number IS 'Counts them.';
COMMENT ON COLUMN audit.party_id IS 'Whose registration.';
COMMENT ON COLUMN audit.region IS 'Province and city the event names.';
COMMENT ON COLUMN audit.registration_id IS 'The registration.';
COMMENT ON COLUMN audit.audited_on IS 'The day.';
COMMENT ON COLUMN audit.result IS 'clean, suspect or breach.';

-- A manager's penalty answers a dealer's acts where both belong to one case, or where it came within 10 days after the
-- first of them: the days of the rule dealer-block.
CREATE VIEW dealt AS
SELECT d.dealer_id, d.case_id, d.at, d.on_day, d.region, d.blocked, d.penalties, m.manager_id
FROM (
    SELECT dealer_id, case_id, min(at) AS at, min(on_day) AS on_day, (array_agg(region ORDER BY at))[1] AS region,
           bool_or(penalty IS NULL) AS blocked,
           coalesce(jsonb_agg(penalty ORDER BY at, penalty ->> 'penalty_id')
                    FILTER (WHERE penalty IS NOT NULL), '[]') AS penalties
    FROM (
        SELECT subject_id AS dealer_id, case_id, imposed_at AS at, imposed_on AS on_day, region,
               jsonb_build_object('case_id', case_id, 'penalty_id', penalty_id, 'kind', kind, 'amount_fen', amount_fen,
                                  'imposed_on', imposed_on) AS penalty
        FROM penalty WHERE subject_kind = 'dealer'
        UNION ALL
        SELECT dealer_id, coalesce(case_id, ''), blocked_at, blocked_on, region, NULL FROM dealer_block
    ) AS act
    GROUP BY dealer_id, case_id
) AS d
LEFT JOIN LATERAL (
    SELECT n.manager_id FROM dealer_manager AS n WHERE n.dealer_id = d.dealer_id
    ORDER BY n.since <= d.at DESC, n.since DESC, n.number DESC LIMIT 1
) AS m ON TRUE;
COMMENT ON VIEW dealt IS 'A dealer''s block and penalties in one case, and who answered for it at the first of them.';

CREATE VIEW pair AS
SELECT d.on_day, d.case_id, d.dealer_id, coalesce(d.manager_id, '') AS manager_id, d.region,
       CASE WHEN d.manager_id IS NULL THEN 'manager_unknown'
            WHEN p.penalties IS NULL THEN 'dealer_only' ELSE 'both' END AS outcome,
       d.blocked, d.penalties AS dealer_penalties, coalesce(p.penalties, '[]') AS manager_penalties
FROM dealt AS d
LEFT JOIN LATERAL (
    SELECT jsonb_agg(
        jsonb_build_object('case_id', case_id, 'penalty_id', penalty_id, 'kind', kind, 'amount_fen', amount_fen,
                           'imposed_on', imposed_on)
        ORDER BY imposed_at, case_id, penalty_id) AS penalties
    FROM penalty AS q
    WHERE q.subject_kind = 'manager' AND q.subject_id = d.manager_id
      AND (q.case_id = d.case_id OR q.imposed_on BETWEEN d.on_day AND d.on_day + 10)
) AS p ON TRUE
UNION ALL
SELECT min(q.imposed_on), q.case_id, '', q.subject_id, (array_agg(q.region ORDER BY q.imposed_at))[1], 'manager_only',
       FALSE, '[]',
       jsonb_agg(
           jsonb_build_object('case_id', q.case_id, 'penalty_id', q.penalty_id, 'kind', q.kind,
                              'amount_fen', q.amount_fen, 'imposed_on', q.imposed_on)
           ORDER BY q.imposed_at, q.penalty_id)
FROM penalty AS q
WHERE q.subject_kind = 'manager'
  AND EXISTS (SELECT FROM dealer_manager AS n WHERE n.manager_id = q.subject_id AND n.since <= q.imposed_at)
  AND NOT EXISTS (
      SELECT FROM dealt AS d
      WHERE d.manager_id = q.subject_id
        AND (q.case_id = d.case_id OR q.imposed_on BETWEEN d.on_day AND d.on_day + 10)
  )
GROUP BY q.case_id, q.subject_id;
COMMENT ON VIEW pair IS 'Double penalty: of each dealer blocked or punished whether its manager was, and of each manager '
    'of dealers who was punished whether a dealer of theirs was.';

-- name: penalties
SELECT p.imposed_at, p.imposed_on, p.region, p.case_id, p.penalty_id, p.subject_kind, p.subject_id, p.kind,
       p.amount_fen, p.event_id,
       coalesce((
           SELECT jsonb_agg(jsonb_build_object('finding_id', i.id, 'rule_id', f.rule_id, 'rule_version', f.rule_version,
                                               'verdict', f.verdict, 'amount_fen', f.amount_fen) ORDER BY i.number)
           FROM jsonb_array_elements_text(p.finding_ids) WITH ORDINALITY AS i (id, number)
           LEFT JOIN finding AS f ON f.subject = p.subject AND f.finding_id = i.id
       ), '[]') AS findings
FROM penalty AS p
WHERE (%(since)s::date IS NULL OR p.imposed_on >= %(since)s)
  AND (%(until)s::date IS NULL OR p.imposed_on <= %(until)s)
  AND (%(region)s::text IS NULL OR p.region = %(region)s OR starts_with(p.region, %(region)s || '.'))
  AND (%(subject_kind)s::text IS NULL OR p.subject_kind = %(subject_kind)s)
  AND (%(subject_id)s::text IS NULL OR p.subject_id = %(subject_id)s)
  AND (%(kind)s::text IS NULL OR p.kind = %(kind)s)
  AND (%(case_id)s::text IS NULL OR p.case_id = %(case_id)s);

-- name: pairing
SELECT on_day, case_id, dealer_id, manager_id, region, outcome, blocked, dealer_penalties, manager_penalties
FROM pair
WHERE (%(since)s::date IS NULL OR on_day >= %(since)s)
  AND (%(until)s::date IS NULL OR on_day <= %(until)s)
  AND (%(region)s::text IS NULL OR region = %(region)s OR starts_with(region, %(region)s || '.'))
  AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s);

-- name: outcomes
SELECT outcome, count(*) AS pairs FROM pair
WHERE (%(since)s::date IS NULL OR on_day >= %(since)s)
  AND (%(until)s::date IS NULL OR on_day <= %(until)s)
  AND (%(region)s::text IS NULL OR region = %(region)s OR starts_with(region, %(region)s || '.'))
GROUP BY outcome;

-- name: summary
-- The last 240 groups of a month, a kind of subject and a kind of penalty: a year at the very least.
SELECT to_char(p.imposed_on, 'YYYY-MM') AS month, p.subject_kind, p.kind, count(*) AS penalties,
       count(DISTINCT p.subject_id) AS subjects, coalesce(sum(p.amount_fen), 0)::bigint AS amount_fen,
       count(*) FILTER (WHERE p.amount_fen IS NULL) AS without_amount
FROM penalty AS p
WHERE (%(since)s::date IS NULL OR p.imposed_on >= %(since)s)
  AND (%(until)s::date IS NULL OR p.imposed_on <= %(until)s)
  AND (%(region)s::text IS NULL OR p.region = %(region)s OR starts_with(p.region, %(region)s || '.'))
GROUP BY month, p.subject_kind, p.kind
ORDER BY month DESC, p.subject_kind, p.kind LIMIT 240;

-- name: corrective_actions
SELECT due_on, opened_at, region, case_id, action_id, title, scope, root_cause,
       CASE WHEN closed_at IS NOT NULL THEN 'closed'
            WHEN due_on < %(today)s::date THEN 'overdue' ELSE 'open' END AS status,
       closed_at, steps
FROM corrective_action
WHERE (%(region)s::text IS NULL OR region = %(region)s OR starts_with(region, %(region)s || '.'))
  AND CASE %(status)s::text
          WHEN 'closed' THEN closed_at IS NOT NULL
          WHEN 'open' THEN closed_at IS NULL
          WHEN 'overdue' THEN closed_at IS NULL AND due_on < %(today)s::date
          ELSE TRUE
      END
  AND (%(root_cause)s::text IS NULL OR root_cause = %(root_cause)s)
  AND (%(scope)s::text IS NULL OR scope = %(scope)s)
  AND (%(case_id)s::text IS NULL OR case_id = %(case_id)s);

-- name: readiness
WITH acted AS (
    SELECT a.scope, a.root_cause, a.closed_at IS NOT NULL AS closed, a.due_on,
           ARRAY(SELECT s ->> 'kind' FROM jsonb_array_elements(a.steps) AS s) AS done
    FROM corrective_action AS a
    WHERE (%(region)s::text IS NULL OR a.region = %(region)s OR starts_with(a.region, %(region)s || '.'))
)
SELECT scope, root_cause, count(*) AS actions, count(*) FILTER (WHERE closed) AS closed,
       count(*) FILTER (WHERE NOT closed AND due_on < %(today)s::date) AS overdue,
       min(due_on) FILTER (WHERE NOT closed) AS next_due_on,
       count(*) FILTER (WHERE 'review' = ANY(done)) AS review,
       count(*) FILTER (WHERE 'contingency_plan' = ANY(done)) AS contingency_plan,
       count(*) FILTER (WHERE 'rectification' = ANY(done)) AS rectification,
       count(*) FILTER (WHERE 'training' = ANY(done)) AS training,
       count(*) FILTER (WHERE 'inspection' = ANY(done)) AS inspection,
       count(*) FILTER (WHERE 'reward_penalty' = ANY(done)) AS reward_penalty,
       count(*) FILTER (WHERE done @> ARRAY['review', 'contingency_plan', 'rectification', 'training', 'inspection',
                                            'reward_penalty']) AS all_steps
FROM acted
GROUP BY scope, root_cause
ORDER BY scope, root_cause;

-- name: bulletin
-- One row: a period's figures. What is open or overdue is so at the beginning of the day %(at)s.
WITH here AS (SELECT %(region)s::text AS region, %(since)s::date AS since, %(until)s::date AS until)
SELECT p.*, b.*, m.*, u.*, a.*
FROM here
CROSS JOIN LATERAL (
    SELECT count(*) AS penalties, coalesce(sum(amount_fen), 0)::bigint AS penalties_fen,
           count(*) FILTER (WHERE amount_fen IS NULL) AS penalties_without_amount,
           count(DISTINCT subject_kind || '/' || subject_id) AS penalised
    FROM penalty
    WHERE imposed_on >= here.since AND imposed_on <= here.until
      AND (here.region IS NULL OR penalty.region = here.region OR starts_with(penalty.region, here.region || '.'))
) AS p
CROSS JOIN LATERAL (
    SELECT count(*) AS blocks, count(DISTINCT dealer_id) AS dealers_blocked
    FROM dealer_block
    WHERE blocked_on >= here.since AND blocked_on <= here.until
      AND (here.region IS NULL OR dealer_block.region = here.region
           OR starts_with(dealer_block.region, here.region || '.'))
) AS b
CROSS JOIN LATERAL (
    SELECT count(*) AS misuses_confirmed, coalesce(sum(registrations), 0) AS registrations_misused,
           coalesce(sum(numbers), 0) AS numbers_misused
    FROM misuse
    WHERE confirmed_on >= here.since AND confirmed_on <= here.until
      AND (here.region IS NULL OR misuse.region = here.region OR starts_with(misuse.region, here.region || '.'))
) AS m
CROSS JOIN LATERAL (
    SELECT count(*) AS audits, count(*) FILTER (WHERE result = 'breach') AS audits_breach,
           count(*) FILTER (WHERE result = 'suspect') AS audits_suspect
    FROM audit
    WHERE audited_on >= here.since AND audited_on <= here.until
      AND (here.region IS NULL OR audit.region = here.region OR starts_with(audit.region, here.region || '.'))
) AS u
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE opened_on >= here.since AND opened_on <= here.until) AS actions_opened,
           count(*) FILTER (WHERE closed_on >= here.since AND closed_on <= here.until) AS actions_closed,
           count(*) FILTER (WHERE opened_on <= here.until AND (closed_on IS NULL OR closed_on > here.until))
               AS actions_open,
           count(*) FILTER (WHERE opened_on <= here.until AND (closed_on IS NULL OR closed_on > here.until)
                            AND due_on < %(at)s::date) AS actions_overdue
    FROM corrective_action
    WHERE here.region IS NULL OR corrective_action.region = here.region
       OR starts_with(corrective_action.region, here.region || '.')
) AS a;
