-- What the switch measured of the sound that came from each phone.

CREATE TABLE leg_quality (
    leg        text        PRIMARY KEY,
    who        text        NOT NULL,
    offer_id   text        NOT NULL,
    call_id    text        NOT NULL,
    ended_at   timestamptz NOT NULL,
    mos        integer     NOT NULL,
    packets    integer     NOT NULL,
    flaws      integer     NOT NULL,
    jitter_ms  integer
);
COMMENT ON TABLE  leg_quality           IS 'One row per leg from which sound was heard: how well. Of callers'' legs only where switches.X.measure_callers says so.';
COMMENT ON COLUMN leg_quality.leg       IS 'The leg''s id on the switch.';
COMMENT ON COLUMN leg_quality.who       IS 'agent or caller.';
COMMENT ON COLUMN leg_quality.offer_id  IS 'The talk of an agent''s leg; see talks. Empty: a caller''s.';
COMMENT ON COLUMN leg_quality.call_id   IS 'The call; see calls. A caller''s leg has that of its last one.';
COMMENT ON COLUMN leg_quality.ended_at  IS 'When the leg had ended.';
COMMENT ON COLUMN leg_quality.mos       IS 'The mean opinion score that the switch estimates from lost and late packets, in hundredths: 450 is the best.';
COMMENT ON COLUMN leg_quality.packets   IS 'How many packets have come.';
COMMENT ON COLUMN leg_quality.flaws     IS 'Packets that were lost or came too late, and what the switch adds for several in a row.';
COMMENT ON COLUMN leg_quality.jitter_ms IS 'How far the packets'' distances strayed, at the worst (standard deviation).';
CREATE INDEX leg_quality_ended ON leg_quality (ended_at);
CREATE INDEX leg_quality_offer ON leg_quality (offer_id) WHERE offer_id <> '';
CREATE INDEX leg_quality_call  ON leg_quality (call_id) WHERE who = 'caller';

CREATE VIEW v_talk_quality AS
SELECT t.offer_id, t.agent_id, t.queue, t.started_at,
       a.mos AS agent_mos, a.packets AS agent_packets, a.flaws AS agent_flaws, a.jitter_ms AS agent_jitter_ms,
       c.mos AS caller_mos, c.packets AS caller_packets, c.flaws AS caller_flaws, c.jitter_ms AS caller_jitter_ms
FROM talks t
LEFT JOIN leg_quality a ON a.offer_id = t.offer_id AND a.offer_id <> '' AND a.who = 'agent'
LEFT JOIN leg_quality c ON c.call_id = t.call_id AND c.who = 'caller';
COMMENT ON VIEW   v_talk_quality                  IS 'How each talk sounded, for the role fsacd_report: see leg_quality. Empty: not measured.';
COMMENT ON COLUMN v_talk_quality.offer_id         IS 'The talk; see talks.';
COMMENT ON COLUMN v_talk_quality.agent_id         IS 'The agent.';
COMMENT ON COLUMN v_talk_quality.queue            IS 'The queue through which the talk came to be.';
COMMENT ON COLUMN v_talk_quality.started_at       IS 'When caller and agent were connected first.';
COMMENT ON COLUMN v_talk_quality.agent_mos        IS 'Of the agent''s leg: leg_quality.mos.';
COMMENT ON COLUMN v_talk_quality.agent_packets    IS 'Of the agent''s leg: leg_quality.packets.';
COMMENT ON COLUMN v_talk_quality.agent_flaws      IS 'Of the agent''s leg: leg_quality.flaws.';
COMMENT ON COLUMN v_talk_quality.agent_jitter_ms  IS 'Of the agent''s leg: leg_quality.jitter_ms.';
COMMENT ON COLUMN v_talk_quality.caller_mos       IS 'Of the caller''s leg, in all of its talks: leg_quality.mos.';
COMMENT ON COLUMN v_talk_quality.caller_packets   IS 'Of the caller''s leg: leg_quality.packets.';
COMMENT ON COLUMN v_talk_quality.caller_flaws     IS 'Of the caller''s leg: leg_quality.flaws.';
COMMENT ON COLUMN v_talk_quality.caller_jitter_ms IS 'Of the caller''s leg: leg_quality.jitter_ms.';

-- Whoever may read or write talks may do so with it.
DO $$
DECLARE
    known record;
BEGIN
    FOR known IN
        SELECT privilege_type AS what, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = 'talks'::regclass AND grantee <> relowner
          AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format('GRANT %s ON leg_quality TO %s', known.what, known.who);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'fsacd_report') THEN
        GRANT SELECT ON v_talk_quality TO fsacd_report;
    END IF;
END $$;
