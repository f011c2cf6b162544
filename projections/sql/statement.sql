-- statement: lines, the double entry behind them, and open items; and what is asked of them, by name.

-- name: tables
CREATE TABLE statement_line (
    subject text NOT NULL,
    position bigint NOT NULL,
    part integer NOT NULL,
    account_id text NOT NULL,
    region text NOT NULL,
    effective_on date NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    kind text NOT NULL,
    item_id text,
    item_kind text,
    period_start date,
    period_end date,
    due_on date,
    amount_fen bigint NOT NULL,
    change_fen bigint NOT NULL,
    balance_fen bigint NOT NULL,
    event_id text NOT NULL,
    source text NOT NULL,
    rests_on jsonb NOT NULL,
    rule_id text,
    rule_on date,
    PRIMARY KEY (subject, position, part)
);
COMMENT ON TABLE statement_line IS 'One line for each event that concerns an account''s money, with the balance after it.';
COMMENT ON COLUMN statement_line.subject IS 'The account''s stream.';
COMMENT ON COLUMN statement_line.position IS 'The event''s position in the log.';
COMMENT ON COLUMN statement_line.part IS '1; more only where a payment''s reversal came to take back another payment.';
COMMENT ON COLUMN statement_line.account_id IS 'The account.';
COMMENT ON COLUMN statement_line.region IS 'Province and city the account was opened in.';
COMMENT ON COLUMN statement_line.effective_on IS 'From which day on it counts: a payment from its value date.';
COMMENT ON COLUMN statement_line.occurred_at IS 'When it happened.';
COMMENT ON COLUMN statement_line.recorded_at IS 'When it was recorded.';
COMMENT ON COLUMN statement_line.kind IS 'charge_posted, late_fee_assessed, payment_received, …';
COMMENT ON COLUMN statement_line.item_id IS 'The charge, late fee, payment, credit or deposit it is about.';
COMMENT ON COLUMN statement_line.item_kind IS 'Of a charge its kind, late_fee of a late fee.';
COMMENT ON COLUMN statement_line.period_start IS 'First day of what is charged for.';
COMMENT ON COLUMN statement_line.period_end IS 'The day after the last of it.';
COMMENT ON COLUMN statement_line.due_on IS 'The last day to pay it.';
COMMENT ON COLUMN statement_line.amount_fen IS 'What the event says; of a payment''s reversal what it takes back.';
COMMENT ON COLUMN statement_line.change_fen IS 'What it does to the balance: positive is owed.';
COMMENT ON COLUMN statement_line.balance_fen IS 'The balance after it, in the order in which the lines count.';
COMMENT ON COLUMN statement_line.event_id IS 'The event.';
COMMENT ON COLUMN statement_line.source IS 'The source its id is unique in.';
COMMENT ON COLUMN statement_line.rests_on IS 'References to the events it speaks of: its basis, what it is for or takes back.';
COMMENT ON COLUMN statement_line.rule_id IS 'The rule it is measured against, where there is one.';
COMMENT ON COLUMN statement_line.rule_on IS 'The day whose version of the rule that is.';

CREATE TABLE posting (
    subject text NOT NULL,
    position bigint NOT NULL,
    line_no integer NOT NULL,
    account_id text NOT NULL,
    region text NOT NULL,
    effective_on date NOT NULL,
    recorded_at timestamptz NOT NULL,
    code text NOT NULL,
    amount_fen bigint NOT NULL,
    event_id text NOT NULL,
    source text NOT NULL,
    PRIMARY KEY (subject, position, line_no)
);
CREATE INDEX posting_day ON posting (effective_on, region, code) INCLUDE (amount_fen);
COMMENT ON TABLE posting IS 'The double entry behind the lines: the entries of one event sum to zero.';
COMMENT ON COLUMN posting.subject IS 'The account''s stream.';
COMMENT ON COLUMN posting.position IS 'The event''s position in the log.';
COMMENT ON COLUMN posting.line_no IS 'Counts the event''s entries from 1.';
COMMENT ON COLUMN posting.account_id IS 'The customer''s account.';
COMMENT ON COLUMN posting.region IS 'Province and city the account was opened in.';
COMMENT ON COLUMN posting.effective_on IS 'From which day on it counts.';
COMMENT ON COLUMN posting.recorded_at IS 'When the event was recorded.';
COMMENT ON COLUMN posting.code IS 'The account of the chart: receivable, cash, revenue_monthly, …';
COMMENT ON COLUMN posting.amount_fen IS 'Debits are positive, credits negative.';
COMMENT ON COLUMN posting.event_id IS 'The event.';
COMMENT ON COLUMN posting.source IS 'The source its id is unique in.';

CREATE TABLE open_item (
    subject text NOT NULL,
    kind text NOT NULL,
    item_id text NOT NULL,
    from_on date NOT NULL,
    until_on date,
    account_id text NOT NULL,
    region text NOT NULL,
    due_on date,
    unpaid_fen bigint NOT NULL,
    PRIMARY KEY (subject, kind, item_id, from_on)
);
CREATE INDEX open_item_standing ON open_item (account_id) WHERE until_on IS NULL;
CREATE INDEX open_item_until ON open_item (until_on);
COMMENT ON TABLE open_item IS 'From which day until before which one so much of a charge or a fee was left unpaid.';
COMMENT ON COLUMN open_item.subject IS 'The account''s stream.';
COMMENT ON COLUMN open_item.kind IS 'charge, late_fee, overdrawn (owed beyond all charges) or credit (negative).';
COMMENT ON COLUMN open_item.item_id IS 'The charge or the fee; empty for the two others.';
COMMENT ON COLUMN open_item.from_on IS 'The first day.';
COMMENT ON COLUMN open_item.until_on IS 'The day after the last one; null where it still stands.';
COMMENT ON COLUMN open_item.account_id IS 'The account.';
COMMENT ON COLUMN open_item.region IS 'Province and city the account was opened in.';
COMMENT ON COLUMN open_item.due_on IS 'The last day to pay it.';
COMMENT ON COLUMN open_item.unpaid_fen IS 'What is left unpaid; all that stand on a day add up to the balance.';

-- name: lines
SELECT l.account_id, l.region, l.effective_on, l.occurred_at, l.recorded_at, l.kind, l.item_id, l.item_kind,
       l.period_start, l.period_end, l.due_on, l.amount_fen, l.change_fen, l.balance_fen, l.event_id, l.source,
       l.rests_on, l.rule_id, l.rule_on, l.position, l.part,
       -- in the order of these as one text: a page may begin behind any of them, and either way round
       format('%%s %%s %%s %%s %%s', to_char(l.effective_on, 'YYYY-MM-DD'),
              to_char(l.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
              to_char(l.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
              lpad(l.position::text, 19, '0'), lpad(l.part::text, 9, '0')) COLLATE "C" AS place
FROM statement_line AS l
WHERE l.subject = %(subject)s
  AND (%(since)s::date IS NULL OR l.effective_on >= %(since)s)
  AND (%(until)s::date IS NULL OR l.effective_on <= %(until)s)
  AND (%(kinds)s::text[] IS NULL OR l.kind = ANY (%(kinds)s));

-- name: balances
SELECT coalesce(sum(l.change_fen) FILTER (WHERE l.effective_on < %(since)s::date), 0)::bigint,
       coalesce(sum(l.change_fen), 0)::bigint
FROM statement_line AS l
WHERE l.subject = %(subject)s AND (%(until)s::date IS NULL OR l.effective_on <= %(until)s);

-- name: postings
SELECT p.account_id, p.region, p.effective_on, p.recorded_at, p.code, p.amount_fen, p.event_id, p.source, p.position,
       p.line_no
FROM posting AS p
WHERE p.subject = %(subject)s
  AND (%(since)s::date IS NULL OR p.effective_on >= %(since)s)
  AND (%(until)s::date IS NULL OR p.effective_on <= %(until)s)
  AND (%(codes)s::text[] IS NULL OR p.code = ANY (%(codes)s));

-- name: trial_balance
SELECT p.region, p.code,
       coalesce(sum(p.amount_fen) FILTER (WHERE p.amount_fen > 0), 0)::bigint,
       coalesce(-sum(p.amount_fen) FILTER (WHERE p.amount_fen < 0), 0)::bigint,
       coalesce(sum(p.amount_fen) FILTER (WHERE p.amount_fen > 0 AND p.effective_on = %(day)s), 0)::bigint,
       coalesce(-sum(p.amount_fen) FILTER (WHERE p.amount_fen < 0 AND p.effective_on = %(day)s), 0)::bigint
FROM posting AS p
WHERE p.effective_on <= %(day)s AND (%(city)s::text IS NULL OR p.region = %(city)s)
GROUP BY p.region, p.code;

-- name: account_balances
SELECT i.region, count(DISTINCT i.account_id), sum(i.unpaid_fen)::bigint
FROM open_item AS i
WHERE i.from_on <= %(day)s AND (i.until_on > %(day)s OR i.until_on IS NULL)
  AND (%(city)s::text IS NULL OR i.region = %(city)s)
GROUP BY i.region;

-- name: aging
WITH item AS (
    SELECT i.account_id, i.region, i.kind, i.unpaid_fen, %(day)s - i.due_on AS late_days,
           CASE i.kind WHEN 'overdrawn' THEN 0 WHEN 'charge' THEN width_bucket(%(day)s - i.due_on, ARRAY[1, 31, 61, 91])
           END AS bucket
    FROM open_item AS i
    WHERE i.from_on <= %(day)s AND (i.until_on > %(day)s OR i.until_on IS NULL)
      AND (%(city)s::text IS NULL OR i.region = %(city)s)
), account AS (
    SELECT i.account_id, i.region,
           sum(i.unpaid_fen)::bigint AS balance_fen,
           coalesce(sum(i.unpaid_fen) FILTER (WHERE i.bucket IS NOT NULL), 0)::bigint AS principal_fen,
           coalesce(sum(i.unpaid_fen) FILTER (WHERE i.kind = 'late_fee'), 0)::bigint AS late_fee_fen,
           coalesce(-sum(i.unpaid_fen) FILTER (WHERE i.kind = 'credit'), 0)::bigint AS credit_fen,
           coalesce(sum(i.unpaid_fen) FILTER (WHERE i.bucket = 0), 0)::bigint AS "current",
           coalesce(sum(i.unpaid_fen) FILTER (WHERE i.bucket = 1), 0)::bigint AS d1_30,
           coalesce(sum(i.unpaid_fen) FILTER (WHERE i.bucket = 2), 0)::bigint AS d31_60,
           coalesce(sum(i.unpaid_fen) FILTER (WHERE i.bucket = 3), 0)::bigint AS d61_90,
           coalesce(sum(i.unpaid_fen) FILTER (WHERE i.bucket = 4), 0)::bigint AS d90_plus,
           greatest(coalesce(max(i.late_days) FILTER (WHERE i.kind = 'charge'), 0), 0) AS days_past_due
    FROM item AS i GROUP BY i.account_id, i.region
)
SELECT a.account_id, a.region, a.balance_fen, a.principal_fen, a.late_fee_fen, a.credit_fen, a."current", a.d1_30,
       a.d31_60, a.d61_90, a.d90_plus, a.days_past_due
FROM account AS a
WHERE a.days_past_due >= %(past_due_days)s AND a.principal_fen >= %(principal_fen)s;

-- name: aging_totals
SELECT i.region, i.kind,
       CASE i.kind WHEN 'overdrawn' THEN 0 WHEN 'charge' THEN width_bucket(%(day)s - i.due_on, ARRAY[1, 31, 61, 91])
       END AS bucket,
       sum(i.unpaid_fen)::bigint
FROM open_item AS i
WHERE i.from_on <= %(day)s AND (i.until_on > %(day)s OR i.until_on IS NULL)
  AND (%(city)s::text IS NULL OR i.region = %(city)s)
GROUP BY 1, 2, 3;
