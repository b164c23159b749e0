-- Visits: each stay of a call in a queue. Contacts: everything of one caller, from their first leg on.
-- Days of before have none: nobody has noted then which queues a call had stood in before its last one.

CREATE TABLE visits (
    call_id          text        NOT NULL,
    n                integer     NOT NULL,
    contact_id       text        NOT NULL,
    queue            text        NOT NULL,
    joined_at        timestamptz NOT NULL,
    ended_at         timestamptz NOT NULL,
    how_in           text        NOT NULL,
    outcome          text        NOT NULL,
    detail           text        NOT NULL,
    went_to          text        NOT NULL,
    waited_ms        bigint      NOT NULL,
    offers           integer     NOT NULL,
    agent_id         text,
    offer_id         text,
    answered_at      timestamptz,
    connected_at     timestamptz,
    required         text        NOT NULL,
    priority         integer     NOT NULL,
    head_start_ms    bigint      NOT NULL,
    named_agent      text        NOT NULL,
    language         text        NOT NULL,
    service_level_ms bigint      NOT NULL,
    short_abandon_ms bigint      NOT NULL,
    evidence         text,
    epoch            bigint,
    month            timestamptz NOT NULL,
    -- The key has the month and not the moment: two daemons may tell of one visit, and their clocks differ by a little.
    PRIMARY KEY (call_id, n, month)
) PARTITION BY RANGE (month);
COMMENT ON TABLE  visits                  IS 'One row per stay of a call in a queue; those of one call touch. Columns marked "at entry" stay as they were then.';
COMMENT ON COLUMN visits.call_id          IS 'The call; see calls.';
COMMENT ON COLUMN visits.n                IS 'Which of the call''s visits: 1, 2, and so on.';
COMMENT ON COLUMN visits.contact_id       IS 'The contact that the call was part of; see contacts.';
COMMENT ON COLUMN visits.queue            IS 'The queue, by its name at entry.';
COMMENT ON COLUMN visits.joined_at        IS 'When it began: the call''s arrival, or the end of the visit before.';
COMMENT ON COLUMN visits.ended_at         IS 'When it ended: after the talk, if there was one.';
COMMENT ON COLUMN visits.how_in           IS 'direct, transferred (another call of the contact was here before), overflow, requeued (by an operator), moved (its queue was removed) or renamed.';
COMMENT ON COLUMN visits.outcome          IS 'answered, abandoned, overflowed, moved (by an operator or a reload), hung_up (by an operator), left or lost.';
COMMENT ON COLUMN visits.detail           IS 'The reason: full, max_wait, closed, renamed, asked by cli:root; of the last visit, calls.detail.';
COMMENT ON COLUMN visits.went_to          IS 'Where the caller went: "queue sales", "extension 100 default", "hangup USER_BUSY"; empty: nowhere, or out of sight.';
COMMENT ON COLUMN visits.waited_ms        IS 'Its wait: joined to answered, the ringing included, or joined to ended.';
COMMENT ON COLUMN visits.offers           IS 'How often the call was offered in this visit.';
COMMENT ON COLUMN visits.agent_id         IS 'Who answered; NULL: nobody.';
COMMENT ON COLUMN visits.offer_id         IS 'The offer that was answered; see offers.';
COMMENT ON COLUMN visits.answered_at      IS 'When the agent answered; NULL: nobody did, or it was not seen.';
COMMENT ON COLUMN visits.connected_at     IS 'When caller and agent began to talk.';
COMMENT ON COLUMN visits.required         IS 'At entry: the required skills, the queue''s included, like french:3,german:10; cut at 256 characters.';
COMMENT ON COLUMN visits.priority         IS 'At entry: the priority class.';
COMMENT ON COLUMN visits.head_start_ms    IS 'At entry: the head start.';
COMMENT ON COLUMN visits.named_agent      IS 'At entry: the agent who is the customer''s own; empty: nobody.';
COMMENT ON COLUMN visits.language         IS 'At entry: the caller''s language.';
COMMENT ON COLUMN visits.service_level_ms IS 'At entry: the queue''s threshold for the service level.';
COMMENT ON COLUMN visits.short_abandon_ms IS 'At entry: up to when hanging up was a short abandon.';
COMMENT ON COLUMN visits.evidence         IS 'As calls.evidence.';
COMMENT ON COLUMN visits.epoch            IS 'As calls.epoch.';
COMMENT ON COLUMN visits.month            IS 'The month in which it began, in UTC: of the partition.';
CREATE INDEX visits_joined  ON visits (joined_at);
CREATE INDEX visits_queue   ON visits (queue, joined_at);
CREATE INDEX visits_contact ON visits (contact_id, joined_at) WHERE contact_id <> '';

-- A view, because all of it follows from calls: a table would count a call twice whose row is sent again or replaced,
-- and would be one more place to erase a number from.
CREATE VIEW contacts AS
SELECT contact_id,
       min(arrived_at) AS arrived_at,
       max(ended_at)   AS ended_at,
       count(*)        AS calls,
       sum(talked_ms)::bigint AS talked_ms,
       (array_agg(number      ORDER BY arrived_at, call_id))[1] AS number,
       (array_agg(name        ORDER BY arrived_at, call_id))[1] AS name,
       (array_agg(customer    ORDER BY arrived_at, call_id))[1] AS customer,
       (array_agg(customer_id ORDER BY arrived_at, call_id))[1] AS customer_id,
       (array_agg(language    ORDER BY arrived_at, call_id))[1] AS language
FROM calls WHERE contact_id <> '' GROUP BY contact_id
UNION ALL
SELECT call_id, arrived_at, ended_at, 1, talked_ms, number, name, customer, customer_id, language
FROM calls WHERE contact_id IS NULL OR contact_id = '';
COMMENT ON VIEW   contacts             IS 'One row per contact: all calls from a caller''s first leg on. Calls of versions that noted none are one each.';
COMMENT ON COLUMN contacts.contact_id  IS 'The contact; see calls.contact_id.';
COMMENT ON COLUMN contacts.arrived_at  IS 'When its first call arrived.';
COMMENT ON COLUMN contacts.ended_at    IS 'When its last call ended.';
COMMENT ON COLUMN contacts.calls       IS 'How many calls it has.';
COMMENT ON COLUMN contacts.talked_ms   IS 'How long callers and agents talked, over all its calls.';
COMMENT ON COLUMN contacts.number      IS 'The number of its first call; empty: hidden or erased.';
COMMENT ON COLUMN contacts.name        IS 'The name of its first call.';
COMMENT ON COLUMN contacts.customer    IS 'The customer of its first call, as recognised.';
COMMENT ON COLUMN contacts.customer_id IS 'The customer of its first call in the database; NULL: none.';
COMMENT ON COLUMN contacts.language    IS 'The language of its first call.';

-- For those who make reports: no names, and of a number the last three digits, if there are enough others.
CREATE VIEW v_visits AS
SELECT v.call_id, v.n, v.contact_id, v.queue, v.joined_at, v.ended_at, v.how_in, v.outcome, v.detail, v.went_to,
       v.waited_ms, v.offers, v.agent_id, v.offer_id, v.answered_at, v.connected_at, v.required, v.priority,
       v.head_start_ms, v.named_agent, v.language, v.service_level_ms, v.short_abandon_ms,
       CASE WHEN length(regexp_replace(c.number, '[^0-9]', '', 'g')) >= 6
            THEN '...' || right(regexp_replace(c.number, '[^0-9]', '', 'g'), 3) ELSE '' END AS number
FROM visits v LEFT JOIN calls c ON c.call_id = v.call_id;
COMMENT ON VIEW   v_visits        IS 'Visits for reports, for the role fsacd_report. The columns are those of visits, and number.';
COMMENT ON COLUMN v_visits.number IS 'The last three digits of the caller''s number; empty: hidden, erased, short, or the call goes on.';

-- As in 009, for any table with partitions. Which column says when its rows began, its own columns tell.
SELECT set_config('search_path', current_setting('search_path') || ', pg_temp', true);

CREATE OR REPLACE FUNCTION fsacd_partition(parent text, moment timestamptz) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    first timestamptz := date_trunc('month', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    next  timestamptz := (date_trunc('month', moment AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    name  text := parent || to_char(moment AT TIME ZONE 'UTC', '_YYYY_MM');
BEGIN
    -- Of its owner's own tables alone: what is done here is done with the owner's rights, triggers included.
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(quote_ident(parent)) AND relkind = 'p'
                   AND pg_get_userbyid(relowner) = current_user)
       OR NOT has_table_privilege(session_user, quote_ident(parent), 'INSERT') THEN
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

CREATE OR REPLACE FUNCTION fsacd_forget(parent text, before timestamptz, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '500ms' AS $$
DECLARE
    name    text;
    began   text;
    month   text := parent || to_char(before AT TIME ZONE 'UTC', '_YYYY_MM');
    deleted integer := 0;
BEGIN
    -- Of its owner's own tables alone: what is done here is done with the owner's rights, triggers included.
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(quote_ident(parent)) AND relkind = 'p'
                   AND pg_get_userbyid(relowner) = current_user)
       OR NOT has_table_privilege(session_user, quote_ident(parent), 'DELETE') THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for table %s', parent);
    END IF;
    SELECT attname INTO STRICT began FROM pg_attribute
    WHERE attrelid = to_regclass(quote_ident(parent)) AND attname IN ('started_at', 'joined_at') AND NOT attisdropped;
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
            'DELETE FROM %I WHERE ctid = ANY(ARRAY(SELECT ctid FROM %I WHERE %I < %L LIMIT %s FOR UPDATE SKIP LOCKED))',
            month, month, began, before, most);
        GET DIAGNOSTICS deleted = ROW_COUNT;
    END IF;
    RETURN deleted;
END $$;

-- Whoever may read or write calls may do so with visits, and read contacts.
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
        EXECUTE format('GRANT %s ON visits TO %s', known.what, known.who);
        IF known.what = 'SELECT' THEN
            EXECUTE format('GRANT SELECT ON contacts TO %s', known.who);
        END IF;
    END LOOP;
END $$;

-- The role for reports, where it is there or may be made. Otherwise an administrator makes it and grants the same.
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fsacd_report') THEN
            CREATE ROLE fsacd_report NOLOGIN;
        END IF;
    EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'fsacd_report') THEN
        GRANT SELECT ON v_visits TO fsacd_report;
    END IF;
END $$;
