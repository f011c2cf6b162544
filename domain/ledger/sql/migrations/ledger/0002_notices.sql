-- The queue of notices that should go out. No personal data: the address is opened when a notice is sent.

CREATE TABLE notice_request (
    account_id text NOT NULL,
    notice_id text NOT NULL,
    purpose text NOT NULL,
    channel text NOT NULL,
    contact_point_id text,
    package_id text,
    charge_ids text[],
    useful_until date NOT NULL,
    requested_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'handed_over', 'refused', 'lapsed', 'failed', 'unrecorded')),
    tries integer NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL,
    settled_at timestamptz,
    reason text,
    PRIMARY KEY (account_id, notice_id),
    CHECK ((status = 'queued') = (settled_at IS NULL))
);
CREATE INDEX notice_request_next ON notice_request (next_try_at, account_id, notice_id)
    WHERE status = 'queued';
COMMENT ON TABLE notice_request IS
    'Notices that should go out, until a gateway has taken them over: nothing in here has happened yet.';
COMMENT ON COLUMN notice_request.useful_until IS 'The last day on which it is worth sending.';
COMMENT ON COLUMN notice_request.tries IS 'How often a gateway was offered it in vain.';
COMMENT ON COLUMN notice_request.reason IS 'Why it was last not taken over or not sent: a code, never a text of others.';

GRANT SELECT, INSERT, UPDATE ON notice_request TO recount_app;
