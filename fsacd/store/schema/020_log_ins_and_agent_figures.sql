-- Log-ins of agents. By month, as their presence. Those of versions before were not told of.

CREATE TABLE log_ins (
    log_in_id  text        NOT NULL,
    agent_id   text        NOT NULL,
    contact    text        NOT NULL,
    switches   text        NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    how_begun  text        NOT NULL,
    by         text        NOT NULL,
    how_ended  text        NOT NULL,
    ended_by   text        NOT NULL,
    month      timestamptz NOT NULL,
    -- The moment is no key: a daemon that is started anew reckons it by a wall clock that differs by a little.
    PRIMARY KEY (log_in_id, month)
) PARTITION BY RANGE (month);
COMMENT ON TABLE  log_ins            IS 'One row per log-in of an agent at one phone; whoever goes to another phone begins another one. Presences tell what they wanted meanwhile.';
COMMENT ON COLUMN log_ins.log_in_id  IS 'The log-in.';
COMMENT ON COLUMN log_ins.agent_id   IS 'The agent.';
COMMENT ON COLUMN log_ins.contact    IS 'The phone: the contact at which they were rung. It may hold the number of a caller; erasing the caller hides it.';
COMMENT ON COLUMN log_ins.switches   IS 'The switches that could ring them there when it began, like fs1,fs2; empty: any.';
COMMENT ON COLUMN log_ins.started_at IS 'When it began.';
COMMENT ON COLUMN log_ins.ended_at   IS 'When it ended, though a talk may have gone on; NULL: it goes on, or nobody saw its end: see v_log_ins.';
COMMENT ON COLUMN log_ins.how_begun  IS 'logged_in, moved (from another phone) or found (a version of before had left them logged in; it began earlier).';
COMMENT ON COLUMN log_ins.by         IS 'Who logged them in: phone:1001, api:desk, cli:root; configuration: login_at_start, or a reload gave them another phone; empty: not known.';
COMMENT ON COLUMN log_ins.how_ended  IS 'logged_out, moved (to another phone) or removed (from the configuration); empty: it goes on, or nobody saw its end.';
COMMENT ON COLUMN log_ins.ended_by   IS 'Who ended it, as by.';
COMMENT ON COLUMN log_ins.month      IS 'The month in which it began, in UTC: of the partition.';
CREATE INDEX log_ins_started ON log_ins (started_at);
CREATE INDEX log_ins_agent   ON log_ins (agent_id, started_at);

-- Figures by agent can be switched off, where the law or an agreement with those who represent the staff forbids them: by
-- the setting `agent_figures`, which a daemon writes here. Views for reports then name no agent, and show no log-ins:
-- those of one agent touch, and would tell whose they are together.
CREATE TABLE reporting (
    one           boolean PRIMARY KEY DEFAULT true CHECK (one),
    agent_figures boolean NOT NULL
);
INSERT INTO reporting (agent_figures) VALUES (true);
COMMENT ON TABLE  reporting               IS 'What reports may see: one row, written by the daemon that was started or reloaded last.';
COMMENT ON COLUMN reporting.one           IS 'Always true: there is one row.';
COMMENT ON COLUMN reporting.agent_figures IS 'Whether the views for reports name agents: the setting agent_figures.';

-- For reports: of a number the last three digits, and through which door the wish came instead of who had it.
-- Where a daemon has lost its journal, nobody saw the end: it is then that of the agent's next log-in, or of when the
-- next daemon has told that they are logged out.
CREATE VIEW v_log_ins AS
SELECT l.log_in_id, l.agent_id, regexp_replace(l.contact, shape.of_number, '...\2\3\4', 'g') AS contact, l.switches,
       l.started_at, COALESCE(l.ended_at, unseen.at) AS ended_at, l.how_begun, split_part(l.by, ':', 1) AS begun_by,
       CASE WHEN l.ended_at IS NULL AND unseen.at IS NOT NULL THEN 'unseen' ELSE l.how_ended END AS how_ended,
       split_part(l.ended_by, ':', 1) AS ended_by
FROM log_ins l
CROSS JOIN (VALUES ('[+]?[0-9]([- ()./]*[0-9]){2,}[- ()./]*([0-9])[- ()./]*([0-9])[- ()./]*([0-9])')) AS shape (of_number)
CROSS JOIN LATERAL (SELECT CASE WHEN l.ended_at IS NULL THEN LEAST(
    (SELECT min(later.started_at) FROM log_ins later
     WHERE later.agent_id = l.agent_id AND later.started_at > l.started_at),
    (SELECT min(away.started_at) FROM agent_presence away
     WHERE away.agent_id = l.agent_id AND away.started_at > l.started_at AND away.presence = 'logged_out')
    ) END AS at) AS unseen
WHERE (SELECT agent_figures FROM reporting);
COMMENT ON VIEW   v_log_ins            IS 'Log-ins for reports, for the role fsacd_report; also those whose end nobody saw have one.';
COMMENT ON COLUMN v_log_ins.log_in_id  IS 'The log-in.';
COMMENT ON COLUMN v_log_ins.agent_id   IS 'The agent.';
COMMENT ON COLUMN v_log_ins.contact    IS 'The phone; of a number of six digits or more only the last three.';
COMMENT ON COLUMN v_log_ins.switches   IS 'As log_ins.switches.';
COMMENT ON COLUMN v_log_ins.started_at IS 'When it began.';
COMMENT ON COLUMN v_log_ins.ended_at   IS 'When it ended, or must have ended at the latest; NULL: it goes on.';
COMMENT ON COLUMN v_log_ins.how_begun  IS 'As log_ins.how_begun.';
COMMENT ON COLUMN v_log_ins.begun_by   IS 'The door: phone, api, cli or configuration; empty: not known.';
COMMENT ON COLUMN v_log_ins.how_ended  IS 'As log_ins.how_ended, or unseen; empty: it goes on.';
COMMENT ON COLUMN v_log_ins.ended_by   IS 'The door: phone, api, cli, configuration or fsacd; empty: nobody, or it goes on.';

-- Whoever may read or write agents' presence may do so with log-ins.
DO $$
DECLARE
    known record;
BEGIN
    FOR known IN
        SELECT privilege_type AS what, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = 'agent_presence'::regclass AND grantee <> relowner
          AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format('GRANT %s ON log_ins TO %s', known.what, known.who);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'fsacd_report') THEN
        GRANT SELECT ON v_log_ins TO fsacd_report;
    END IF;
END $$;

CREATE OR REPLACE VIEW v_visits AS
SELECT v.call_id, v.n, v.contact_id, v.queue, v.joined_at, v.ended_at, v.how_in, v.outcome,
       regexp_replace(CASE WHEN named.agents THEN v.detail ELSE regexp_replace(v.detail, '\mby \S+', 'by somebody', 'g') END,
                      shape.of_number, '...\2\3\4', 'g') AS detail,
       regexp_replace(v.went_to, shape.of_number, '...\2\3\4', 'g') AS went_to,
       v.waited_ms, v.offers, CASE WHEN named.agents THEN v.agent_id END AS agent_id, v.offer_id, v.answered_at,
       v.connected_at, v.required, v.priority, v.head_start_ms,
       CASE WHEN named.agents THEN v.named_agent END AS named_agent, v.language, v.service_level_ms, v.short_abandon_ms,
       CASE WHEN length(regexp_replace(c.number, '[^0-9]', '', 'g')) >= 6
            THEN '...' || right(regexp_replace(c.number, '[^0-9]', '', 'g'), 3) ELSE '' END AS number
FROM visits v LEFT JOIN calls c ON c.call_id = v.call_id
CROSS JOIN (SELECT (SELECT agent_figures FROM reporting) AS agents) AS named
CROSS JOIN (VALUES ('[+]?[0-9]([- ()./]*[0-9]){2,}[- ()./]*([0-9])[- ()./]*([0-9])[- ()./]*([0-9])')) AS shape (of_number);

CREATE OR REPLACE VIEW v_talks AS
SELECT t.offer_id, t.call_id, t.visit, t.contact_id, t.queue, CASE WHEN named.agents THEN t.agent_id END AS agent_id,
       t.started_at, t.ended_at, t.talked_ms, t.held_ms, t.holds, t.consults, t.ended_by,
       CASE WHEN named.agents OR t.transferred_to IN ('', 'a number') OR t.transferred_to LIKE 'queue %'
            THEN t.transferred_to ELSE 'an agent' END AS transferred_to,
       CASE WHEN length(regexp_replace(c.number, '[^0-9]', '', 'g')) >= 6
            THEN '...' || right(regexp_replace(c.number, '[^0-9]', '', 'g'), 3) ELSE '' END AS number,
       t.kind
FROM talks t LEFT JOIN calls c ON c.call_id = t.call_id
CROSS JOIN (SELECT (SELECT agent_figures FROM reporting) AS agents) AS named;

CREATE OR REPLACE VIEW v_agent_work AS
SELECT CASE WHEN named.agents THEN w.agent_id END AS agent_id, w.state, w.reason, w.started_at, w.ended_at, w.offer_id,
       w.call_id, w.queue, w.channel, w.weight,
       CASE WHEN length(regexp_replace(c.number, '[^0-9]', '', 'g')) >= 6
            THEN '...' || right(regexp_replace(c.number, '[^0-9]', '', 'g'), 3) ELSE '' END AS number
FROM agent_work w LEFT JOIN calls c ON c.call_id = w.call_id AND w.call_id <> ''
CROSS JOIN (SELECT (SELECT agent_figures FROM reporting) AS agents) AS named;

CREATE OR REPLACE VIEW v_talk_quality AS
SELECT t.offer_id, CASE WHEN named.agents THEN t.agent_id END AS agent_id, t.queue, t.started_at,
       a.mos AS agent_mos, a.packets AS agent_packets, a.flaws AS agent_flaws, a.jitter_ms AS agent_jitter_ms,
       c.mos AS caller_mos, c.packets AS caller_packets, c.flaws AS caller_flaws, c.jitter_ms AS caller_jitter_ms
FROM talks t
LEFT JOIN leg_quality a ON a.offer_id = t.offer_id AND a.offer_id <> '' AND a.who = 'agent'
LEFT JOIN leg_quality c ON c.call_id = t.call_id AND c.who = 'caller'
CROSS JOIN (SELECT (SELECT agent_figures FROM reporting) AS agents) AS named;

COMMENT ON COLUMN v_visits.agent_id       IS 'Who answered; NULL: nobody, or agent_figures is off.';
COMMENT ON COLUMN v_visits.named_agent    IS 'At entry: the agent who is the customer''s own; empty: nobody; NULL: agent_figures is off.';
COMMENT ON COLUMN v_talks.agent_id        IS 'The agent; NULL: agent_figures is off.';
COMMENT ON COLUMN v_talks.transferred_to  IS
    'Where the caller was given away to: an agent (an agent, where agent_figures is off), queue sales, or a number; empty: nowhere.';
COMMENT ON COLUMN v_agent_work.agent_id   IS 'The agent; NULL: agent_figures is off.';
COMMENT ON COLUMN v_talk_quality.agent_id IS 'The agent; NULL: agent_figures is off.';
COMMENT ON VIEW   v_log_ins IS 'Log-ins for reports, for the role fsacd_report; also those whose end nobody saw have one. Empty: agent_figures is off.';

DO $$
DECLARE
    known record;
BEGIN
    FOR known IN
        SELECT privilege_type AS what, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = 'agent_presence'::regclass AND grantee <> relowner
          AND privilege_type IN ('SELECT', 'UPDATE')
    LOOP
        EXECUTE format('GRANT %s ON reporting TO %s', known.what, known.who);
    END LOOP;
END $$;
