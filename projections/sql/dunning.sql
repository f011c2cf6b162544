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
COMMENT ON COLUMN dunning_step.blocked IS
    'Whether something of the account''s forbids it; what is in dunning_misuse and dunning_number together does so too.';
COMMENT ON COLUMN dunning_step.blocked_by IS 'What forbids it: reason, and the id of the hold or the charge.';
COMMENT ON COLUMN dunning_step.amount_fen IS 'What the step is about: overdue, or will be on the first day of arrears.';
COMMENT ON COLUMN dunning_step.oldest_due_on IS 'When the oldest of it was due.';
COMMENT ON COLUMN dunning_step.charge_ids IS 'Which charges that are, oldest first.';
COMMENT ON COLUMN dunning_step.attempts IS 'Of a notice: how often it was tried.';

CREATE TABLE dunning_number (
    subject text NOT NULL,
    number_id text NOT NULL,
    registration_id text,
    PRIMARY KEY (subject, number_id)
);
COMMENT ON TABLE dunning_number IS 'The numbers of accounts that have steps ahead.';
COMMENT ON COLUMN dunning_number.subject IS 'The account''s stream.';
COMMENT ON COLUMN dunning_number.number_id IS 'The number, by its id.';
COMMENT ON COLUMN dunning_number.registration_id IS 'The registration it was activated on; null where it was ported in.';

CREATE TABLE dunning_misuse (
    subject text PRIMARY KEY,
    party_id text NOT NULL UNIQUE,
    number_ids jsonb NOT NULL,
    registration_ids jsonb NOT NULL
);
COMMENT ON TABLE dunning_misuse IS 'Whose identity was misused, and for what: steps for such numbers are not to be taken.';
COMMENT ON COLUMN dunning_misuse.subject IS 'The party''s stream.';
COMMENT ON COLUMN dunning_misuse.party_id IS 'The party.';
COMMENT ON COLUMN dunning_misuse.number_ids IS 'Numbers opened with its documents, as confirmed.';
COMMENT ON COLUMN dunning_misuse.registration_ids IS 'Registrations made with its documents, as confirmed.';

-- name: steps
-- Steps that may still be taken. What was made with the holder's documents blocks them beside what stands in the row.
SELECT * FROM (
SELECT s.action, s.account_id, s.party_id, s.region, s.line_of_business, s.status, s.from_on, s.until_on,
       s.blocked OR m.number_id IS NOT NULL AS blocked,
       CASE WHEN m.number_id IS NULL THEN s.blocked_by
            ELSE s.blocked_by || jsonb_build_object('reason', 'misused_number', 'id', m.number_id) END AS blocked_by,
       s.amount_fen, s.oldest_due_on, s.charge_ids, s.attempts
FROM dunning_step AS s
LEFT JOIN dunning_misuse AS u ON u.party_id = s.party_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN u.subject IS NOT NULL THEN (
        SELECT min(n.number_id) FROM dunning_number AS n
        WHERE n.subject = s.subject AND (u.number_ids ? n.number_id OR u.registration_ids ? n.registration_id)
    ) END AS number_id
) AS m
WHERE (s.until_on IS NULL OR s.until_on >= %(today)s)
  AND (%(due_by)s::date IS NULL OR s.from_on <= %(due_by)s)
  AND (%(account_id)s::text IS NULL OR s.account_id = %(account_id)s)
  AND (%(party_id)s::text IS NULL OR s.party_id = %(party_id)s)
  AND (%(city)s::text IS NULL OR s.region = %(city)s)
  AND (%(action)s::text IS NULL OR s.action = %(action)s)
  AND (%(amount_fen)s::bigint IS NULL OR s.amount_fen >= %(amount_fen)s)
) AS listed
WHERE %(blocked)s::boolean IS NULL OR blocked = %(blocked)s;
