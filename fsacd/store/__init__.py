"""History: what has come of the calls goes to PostgreSQL, behind them; a dead database never delays one."""
