"""The client commands: each asks the daemon's HTTP API for one thing and shows the answer."""

from __future__ import annotations

import sys
import time

import click

from fsacd.cli import output as o
from fsacd.cli.agents import agent
from fsacd.cli.board import Board, lines, screen, table
from fsacd.cli.calls import call
from fsacd.cli.client import Client, Document, NotReachable
from fsacd.cli.explain import explain
from fsacd.cli.reload import reload
from fsacd.cli.session import PAGE, Session, common_options, done, repeat, watch_option
from fsacd.cli.talks import talk

# --- queues ----------------------------------------------------------------------------------------------------------


@click.group()
def queue() -> None:
    """Queues: who waits, and for how long."""


@queue.command("list")
@watch_option
@common_options
def queue_list(session: Session) -> None:
    """Show all queues.

    ANSWERED and ABANDONED go on over restarts of the daemon, as far back as its journal does; metrics begin at zero.
    """
    repeat(
        session,
        lambda: session.client.get("queues"),
        lambda document: o.write_table(o.QUEUE_COLUMNS, document["queues"], sys.stdout),
    )


@queue.command("show")
@click.argument("name", metavar="QUEUE")
@watch_option
@common_options
def queue_show(session: Session, name: str) -> None:
    """Show one queue with its calls and its agents.

    ANSWERED and ABANDONED go on over restarts of the daemon, as far back as its journal does; metrics begin at zero.
    """

    def show(document: Document) -> None:
        o.write_table(o.QUEUE_COLUMNS, [document], sys.stdout)
        sys.stdout.write("".join(f"{line}\n" for line in ["", *o.substituted_lines(document)]))
        o.write_table(o.CALL_COLUMNS, document["calls"], sys.stdout)
        sys.stdout.write("\n")
        o.write_table(o.AGENT_COLUMNS, document["agents"], sys.stdout)

    repeat(session, lambda: session.client.get("queues", name), show)


@queue.command("open")
@click.argument("name", metavar="QUEUE")
@common_options
def queue_open(session: Session, name: str) -> None:
    """Open a queue, until its hours change next."""
    _queue_set(session, name, "open")


@queue.command("close")
@click.argument("name", metavar="QUEUE")
@common_options
def queue_close(session: Session, name: str) -> None:
    """Close a queue, until its hours change next; calls take its overflow for that."""
    _queue_set(session, name, "close")


def _queue_set(session: Session, name: str, action: str) -> None:
    document = session.client.post("queues", name, action)
    if session.output == "table":
        o.write_table(o.QUEUE_COLUMNS, [document], sys.stdout)
    else:
        o.write_document(document, session.output, sys.stdout)


# --- the daemon ------------------------------------------------------------------------------------------------------


def fetch_board(client: Client) -> Board:
    """Everything the live table shows. Raises Refused and NotReachable."""
    return Board(
        client.get("status"),
        client.get("queues")["queues"],
        client.get("agents", limit=PAGE)["agents"],
    )


@click.command()
@watch_option
@common_options
def status(session: Session) -> None:
    """Show the daemon; with --watch, a live table of queues and agents.

    Answered and abandoned calls go on over restarts of the daemon, as far back as its journal does; metrics begin anew.
    """
    if session.output != "table":
        repeat(session, lambda: session.client.get("status"), lambda _: None)
        return
    board = fetch_board(session.client)
    if session.watch_s is None:
        _show_once(board)
        return
    with screen(sys.stdout, alternate=True) as place:
        while True:
            place.draw(board)
            time.sleep(session.watch_s)
            try:
                board = fetch_board(session.client)
            except NotReachable as error:
                # The last table stays, with the reason above it, until the daemon answers again.
                board = Board(board.status, board.queues, board.agents, note=str(error))


def _show_once(board: Board) -> None:
    if not sys.stdout.isatty():
        sys.stdout.write("".join(f"{line}\n" for line in lines(board)))
        sys.stdout.flush()
        return
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second, for a terminal only

    Console(highlight=False, markup=False, emoji=False).print(table(board))


@click.command()
@common_options
def resync(session: Session) -> None:
    """Make the daemon compare itself with the switches now, and repair what differs."""
    done(session, session.client.post("resync"))


COMMANDS = (agent, queue, call, talk, explain, status, reload, resync)
