-- The views through which billing systems read a ledger's models, by name. Run with search_path = the ledger's
-- schema; {ledger} and {views} are the schemas of the ledger and of its views.

-- name: install
-- What stands beside the models' own views. The function is called where a reader's snapshot is older than every
-- generation a view still knows: then there is nothing right to read, and 40001 tells any client to begin again.
CREATE SCHEMA IF NOT EXISTS {views};
COMMENT ON SCHEMA {views} IS
    'What billing systems read of this ledger: each table of its read models as a view. Granted to recount_billing.';
CREATE OR REPLACE FUNCTION {views}.made_anew(model text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION '% was made anew after this transaction began: begin another', model USING ERRCODE = '40001';
END $$;
COMMENT ON FUNCTION {views}.made_anew(text) IS
    'Tells a reader whose snapshot is older than what a view still knows to begin another transaction.';
CREATE OR REPLACE VIEW {views}.freshness AS
SELECT g.model, g.version, min(p.position) AS position, c.position AS ledger_position,
       c.position - min(p.position) AS lag, min(p.moved_at) AS moved_at, min(p.failed_position) AS failed_position,
       min(p.due_at) AS due_at
FROM {ledger}.read_model_generation AS g
JOIN {ledger}.read_model_partition AS p USING (generation)
CROSS JOIN {ledger}.counter AS c
WHERE g.state = 'live'
GROUP BY g.model, g.version, c.position;
COMMENT ON VIEW {views}.freshness IS
    'How far each read model has folded the ledger: read it in the transaction in which its views are read.';
COMMENT ON COLUMN {views}.freshness.model IS 'The read model; the comment of each view names its own.';
COMMENT ON COLUMN {views}.freshness.version IS 'The version of the model that made what is read.';
COMMENT ON COLUMN {views}.freshness.position IS 'The log position up to which every event is in its rows.';
COMMENT ON COLUMN {views}.freshness.ledger_position IS 'The position of the ledger''s last event.';
COMMENT ON COLUMN {views}.freshness.lag IS 'How many positions it is behind; 0 where its rows are the present.';
COMMENT ON COLUMN {views}.freshness.moved_at IS
    'When it was last moved. Its rows are those of now where lag is 0 and due_at is not past.';
COMMENT ON COLUMN {views}.freshness.failed_position IS 'The event it stopped before; empty where it goes on.';
COMMENT ON COLUMN {views}.freshness.due_at IS
    'When some of its rows read otherwise though nothing happens: once that is past, they are old until it is moved.';

-- name: installed
-- Whether what stands beside the models' views is there, as this program makes it.
SELECT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = to_regclass(format('%%I.freshness', %(views)s::text)) AND attname = 'due_at'
);

-- name: may_read
-- Whether the role is there, and whether it may read the schema's views already.
SELECT r.oid IS NOT NULL,
       coalesce(has_schema_privilege(r.oid, n.oid, 'USAGE') AND NOT EXISTS (
           SELECT FROM pg_class AS c
           WHERE c.relnamespace = n.oid AND c.relkind = 'v' AND NOT has_table_privilege(r.oid, c.oid, 'SELECT')
       ), false)
FROM pg_namespace AS n LEFT JOIN pg_roles AS r ON r.rolname = %(role)s
WHERE n.nspname = %(views)s;

-- name: readable
-- The generations of a model that a snapshot may take for the live one, now or in a moment: the newest first.
SELECT generation, version, schema_name FROM read_model_generation
WHERE model = %(model)s AND version > 0
  AND (state IN ('live', 'retired') OR state = 'building' AND built_at IS NOT NULL)
ORDER BY generation DESC;

-- name: columns
-- The columns of generations' tables, in order, with their types and comments.
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum),
       obj_description(c.oid, 'pg_class')
FROM pg_namespace AS n
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND c.relname <> 'folded_stream'
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = ANY(%(schemas)s)
ORDER BY n.nspname, c.relname, a.attnum;

-- name: shown
-- A model's views as they are: the generations each reads, and its columns with their types.
SELECT v.relname,
       array_agg(DISTINCT g.generation ORDER BY g.generation DESC),
       (SELECT array_agg(ARRAY[a.attname::text, format_type(a.atttypid, a.atttypmod)] ORDER BY a.attnum)
        FROM pg_attribute AS a WHERE a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class AS v
JOIN pg_rewrite AS r ON r.ev_class = v.oid
JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
JOIN pg_class AS t ON t.oid = d.refobjid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN read_model_generation AS g ON g.schema_name = n.nspname
WHERE v.relnamespace = to_regnamespace(%(views)s) AND v.relkind = 'v' AND g.model = %(model)s
GROUP BY v.oid, v.relname;

-- name: readers
-- Who reads a model's views just now.
SELECT DISTINCT l.pid FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE c.relnamespace = to_regnamespace(%(views)s) AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY l.pid;

-- name: columns_of
-- A table's columns in order, with what they are; looked into its schema.
SELECT a.attname, format_type(a.atttypid, a.atttypmod), coalesce(col_description(a.attrelid, a.attnum), '')
FROM pg_attribute AS a
WHERE a.attrelid = to_regclass(quote_ident(%(table)s)) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;
