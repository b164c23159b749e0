"""Fixtures of the link's tests."""

from tests.esl.client_rig import connect_fixture

__all__ = ["connect_fixture"]
