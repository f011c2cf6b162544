-- registrations: its tables, and what is asked of them, by name.

-- name: tables
CREATE TABLE registration (
    subject text NOT NULL,
    registration_id text NOT NULL,
    party_id text NOT NULL,
    region text NOT NULL,
    method text,
    result text,
    verified_at timestamptz,
    verified_on date,
    audited_at timestamptz,
    audited_on date,
    audit_result text,
    misuse_on date,
    PRIMARY KEY (subject, registration_id)
);
CREATE INDEX registration_party ON registration (party_id, registration_id);
COMMENT ON TABLE registration IS 'Each registration in a party''s name, as the party''s stream has it.';
COMMENT ON COLUMN registration.subject IS 'The party''s stream.';
COMMENT ON COLUMN registration.registration_id IS 'The registration.';
COMMENT ON COLUMN registration.party_id IS 'The party.';
COMMENT ON COLUMN registration.region IS 'Province and city the party was registered in.';
COMMENT ON COLUMN registration.method IS 'How it was verified last: in_person, proxy, online or none.';
COMMENT ON COLUMN registration.result IS 'passed, failed or not_performed.';
COMMENT ON COLUMN registration.verified_at IS 'When; null where no verification is on record.';
COMMENT ON COLUMN registration.verified_on IS 'The day of that in its region.';
COMMENT ON COLUMN registration.audited_at IS 'When it was audited first.';
COMMENT ON COLUMN registration.audited_on IS 'The day of that in its region.';
COMMENT ON COLUMN registration.audit_result IS 'What the last audit said: clean, suspect or breach.';
COMMENT ON COLUMN registration.misuse_on IS 'When it was first confirmed to misuse the identity.';
CREATE TABLE registered_by_dealer (
    subject text NOT NULL,
    version integer NOT NULL,
    party_id text NOT NULL,
    region text NOT NULL,
    registration_id text NOT NULL,
    dealer_id text NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    happened_on date NOT NULL,
    PRIMARY KEY (subject, version)
);
CREATE INDEX registered_by_dealer_party ON registered_by_dealer (party_id, registration_id);
COMMENT ON TABLE registered_by_dealer IS 'Each event that shows a registration by a dealer: verified, or a number activated.';
COMMENT ON COLUMN registered_by_dealer.subject IS 'The party''s or the account''s stream.';
COMMENT ON COLUMN registered_by_dealer.version IS 'The event''s version in it.';
COMMENT ON COLUMN registered_by_dealer.party_id IS 'In whose name.';
COMMENT ON COLUMN registered_by_dealer.region IS 'Province and city of the stream.';
COMMENT ON COLUMN registered_by_dealer.registration_id IS 'The registration.';
COMMENT ON COLUMN registered_by_dealer.dealer_id IS 'The dealer.';
COMMENT ON COLUMN registered_by_dealer.at IS 'When.';
COMMENT ON COLUMN registered_by_dealer.recorded_at IS 'When that was recorded.';
COMMENT ON COLUMN registered_by_dealer.happened_on IS 'The day of it in its region.';
CREATE TABLE held_number (
    subject text NOT NULL,
    number_id text NOT NULL,
    account_id text NOT NULL,
    party_id text NOT NULL,
    region text NOT NULL,
    registration_id text,
    dealer_id text,
    activated_on date,
    PRIMARY KEY (subject, number_id)
);
CREATE INDEX held_number_party ON held_number (party_id);
COMMENT ON TABLE held_number IS 'Each number that is held now, as the number limit counts them.';
COMMENT ON COLUMN held_number.subject IS 'The account''s stream.';
COMMENT ON COLUMN held_number.number_id IS 'The number; its digits are personal and not here.';
COMMENT ON COLUMN held_number.account_id IS 'The account.';
COMMENT ON COLUMN held_number.party_id IS 'Who holds it.';
COMMENT ON COLUMN held_number.region IS 'Province and city the account was opened in.';
COMMENT ON COLUMN held_number.registration_id IS 'The registration it rests on; null where it was ported in.';
COMMENT ON COLUMN held_number.dealer_id IS 'The dealer who activated it, if one did.';
COMMENT ON COLUMN held_number.activated_on IS 'When it went live; null where it was ported in.';
CREATE TABLE activation (
    subject text NOT NULL,
    version integer NOT NULL,
    account_id text NOT NULL,
    party_id text,
    number_id text NOT NULL,
    registration_id text NOT NULL,
    dealer_id text,
    activated_at timestamptz NOT NULL,
    activated_on date NOT NULL,
    region text NOT NULL,
    PRIMARY KEY (subject, version)
);
CREATE INDEX activation_party ON activation (party_id, registration_id);
COMMENT ON TABLE activation IS 'Each number that went live, held still or not.';
COMMENT ON COLUMN activation.subject IS 'The account''s stream.';
COMMENT ON COLUMN activation.version IS 'The activation''s version in it.';
COMMENT ON COLUMN activation.account_id IS 'The account.';
COMMENT ON COLUMN activation.party_id IS 'Whose the account was then, as far as is on record.';
COMMENT ON COLUMN activation.number_id IS 'The number.';
COMMENT ON COLUMN activation.registration_id IS 'The registration it was activated on.';
COMMENT ON COLUMN activation.dealer_id IS 'The dealer, if one did it.';
COMMENT ON COLUMN activation.activated_at IS 'When.';
COMMENT ON COLUMN activation.activated_on IS 'The day of it in its region.';
COMMENT ON COLUMN activation.region IS 'Province and city the account was opened in.';
CREATE TABLE person (
    subject text PRIMARY KEY,
    party_id text NOT NULL UNIQUE,
    region text NOT NULL,
    merged_into text,
    document text
);
CREATE INDEX person_document ON person (document, party_id);
COMMENT ON TABLE person IS
    'Each party: those it was merged into, and those of the same identity document, are one person.';
COMMENT ON COLUMN person.subject IS 'The party''s stream.';
COMMENT ON COLUMN person.party_id IS 'The party.';
COMMENT ON COLUMN person.region IS 'Province and city it was registered in.';
COMMENT ON COLUMN person.merged_into IS 'The party it was merged into, if it was.';
COMMENT ON COLUMN person.document IS 'The keyed hash of the identity document it was registered with.';
CREATE VIEW same_person AS
WITH RECURSIVE up(party_id, person_id) AS (
    SELECT party_id, merged_into FROM person WHERE merged_into IS NOT NULL
    UNION
    SELECT up.party_id, p.merged_into FROM up JOIN person AS p ON p.party_id = up.person_id
    WHERE p.merged_into IS NOT NULL
), merged AS (
    SELECT party_id, person_id FROM up
    WHERE NOT EXISTS (SELECT FROM person AS p WHERE p.party_id = up.person_id AND p.merged_into IS NOT NULL)
), shared AS (
    SELECT document, min(party_id) AS person_id
    FROM person WHERE document IS NOT NULL AND merged_into IS NULL
    GROUP BY document HAVING count(*) > 1
), sharing AS (
    SELECT p.party_id, s.person_id FROM shared AS s JOIN person AS p USING (document) WHERE p.merged_into IS NULL
)
SELECT m.party_id, coalesce(s.person_id, m.person_id) AS person_id
FROM merged AS m LEFT JOIN sharing AS s ON s.party_id = m.person_id
UNION ALL
SELECT party_id, person_id FROM sharing WHERE party_id <> person_id;
COMMENT ON VIEW same_person IS
    'Each party that was merged, and the one it came to be in the end; of one document''s parties all but the first.';
CREATE VIEW dealer_registration AS
SELECT DISTINCT ON (party_id, registration_id) party_id, registration_id, dealer_id, region, happened_on
FROM registered_by_dealer
ORDER BY party_id, registration_id, at, recorded_at, subject COLLATE "C", version;
COMMENT ON VIEW dealer_registration IS 'Each registration made by a dealer, since the first event that shows it.';

-- name: registrations
-- Registrations with their audits: those by dealers have to be audited in time.
SELECT * FROM (
    SELECT party_id, registration_id, coalesce(r.region, d.region, a.region) AS region, d.dealer_id, r.method, r.result,
           coalesce(d.happened_on, r.verified_on, a.activated_on) AS registered_on,
           (d.happened_on + make_interval(months => m.months))::date AS audit_due_on,
           r.audited_on, r.audit_result, r.misuse_on, coalesce(a.numbers, 0) AS numbers_activated,
           (SELECT count(*) FROM held_number AS h WHERE h.party_id = party_id_ AND h.registration_id = registration_id_)
               AS numbers_held,
           CASE
               WHEN d.dealer_id IS NULL THEN CASE WHEN r.audited_on IS NULL THEN 'not_required' ELSE 'done' END
               WHEN r.audited_on <= (d.happened_on + make_interval(months => m.months))::date THEN 'done'
               WHEN r.audited_on IS NOT NULL THEN 'late'
               WHEN %(today)s <= (d.happened_on + make_interval(months => m.months))::date THEN 'due'
               ELSE 'missed'
           END AS audit
    FROM registration AS r
    FULL JOIN dealer_registration AS d USING (party_id, registration_id)
    FULL JOIN (
        SELECT party_id, registration_id, min(activated_on) AS activated_on, count(DISTINCT number_id) AS numbers,
               min(region) AS region
        FROM activation WHERE party_id IS NOT NULL GROUP BY party_id, registration_id
    ) AS a USING (party_id, registration_id)
    LEFT JOIN unnest(%(since)s::date[], %(until)s::date[], %(months)s::int[]) AS m(since, until, months)
         ON m.since <= d.happened_on AND d.happened_on < m.until
    CROSS JOIN LATERAL (SELECT party_id AS party_id_, registration_id AS registration_id_) AS own
) AS listed
WHERE (%(city)s::text IS NULL OR region = %(city)s)
  AND (%(party_id)s::text IS NULL OR party_id = %(party_id)s)
  AND (%(dealer_id)s::text IS NULL OR dealer_id = %(dealer_id)s)
  AND (%(audit)s::text IS NULL OR audit = %(audit)s)
  AND (%(misused)s::boolean IS NULL OR (misuse_on IS NOT NULL) = %(misused)s);

-- name: persons
-- Persons, a party with those merged into it and those of its document, and the numbers they hold, against the
-- limit of the day.
SELECT * FROM (
    SELECT held.person_id, p.region, held.parties, held.numbers_held, held.accounts, held.registrations,
           held.last_activated_on, l.numbers AS numbers_max,
           coalesce(held.numbers_held > l.numbers, false) AS over_limit,
           held.activated_over_limit
    FROM (
        SELECT h.person_id, array_agg(DISTINCT h.party_id ORDER BY h.party_id) AS parties,
               count(DISTINCT h.number_id) AS numbers_held, count(DISTINCT h.account_id) AS accounts,
               count(DISTINCT h.registration_id) AS registrations, max(h.activated_on) AS last_activated_on,
               count(DISTINCT h.number_id) FILTER (WHERE h.limited AND h.nth > h.numbers) AS activated_over_limit
        FROM (
            SELECT n.*, coalesce(s.person_id, n.party_id) AS person_id, m.in_force AS limited, m.numbers,
                   row_number() OVER (
                       PARTITION BY coalesce(s.person_id, n.party_id) ORDER BY n.activated_on NULLS FIRST, n.number_id
                   ) AS nth
            FROM held_number AS n LEFT JOIN same_person AS s USING (party_id)
            LEFT JOIN unnest(%(limit_since)s::date[], %(limit_until)s::date[], %(limit_in_force)s::boolean[],
                             %(limit_numbers)s::int[]) AS m(since, until, in_force, numbers)
                 ON m.since <= n.activated_on AND n.activated_on < m.until
        ) AS h
        GROUP BY h.person_id
    ) AS held
    LEFT JOIN person AS p ON p.party_id = held.person_id
    LEFT JOIN unnest(%(limit_since)s::date[], %(limit_until)s::date[], %(limit_in_force)s::boolean[],
                     %(limit_numbers)s::int[]) AS l(since, until, in_force, numbers)
         ON l.since <= %(today)s AND %(today)s < l.until AND l.in_force
) AS listed
WHERE (%(city)s::text IS NULL OR region = %(city)s)
  AND (%(party_id)s::text IS NULL OR %(party_id)s = ANY (parties) OR person_id = %(party_id)s)
  AND (%(over_limit)s::boolean IS NULL OR over_limit = %(over_limit)s);

-- name: dealers
-- Dealers with what they registered, what of it was audited, and what was misused; `registered` is the query above.
SELECT * FROM (
    SELECT d.dealer_id, count(*) AS registrations, count(DISTINCT d.party_id) AS parties,
           coalesce(sum(d.numbers_activated), 0)::bigint AS numbers_activated,
           coalesce(sum(d.numbers_held), 0)::bigint AS numbers_held,
           count(*) FILTER (WHERE d.result IS DISTINCT FROM 'passed' OR d.method NOT IN ('in_person', 'proxy')) AS unverified,
           count(*) FILTER (WHERE d.misuse_on IS NOT NULL) AS misused,
           count(*) FILTER (WHERE d.audit = 'done') AS audits_done,
           count(*) FILTER (WHERE d.audit = 'late') AS audits_late,
           count(*) FILTER (WHERE d.audit = 'due') AS audits_due,
           count(*) FILTER (WHERE d.audit = 'missed') AS audits_missed,
           min(d.audit_due_on) FILTER (WHERE d.audit IN ('due', 'missed')) AS next_audit_due_on,
           max(d.registered_on) AS last_registered_on
    FROM registered AS d
    WHERE d.dealer_id IS NOT NULL
    GROUP BY d.dealer_id
) AS listed
WHERE %(dealer_id)s::text IS NULL OR dealer_id = %(dealer_id)s;
