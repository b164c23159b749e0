-- Which calls and offers belong together: everything from a caller's first leg on, over queues, transfers and returns.
-- Rows of before have none: nobody has noted then which calls were of one contact, so nothing is made up here.

ALTER TABLE calls ADD COLUMN contact_id text;
COMMENT ON COLUMN calls.contact_id
    IS 'The contact that the call was part of: the id of its first call, unless the dialplan brought one; empty or NULL: not noted.';
CREATE INDEX calls_contact_id ON calls (contact_id, arrived_at) WHERE contact_id <> '';

ALTER TABLE offers ADD COLUMN contact_id text;
COMMENT ON COLUMN offers.contact_id IS 'The contact of the offered call; see calls.contact_id.';
CREATE INDEX offers_contact_id ON offers (contact_id, started_at) WHERE contact_id <> '';
