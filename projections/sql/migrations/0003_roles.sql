-- Read models are written by recount_projector and read by recount_reader; those that were made before, too.

REVOKE ALL ON read_model_generation, read_model_partition, read_model_range FROM recount_app;
GRANT SELECT, UPDATE ON read_model_generation, read_model_partition, read_model_range TO recount_projector;
GRANT SELECT ON read_model_generation, read_model_partition, read_model_range TO recount_reader;

DO $$
DECLARE place text;
BEGIN
    FOR place IN SELECT schema_name FROM read_model_generation WHERE state <> 'dropped' LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM recount_app', place);
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM recount_app', place);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO recount_projector, recount_reader', place);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO recount_projector', place);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO recount_reader', place);
    END LOOP;
END $$;
