-- Talks: each agent's part in a call. By month, as visits.

CREATE TABLE talks (
    offer_id       text        NOT NULL,
    call_id        text        NOT NULL,
    visit          integer     NOT NULL,
    contact_id     text        NOT NULL,
    queue          text        NOT NULL,
    agent_id       text        NOT NULL,
    started_at     timestamptz NOT NULL,
    ended_at       timestamptz NOT NULL,
    talked_ms      bigint      NOT NULL,
    held_ms        bigint      NOT NULL,
    holds          integer     NOT NULL,
    consults       integer     NOT NULL,
    ended_by       text        NOT NULL,
    transferred_to text        NOT NULL,
    evidence       text,
    epoch          bigint,
    month          timestamptz NOT NULL,
    -- As with visits: the clocks of two daemons that tell of one talk differ by a little.
    PRIMARY KEY (offer_id, month)
) PARTITION BY RANGE (month);
COMMENT ON TABLE  talks                IS 'One row per talk: one agent''s part in a call. Where the caller is handed over, the next talk begins.';
COMMENT ON COLUMN talks.offer_id       IS 'The talk, by the offer that it began as; see offers.';
COMMENT ON COLUMN talks.call_id        IS 'The call; see calls.';
COMMENT ON COLUMN talks.visit          IS 'Which of the call''s visits; see visits.n. 0: not known.';
COMMENT ON COLUMN talks.contact_id     IS 'The contact that the call was part of; see contacts.';
COMMENT ON COLUMN talks.queue          IS 'The queue through which the talk came to be.';
COMMENT ON COLUMN talks.agent_id       IS 'The agent.';
COMMENT ON COLUMN talks.started_at     IS 'When caller and agent were connected first.';
COMMENT ON COLUMN talks.ended_at       IS 'When the talk was over.';
COMMENT ON COLUMN talks.talked_ms      IS 'How long they talked, without the time on hold.';
COMMENT ON COLUMN talks.held_ms        IS 'How long the caller was on hold, also while the agent asked a colleague.';
COMMENT ON COLUMN talks.holds          IS 'How often the caller was put on hold.';
COMMENT ON COLUMN talks.consults       IS 'How often a colleague was rung to be asked.';
COMMENT ON COLUMN talks.ended_by       IS 'caller, agent, transfer (the agent handed the caller over), operator or lost.';
COMMENT ON COLUMN talks.transferred_to IS 'The agent whom the caller was handed over to; empty: nobody.';
COMMENT ON COLUMN talks.evidence       IS 'As calls.evidence.';
COMMENT ON COLUMN talks.epoch          IS 'As calls.epoch.';
COMMENT ON COLUMN talks.month          IS 'The month in which it began, in UTC: of the partition.';
CREATE INDEX talks_started ON talks (started_at);
CREATE INDEX talks_agent   ON talks (agent_id, started_at);
CREATE INDEX talks_call    ON talks (call_id);
CREATE INDEX talks_contact ON talks (contact_id, started_at) WHERE contact_id <> '';

-- For those who make reports: no names, and of a number the last three digits, if there are enough others.
CREATE VIEW v_talks AS
SELECT t.offer_id, t.call_id, t.visit, t.contact_id, t.queue, t.agent_id, t.started_at, t.ended_at, t.talked_ms,
       t.held_ms, t.holds, t.consults, t.ended_by, t.transferred_to,
       CASE WHEN length(regexp_replace(c.number, '[^0-9]', '', 'g')) >= 6
            THEN '...' || right(regexp_replace(c.number, '[^0-9]', '', 'g'), 3) ELSE '' END AS number
FROM talks t LEFT JOIN calls c ON c.call_id = t.call_id;
COMMENT ON VIEW   v_talks        IS 'Talks for reports, for the role fsacd_report. The columns are those of talks, and number.';
COMMENT ON COLUMN v_talks.number IS 'The last three digits of the caller''s number; empty: hidden, erased, short, or the call goes on.';

-- Whoever may read or write calls may do so with talks.
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
        EXECUTE format('GRANT %s ON talks TO %s', known.what, known.who);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'fsacd_report') THEN
        GRANT SELECT ON v_talks TO fsacd_report;
    END IF;
END $$;
