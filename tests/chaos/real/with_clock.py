"""The daemon under libfaketime, which lends it a wall clock of the test's.

libfaketime distorts a sleep until a moment of the monotonic clock, or refuses it, and that is what Python's time.sleep
is. Those in the daemon, in the threads of the journal and of the log, become waits for nothing.
"""

from __future__ import annotations

import sys

from gevent import monkey

monkey.patch_all()

from fsacd.cli import main as cli  # noqa: E402 - gevent's patching comes first
from fsacd.journal import syncer  # noqa: E402
from fsacd.log import writer as log_writer  # noqa: E402 - gevent's patching comes first

_select = monkey.get_original("select", "select")


def _wait(seconds: float) -> None:
    _select([], [], [], seconds)


if __name__ == "__main__":
    syncer._sleep = log_writer._sleep = _wait
    sys.exit(cli.main())
