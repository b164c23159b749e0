-- Two daemons may write one call, one after the other: who saw its end knows better than who found it gone later.

ALTER TABLE calls ADD COLUMN seen boolean;
COMMENT ON COLUMN calls.seen
    IS 'Whether the daemon served the switch when the call ended; false: a guess, made when it found the call gone; NULL: not noted.';
