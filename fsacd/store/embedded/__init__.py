"""The embedded PostgreSQL, needed by `make run` and the tests only: found, started, and ended with this process."""
