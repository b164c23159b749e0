-- What agents have said of their talks: wrap-up codes and a note. By month, as agents' presence and work.

CREATE TABLE wrap_ups (
    offer_id   text        NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    agent_id   text        NOT NULL,
    call_id    text        NOT NULL,
    queue      text        NOT NULL,
    contact_id text        NOT NULL,
    codes      text[]      NOT NULL,
    note       text        NOT NULL,
    by         text        NOT NULL,
    number     text        NOT NULL,
    changes    integer     NOT NULL,
    PRIMARY KEY (offer_id, started_at)
) PARTITION BY RANGE (started_at);
COMMENT ON TABLE  wrap_ups            IS 'One row per talk of an agent whose wrap-up has ended: of every talk where wrap-up codes are configured, else of those of which something was said.';
COMMENT ON COLUMN wrap_ups.offer_id   IS 'The talk, by its offer; see offers.';
COMMENT ON COLUMN wrap_ups.started_at IS 'When the talk was over.';
COMMENT ON COLUMN wrap_ups.ended_at   IS 'When the wrap-up was over; as started_at where there was none.';
COMMENT ON COLUMN wrap_ups.agent_id   IS 'The agent.';
COMMENT ON COLUMN wrap_ups.call_id    IS 'The call; see calls.';
COMMENT ON COLUMN wrap_ups.queue      IS 'The queue through which the talk came to be.';
COMMENT ON COLUMN wrap_ups.contact_id IS 'The contact of the call; see calls.contact_id.';
COMMENT ON COLUMN wrap_ups.codes      IS 'The wrap-up codes by their ids in the configuration, below a heading like sale/new; empty: none was given.';
COMMENT ON COLUMN wrap_ups.note       IS 'What the agent has written, at most 1,000 characters; it may be about the caller. Erasing the caller empties it.';
COMMENT ON COLUMN wrap_ups.by         IS 'Who has set codes and note last: phone:1001, api:desk; empty: nobody.';
COMMENT ON COLUMN wrap_ups.number     IS 'The number of the caller, as in calls; by it the note is found when the caller is erased.';
COMMENT ON COLUMN wrap_ups.changes    IS 'How often codes or note were changed after the wrap-up was over.';
CREATE INDEX wrap_ups_started ON wrap_ups (started_at);
CREATE INDEX wrap_ups_call    ON wrap_ups (call_id);
CREATE INDEX wrap_ups_number  ON wrap_ups (number) WHERE number <> '';

-- Whoever may read or write calls may do so with wrap-ups.
DO $$
DECLARE
    known record;
BEGIN
    FOR known IN
        SELECT privilege_type AS what, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = 'calls'::regclass AND grantee <> relowner
          AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format('GRANT %s ON wrap_ups TO %s', known.what, known.who);
    END LOOP;
END $$;
