"""Log lines: how they are set up, held back when they repeat, and written behind a slow reader."""
