"""The entry point. The daemon's commands patch the standard library for gevent first of all; the others need not."""

from __future__ import annotations

import sys

# Commands that run greenlets. Patching must come before any module that keeps a reference to what it replaces.
_GREEN = {"run", "sim", "demo"}


def main() -> int:
    """Run the command line; the console script `fsacd`."""
    if _GREEN.intersection(sys.argv[1:3]):
        from gevent import monkey  # noqa: PLC0415 - see above

        monkey.patch_all()
    from fsacd.cli import main as cli  # noqa: PLC0415 - see above

    return cli()


if __name__ == "__main__":
    sys.exit(main())
