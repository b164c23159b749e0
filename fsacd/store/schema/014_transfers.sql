-- How an agent gave the caller away. Until now all of them had consulted whoever is next.

ALTER TABLE talks ADD COLUMN kind text NOT NULL DEFAULT '';
UPDATE talks SET kind = 'attended' WHERE ended_by = 'transfer';
COMMENT ON COLUMN talks.kind IS
    'How the caller was given away: blind (without a word to whoever is next), attended (after a consultation), conference (the agent left two who talk on); empty: the talk ended otherwise.';
COMMENT ON COLUMN talks.transferred_to IS
    'Where the caller was given away to: an agent, queue sales, or a number (talks hold nobody''s number; see calls.after); empty: nowhere.';

CREATE OR REPLACE VIEW v_talks AS
SELECT t.offer_id, t.call_id, t.visit, t.contact_id, t.queue, t.agent_id, t.started_at, t.ended_at, t.talked_ms,
       t.held_ms, t.holds, t.consults, t.ended_by, t.transferred_to,
       CASE WHEN length(regexp_replace(c.number, '[^0-9]', '', 'g')) >= 6
            THEN '...' || right(regexp_replace(c.number, '[^0-9]', '', 'g'), 3) ELSE '' END AS number,
       t.kind
FROM talks t LEFT JOIN calls c ON c.call_id = t.call_id;
