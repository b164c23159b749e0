-- Calls, offers and decisions lie in partitions by month, as visits and talks do: old months are dropped whole.
-- What is there now becomes one partition as it is, and the daemon puts its rows into their months bit by bit
-- (fsacd/store/moving.py), so that nobody waits for that and every row can be read all the while. Until then their month is
-- one of the year 1000: not -infinity, which many programs cannot read.
SELECT set_config('search_path', current_setting('search_path') || ', pg_temp', true);
SELECT set_config('maintenance_work_mem', greatest(pg_size_bytes(current_setting('maintenance_work_mem')), 268435456) / 1024 || 'kB', true);

CREATE FUNCTION fsacd_part_by_month(named text, key text, began text) RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    before text := named || '_before';
    known  record;
BEGIN
    EXECUTE format('ALTER TABLE %I RENAME TO %I', named, before);
    EXECUTE format('ALTER TABLE %I ADD COLUMN month timestamptz NOT NULL DEFAULT ''1000-01-01 00:00Z''', before);
    EXECUTE format('COMMENT ON COLUMN %I.month IS %L', before,
        'The month in which it began, in UTC: of the partition. In the year 1000: the row is not in its month yet.');
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (month)', named, before);
    EXECUTE format('ALTER TABLE %I OWNER TO %I', named, (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass(before)));
    EXECUTE format('COMMENT ON TABLE %I IS %L', named, obj_description(to_regclass(before), 'pg_class'));
    EXECUTE format('COMMENT ON TABLE %I IS %L', before, format('Rows of %s that are not in their month yet.', named));

    -- An index that the partition has already is taken over; the key alone has to be made.
    FOR known IN
        SELECT relname AS name, indisprimary AS is_key, substring(pg_get_indexdef(oid) FROM ' USING .*$') AS what
        FROM pg_index JOIN pg_class ON oid = indexrelid
        WHERE indrelid = to_regclass(before) AND (indisprimary OR NOT indisunique) AND indisvalid
    LOOP
        IF known.is_key THEN
            EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', before, known.name);
        ELSE
            EXECUTE format('ALTER INDEX %I RENAME TO %I', known.name, left(known.name, 56) || '_before');
            EXECUTE format('CREATE INDEX %I ON %I', known.name, named) || known.what;
        END IF;
    END LOOP;
    EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (%I, month)', before, key);
    EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (%I, month)', named, key);
    EXECUTE format('CREATE INDEX %I ON %I USING brin (%I)', named || '_began_range', named, began);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (''1000-01-01 00:00Z'') TO (''1000-02-01 00:00Z'')', named, before);

    -- Who might do something with the table, or with some of its columns, may do so with the new one.
    FOR known IN
        SELECT privilege_type || columns AS what, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who
        FROM (
            SELECT privilege_type, grantee, '' AS columns
            FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass(before) AND grantee <> relowner
            UNION ALL
            SELECT privilege_type, grantee, format(' (%I)', attname)
            FROM pg_attribute, aclexplode(attacl) WHERE attrelid = to_regclass(before)
        ) given
    LOOP
        EXECUTE format('GRANT %s ON %I TO %s', known.what, named, known.who);
    END LOOP;

    -- A view knows the table, not its name: each is told again by that name, also those that others have made.
    FOR known IN
        SELECT DISTINCT format('%I.%I', nspname, relname) AS name, relkind,
               'WITH (' || array_to_string(reloptions, ', ') || ')' AS options,
               regexp_replace(pg_get_viewdef(pg_class.oid), '\m' || before || '\M', named, 'g') AS what
        FROM pg_depend
        JOIN pg_rewrite ON pg_rewrite.oid = objid AND classid = 'pg_rewrite'::regclass
        JOIN pg_class ON pg_class.oid = ev_class
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE refclassid = 'pg_class'::regclass AND refobjid = to_regclass(before) AND relkind IN ('v', 'm')
    LOOP
        IF known.relkind = 'm' THEN
            RAISE EXCEPTION 'the materialized view % reads %: drop it, and make it again after the update', known.name, named;
        END IF;
        EXECUTE format('CREATE OR REPLACE VIEW %s %s AS %s', known.name, known.options, known.what);
    END LOOP;
END $$;

DROP INDEX offers_ended_range;
SELECT fsacd_part_by_month('calls', 'call_id', 'arrived_at');
SELECT fsacd_part_by_month('offers', 'offer_id', 'started_at');
SELECT fsacd_part_by_month('decisions', 'offer_id', 'at');
DROP FUNCTION fsacd_part_by_month;

-- Old months of these are forgotten as those of the others: by the column that says when a row began.
DO $$
DECLARE
    forget text := pg_get_functiondef((SELECT oid FROM pg_proc WHERE proname = 'fsacd_forget' AND pronamespace = current_schema()::regnamespace));
    three  text := replace(forget, '(''started_at'', ''joined_at'')', '(''started_at'', ''joined_at'', ''arrived_at'', ''at'')');
BEGIN
    IF three = forget THEN
        RAISE EXCEPTION 'fsacd_forget is another one than that of an earlier fsacd';
    END IF;
    EXECUTE three;
END $$;
