from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

# Tests of then, which run as they stood there, in a process of their own; see test_plugins.py.
collect_ignore = ["a0ed903"]

_DATA = Path(__file__).parent / "a0ed903.tar.xz"


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what a daemon of a0ed903 has left; see test_a0ed903.py."""
    place = tmp_path_factory.mktemp("a0ed903")
    with tarfile.open(_DATA) as archive:
        archive.extractall(place, filter="data")
    return place
