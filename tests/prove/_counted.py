"""`python -m tests.prove._counted run ...`: the daemon, which tells on SIGUSR2 how many greenlets and threads it has.

Memories that have a bound in the code alone are bounded here to what a thousand calls fill. At their usual size
20,000 calls do not fill them, and until then nothing could be told from what grows for ever.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402 - patching comes before anything else is imported
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
from greenlet import greenlet  # type: ignore[import-untyped]  # noqa: E402 - it has no stubs here

from fsacd.__main__ import main  # noqa: E402
from fsacd.core import ended  # noqa: E402
from fsacd.core.life import decisions  # noqa: E402
from fsacd.core.show.feed import Feed  # noqa: E402

REMEMBERED = 500


def remember_less() -> None:
    """Let a thousand calls fill what the daemon remembers of calls and changes that are past."""
    decisions._MOMENTS = REMEMBERED
    ended._LIMIT = REMEMBERED  # usually ten minutes' calls, 215 bytes each
    Feed.__init__.__defaults__ = (REMEMBERED,)


def tell(file: Path) -> None:
    """Write the figures there. What was there when the daemon began is not counted; what has come since is."""
    gc.collect()
    found = {
        "greenlets": sum(isinstance(thing, greenlet) and not thing.dead for thing in gc.get_objects()),
        "threads": sum(1 for _ in Path("/proc/self/task").iterdir()),
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1,  # without that of this look
    }
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(found), encoding="ascii")
    draft.rename(file)


if __name__ == "__main__":
    remember_less()
    gevent.signal_handler(signal.SIGUSR2, tell, Path(os.environ["FSACD_COUNTED"]))
    sys.exit(main())
