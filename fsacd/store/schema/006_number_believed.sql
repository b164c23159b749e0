-- A number that the caller may have made up is told from one that somebody vouches for.

ALTER TABLE calls ADD COLUMN number_believed boolean;
COMMENT ON COLUMN calls.number_believed
    IS 'Whether the number was taken for the caller''s own; false: anybody may have claimed it; NULL: not noted, it was.';
