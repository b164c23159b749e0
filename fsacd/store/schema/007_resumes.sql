-- A caller who hung up and called again in time has got their old place back.

ALTER TABLE calls ADD COLUMN resumes text;
COMMENT ON COLUMN calls.resumes
    IS 'The abandoned call whose place this one got, because its caller called again in time; empty or NULL: none.';
