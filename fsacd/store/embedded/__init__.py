"""A PostgreSQL of our own, which `make run` and the tests alone need: found, started, ended with us."""
