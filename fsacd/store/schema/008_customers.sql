-- Customers with several numbers and fields of the operator's own, two of whom can become one; and what has changed of
-- them, so that a daemon need not read a million rows because one of them is another.
-- Nothing here refers to customers by a foreign key: programs that fill the table by TRUNCATE and COPY go on doing so.

ALTER TABLE customers ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE customers ADD CONSTRAINT customers_id UNIQUE (id);
COMMENT ON COLUMN customers.number IS 'The customer''s first number, without spaces and dashes; all of them are in customer_numbers.';
COMMENT ON COLUMN customers.id     IS 'What the customer is called by: 17 is c17 in the API and on the command line.';
CREATE INDEX customers_name ON customers ((lower(name) COLLATE "C"), id);

CREATE TABLE customer_numbers (
    number      text   COLLATE "C" PRIMARY KEY CHECK (length(number) BETWEEN 1 AND 64),
    customer_id bigint NOT NULL
);
COMMENT ON TABLE  customer_numbers             IS 'All numbers of the customers, each one customer''s; the first of each is written by a trigger of customers.';
COMMENT ON COLUMN customer_numbers.number      IS 'A caller''s number.';
COMMENT ON COLUMN customer_numbers.customer_id IS 'Whose it is; see customers.id.';
CREATE INDEX customer_numbers_customer ON customer_numbers (customer_id);
-- Programs write numbers with the punctuation that people like; they are looked for without it.
CREATE INDEX customer_numbers_bare ON customer_numbers ((translate(number, ' -()/.', '') COLLATE "C"));
INSERT INTO customer_numbers (number, customer_id) SELECT number, id FROM customers;

CREATE TABLE customer_fields (
    customer_id bigint NOT NULL,
    name        text   NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    value       text   NOT NULL CHECK (length(value) BETWEEN 1 AND 256),
    PRIMARY KEY (customer_id, name)
);
COMMENT ON TABLE  customer_fields             IS 'What else is known of customers, in fields that the configuration declares (customer_fields).';
COMMENT ON COLUMN customer_fields.customer_id IS 'Of whom; see customers.id.';
COMMENT ON COLUMN customer_fields.name        IS 'The field''s name.';
COMMENT ON COLUMN customer_fields.value       IS 'Its value: a text, a number, a date like 2026-01-31, or yes or no.';
CREATE INDEX customer_fields_value ON customer_fields (name, (lower(value) COLLATE "C"), customer_id);

CREATE TABLE customers_merged (
    id          bigint PRIMARY KEY,
    customer_id bigint NOT NULL
);
COMMENT ON TABLE  customers_merged             IS 'Customers who have become one with another: what names them in history means that one.';
COMMENT ON COLUMN customers_merged.id          IS 'Whom the id meant.';
COMMENT ON COLUMN customers_merged.customer_id IS 'Whom it means now; see customers.id.';
CREATE INDEX customers_merged_customer ON customers_merged (customer_id);

CREATE TABLE customers_changed (
    revision bigint NOT NULL,
    number   text
);
COMMENT ON TABLE  customers_changed          IS 'Which numbers are somebody else''s, or mean something else, since which revision; the last ten thousand.';
COMMENT ON COLUMN customers_changed.revision IS 'See customers_revision.';
COMMENT ON COLUMN customers_changed.number   IS 'The number; NULL: so many that all are to be read anew.';
CREATE INDEX customers_changed_revision ON customers_changed (revision);

ALTER TABLE calls ADD COLUMN customer_id bigint;
COMMENT ON COLUMN calls.customer_id IS 'The customer whom the caller was known as (customers.id, or customers_merged.id); NULL: none of that table.';
CREATE INDEX calls_customer_id ON calls (customer_id, arrived_at) WHERE customer_id IS NOT NULL;

-- With their owner's rights, as before: whoever may write customers need not know of the other tables.
-- Each is called after a statement with all rows that it has written: `made` as they are, `gone` as they were.

CREATE FUNCTION customer_numbers_mark(numbers text[]) RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT
    AS 'DECLARE now_at bigint; BEGIN
        UPDATE customers_revision SET revision = revision + 1 RETURNING revision INTO now_at;
        IF cardinality(numbers) > 200 THEN
            INSERT INTO customers_changed VALUES (now_at, NULL);
        ELSE
            INSERT INTO customers_changed SELECT now_at, unnest(numbers);
        END IF;
        DELETE FROM customers_changed WHERE revision <= now_at - 10000;
    END';

DROP TRIGGER customers_changed ON customers;
DROP FUNCTION customers_changed();

CREATE FUNCTION customers_made() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
    AS 'BEGIN INSERT INTO customer_numbers (number, customer_id) SELECT number, id FROM made; RETURN NULL; END';
CREATE TRIGGER customers_made AFTER INSERT ON customers
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION customers_made();

CREATE FUNCTION customers_altered() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
    AS 'BEGIN
        DELETE FROM customer_numbers n USING gone g
            WHERE n.number = g.number COLLATE "C"
            AND NOT EXISTS (SELECT FROM made m WHERE m.number = g.number AND m.id = g.id);
        INSERT INTO customer_numbers (number, customer_id) SELECT m.number, m.id FROM made m
            WHERE NOT EXISTS (SELECT FROM customer_numbers n WHERE n.number = m.number COLLATE "C" AND n.customer_id = m.id);
        PERFORM customer_numbers_mark(ARRAY(
            SELECT n.number FROM customer_numbers n JOIN made m ON n.customer_id = m.id LIMIT 201
        ));
        RETURN NULL;
    END';
CREATE TRIGGER customers_altered AFTER UPDATE ON customers
    REFERENCING OLD TABLE AS gone NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION customers_altered();

CREATE FUNCTION customers_removed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
    AS 'BEGIN
        DELETE FROM customer_numbers n USING gone g WHERE n.customer_id = g.id;
        DELETE FROM customer_fields f USING gone g WHERE f.customer_id = g.id;
        DELETE FROM customers_merged m USING gone g WHERE m.customer_id = g.id;
        RETURN NULL;
    END';
CREATE TRIGGER customers_removed AFTER DELETE ON customers
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION customers_removed();

CREATE FUNCTION customers_emptied() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
    AS 'BEGIN TRUNCATE customer_numbers, customer_fields, customers_merged; RETURN NULL; END';
CREATE TRIGGER customers_emptied AFTER TRUNCATE ON customers
    FOR EACH STATEMENT EXECUTE FUNCTION customers_emptied();

CREATE FUNCTION customer_numbers_written() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
    AS 'BEGIN PERFORM customer_numbers_mark(ARRAY(SELECT number FROM written LIMIT 201)); RETURN NULL; END';
CREATE TRIGGER customer_numbers_made AFTER INSERT ON customer_numbers
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION customer_numbers_written();
CREATE TRIGGER customer_numbers_gone AFTER DELETE ON customer_numbers
    REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION customer_numbers_written();

CREATE FUNCTION customer_numbers_unknown() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
    AS 'BEGIN PERFORM customer_numbers_mark(array_fill(NULL::text, ARRAY[201])); RETURN NULL; END';
CREATE TRIGGER customer_numbers_moved AFTER UPDATE OR TRUNCATE ON customer_numbers
    FOR EACH STATEMENT EXECUTE FUNCTION customer_numbers_unknown();
