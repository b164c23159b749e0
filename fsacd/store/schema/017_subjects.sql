-- Callers who ask what is kept of them, or that it be erased: found along an index, in whatever way their number is
-- written; and holds, which keep a court's evidence from being erased.

-- The last four letters or digits are the same in all ways to write a number; what else differs, fsacd compares.
-- An administrator may have made the first one already, beside the calls (CONCURRENTLY): it takes longest.
CREATE INDEX IF NOT EXISTS calls_number_end ON calls ((right(regexp_replace(number, '[^0-9A-Za-z]', '', 'g'), 4))) WHERE number <> '';
CREATE INDEX IF NOT EXISTS wrap_ups_number_end ON wrap_ups ((right(regexp_replace(number, '[^0-9A-Za-z]', '', 'g'), 4))) WHERE number <> '';
CREATE INDEX IF NOT EXISTS customer_numbers_end ON customer_numbers ((right(regexp_replace(number, '[^0-9A-Za-z]', '', 'g'), 4)));
CREATE INDEX IF NOT EXISTS changes_number_end ON changes ((right(regexp_replace(subject, '[^0-9A-Za-z]', '', 'g'), 4)))
    WHERE kind IN ('customer_set', 'customer_removed', 'customer_merged');

CREATE TABLE legal_holds (
    number text        PRIMARY KEY CHECK (length(number) BETWEEN 1 AND 64),
    reason text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 256),
    by     text        NOT NULL,
    at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE  legal_holds        IS 'One row per caller of whom nothing may be erased, neither on request nor because it is old. Lifting the hold deletes the row.';
COMMENT ON COLUMN legal_holds.number IS 'The caller''s number, as the number plan compares it. In clear: by it their rows are found.';
COMMENT ON COLUMN legal_holds.reason IS 'Why: a file number, a court''s letter.';
COMMENT ON COLUMN legal_holds.by     IS 'Who placed it: cli:root.';
COMMENT ON COLUMN legal_holds.at     IS 'When.';

-- Where a call went, for reports: a number in it as numbers are shown there, by its last three digits.
CREATE OR REPLACE VIEW v_visits AS
SELECT v.call_id, v.n, v.contact_id, v.queue, v.joined_at, v.ended_at, v.how_in, v.outcome,
       regexp_replace(v.detail, shape.of_number, '...\2\3\4', 'g') AS detail,
       regexp_replace(v.went_to, shape.of_number, '...\2\3\4', 'g') AS went_to,
       v.waited_ms, v.offers, v.agent_id, v.offer_id, v.answered_at, v.connected_at, v.required, v.priority,
       v.head_start_ms, v.named_agent, v.language, v.service_level_ms, v.short_abandon_ms,
       CASE WHEN length(regexp_replace(c.number, '[^0-9]', '', 'g')) >= 6
            THEN '...' || right(regexp_replace(c.number, '[^0-9]', '', 'g'), 3) ELSE '' END AS number
FROM visits v LEFT JOIN calls c ON c.call_id = v.call_id
CROSS JOIN (VALUES ('[+]?[0-9]([- ()./]*[0-9]){2,}[- ()./]*([0-9])[- ()./]*([0-9])[- ()./]*([0-9])')) AS shape (of_number);
COMMENT ON COLUMN v_visits.went_to IS 'Where the caller went: "queue sales", "extension 100 default", "hangup USER_BUSY"; of six digits or more only the last three; empty: nowhere, or out of sight.';
COMMENT ON COLUMN v_visits.detail  IS 'The reason: full, max_wait, closed, renamed, asked by cli:root; of six digits or more only the last three.';

-- As in 011, and rows of the calls in `spared` stay: a month that has one of them is emptied of all others, not dropped.
SELECT set_config('search_path', current_setting('search_path') || ', pg_temp', true);
DROP FUNCTION fsacd_forget(text, timestamptz, integer);

CREATE FUNCTION fsacd_forget(parent text, before timestamptz, most integer, spared text[] DEFAULT '{}') RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '500ms' AS $$
DECLARE
    name     text;
    began    text;
    month    text := parent || to_char(before AT TIME ZONE 'UTC', '_YYYY_MM');
    of_calls boolean;
    is_held  boolean := false;
    others   text := '';
    gone     integer;
    deleted  integer := 0;
BEGIN
    -- Of its owner's own tables alone: what is done here is done with the owner's rights, triggers included.
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(quote_ident(parent)) AND relkind = 'p'
                   AND pg_get_userbyid(relowner) = current_user)
       OR NOT has_table_privilege(session_user, quote_ident(parent), 'DELETE') THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for table %s', parent);
    END IF;
    SELECT attname INTO STRICT began FROM pg_attribute
    WHERE attrelid = to_regclass(quote_ident(parent)) AND attname IN ('started_at', 'joined_at') AND NOT attisdropped;
    of_calls := cardinality(spared) > 0 AND EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = to_regclass(quote_ident(parent)) AND attname = 'call_id' AND NOT attisdropped);
    IF of_calls THEN
        others := ' AND call_id <> ALL($1)';
    END IF;
    FOR name IN
        SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
        WHERE inhparent = to_regclass(quote_ident(parent))
          AND child.relname LIKE parent || '\_%' AND length(child.relname) = length(month)
          AND child.relname COLLATE "C" < month COLLATE "C"
    LOOP
        IF of_calls THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE call_id = ANY($1))', name) INTO is_held USING spared;
        END IF;
        IF is_held THEN
            EXECUTE format(
                'DELETE FROM %I WHERE ctid = ANY(ARRAY(SELECT ctid FROM %I WHERE true%s LIMIT %s FOR UPDATE SKIP LOCKED))',
                name, name, others, greatest(0, most - deleted)) USING spared;
            GET DIAGNOSTICS gone = ROW_COUNT;
            deleted := deleted + gone;
            CONTINUE;
        END IF;
        BEGIN
            EXECUTE format('DROP TABLE %I', name);
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
    END LOOP;
    IF to_regclass(quote_ident(month)) IS NOT NULL THEN
        EXECUTE format(
            'DELETE FROM %I WHERE ctid = ANY(ARRAY(SELECT ctid FROM %I WHERE %I < %L%s LIMIT %s FOR UPDATE SKIP LOCKED))',
            month, month, began, before, others, greatest(0, most - deleted)) USING spared;
        GET DIAGNOSTICS gone = ROW_COUNT;
        deleted := deleted + gone;
    END IF;
    RETURN deleted;
END $$;

-- Whoever may read or write calls may do so with holds.
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
        EXECUTE format('GRANT %s ON legal_holds TO %s', known.what, known.who);
    END LOOP;
END $$;
