"""The daemon under libfaketime, which lends it a wall clock of the test's.

libfaketime distorts a sleep until a moment of the monotonic clock, and that is what Python's time.sleep is. The only
one in the daemon, in the journal's thread, becomes a wait for nothing.
"""

from __future__ import annotations

import sys

from gevent import monkey

monkey.patch_all()

from fsacd import cli  # noqa: E402 - gevent's patching comes first
from fsacd.journal import syncer  # noqa: E402

_select = monkey.get_original("select", "select")

if __name__ == "__main__":
    syncer._sleep = lambda seconds: _select([], [], [], seconds)
    sys.exit(cli.main())
