"""The entry point. The daemon's commands patch the standard library for gevent first of all; the others need not."""

from __future__ import annotations

import os
import sys

# Commands that run greenlets. Patching must come before any module that keeps a reference to what it replaces.
_GREEN = {"run", "sim", "demo"}


def main() -> int:
    """Run the command line; the console script `fsacd`."""
    _open_standard_streams()
    if _GREEN.intersection(sys.argv[1:3]):
        from gevent import monkey  # noqa: PLC0415 - see above

        monkey.patch_all()
    from fsacd.cli.main import main as cli  # noqa: PLC0415 - see above

    return cli()


def _open_standard_streams() -> None:
    """Let a standard stream that was closed (`>&-`) lead nowhere: the first file opened would take its place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for as long as we run


if __name__ == "__main__":
    sys.exit(main())
