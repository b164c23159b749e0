-- History: one row per finished call, per finished offer, per interval an agent spent in a state.
-- Rows are written once and never changed. A row that comes twice is the same row: the keys are natural.

CREATE TABLE calls (
    call_id    text        PRIMARY KEY,
    queue      text        NOT NULL,
    outcome    text        NOT NULL,
    detail     text        NOT NULL,
    arrived_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    waited_ms  bigint      NOT NULL,
    talked_ms  bigint      NOT NULL,
    agent_id   text,
    offers     integer     NOT NULL,
    priority   integer     NOT NULL,
    number     text        NOT NULL,
    name       text        NOT NULL,
    customer   text        NOT NULL,
    switch     text,
    leg_uuid   text,
    after      text        NOT NULL
);
COMMENT ON TABLE  calls            IS 'One row per finished call.';
COMMENT ON COLUMN calls.call_id    IS 'The call''s own id, given by fsacd; it survives a change of leg.';
COMMENT ON COLUMN calls.queue      IS 'The queue the call was in last.';
COMMENT ON COLUMN calls.outcome    IS 'answered, abandoned, overflowed, refused, hung_up, left or lost.';
COMMENT ON COLUMN calls.detail     IS 'More about the outcome: a hangup cause, an overflow''s reason and target.';
COMMENT ON COLUMN calls.arrived_at IS 'When the call arrived, by the clock of the machine fsacd runs on.';
COMMENT ON COLUMN calls.ended_at   IS 'When the call ended or left for another target, by the same clock.';
COMMENT ON COLUMN calls.waited_ms  IS 'Milliseconds from arrival to answer (ringing included), or to the end of the wait.';
COMMENT ON COLUMN calls.talked_ms  IS 'Milliseconds of talk; 0 when no one answered.';
COMMENT ON COLUMN calls.agent_id   IS 'Who talked with the caller; NULL when no one did.';
COMMENT ON COLUMN calls.offers     IS 'How many offers of this call were made to agents.';
COMMENT ON COLUMN calls.priority   IS 'The call''s priority class; higher goes first.';
COMMENT ON COLUMN calls.number     IS 'The caller''s number as it was shown; empty when withheld.';
COMMENT ON COLUMN calls.name       IS 'The caller''s name as it was shown; empty when there was none.';
COMMENT ON COLUMN calls.customer   IS 'The customer the dialplan named; empty when it named none.';
COMMENT ON COLUMN calls.switch     IS 'The switch the caller''s leg was on; NULL when it had none.';
COMMENT ON COLUMN calls.leg_uuid   IS 'The uuid of the caller''s leg on that switch, to find it in the switch''s own log.';
COMMENT ON COLUMN calls.after      IS 'Where the caller went after the talk; empty: they were hung up.';
CREATE INDEX calls_ended    ON calls (ended_at);
CREATE INDEX calls_queue    ON calls (queue, arrived_at);
CREATE INDEX calls_agent    ON calls (agent_id, arrived_at) WHERE agent_id IS NOT NULL;
CREATE INDEX calls_number   ON calls (number, arrived_at) WHERE number <> '';
CREATE INDEX calls_customer ON calls (customer, arrived_at) WHERE customer <> '';

CREATE TABLE offers (
    offer_id     text        PRIMARY KEY,
    call_id      text        NOT NULL,
    queue        text        NOT NULL,
    agent_id     text        NOT NULL,
    attempt      integer     NOT NULL,
    outcome      text        NOT NULL,
    reason       text        NOT NULL,
    started_at   timestamptz NOT NULL,
    answered_at  timestamptz,
    connected_at timestamptz,
    ended_at     timestamptz NOT NULL
);
COMMENT ON TABLE  offers              IS 'One row per finished offer: one attempt to give one call to one agent.';
COMMENT ON COLUMN offers.offer_id     IS 'The offer''s id, which is also the uuid of the agent''s leg.';
COMMENT ON COLUMN offers.call_id      IS 'The call offered. No foreign key: an offer ends before its call does.';
COMMENT ON COLUMN offers.queue        IS 'The queue the call was in when it was offered.';
COMMENT ON COLUMN offers.agent_id     IS 'The agent it was offered to.';
COMMENT ON COLUMN offers.attempt      IS 'Which offer of this call it was; the first is 1.';
COMMENT ON COLUMN offers.outcome      IS 'answered, refused, unanswered, withdrawn or failed.';
COMMENT ON COLUMN offers.reason       IS 'More about the outcome: talk, busy, no_answer, caller_gone, lost_race, bridge_window, and more.';
COMMENT ON COLUMN offers.started_at   IS 'When the agent''s phone was ordered to ring.';
COMMENT ON COLUMN offers.answered_at  IS 'When the agent picked up; NULL when they did not.';
COMMENT ON COLUMN offers.connected_at IS 'When agent and caller heard each other; NULL when they never did.';
COMMENT ON COLUMN offers.ended_at     IS 'When the agent''s leg ended.';
CREATE INDEX offers_call  ON offers (call_id);
CREATE INDEX offers_agent ON offers (agent_id, started_at);
CREATE INDEX offers_queue ON offers (queue, started_at);

CREATE TABLE agent_states (
    agent_id   text        NOT NULL,
    state      text        NOT NULL,
    reason     text        NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    by         text        NOT NULL,
    -- The end and the state belong to the key: an agent may pass through several states within one millisecond.
    PRIMARY KEY (agent_id, started_at, ended_at, state)
);
COMMENT ON TABLE  agent_states            IS 'One row per interval an agent spent in one state; intervals of one agent touch.';
COMMENT ON COLUMN agent_states.agent_id   IS 'The agent.';
COMMENT ON COLUMN agent_states.state      IS 'logged_out, not_ready, ready, offered, talking, wrapping_up, held_back or leaving.';
COMMENT ON COLUMN agent_states.reason     IS 'Why, where the state has a reason: lunch, or what an offer came to.';
COMMENT ON COLUMN agent_states.started_at IS 'When the interval began.';
COMMENT ON COLUMN agent_states.ended_at   IS 'When it ended.';
COMMENT ON COLUMN agent_states.by         IS 'Who asked for the state: phone:1001, api:wallboard, cli:root; empty: nobody, it followed.';
CREATE INDEX agent_states_started ON agent_states (started_at);
CREATE INDEX agent_states_ended   ON agent_states (ended_at);
