-- What is older than it may be kept is found along these. Rows come nearly in the order of their moments, and for that
-- such an index is a few pages long and costs next to nothing to make, however long the history is.

CREATE INDEX offers_ended_range ON offers USING brin (ended_at);
