"""What an installation brings along."""

from __future__ import annotations

import configparser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What only the repository itself needs.
STAYS = {"config/requirements-dev.lock"}


def test_everything_an_operator_needs_is_installed() -> None:
    """Each file of freeswitch/ and config/ but the lab is put into share/fsacd, where it had its place."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    installed = {
        f"{place.removeprefix('share/fsacd/')}/{path.name}": path.relative_to(ROOT).as_posix()
        for place, patterns in parser["options.data_files"].items()
        for pattern in patterns.split()
        for path in ROOT.glob(pattern)
    }
    shipped = {
        path.relative_to(ROOT).as_posix()
        for top in ("freeswitch", "config")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "lab" not in path.parts
    }
    assert {name: name for name in shipped - STAYS} == installed
