-- directory: its table, and what is asked of it, by name.

-- name: tables
CREATE TABLE directory_entry (
    subject text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (subject, kind, name)
);
CREATE INDEX directory_entry_name ON directory_entry (name, kind);
COMMENT ON TABLE directory_entry IS 'Names a subject is or once was known by, beside its own.';
COMMENT ON COLUMN directory_entry.subject IS 'The stream it is the name of.';
COMMENT ON COLUMN directory_entry.kind IS
    'What name it is: number or package of an account, legacy (its id in a system before), identity (the hash of a '
    'document, keyed again).';
COMMENT ON COLUMN directory_entry.name IS 'The name.';
COMMENT ON COLUMN directory_entry.since IS 'When it was first its name.';

-- name: named
-- The subjects of a name. A document's hash is no name one may type: only what it is keyed to is looked for.
SELECT subject, min(kind) AS kind FROM directory_entry
WHERE (name = %(name)s AND kind <> 'identity') OR (name = %(document)s AND kind = 'identity')
GROUP BY subject ORDER BY subject LIMIT %(limit)s;
