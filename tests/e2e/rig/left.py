"""Processes that a test could not end, because it failed before it was set up."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def end_all_in(place: Path) -> list[int]:
    """End what was started with this directory among its arguments and is still there; returns the process ids.

    A FreeSWITCH whose directory is gone takes a processor for itself, and the next tests get none.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is somebody else's
            if str(place).encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)
                found.append(int(process.name))
    if found:
        print(f"still there at the end of the test, and ended: {found}")
    return found
