-- blacklist: its tables, and what is asked of them, by name.

-- name: tables
CREATE TABLE blacklist_entry (
    subject text NOT NULL,
    version integer NOT NULL,
    entry_id text NOT NULL,
    party_id text NOT NULL,
    region text NOT NULL,
    basis_account_id text NOT NULL,
    amount_fen bigint NOT NULL,
    basis_event_ids jsonb NOT NULL,
    notice_id text,
    event_id text NOT NULL,
    added_at timestamptz NOT NULL,
    added_on date NOT NULL,
    removed_at timestamptz,
    removed_on date,
    removal_reason text,
    PRIMARY KEY (subject, version)
);
CREATE INDEX blacklist_entry_party ON blacklist_entry (party_id, version);
COMMENT ON TABLE blacklist_entry IS 'Each entry on the blacklist, also those that went.';
COMMENT ON COLUMN blacklist_entry.subject IS 'The party''s stream.';
COMMENT ON COLUMN blacklist_entry.version IS 'The entry''s version in it.';
COMMENT ON COLUMN blacklist_entry.entry_id IS 'The entry; a legacy system may use one id twice.';
COMMENT ON COLUMN blacklist_entry.party_id IS 'Who is listed.';
COMMENT ON COLUMN blacklist_entry.region IS 'Province and city the party was registered in.';
COMMENT ON COLUMN blacklist_entry.basis_account_id IS 'The account whose debt it names.';
COMMENT ON COLUMN blacklist_entry.amount_fen IS 'The debt it names.';
COMMENT ON COLUMN blacklist_entry.basis_event_ids IS 'The events it says it rests on.';
COMMENT ON COLUMN blacklist_entry.notice_id IS 'The notice it says went before it.';
COMMENT ON COLUMN blacklist_entry.event_id IS 'The event that made it.';
COMMENT ON COLUMN blacklist_entry.added_at IS 'When it was made.';
COMMENT ON COLUMN blacklist_entry.added_on IS 'The day of that in its region.';
COMMENT ON COLUMN blacklist_entry.removed_at IS 'When it went; null while it stands.';
COMMENT ON COLUMN blacklist_entry.removed_on IS 'The day of that in its region.';
COMMENT ON COLUMN blacklist_entry.removal_reason IS 'Why it went.';
CREATE TABLE identity_misuse (
    subject text NOT NULL,
    version integer NOT NULL,
    party_id text NOT NULL,
    confirmed_at timestamptz NOT NULL,
    registration_ids jsonb NOT NULL,
    number_ids jsonb NOT NULL,
    PRIMARY KEY (subject, version)
);
COMMENT ON TABLE identity_misuse IS 'Each confirmed misuse: debts of what was opened by it are void for the party.';
COMMENT ON COLUMN identity_misuse.subject IS 'The party''s stream.';
COMMENT ON COLUMN identity_misuse.version IS 'The confirmation''s version in it.';
COMMENT ON COLUMN identity_misuse.party_id IS 'The party.';
COMMENT ON COLUMN identity_misuse.confirmed_at IS 'When it was confirmed.';
COMMENT ON COLUMN identity_misuse.registration_ids IS 'The registrations.';
COMMENT ON COLUMN identity_misuse.number_ids IS 'The numbers.';
CREATE TABLE blacklist_basis (
    subject text PRIMARY KEY,
    account_id text NOT NULL UNIQUE,
    first_clearing_at timestamptz,
    registration_ids jsonb NOT NULL,
    number_ids jsonb NOT NULL
);
COMMENT ON TABLE blacklist_basis IS 'Each account an entry may rest on.';
COMMENT ON COLUMN blacklist_basis.subject IS 'The account''s stream.';
COMMENT ON COLUMN blacklist_basis.account_id IS 'The account.';
COMMENT ON COLUMN blacklist_basis.first_clearing_at IS 'From when something first counted that may clear a debt.';
COMMENT ON COLUMN blacklist_basis.registration_ids IS 'The registrations of its numbers.';
COMMENT ON COLUMN blacklist_basis.number_ids IS 'Its numbers.';
CREATE TABLE overdue_spell (
    subject text NOT NULL,
    since timestamptz NOT NULL,
    account_id text NOT NULL,
    until timestamptz,
    cleared_at timestamptz,
    PRIMARY KEY (subject, since)
);
CREATE INDEX overdue_spell_account ON overdue_spell (account_id, since);
COMMENT ON TABLE overdue_spell IS 'Each time in which an account owed something overdue or a late fee, as the books stood.';
COMMENT ON COLUMN overdue_spell.subject IS 'The account''s stream.';
COMMENT ON COLUMN overdue_spell.since IS 'Since when; in the future for what is due some day and unpaid so far.';
COMMENT ON COLUMN overdue_spell.account_id IS 'The account.';
COMMENT ON COLUMN overdue_spell.until IS 'Until when, exclusive; null where nothing ended it.';
COMMENT ON COLUMN overdue_spell.cleared_at IS 'When a payment, a reversal, a credit or a write-off had cleared it.';
CREATE TABLE arrears_told (
    subject text NOT NULL,
    version integer NOT NULL,
    account_id text NOT NULL,
    notice_id text NOT NULL,
    purpose text NOT NULL,
    contact_point_id text,
    holder_id text,
    delivered_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (subject, version)
);
CREATE INDEX arrears_told_account ON arrears_told (account_id);
COMMENT ON TABLE arrears_told IS 'Each delivery of a notice that may have spoken of arrears.';
COMMENT ON COLUMN arrears_told.subject IS 'The account''s stream.';
COMMENT ON COLUMN arrears_told.version IS 'The delivery''s version in it.';
COMMENT ON COLUMN arrears_told.account_id IS 'The account.';
COMMENT ON COLUMN arrears_told.notice_id IS 'The notice.';
COMMENT ON COLUMN arrears_told.purpose IS 'arrears, suspension, termination or blacklist.';
COMMENT ON COLUMN arrears_told.contact_point_id IS 'Where it went, as far as is on record.';
COMMENT ON COLUMN arrears_told.holder_id IS 'Whose the account was then.';
COMMENT ON COLUMN arrears_told.delivered_at IS 'When it was delivered.';
COMMENT ON COLUMN arrears_told.recorded_at IS 'When that was recorded.';
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
CREATE VIEW arrears_reached AS
SELECT t.*,
       CASE
           WHEN t.contact_point_id IS NULL OR holder.subject IS NULL THEN 'unknown'
           WHEN EXISTS (
               SELECT FROM contact_period AS c
               WHERE c.party_id = t.holder_id AND c.contact_point_id = t.contact_point_id
                 AND c.added_at <= t.delivered_at AND (c.until IS NULL OR t.delivered_at < c.until)
           ) THEN 'reached'
           WHEN holder.merged_into IS NULL THEN 'astray'
           WHEN EXISTS (
               WITH RECURSIVE one(party_id) AS (
                   SELECT t.holder_id
                   UNION
                   SELECT p.merged_into FROM one JOIN person AS p USING (party_id) WHERE p.merged_into IS NOT NULL
               )
               SELECT FROM one JOIN contact_period AS c USING (party_id)
               WHERE c.contact_point_id = t.contact_point_id AND c.added_at <= t.delivered_at
                 AND (c.until IS NULL OR t.delivered_at < c.until)
           ) THEN 'reached'
           ELSE 'astray'
       END AS reach
FROM arrears_told AS t LEFT JOIN person AS holder ON holder.party_id = t.holder_id;
COMMENT ON VIEW arrears_reached IS 'Deliveries with whom they reached.';

-- name: entries
-- Entries with when the debt behind them was cleared or found void, when they have to go, and who was told before.
SELECT * FROM (
    SELECT e.entry_id, e.version, e.party_id, e.region, e.basis_account_id, e.amount_fen, e.basis_event_ids,
           e.event_id, e.added_on, e.removed_at IS NULL AS standing, e.removed_on, e.removal_reason,
           coalesce(e.removed_on, %(today)s) - e.added_on AS days_listed,
           e.notice_id, CASE WHEN e.notice_id IS NOT NULL THEN coalesce(told.named, 'not_delivered') END AS notice_reach,
           told.reached AS notices_reached,
           basis.subject IS NOT NULL AS basis_known,
           ended.cleared_on, ended.void, leaves.clearing_deadline, leaves.retention_ends_on,
           least(leaves.clearing_deadline, leaves.retention_ends_on) AS must_leave_by,
           least(leaves.clearing_deadline, leaves.retention_ends_on) < coalesce(e.removed_on, %(today)s) AS overdue
    FROM blacklist_entry AS e
    LEFT JOIN blacklist_basis AS basis ON basis.account_id = e.basis_account_id
    CROSS JOIN LATERAL (
        SELECT CASE
                   WHEN bool_or(r.reach = 'reached' AND r.notice_id = e.notice_id) THEN 'reached'
                   ELSE max(r.reach) FILTER (WHERE r.notice_id = e.notice_id)
               END AS named,
               count(*) FILTER (WHERE r.reach = 'reached' AND r.purpose = ANY (string_to_array(m.purposes, ',')))
                   AS reached
        FROM unnest(%(basis_since)s::date[], %(basis_until)s::date[], %(purposes)s::text[]) AS m(since, until, purposes)
        LEFT JOIN arrears_reached AS r
             ON r.account_id = e.basis_account_id AND r.recorded_at <= e.added_at
        WHERE m.since <= e.added_on AND e.added_on < m.until
    ) AS told
    CROSS JOIN LATERAL (
        SELECT greatest(e.added_at, basis.first_clearing_at) AS asked_at,
               (SELECT CASE WHEN count(*) > 0 THEN greatest(min(u.confirmed_at), e.added_at) END FROM identity_misuse AS u
                WHERE u.party_id = e.party_id
                  AND (u.registration_ids ?| ARRAY(SELECT jsonb_array_elements_text(basis.registration_ids))
                       OR u.number_ids ?| ARRAY(SELECT jsonb_array_elements_text(basis.number_ids)))) AS void_at
    ) AS asked
    LEFT JOIN LATERAL (
        SELECT s.cleared_at, true AS there FROM overdue_spell AS s
        WHERE s.account_id = e.basis_account_id AND s.since <= asked.asked_at
          AND (s.until IS NULL OR asked.asked_at < s.until)
    ) AS spell ON true
    CROSS JOIN LATERAL (
        SELECT CASE
                   WHEN basis.first_clearing_at IS NULL THEN NULL
                   WHEN spell.there THEN spell.cleared_at
                   ELSE asked.asked_at
               END AS cleared_at
    ) AS money
    CROSS JOIN LATERAL (
        SELECT (least(money.cleared_at, asked.void_at) AT TIME ZONE %(zone)s)::date AS cleared_on,
               asked.void_at IS NOT NULL AS void
    ) AS ended
    CROSS JOIN LATERAL (
        SELECT (e.added_on + make_interval(years => least(r.retention_years, %(years_max)s)))::date AS retention_ends_on,
               CASE WHEN w.working_days = 0 THEN ended.cleared_on ELSE (
                   SELECT d::date FROM generate_series(
                       ended.cleared_on::timestamp + interval '1 day',
                       ended.cleared_on::timestamp + make_interval(days => 7 + w.working_days * 7 / 5),
                       interval '1 day') AS d
                   WHERE extract(isodow FROM d) < 6 ORDER BY d OFFSET w.working_days - 1 LIMIT 1
               ) END AS clearing_deadline
        FROM unnest(%(since)s::date[], %(until)s::date[], %(retention_years)s::int[]) AS r(since, until, retention_years)
        LEFT JOIN unnest(%(since)s::date[], %(until)s::date[], %(working_days)s::int[]) AS w(since, until, working_days)
             ON w.since <= ended.cleared_on AND ended.cleared_on < w.until
        WHERE r.since <= e.added_on AND e.added_on < r.until
    ) AS leaves
    WHERE (%(city)s::text IS NULL OR e.region = %(city)s)
      AND (%(party_id)s::text IS NULL OR e.party_id = %(party_id)s)
      AND (%(account_id)s::text IS NULL OR e.basis_account_id = %(account_id)s)
      AND (%(standing)s::boolean IS NULL OR (e.removed_at IS NULL) = %(standing)s)
) AS listed
WHERE (%(overdue)s::boolean IS NULL OR overdue = %(overdue)s)
  AND (%(cleared)s::boolean IS NULL OR (cleared_on IS NOT NULL) = %(cleared)s);
