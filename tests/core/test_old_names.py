"""What was written under names of before is read for one version: no field takes its default because of its name."""

from __future__ import annotations

from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fsacd.core import old_names
from fsacd.core.plain import Unreadable, from_plain, to_plain

ROOT = Path(__file__).parents[2]


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class whose second field was called `slow` once. A new one each time: a class's reader is made once."""

    @dataclass
    class Renamed:
        name: str
        late: bool = True

    monkeypatch.setattr(old_names, "OLD_NAMES", {"Renamed": {"late": "slow"}})
    return Renamed


@pytest.mark.parametrize(
    ("plain", "late"),
    [({"slow": False}, False), ({"late": False}, False), ({"late": False, "slow": True}, False), ({}, True)],
)
def test_a_field_is_found_under_its_old_name(renamed: Any, plain: dict[str, Any], late: bool) -> None:
    """Where only the old name is there, it counts; where both are, the new one; where none is, the default."""
    assert from_plain({"name": "a", **plain}, renamed) == renamed("a", late)
    assert to_plain(renamed("a", late), renamed) == {"name": "a", "late": late}


def test_what_does_not_fit_is_said_as_it_was_written(renamed: Any) -> None:
    """Who looks into the file finds the name that the sentence has."""
    with pytest.raises(Unreadable, match=r"Renamed\.slow: bool was expected, not 5"):
        from_plain({"name": "a", "slow": 5}, renamed)


def test_names_are_forgotten_in_time() -> None:
    """They are read for one version: the one that forgets them empties the table, and says so in the CHANGELOG."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    version = tuple(int(part) for part in setup["metadata"]["version"].split(".")[:2])
    assert version < old_names.UNTIL
