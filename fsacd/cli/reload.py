"""`fsacd reload`: asks for a reload, waits for its end however long that takes, and shows what came of it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

import click

from fsacd.cli import output as o
from fsacd.cli.client import BadUse, Client, Document, NotReachable
from fsacd.cli.session import Session, common_options, done
from fsacd.errors import Refused
from fsacd.process import reload_outcome
from fsacd.process.reload_outcome import Outcome

# The first answer comes when the reload has ended, or after this time; then the daemon is asked again and again.
_FIRST_S: Final = 3
_PAUSE_S: Final = 0.5
# Longer than eight reloads that wait for a file system that has gone away.
_LONGEST_S: Final = 1_200.0
_UNDER_WAY: Final = ("waiting", "running")


@click.command()
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would happen to whom.")
@click.option("--even-so", is_flag=True, help="Also if callers lose their queue and have no place to go.")
@click.option(
    "--signal",
    "pid",
    type=click.IntRange(min=2),
    metavar="PID",
    help="Ask by SIGHUP to this process, for the service itself (ExecReload=): that needs no token.",
)
@common_options
def reload(session: Session, *, dry_run: bool, even_so: bool, pid: int | None) -> None:
    """Make the daemon read its configuration again, and wait for the end; a bad one changes nothing.

    The exit code is 0 only if the file is in force.
    """
    if pid is not None:
        if dry_run or even_so:
            raise BadUse("A signal says nothing but its name: --signal goes with neither --dry-run nor --even-so.")
        _show(session, by_signal(pid, os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]))
        return
    document = session.client.post("reloads", body={"dry_run": dry_run, "even_so": even_so, "wait_seconds": _FIRST_S})
    _show(session, _ended(session.client, document))


def _ended(client: Client, document: Document) -> Document:
    """The reload when it has ended. Raises what `Client` raises, and NotReachable when it does not end."""
    ends_at = time.monotonic() + _LONGEST_S
    while document["result"] in _UNDER_WAY:
        if time.monotonic() >= ends_at:
            raise NotReachable(f"fsacd has not ended reload {document['number']} within {_LONGEST_S:g} s.")
        time.sleep(_PAUSE_S)
        try:
            document = client.get("reloads", str(document["number"]))
        except Refused as refused:  # the new file may have taken the token away
            told = f"Reload {document['number']} was begun, but what came of it cannot be asked: {refused}"
            raise Refused(told) from refused
    return document


def by_signal(pid: int, directory: str) -> Document:
    """Send SIGHUP, and wait for the end of the reload that it brings; `directory` is where the daemon leaves word.

    Raises BadUse and NotReachable.
    """
    if not directory:
        raise BadUse("--signal is for the service: RUNTIME_DIRECTORY must name its directory under /run.")
    sent_ns = time.monotonic_ns()
    try:
        os.kill(pid, signal.SIGHUP)
        while time.monotonic_ns() - sent_ns < _LONGEST_S * 1e9:
            # One that has begun to read before the signal came may have read the file of before.
            outcome = reload_outcome.read(Path(directory))
            if outcome is not None and outcome.began_ns >= sent_ns:
                return _document(outcome)
            time.sleep(_PAUSE_S)
            os.kill(pid, 0)  # whether it is there
    except ProcessLookupError:
        raise NotReachable(f"fsacd is not there: no process has the number {pid}.") from None
    except OSError as error:
        raise NotReachable(f"fsacd cannot be asked: {error.strerror}.") from error
    raise NotReachable(f"fsacd has not ended the reload within {_LONGEST_S:g} s.")


def _document(outcome: Outcome) -> Document:
    return {"result": outcome.result, "message": outcome.message, "problems": list(outcome.problems)}


def _show(session: Session, document: Document) -> None:
    """Show what came of it. Raises Refused if the file is not in force."""
    if document["result"] not in ("in_force", "tried"):
        if session.output != "table":
            o.write_document(document, session.output, sys.stdout)
        raise Refused(document["message"], [str(problem) for problem in document["problems"]])
    done(session, document)
