-- Agents: what they want (presence) apart from what they do (work), of which they may have several pieces at once.
-- Both tables lie in partitions by the month in which an interval began: old months are dropped whole.

CREATE TABLE agent_presence (
    agent_id   text        NOT NULL,
    presence   text        NOT NULL,
    reason     text        NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    by         text        NOT NULL,
    -- Presence and reason belong to the key: an agent may want several things within one millisecond.
    PRIMARY KEY (agent_id, started_at, presence, reason)
) PARTITION BY RANGE (started_at);
COMMENT ON TABLE  agent_presence            IS 'One row per presence of an agent, whatever they did meanwhile; those of one agent touch.';
COMMENT ON COLUMN agent_presence.agent_id   IS 'The agent.';
COMMENT ON COLUMN agent_presence.presence   IS 'logged_out, not_ready or ready.';
COMMENT ON COLUMN agent_presence.reason     IS 'Why they are not ready: lunch, or wrap_up_not_ended.';
COMMENT ON COLUMN agent_presence.started_at IS 'When it began.';
COMMENT ON COLUMN agent_presence.ended_at   IS 'When it ended; NULL: it goes on, or a later row of the agent tells when another one began.';
COMMENT ON COLUMN agent_presence.by         IS 'Who asked for it: phone:1001, api:wallboard, cli:root; empty: nobody, it followed.';
CREATE INDEX agent_presence_started ON agent_presence (started_at);

CREATE TABLE agent_work (
    agent_id   text        NOT NULL,
    state      text        NOT NULL,
    reason     text        NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    by         text        NOT NULL,
    offer_id   text        NOT NULL,
    call_id    text        NOT NULL,
    queue      text        NOT NULL,
    channel    text        NOT NULL,
    weight     integer     NOT NULL,
    PRIMARY KEY (agent_id, started_at, ended_at, state, offer_id)
) PARTITION BY RANGE (started_at);
COMMENT ON TABLE  agent_work            IS 'One row per interval in which something kept an agent from being offered more; they may overlap.';
COMMENT ON COLUMN agent_work.agent_id   IS 'The agent.';
COMMENT ON COLUMN agent_work.state      IS 'offered, talking or wrapping_up of an offer; held_back or busy of none.';
COMMENT ON COLUMN agent_work.reason     IS 'Why they were held back: what an offer came to.';
COMMENT ON COLUMN agent_work.started_at IS 'When it began.';
COMMENT ON COLUMN agent_work.ended_at   IS 'When it ended.';
COMMENT ON COLUMN agent_work.by         IS 'Who ended it: phone:1001, api:wallboard; empty: nobody, it followed.';
COMMENT ON COLUMN agent_work.offer_id   IS 'The offer; see offers. Empty where there is none.';
COMMENT ON COLUMN agent_work.call_id    IS 'The call of the offer; see calls.';
COMMENT ON COLUMN agent_work.queue      IS 'The queue of the offer.';
COMMENT ON COLUMN agent_work.channel    IS 'voice; empty where there is no offer.';
COMMENT ON COLUMN agent_work.weight     IS 'The share of the agent, in hundredths: a phone call takes 100.';
CREATE INDEX agent_work_started ON agent_work (started_at);
CREATE INDEX agent_work_call    ON agent_work (call_id) WHERE call_id <> '';

-- The functions run with their owner's rights. Without this, they would find a caller's temporary tables, and the
-- triggers of these, before the tables of history.
SELECT set_config('search_path', current_setting('search_path') || ', pg_temp', true);

-- Makes the partition for this moment, if it is missing, and returns its name. It runs with the rights of who owns the
-- tables, for a role that may only write rows. A table that is attached, not made as a partition, does not wait for
-- those who read.
CREATE FUNCTION fsacd_partition(parent text, moment timestamptz) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    first timestamptz := date_trunc('month', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    next  timestamptz := (date_trunc('month', moment AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    name  text := parent || to_char(moment AT TIME ZONE 'UTC', '_YYYY_MM');
BEGIN
    IF parent NOT IN ('agent_presence', 'agent_work') OR NOT has_table_privilege(session_user, parent, 'INSERT') THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for table %s', parent);
    END IF;
    IF to_regclass(quote_ident(name)) IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('fsacd_partition'));
        IF to_regclass(quote_ident(name)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, name, first, next);
        END IF;
    END IF;
    RETURN name;
END $$;

-- Deletes what began before this moment: whole months by dropping their partitions, of the month in between at most
-- `most` rows. Returns how many rows of that month are gone. A month whose table somebody reads for long is left for the
-- next time: whoever waits for it makes those wait who write.
CREATE FUNCTION fsacd_forget(parent text, before timestamptz, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '500ms' AS $$
DECLARE
    name    text;
    month   text := parent || to_char(before AT TIME ZONE 'UTC', '_YYYY_MM');
    deleted integer := 0;
BEGIN
    IF parent NOT IN ('agent_presence', 'agent_work') OR NOT has_table_privilege(session_user, parent, 'DELETE') THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for table %s', parent);
    END IF;
    FOR name IN
        SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
        WHERE inhparent = to_regclass(quote_ident(parent))
          AND child.relname LIKE parent || '\_%' AND length(child.relname) = length(month)
          AND child.relname COLLATE "C" < month COLLATE "C"
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE %I', name);
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
    END LOOP;
    IF to_regclass(quote_ident(month)) IS NOT NULL THEN
        EXECUTE format(
            'DELETE FROM %I WHERE ctid = ANY(ARRAY(SELECT ctid FROM %I WHERE started_at < %L LIMIT %s FOR UPDATE SKIP LOCKED))',
            month, month, before, most);
        GET DIAGNOSTICS deleted = ROW_COUNT;
    END IF;
    RETURN deleted;
END $$;

-- One state at a time, for readers of the table of that name: for one version. Work goes before presence. Where an
-- agent held several pieces of work at once, all of them are here.
ALTER TABLE agent_states RENAME TO agent_states_before;
COMMENT ON TABLE agent_states_before IS 'What earlier versions wrote to agent_states.';
CREATE VIEW agent_states AS
WITH presence AS (
    SELECT p.agent_id, p.presence, p.reason, p.by, p.started_at,
           COALESCE(p.ended_at,
                    (SELECT min(later.started_at) FROM agent_presence later
                     WHERE later.agent_id = p.agent_id AND later.started_at > p.started_at),
                    'infinity') AS ended_at
    FROM agent_presence p
), free AS (  -- from where on nothing is done: from the beginning, or after each piece of work
    SELECT agent_id, presence, reason, by, started_at AS since, ended_at FROM presence
    UNION
    SELECT p.agent_id, p.presence, p.reason, p.by, w.ended_at, p.ended_at
    FROM presence p
    JOIN agent_work w ON w.agent_id = p.agent_id AND w.ended_at > p.started_at AND w.ended_at < p.ended_at
), until AS (
    SELECT free.*, LEAST(ended_at, (SELECT min(w.started_at) FROM agent_work w
                                    WHERE w.agent_id = free.agent_id AND w.started_at >= free.since
                                      AND w.ended_at > w.started_at)) AS until
    FROM free
    WHERE NOT EXISTS (SELECT FROM agent_work w WHERE w.agent_id = free.agent_id
                      AND w.started_at < free.since AND w.ended_at > free.since)
)
SELECT agent_id, state, reason, started_at, ended_at, by FROM agent_states_before
UNION ALL
SELECT agent_id, state, reason, started_at, ended_at, by FROM agent_work
UNION ALL
SELECT agent_id, presence, reason, since, until, by FROM until WHERE since < until AND until < 'infinity';
COMMENT ON VIEW agent_states IS 'Presence and work as one state at a time; for readers of before, and for one version.';

-- Whoever might read or write the table of before may do so with what has taken its place.
DO $$
DECLARE
    known record;
BEGIN
    FOR known IN
        SELECT privilege_type AS what, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = 'agent_states_before'::regclass AND grantee <> relowner
          AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format('GRANT %s ON agent_presence, agent_work TO %s', known.what, known.who);
        IF known.what = 'SELECT' THEN
            EXECUTE format('GRANT SELECT ON agent_states TO %s', known.who);
        END IF;
    END LOOP;
END $$;
