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
