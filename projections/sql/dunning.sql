-- dunning: its table, and what is asked of it, by name.

-- name: tables
CREATE TABLE dunning_step (
    subject text NOT NULL,
    action text NOT NULL,
    account_id text NOT NULL,
    party_id text NOT NULL,
    region text NOT NULL,
    line_of_business text NOT NULL,
    status text NOT NULL,
    from_on date NOT NULL,
    until_on date,
    blocked boolean NOT NULL,
    blocked_by jsonb NOT NULL,
    amount_fen bigint NOT NULL,
    oldest_due_on date NOT NULL,
    charge_ids jsonb NOT NULL,
    attempts integer NOT NULL,
    PRIMARY KEY (subject, action)
);
CREATE INDEX dunning_step_from ON dunning_step (from_on, account_id, action);
CREATE INDEX dunning_step_party ON dunning_step (party_id);
COMMENT ON TABLE dunning_step IS 'What comes next for an account with something unpaid: one row a step, until it is taken.';
COMMENT ON COLUMN dunning_step.subject IS 'The account''s stream.';
COMMENT ON COLUMN dunning_step.action IS 'remind, announce_suspension, suspend, announce_termination, terminate, announce_blacklisting or blacklist.';
COMMENT ON COLUMN dunning_step.account_id IS 'The account.';
COMMENT ON COLUMN dunning_step.party_id IS 'Who holds it.';
COMMENT ON COLUMN dunning_step.region IS 'Province and city it was opened in.';
COMMENT ON COLUMN dunning_step.line_of_business IS 'fixed_broadband, mobile or fixed_voice.';
COMMENT ON COLUMN dunning_step.status IS 'pending, active, suspended or terminated.';
COMMENT ON COLUMN dunning_step.from_on IS 'The first day on which it may be taken.';
COMMENT ON COLUMN dunning_step.until_on IS 'The last day on which it is of use; null where there is none.';
COMMENT ON COLUMN dunning_step.blocked IS 'Whether something forbids it.';
COMMENT ON COLUMN dunning_step.blocked_by IS 'What forbids it: reason, and the id of the hold or the charge.';
COMMENT ON COLUMN dunning_step.amount_fen IS 'What is overdue, or will be on the first day of arrears.';
COMMENT ON COLUMN dunning_step.oldest_due_on IS 'When the oldest of it was due.';
COMMENT ON COLUMN dunning_step.charge_ids IS 'Which charges that are, oldest first.';
COMMENT ON COLUMN dunning_step.attempts IS 'Of a notice: how often it was tried.';

-- name: steps
SELECT s.action, s.account_id, s.party_id, s.region, s.line_of_business, s.status, s.from_on, s.until_on,
       s.blocked, s.blocked_by, s.amount_fen, s.oldest_due_on, s.charge_ids, s.attempts
FROM dunning_step AS s
WHERE (s.until_on IS NULL OR s.until_on >= %(today)s)
  AND (%(due_by)s::date IS NULL OR s.from_on <= %(due_by)s)
  AND (%(account_id)s::text IS NULL OR s.account_id = %(account_id)s)
  AND (%(party_id)s::text IS NULL OR s.party_id = %(party_id)s)
  AND (%(city)s::text IS NULL OR s.region = %(city)s)
  AND (%(action)s::text IS NULL OR s.action = %(action)s)
  AND (%(blocked)s::boolean IS NULL OR s.blocked = %(blocked)s)
  AND (%(amount_fen)s::bigint IS NULL OR s.amount_fen >= %(amount_fen)s);
