"""Every test runs under gevent, as the daemon does. Patching comes before anything else is imported."""

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402 - see above
import signal  # noqa: E402 - see above
from collections import Counter  # noqa: E402 - see above

import pytest  # noqa: E402 - see above
from hypothesis import settings  # noqa: E402 - see above

from fsacd.log import setup as logs  # noqa: E402 - see above
from fsacd.log.repeats import Repeats  # noqa: E402 - see above
from fsacd.runtime import watched  # noqa: E402 - see above
from tests.postgres import _with_tables, database, postgres, with_tables  # noqa: E402 - see above

# Here, and nowhere else: each module that imports a fixture has one of its own, and so a server of its own.
__all__ = ["_with_tables", "database", "postgres", "with_tables"]

# A run in the background of a shell is started with Ctrl-C ignored, and so would be every program that a test
# starts and ends by Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time: the machines are noisy.
settings.register_profile("fsacd", deadline=None)
settings.load_profile("fsacd")


@pytest.fixture(autouse=True)
def _nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins as a process does: nothing was logged within the last minute, and no part has failed."""
    monkeypatch.setattr(logs, "_repeats", Repeats())
    monkeypatch.setattr(watched, "_failures", Counter())
    monkeypatch.setattr(watched, "_last", {})


def pytest_collection_finish() -> None:
    """All that was collected stays to the end: without it each garbage collection takes much less."""
    gc.collect()
    gc.freeze()
