"""Log lines: their setup, the limit on repeated ones, and a writer that a slow reader does not block."""
