CREATE TABLE closing (
    day date NOT NULL,
    region text NOT NULL,
    began_at timestamptz NOT NULL,
    finished_at timestamptz,
    cursor text NOT NULL DEFAULT '',
    PRIMARY KEY (day, region)
);
COMMENT ON TABLE closing IS
    'Which days were closed, and how far an unfinished one is: only spares work, what is due follows from events.';
COMMENT ON COLUMN closing.cursor IS 'The last stream that was done; empty before the first and after the last.';
GRANT SELECT, INSERT, UPDATE ON closing TO recount_app;
