-- A talk whose agent's phone fell silent, so that the switch ended its leg, was ended by nobody.

COMMENT ON COLUMN talks.ended_by   IS
    'caller, agent, transfer (the agent gave the caller away), operator, connection_lost (the agent''s phone fell silent) or lost (nobody saw who did).';
COMMENT ON COLUMN v_talks.ended_by IS
    'caller, agent, transfer (the agent gave the caller away), operator, connection_lost (the agent''s phone fell silent) or lost (nobody saw who did).';
