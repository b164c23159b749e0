"""Ends a PostgreSQL that a killed process left behind, and clears away what keeps the next one from starting."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import gevent

from fsacd.process import trusted
from fsacd.store.embedded.programs import EmbeddedError

_POLL_S = 0.02
_RECORD_BYTES = 4_096


def end(data: Path, patience_ms: int) -> None:
    """End the postmaster that `data/postmaster.pid` names, if it is one; then remove that file.

    The file alone proves nothing: its process id may since belong to anybody, and PostgreSQL itself would then refuse
    to start for ever. A postmaster stands in its data directory, and that is what we ask the kernel.

    Raises:
        EmbeddedError: it does not end.
    """
    record = data / "postmaster.pid"
    try:
        pid = abs(int(trusted.read_any(record, _RECORD_BYTES).split(b"\n", 1)[0]))
    except (FileNotFoundError, ValueError):
        pid = 0  # no file, or one cut short by a crash: there is no process to end
    if pid and _stands_in(pid, data):
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            if _gone(pid, data, patience_ms):
                break
        else:
            raise EmbeddedError(f"PostgreSQL process {pid} still uses {data} and does not end; end it by hand")
    record.unlink(missing_ok=True)


def _gone(pid: int, data: Path, patience_ms: int) -> bool:
    deadline = time.monotonic() + patience_ms / 1_000
    while _stands_in(pid, data):
        if time.monotonic() > deadline:
            return False
        gevent.sleep(_POLL_S)
    return True


def _stands_in(pid: int, data: Path) -> bool:
    """Whether the process lives and `data` is its working directory; a zombie has none."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(data)
    except OSError:
        return False
