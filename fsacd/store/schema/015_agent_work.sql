-- Agents' work for reports: no names, of a number the last three digits, and not who ended it, for that may be a number.

CREATE VIEW v_agent_work AS
SELECT w.agent_id, w.state, w.reason, w.started_at, w.ended_at, w.offer_id, w.call_id, w.queue, w.channel, w.weight,
       CASE WHEN length(regexp_replace(c.number, '[^0-9]', '', 'g')) >= 6
            THEN '...' || right(regexp_replace(c.number, '[^0-9]', '', 'g'), 3) ELSE '' END AS number
FROM agent_work w LEFT JOIN calls c ON c.call_id = w.call_id AND w.call_id <> '';
COMMENT ON VIEW   v_agent_work        IS 'Agents'' work for reports, for the role fsacd_report. The columns are those of agent_work without by, and number.';
COMMENT ON COLUMN v_agent_work.number IS 'The last three digits of the caller''s number; empty: hidden, erased, short, no call, or the call goes on.';

COMMENT ON COLUMN agent_states.agent_id   IS 'The agent.';
COMMENT ON COLUMN agent_states.state      IS 'A presence of agent_presence, or a state of agent_work.';
COMMENT ON COLUMN agent_states.reason     IS 'Why they were not ready, or held back.';
COMMENT ON COLUMN agent_states.started_at IS 'When it began.';
COMMENT ON COLUMN agent_states.ended_at   IS 'When it ended.';
COMMENT ON COLUMN agent_states.by         IS 'Of work: who ended it. Of a presence: who asked for it. Empty: nobody, it followed.';

-- A column of a view for reports is what the column of that name is in its table.
DO $$
DECLARE
    known record;
BEGIN
    FOR known IN
        SELECT shown.attrelid::regclass AS which, shown.attname AS name, col_description(told.attrelid, told.attnum) AS what
        FROM (VALUES ('v_visits', 'visits'), ('v_talks', 'talks'), ('v_agent_work', 'agent_work')) AS pair (report, source)
        JOIN pg_attribute shown ON shown.attrelid = pair.report::regclass AND shown.attnum > 0
        JOIN pg_attribute told  ON told.attrelid = pair.source::regclass AND told.attname = shown.attname
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', known.which, known.name, known.what);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'fsacd_report') THEN
        GRANT SELECT ON v_agent_work TO fsacd_report;
    END IF;
END $$;
