"""What a journal tells of a caller: the objects of its lines and snapshots that name them. Read as it lies there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from fsacd.caller.traces import Traces
from fsacd.errors import FsacdError
from fsacd.journal import lines
from fsacd.journal.files import is_ours
from fsacd.process import trusted


def found(directory: Path, theirs: Traces) -> Iterator[dict[str, Any]]:
    """The smallest objects that name the callers, each with its file; of an entry also its time and its fact.

    Raises:
        FsacdError: the directory cannot be read.
    """
    try:
        users = trusted.users_of(directory)
        for path in sorted(path for path in directory.iterdir() if is_ours(path.name)):
            # A snapshot may have taken its place meanwhile.
            with suppress(FileNotFoundError), os.fdopen(trusted.open_file(path, trusted=users), "rb") as file:
                for line in file:
                    for part in _inside(line.rstrip(b"\n"), theirs):
                        yield {"table": "journal", "file": path.name, **part}
    except OSError as error:
        raise FsacdError(f"the journal's directory {directory} cannot be read: {trusted.why(error)}") from error


def _inside(line: bytes, theirs: Traces) -> Iterator[dict[str, Any]]:
    try:
        whole = lines.opened(line)
    except Exception:  # noqa: BLE001 - whatever its reader raises: a line that is just written, or damaged
        return
    head = {"at_ms": whole["t"], "fact": whole["f"]} if "t" in whole and "f" in whole else {}
    yield from ({**head, "told": part} for part in theirs.inside(whole))
