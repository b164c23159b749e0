"""The embedded PostgreSQL, needed by `make run` and the tests only: found, started, and ended with this process."""

from fsacd.store.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
