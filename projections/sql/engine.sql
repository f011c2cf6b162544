-- The queries of the engine that moves read models, by name. They run with search_path = a generation's schema,
-- then the ledger's; those of a generation's own tables say so.

-- name: make_generation
-- The next generation of a model, in a schema of its own beside the ledger's.
INSERT INTO read_model_generation (generation, model, version, schema_name, state, base_position, partitions)
SELECT coalesce(max(generation), 0) + 1, %(model)s, %(version)s,
       current_schema() || '_g' || coalesce(max(generation), 0) + 1, %(state)s, %(position)s, %(partitions)s
FROM read_model_generation
RETURNING generation, schema_name;

-- name: make_partitions
INSERT INTO read_model_partition (generation, partition, position)
SELECT %(generation)s, number, %(position)s FROM generate_series(0, %(partitions)s - 1) AS number;

-- name: folded_stream
-- In every generation's schema, beside the model's own tables.
CREATE TABLE folded_stream (
    subject text PRIMARY KEY,
    partition integer NOT NULL,
    version integer NOT NULL,
    position bigint NOT NULL,
    digest bytea NOT NULL,
    due_at timestamptz
);
CREATE INDEX folded_stream_due ON folded_stream (partition, due_at) WHERE due_at IS NOT NULL;
COMMENT ON TABLE folded_stream IS 'Each stream this generation has folded: it commits with the stream''s rows.';
COMMENT ON COLUMN folded_stream.subject IS 'The stream.';
COMMENT ON COLUMN folded_stream.partition IS 'The part of the streams it belongs to, which one worker moves at a time.';
COMMENT ON COLUMN folded_stream.version IS 'How many of its events the rows rest on.';
COMMENT ON COLUMN folded_stream.position IS 'The log position of the last of them.';
COMMENT ON COLUMN folded_stream.digest IS 'SHA-256 of its rows in canonical form, sorted.';
COMMENT ON COLUMN folded_stream.due_at IS 'When its rows read otherwise though nothing happens: then it is folded anew.';

-- name: live
-- Where a model's readers look, and look there from here on, in this transaction.
SELECT generation, version, schema_name, partitions,
       set_config('search_path', format('%%I, %%I', schema_name, current_schema()), true)
FROM read_model_generation WHERE model = %(model)s AND state = 'live';

-- name: models
-- What stands of each model: live, or being built.
SELECT model, generation, version, state FROM read_model_generation WHERE state IN ('live', 'building');

-- name: waiting
-- The live generations that have something to fold: events, or rows whose time has come.
SELECT DISTINCT g.model, g.version
FROM counter, read_model_generation AS g JOIN read_model_partition AS p USING (generation)
WHERE g.state = 'live' AND (p.position < counter.position OR p.due_at <= %(now)s);

-- name: take
-- A part of a generation that has something to fold; whoever holds the row is the one who moves it on.
SELECT p.generation, p.partition, g.partitions, p.position, p.due_at, p.digest, g.schema_name, counter.position
FROM counter, read_model_generation AS g JOIN read_model_partition AS p USING (generation)
WHERE g.generation = %(generation)s AND (p.position < counter.position OR p.due_at <= %(now)s)
  AND (%(with_failed)s OR p.failed_position IS NULL)
ORDER BY p.position
LIMIT 1
FOR UPDATE OF p SKIP LOCKED;

-- name: current
-- The live generation of a model that was made by this version of it.
SELECT generation FROM read_model_generation
WHERE model = %(model)s AND version = %(version)s AND state = 'live';

-- name: log_of_part
-- The log after a position, only streams of some kinds, and of those only one part: the hash is PostgreSQL's own
-- SHA-256, which no version of it will compute otherwise. Moments without their zone, which is UTC.
SELECT subject, version, type, state, position, occurred_at AT TIME ZONE 'UTC', recorded_at AT TIME ZONE 'UTC'
FROM event
WHERE position > %(after)s AND position <= %(upto)s
  AND split_part(subject, '/', 1) = ANY(%(kinds)s)
  AND (%(partitions)s = 1 OR get_byte(sha256(convert_to(subject, 'UTF8')), 0) %% %(partitions)s = %(partition)s)
ORDER BY position
LIMIT %(limit)s;

-- name: move
-- In a generation's schema.
UPDATE read_model_partition AS p
SET position = %(position)s, digest = %(digest)s, moved_at = clock_timestamp(), failed_position = NULL,
    failure = NULL,
    due_at = (SELECT min(f.due_at) FROM folded_stream AS f WHERE f.partition = %(partition)s)
WHERE p.generation = %(generation)s AND p.partition = %(partition)s;

-- name: fail
UPDATE read_model_partition SET failed_position = %(position)s, failure = %(failure)s
WHERE generation = %(generation)s AND partition = %(partition)s AND (position <= %(position)s OR %(building)s);

-- name: due
-- In a generation's schema: streams whose rows' time has come.
SELECT subject FROM folded_stream
WHERE partition = %(partition)s AND due_at <= %(now)s ORDER BY due_at, subject LIMIT %(limit)s;

-- name: forget_streams
-- In a generation's schema.
DELETE FROM folded_stream WHERE subject = ANY(%(subjects)s) RETURNING subject, digest;

-- name: makings
-- Models that are being made anew: how far, and where one stopped.
SELECT g.model, g.version, r.done, r.events, p.failed_position, p.failure
FROM read_model_generation AS g
JOIN read_model_partition AS p ON p.generation = g.generation AND p.partition = 0
CROSS JOIN LATERAL (
    SELECT coalesce(sum(events_done), 0)::bigint AS done, coalesce(sum(events), 0)::bigint AS events
    FROM read_model_range WHERE read_model_range.generation = g.generation
) AS r
WHERE g.state = 'building' ORDER BY g.model;

-- name: standings
SELECT g.model, g.version, g.generation, p.position, counter.position, p.moved_at, p.failed_position, p.failure,
       p.digest, p.due_at
FROM counter, read_model_generation AS g JOIN read_model_partition AS p USING (generation)
WHERE g.state = 'live'
ORDER BY g.model, p.partition;

-- name: building
-- The generation of a model that is being made.
SELECT generation, version, schema_name, base_position, partitions, built_at IS NOT NULL
FROM read_model_generation WHERE model = %(model)s AND state = 'building';

-- name: made_by
-- The program that began to make a generation.
SELECT obj_description(to_regnamespace(%(schema)s::text), 'pg_namespace');

-- name: make_ranges
-- Splits the streams of some kinds by name into ranges of about as many streams each, none of two kinds.
INSERT INTO read_model_range (generation, number, after_subject, upto_subject, streams, events)
SELECT %(generation)s, row_number() OVER (ORDER BY kind, part),
       lag(max(subject), 1, kind || '/') OVER (PARTITION BY kind ORDER BY part), max(subject), count(*), sum(events)
FROM (
    SELECT subject, kind, events, ntile(%(ranges)s) OVER (PARTITION BY kind ORDER BY subject) AS part
    FROM (
        SELECT subject, split_part(subject, '/', 1) AS kind, max(version) AS events FROM event GROUP BY subject
    ) AS every
    WHERE kind = ANY(%(kinds)s)
) AS stream
GROUP BY kind, part;

-- name: take_range
SELECT number, after_subject, upto_subject, digest FROM read_model_range
WHERE generation = %(generation)s AND NOT done ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: move_range
UPDATE read_model_range
SET after_subject = %(after)s, done = %(done)s, digest = %(digest)s, streams_done = streams_done + %(streams)s,
    events_done = events_done + %(events)s
WHERE generation = %(generation)s AND number = %(number)s;

-- name: ranges_left
SELECT count(*) FILTER (WHERE NOT done) FROM read_model_range WHERE generation = %(generation)s;

-- name: built_so_far
SELECT coalesce(sum(streams_done), 0), coalesce(sum(streams), 0), coalesce(sum(events_done), 0),
       coalesce(sum(events), 0)
FROM read_model_range WHERE generation = %(generation)s;

-- name: to_fold_ranges
-- For log_of_range: along the index, from where the last chunk ended, however many streams the planner takes for
-- a range; it would otherwise sort the whole range for each chunk. No commit of a chunk waits for the disk: what a
-- crash takes back is rows together with the range's place, and the commit that ends the folding waits for them all.
SELECT set_config('enable_sort', 'off', false), set_config('enable_seqscan', 'off', false),
       set_config('enable_bitmapscan', 'off', false), set_config('max_parallel_workers_per_gather', '0', false),
       set_config('synchronous_commit', 'off', false);

-- name: log_of_range
-- Whole streams of a range as they stood at a position, the last of them perhaps cut off by the limit.
SELECT subject, version, type, state, position, occurred_at AT TIME ZONE 'UTC', recorded_at AT TIME ZONE 'UTC'
FROM event
WHERE subject > %(after)s AND subject <= %(upto)s AND position <= %(position)s
ORDER BY subject, version LIMIT %(limit)s;

-- name: log_of_streams
-- Some whole streams as they stood at a position.
SELECT subject, version, type, state, position, occurred_at AT TIME ZONE 'UTC', recorded_at AT TIME ZONE 'UTC'
FROM event
WHERE subject = ANY(%(subjects)s) AND position <= %(position)s
ORDER BY subject, version;

-- name: lock_building
-- Whoever holds it is the one who finishes it.
SELECT generation FROM read_model_generation WHERE generation = %(generation)s AND state = 'building'
FOR UPDATE;

-- name: building_is_built
SELECT built_at IS NOT NULL FROM read_model_generation WHERE generation = %(generation)s;

-- name: range_digests
SELECT digest FROM read_model_range WHERE generation = %(generation)s;

-- name: seal
-- In a generation's schema, once all ranges are done: its parts start from there.
UPDATE read_model_partition AS p
SET failed_position = NULL, failure = NULL,
    digest = CASE p.partition WHEN 0 THEN %(digest)s ELSE p.digest END,
    due_at = (SELECT min(f.due_at) FROM folded_stream AS f WHERE f.partition = p.partition)
WHERE p.generation = %(generation)s;

-- name: built
UPDATE read_model_generation SET built_at = clock_timestamp() WHERE generation = %(generation)s;

-- name: lock_live
-- The live generation's parts: while they are held its position stands still.
SELECT p.position FROM read_model_partition AS p JOIN read_model_generation AS g USING (generation)
WHERE g.model = %(model)s AND g.state = 'live' ORDER BY p.partition FOR UPDATE OF p;

-- name: position_of
SELECT min(p.position), counter.position FROM read_model_partition AS p, counter
WHERE p.generation = %(generation)s GROUP BY counter.position;

-- name: retire
UPDATE read_model_generation SET state = 'retired', retired_at = clock_timestamp()
WHERE model = %(model)s AND state = 'live';

-- name: swap
UPDATE read_model_generation SET state = 'live', live_at = clock_timestamp() WHERE generation = %(generation)s;

-- name: retired
-- Generations whose readers have had their time to leave.
SELECT generation, schema_name, model FROM read_model_generation
WHERE state = 'retired' AND retired_at < clock_timestamp() - make_interval(secs => %(grace_s)s);

-- name: dropped
UPDATE read_model_generation SET state = 'dropped' WHERE generation = %(generation)s;

-- name: forget_parts
DELETE FROM read_model_partition WHERE generation = %(generation)s;

-- name: forget_ranges
DELETE FROM read_model_range WHERE generation = %(generation)s;

-- name: log_extent
-- What the counter says, how many events there are, and the last of them.
SELECT counter.position, (SELECT count(*) FROM event), (SELECT coalesce(max(event.position), 0) FROM event)
FROM counter;

-- name: live_of
SELECT generation, schema_name FROM read_model_generation
WHERE model = %(model)s AND version = %(version)s AND state = 'live';

-- name: parts
SELECT position, digest FROM read_model_partition WHERE generation = %(generation)s ORDER BY partition;

-- name: all_streams
-- Also those that have lost their first event.
SELECT DISTINCT subject FROM event ORDER BY subject;

-- name: some_streams
SELECT subject FROM event WHERE version = 1 ORDER BY random() LIMIT %(sample)s;

-- name: folded
-- In a generation's schema.
SELECT subject, version, digest, due_at FROM folded_stream WHERE subject = ANY(%(subjects)s);

-- name: digests
-- In a generation's schema.
SELECT digest FROM folded_stream;

-- name: not_folded
-- In a generation's schema: streams of the log up to a position that it has not.
SELECT e.subject FROM event AS e
WHERE e.version = 1 AND e.position <= %(position)s AND split_part(e.subject, '/', 1) = ANY(%(kinds)s)
  AND NOT EXISTS (SELECT FROM folded_stream AS f WHERE f.subject = e.subject)
ORDER BY e.subject;

-- name: not_in_log
-- In a generation's schema: streams it has that no log has.
SELECT f.subject FROM folded_stream AS f
WHERE NOT EXISTS (SELECT FROM event AS e WHERE e.subject = f.subject) ORDER BY f.subject;

-- name: kept_beside
-- What is kept of events beside their bytes.
SELECT subject, version, type, source, id, occurred_at, recorded_at FROM event
WHERE subject = ANY(%(subjects)s) ORDER BY subject, version;
