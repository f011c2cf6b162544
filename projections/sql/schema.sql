-- What the read models' own tables in a ledger are now, for reading: the migrations make them, and
-- tests/test_migrations.py holds the two equal. Runs with search_path = the ledger's own schema. The tables of
-- each model stand in NAME.sql and are made in a schema for each generation.

CREATE TABLE read_model_generation (
    generation integer PRIMARY KEY,
    model text NOT NULL,
    version integer NOT NULL,
    schema_name text NOT NULL UNIQUE,
    state text NOT NULL CHECK (state IN ('building', 'live', 'retired', 'dropped')),
    base_position bigint NOT NULL,
    partitions integer NOT NULL DEFAULT 1 CHECK (partitions BETWEEN 1 AND 256),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    built_at timestamptz,
    live_at timestamptz,
    retired_at timestamptz
);
CREATE UNIQUE INDEX read_model_one_live ON read_model_generation (model) WHERE state = 'live';
CREATE UNIQUE INDEX read_model_one_building ON read_model_generation (model) WHERE state = 'building';
COMMENT ON TABLE read_model_generation IS
    'Every making of a read model: readers look at the live one, and a swap is a change of two states here.';
COMMENT ON COLUMN read_model_generation.generation IS 'Counts within the ledger; never given out twice.';
COMMENT ON COLUMN read_model_generation.model IS 'The read model''s name.';
COMMENT ON COLUMN read_model_generation.version IS 'The version of the model that made it, and alone moves it on.';
COMMENT ON COLUMN read_model_generation.schema_name IS 'Where its tables stand.';
COMMENT ON COLUMN read_model_generation.state IS
    'building, live (read by all), retired (its last readers are leaving), dropped (its schema is gone).';
COMMENT ON COLUMN read_model_generation.base_position IS
    'The log position up to which a rebuild folds whole streams; from there on it follows the log.';
COMMENT ON COLUMN read_model_generation.partitions IS 'Into how many parts its streams are split for workers.';
COMMENT ON COLUMN read_model_generation.built_at IS 'When all streams up to base_position were folded.';

CREATE TABLE read_model_partition (
    generation integer NOT NULL REFERENCES read_model_generation,
    partition integer NOT NULL,
    position bigint NOT NULL,
    digest bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(digest) = 32),
    due_at timestamptz,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    failed_position bigint,
    failure text,
    PRIMARY KEY (generation, partition)
);
COMMENT ON TABLE read_model_partition IS
    'How far each part of a generation has folded the log: it commits with the rows, so each event counts once.';
COMMENT ON COLUMN read_model_partition.digest IS 'Sum of its streams'' digests modulo 2^256, kept with the rows.';
COMMENT ON COLUMN read_model_partition.due_at IS 'When the next of its streams is to be folded anew by the calendar.';
COMMENT ON COLUMN read_model_partition.failure IS 'Why it stopped at failed_position; empty where it goes on.';

CREATE TABLE read_model_range (
    generation integer NOT NULL REFERENCES read_model_generation,
    number integer NOT NULL,
    after_subject text NOT NULL,
    upto_subject text NOT NULL,
    done boolean NOT NULL DEFAULT false,
    streams integer NOT NULL,
    events bigint NOT NULL,
    streams_done integer NOT NULL DEFAULT 0,
    events_done bigint NOT NULL DEFAULT 0,
    digest bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(digest) = 32),
    PRIMARY KEY (generation, number)
);
COMMENT ON TABLE read_model_range IS
    'What a rebuild has still to fold: whole streams by name, a range to a worker, resumed where a killed one stood.';
COMMENT ON COLUMN read_model_range.after_subject IS 'The last stream that is folded: it commits with its rows.';
COMMENT ON COLUMN read_model_range.upto_subject IS 'The last stream of the range.';
COMMENT ON COLUMN read_model_range.digest IS 'Sum of the digests of the streams folded so far modulo 2^256.';

GRANT SELECT, UPDATE ON read_model_generation, read_model_partition, read_model_range TO recount_projector;
GRANT SELECT ON read_model_generation, read_model_partition, read_model_range TO recount_reader;
