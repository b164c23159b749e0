"""History: what became of the calls is written to PostgreSQL in the background; a dead database never delays a call."""
