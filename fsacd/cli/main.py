"""The command line: `fsacd run`, `check`, `sim` and `demo` work here; everything else asks a running daemon.

Exit codes: 0 done, 1 refused by the daemon, 2 wrong use or wrong configuration, 3 the daemon cannot be reached.
Heavy imports are made by the command that needs them, so that `--help` and client commands start in a moment.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import click

from fsacd import __version__
from fsacd.cli import customer_tables, customers, holds  # noqa: F401 - each adds its commands to a group
from fsacd.cli.client import BadUse, NotReachable
from fsacd.cli.commands import COMMANDS
from fsacd.cli.customer import customer
from fsacd.cli.history import history
from fsacd.cli.output import complain
from fsacd.cli.strategy import strategy
from fsacd.cli.values import Whole
from fsacd.errors import FsacdError, Refused

EXIT_OK = 0
EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_NOT_REACHABLE = 3
# The exit code that a shell expects of a program that Ctrl-C has ended.
EXIT_INTERRUPTED = 130

# Errors of writing, not of reading: a full disk, a quota, a limit of the file's size, a disk that fails.
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_CONFIG = click.Path(path_type=Path, dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="fsacd")
def program() -> None:
    """Automatic call distribution for FreeSWITCH."""


@program.command()
@click.option(
    "--config", "-c", type=_CONFIG, envvar="FSACD_CONFIG", default=Path("/etc/fsacd/fsacd.yaml"), show_default=True,
    help="Configuration file.",
)  # fmt: skip
def run(config: Path) -> int:
    """Run the daemon in the foreground."""
    from fsacd.daemon import main as daemon  # noqa: PLC0415 - see the top

    return daemon.run(config)


@program.command()
@click.argument("file", type=_CONFIG)
@click.option("--daemon/--no-daemon", default=True, help="Ask the running daemon what a reload would do (the default).")
def check(file: Path, *, daemon: bool) -> int:
    """Check a configuration FILE: every problem with its place, or a summary.

    A good one is held against the running daemon, too, if it is there: what a reload would do to whom. It is asked at
    the address and with a token of the file, or those of FSACD_URL and FSACD_TOKEN or FSACD_TOKEN_FILE.
    """
    from fsacd.cli.check import told_beforehand  # noqa: PLC0415 - see the top
    from fsacd.config.check import check as check_file  # noqa: PLC0415 - see the top
    from fsacd.config.installed import PLACES  # noqa: PLC0415 - see the top
    from fsacd.plugins import Catalogue  # noqa: PLC0415 - see the top

    beforehand = told_beforehand if daemon else (lambda _config: ())
    code, text = check_file(file, plugins=Catalogue.load, installed=PLACES, beforehand=beforehand)
    (sys.stdout if code == EXIT_OK else sys.stderr).write(text.rstrip("\n") + "\n")
    return code


@program.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=Whole(0, 65535), default=8021, show_default=True, help="0: any free port.")
@click.option("--password", envvar="FSACD_SIM_PASSWORD", default="ClueCon", show_default=True)
@click.option("--seed", type=Whole(), default=1, show_default=True, help="The same seed gives the same callers.")
@click.option("--callers/--no-callers", default=True, help="With a call centre on it (the default), or empty.")
@click.option("--control-port", type=Whole(0, 65535), help="Take faults as JSON lines here; 0: any free port.")
@click.option(
    "--dialplan", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Directory of fsacd's dialplan; by default the one that comes with fsacd.",
)  # fmt: skip
def sim(
    host: str, port: int, password: str, seed: int, *, callers: bool, control_port: int | None, dialplan: Path | None
) -> int:
    """Run a simulated FreeSWITCH with callers and agents; it speaks Event Socket."""
    from fsacd.sim.program import DIALPLAN, run_sim  # noqa: PLC0415 - see the top

    return run_sim(
        host, port, password, seed, callers=callers, control_port=control_port, dialplan=dialplan or DIALPLAN
    )


@program.command()
@click.option("--seed", type=Whole(), default=1, show_default=True, help="The same seed gives the same callers.")
def demo(seed: int) -> int:
    """Show it all at work: the daemon, a simulated FreeSWITCH, a database, callers and agents."""
    from fsacd.cli.demo import run_demo  # noqa: PLC0415 - see the top

    return run_demo(seed=seed)


for _command in (*COMMANDS, customer, history, strategy):
    program.add_command(_command)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `args` are those after the program's name."""
    try:
        code = program.main(args=None if args is None else list(args), prog_name="fsacd", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe. Python would raise again when it closes standard output.
        _silence(sys.stdout)
        return EXIT_OK
    except FsacdError as error:
        return _failed(error)
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        _silence(sys.stdout)
        complain(f"standard output cannot be written: {error.strerror}")
        return EXIT_REFUSED
    return code if isinstance(code, int) else EXIT_OK


def _silence(stream: TextIO) -> None:
    """Discard unwritten output, so that Python raises no error about it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _failed(error: FsacdError) -> int:
    match error:
        case Refused():
            complain(str(error), error.problems)
            return EXIT_REFUSED
        case NotReachable():
            complain(str(error))
            return EXIT_NOT_REACHABLE
        case BadUse():
            complain(str(error))
            return EXIT_USAGE
        case _:
            complain(str(error))
            return EXIT_REFUSED
