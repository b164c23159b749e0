from __future__ import annotations

from tests.postgres import database, postgres

__all__ = ["database", "postgres"]

# Tests of then, which run as they stood there, in a process of their own; see test_plugins.py.
collect_ignore = ["a0ed903"]
