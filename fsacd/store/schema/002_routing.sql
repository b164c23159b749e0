-- Why calls went where they went, who changed what by hand, and whom callers are known as.

ALTER TABLE calls ADD COLUMN language text NOT NULL DEFAULT '';
COMMENT ON COLUMN calls.language IS 'The language the caller is known to speak; empty when none is known.';
COMMENT ON COLUMN calls.customer IS 'The customer the dialplan named, or the name that their number is known by; empty: neither.';
COMMENT ON COLUMN agent_states.state
    IS 'logged_out, not_ready, ready, offered, talking, wrapping_up, held_back, busy or leaving.';

CREATE TABLE decisions (
    offer_id    text        PRIMARY KEY,
    call_id     text        NOT NULL,
    number      bigint      NOT NULL,
    queue       text        NOT NULL,
    agent_id    text        NOT NULL,
    at          timestamptz NOT NULL,
    explanation jsonb       NOT NULL
);
COMMENT ON TABLE  decisions             IS 'One row per decision to ring an agent for a call, with its explanation.';
COMMENT ON COLUMN decisions.offer_id    IS 'The offer that was made; see offers.';
COMMENT ON COLUMN decisions.call_id     IS 'The call that was decided about.';
COMMENT ON COLUMN decisions.number      IS 'The decision''s number in one run of the daemon; it begins anew with each.';
COMMENT ON COLUMN decisions.queue       IS 'The queue the call was in.';
COMMENT ON COLUMN decisions.agent_id    IS 'The agent who was chosen.';
COMMENT ON COLUMN decisions.at          IS 'When it was decided.';
COMMENT ON COLUMN decisions.explanation IS 'The eligible agents in order with their keys, and for each other agent why not.';
CREATE INDEX decisions_call  ON decisions (call_id, at);
CREATE INDEX decisions_at    ON decisions (at);
CREATE INDEX decisions_agent ON decisions (agent_id, at);

CREATE TABLE changes (
    kind    text        NOT NULL,
    subject text        NOT NULL,
    detail  text        NOT NULL,
    by      text        NOT NULL,
    at      timestamptz NOT NULL
);
COMMENT ON TABLE  changes         IS 'One row per change that somebody made by hand.';
COMMENT ON COLUMN changes.kind    IS 'call_moved, call_changed, agent_changed, queue_closed, customer_set, customer_removed, and more.';
COMMENT ON COLUMN changes.subject IS 'The call, the agent, the queue or the customer''s number.';
COMMENT ON COLUMN changes.detail  IS 'What was changed.';
COMMENT ON COLUMN changes.by      IS 'Who did it: api:wallboard, cli:root, phone:1001.';
COMMENT ON COLUMN changes.at      IS 'When.';
-- The same change by the same person in the same millisecond is the same row; the sum, because texts can be too long.
CREATE UNIQUE INDEX changes_once ON changes (at, md5(kind || '|' || subject || '|' || by || '|' || detail));
CREATE INDEX changes_subject ON changes (subject, at);

CREATE TABLE customers (
    number        text        PRIMARY KEY CHECK (length(number) BETWEEN 1 AND 64),
    priority      integer     CHECK (priority BETWEEN -100 AND 100),
    head_start_ms bigint      NOT NULL DEFAULT 0 CHECK (head_start_ms BETWEEN 0 AND 86400000),
    skills        jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(skills) = 'object'),
    agent         text        NOT NULL DEFAULT '' CHECK (length(agent) <= 64),
    language      text        NOT NULL DEFAULT '' CHECK (length(language) <= 64),
    name          text        NOT NULL DEFAULT '' CHECK (length(name) <= 256),
    changed_at    timestamptz NOT NULL DEFAULT now(),
    changed_by    text        NOT NULL DEFAULT current_user
);
COMMENT ON TABLE  customers               IS 'Callers who are known by their number; the daemon sees a change within seconds.';
COMMENT ON COLUMN customers.number        IS 'The caller''s number as the switch shows it, without spaces and dashes.';
COMMENT ON COLUMN customers.priority      IS 'The priority class of their calls; NULL: the queue''s.';
COMMENT ON COLUMN customers.head_start_ms IS 'Milliseconds that their calls count as having waited already.';
COMMENT ON COLUMN customers.skills        IS 'Skills that their calls require, each with its lowest level 1..10.';
COMMENT ON COLUMN customers.agent         IS 'The agent who is their own; empty: none.';
COMMENT ON COLUMN customers.language      IS 'The language they speak; empty: not known.';
COMMENT ON COLUMN customers.name          IS 'What they are called; empty: not known.';
COMMENT ON COLUMN customers.changed_at    IS 'When the row was written last.';
COMMENT ON COLUMN customers.changed_by    IS 'Who wrote it.';

-- A number that grows with each change, whoever makes it and by whatever program. A transaction that changes customers
-- holds the row until its end, so that nobody can see the new number before the change it stands for.
CREATE TABLE customers_revision (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint  NOT NULL
);
COMMENT ON TABLE  customers_revision          IS 'One row: the number of changes of the table customers.';
COMMENT ON COLUMN customers_revision.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN customers_revision.revision IS 'Greater after each change.';
INSERT INTO customers_revision (revision) VALUES (1);

-- With its owner's rights: whoever may write customers need not know of the revision.
CREATE FUNCTION customers_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
    AS 'BEGIN UPDATE customers_revision SET revision = revision + 1; RETURN NULL; END';
CREATE TRIGGER customers_changed
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON customers
    FOR EACH STATEMENT EXECUTE FUNCTION customers_changed();
