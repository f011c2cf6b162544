-- Which master key wraps the deployment's secret, and what stands while one takes another's place.

ALTER TABLE deployment_key ADD COLUMN wrapped_by text;
COMMENT ON COLUMN deployment_key.wrapped_by IS 'The id of the master key that wraps it: a digest, no secret.';

CREATE TABLE master_key_rotation (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    old_id text NOT NULL,
    new_id text NOT NULL,
    new_by_old bytea NOT NULL,
    old_by_new bytea NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE master_key_rotation IS
    'While the master key is changed: each of the two wrapped by the other, so that either opens everything.';
REVOKE ALL ON master_key_rotation FROM PUBLIC; -- it is the owner's alone
