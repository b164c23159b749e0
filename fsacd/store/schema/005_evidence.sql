-- Two daemons may tell of one end: which row stands follows from what each rests on (fsacd/core/evidence.py).

ALTER TABLE calls ADD COLUMN evidence text, ADD COLUMN epoch bigint;
UPDATE calls SET evidence = CASE detail WHEN 'served_elsewhere' THEN 'handed_over' ELSE 'guessed' END WHERE seen IS FALSE;
ALTER TABLE calls DROP COLUMN seen;
COMMENT ON COLUMN calls.evidence
    IS 'What the row rests on: saw_end, saw_talk, guessed (found gone) or handed_over (another daemon has it); NULL: not noted.';
COMMENT ON COLUMN calls.epoch
    IS 'The epoch of the switch''s fence in which the daemon that wrote the row had the call last; higher is later.';

ALTER TABLE offers ADD COLUMN evidence text, ADD COLUMN epoch bigint;
COMMENT ON COLUMN offers.evidence IS 'As calls.evidence.';
COMMENT ON COLUMN offers.epoch    IS 'As calls.epoch.';
