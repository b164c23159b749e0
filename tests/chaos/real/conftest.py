"""What is broken here is a real FreeSWITCH and real daemons: every test is one of end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import chance, switch, workplace

__all__ = ["chance", "switch", "workplace"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this directory."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(900))
