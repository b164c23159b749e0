"""The client commands: each asks the daemon's HTTP API for one thing and shows the answer."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from fsacd import cli_output as o
from fsacd.cli_client import DEFAULT_URL, BadUse, Client, Document, NotReachable
from fsacd.errors import Refused
from fsacd.terminal import Board, clean, lines, screen, table

_PAGE = 5_000
_TOKEN_FILE_LIMIT = 4_096
_WATCH_S = 2.0

_Command = TypeVar("_Command", bound=Callable[..., None])
Show = Callable[[Document, bool], None]


@dataclass(frozen=True, slots=True)
class Session:
    """What the common options say."""

    client: Client
    output: o.Format
    watch_s: float | None = None


def common_options(command: _Command) -> _Command:
    """The options of every client command; the command gets a Session instead."""

    @click.option("--url", envvar="FSACD_URL", default=DEFAULT_URL, show_default=True, help="Address of the API.")
    @click.option("--token", envvar="FSACD_TOKEN", help="Token for the API; others can see it in the process list.")
    @click.option(
        "--token-file",
        envvar="FSACD_TOKEN_FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File that holds the token.",
    )
    @click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="What the answer looks like.",
    )
    @functools.wraps(command)
    def wrapped(
        url: str, token: str | None, token_file: Path | None, output: str, watch: float | None = None, **rest: Any
    ) -> None:
        client = Client(url, _token(token, token_file))
        try:
            command(Session(client, cast("o.Format", output), watch), **rest)
        except KeyboardInterrupt:
            # Ctrl-C is how a person ends --watch; anything else it interrupts.
            if watch is None:
                raise

    return cast("_Command", wrapped)


def watch_option(command: _Command) -> _Command:
    """`--watch [SECONDS]`; put above `common_options`, which hands it on in the Session."""
    option = click.option(
        "--watch", is_flag=False, flag_value=_WATCH_S, default=None, type=click.FloatRange(0.2, 3600),
        metavar="[SECONDS]", help=f"Show it again every so many seconds ({_WATCH_S:g} by default), until Ctrl-C.",
    )  # fmt: skip
    return option(command)


def _token(token: str | None, token_file: Path | None) -> str:
    # Given on the command line beats the file; a file that was named but cannot be read is never passed over.
    if token is not None:
        return token.strip()
    if token_file is None:
        return ""
    try:
        with token_file.open(encoding="ascii") as file:
            return file.read(_TOKEN_FILE_LIMIT).strip()
    except OSError as error:
        raise BadUse(f"The token file {str(token_file)!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise BadUse(f"The token file {str(token_file)!r} does not hold a token.") from None


def _repeat(session: Session, fetch: Callable[[], Document], show: Callable[[Document], None]) -> None:
    """Fetch and show once, or again and again until Ctrl-C; in the middle of that, a daemon may be away for a while."""
    document = fetch()
    streaming = session.watch_s is not None
    while True:
        if session.output == "table":
            if streaming and sys.stdout.isatty():
                click.clear()
            show(document)
        else:
            o.write_document(document, session.output, sys.stdout, stream=streaming)
        if session.watch_s is None:
            return
        document = _next(fetch, session.watch_s)


def _next(fetch: Callable[[], Document], interval_s: float) -> Document:
    while True:
        time.sleep(interval_s)
        try:
            return fetch()
        except NotReachable as error:
            o.complain(str(error))


# --- agents ----------------------------------------------------------------------------------------------------------


@click.group()
def agent() -> None:
    """Agents: log in and out, ready and not ready."""


@agent.command("list")
@click.option("--queue", help="Only those who serve this queue.")
@click.option("--state", help="Only those in this state, such as ready.")
@watch_option
@common_options
def agent_list(session: Session, queue: str | None, state: str | None) -> None:
    """Show all agents."""

    def show(page: Document) -> None:
        rows = page["agents"]
        o.write_table(o.AGENT_COLUMNS, rows, sys.stdout, more=page["total"] - len(rows))

    _repeat(session, lambda: session.client.get("agents", queue=queue, state=state, limit=_PAGE), show)


@agent.command("show")
@click.argument("agent_id", metavar="AGENT")
@watch_option
@common_options
def agent_show(session: Session, agent_id: str) -> None:
    """Show one agent."""
    _repeat(session, lambda: session.client.get("agents", agent_id), _show_agent)


def _show_agent(document: Document) -> None:
    o.write_fields(o.agent_fields(document), sys.stdout)


def _agent_action(session: Session, agent_id: str, action: str, body: Document | None = None) -> None:
    document = session.client.post("agents", agent_id, action, body=body)
    if session.output == "table":
        _show_agent(document)
    else:
        o.write_document(document, session.output, sys.stdout)


@agent.command("login")
@click.argument("agent_id", metavar="AGENT")
@click.option("--contact", help="Where to ring the agent until he logs out, instead of the configured contact.")
@click.option("--not-ready", is_flag=True, help="Log in, but take no calls yet.")
@common_options
def agent_login(session: Session, agent_id: str, contact: str | None, *, not_ready: bool) -> None:
    """Log an agent in."""
    _agent_action(session, agent_id, "login", {"contact": contact, "ready": not not_ready})


@agent.command("logout")
@click.argument("agent_id", metavar="AGENT")
@common_options
def agent_logout(session: Session, agent_id: str) -> None:
    """Log an agent out, after his call if he has one."""
    _agent_action(session, agent_id, "logout")


@agent.command("ready")
@click.argument("agent_id", metavar="AGENT")
@common_options
def agent_ready(session: Session, agent_id: str) -> None:
    """Make an agent ready; this ends a wrap-up, too."""
    _agent_action(session, agent_id, "ready")


@agent.command("not-ready")
@click.argument("agent_id", metavar="AGENT")
@click.option("--reason", default="", help="Why, such as lunch.")
@common_options
def agent_not_ready(session: Session, agent_id: str, reason: str) -> None:
    """Make an agent not ready; during a call it takes effect after the wrap-up."""
    _agent_action(session, agent_id, "not-ready", {"reason": reason})


@agent.command("end-wrap-up")
@click.argument("agent_id", metavar="AGENT")
@common_options
def agent_end_wrap_up(session: Session, agent_id: str) -> None:
    """End an agent's wrap-up before its time."""
    _agent_action(session, agent_id, "end-wrap-up")


# --- queues ----------------------------------------------------------------------------------------------------------


@click.group()
def queue() -> None:
    """Queues: who waits, and for how long."""


@queue.command("list")
@watch_option
@common_options
def queue_list(session: Session) -> None:
    """Show all queues."""
    _repeat(
        session,
        lambda: session.client.get("queues"),
        lambda document: o.write_table(o.QUEUE_COLUMNS, document["queues"], sys.stdout),
    )


@queue.command("show")
@click.argument("name", metavar="QUEUE")
@watch_option
@common_options
def queue_show(session: Session, name: str) -> None:
    """Show one queue with its calls and its agents."""

    def show(document: Document) -> None:
        o.write_table(o.QUEUE_COLUMNS, [document], sys.stdout)
        sys.stdout.write("\n")
        o.write_table(o.CALL_COLUMNS, document["calls"], sys.stdout)
        sys.stdout.write("\n")
        o.write_table(o.AGENT_COLUMNS, document["agents"], sys.stdout)

    _repeat(session, lambda: session.client.get("queues", name), show)


# --- calls -----------------------------------------------------------------------------------------------------------


@click.group()
def call() -> None:
    """Live calls: look, put back, hang up."""


@call.command("list")
@click.option("--queue", help="Only those in this queue.")
@click.option("--state", help="Only those in this state, such as waiting.")
@watch_option
@common_options
def call_list(session: Session, queue: str | None, state: str | None) -> None:
    """Show all live calls, in the order of arrival."""

    def show(page: Document) -> None:
        rows = page["calls"]
        o.write_table(o.CALL_COLUMNS, rows, sys.stdout, more=page["total"] - len(rows))

    _repeat(session, lambda: session.client.get("calls", queue=queue, state=state, limit=_PAGE), show)


@call.command("show")
@click.argument("call_id", metavar="CALL")
@watch_option
@common_options
def call_show(session: Session, call_id: str) -> None:
    """Show one call; six characters of its id are enough when no other begins so."""
    _repeat(
        session,
        lambda: session.client.get("calls", call_id),
        lambda document: o.write_fields(o.call_fields(document), sys.stdout),
    )


@call.command("requeue")
@click.argument("call_id", metavar="CALL")
@click.option("--queue", help="Another queue than its own.")
@common_options
def call_requeue(session: Session, call_id: str, queue: str | None) -> None:
    """Put a call back into its queue, or into another, with the waiting time it has."""
    _done(session, session.client.post("calls", call_id, "requeue", body={"queue": queue}))


@call.command("hangup")
@click.argument("call_id", metavar="CALL")
@common_options
def call_hangup(session: Session, call_id: str) -> None:
    """Hang a call up."""
    _done(session, session.client.post("calls", call_id, "hangup"))


def _done(session: Session, document: Document) -> None:
    if session.output == "table":
        sys.stdout.write(clean(document["message"], 1_000) + "\n")
    else:
        o.write_document(document, session.output, sys.stdout)


# --- the daemon ------------------------------------------------------------------------------------------------------


def fetch_board(client: Client) -> Board:
    """Everything the live table shows. Raises Refused and NotReachable."""
    return Board(
        client.get("status"),
        client.get("queues")["queues"],
        client.get("agents", limit=_PAGE)["agents"],
    )


@click.command()
@watch_option
@common_options
def status(session: Session) -> None:
    """Show the daemon; with --watch, a live table of queues and agents."""
    if session.output != "table":
        _repeat(session, lambda: session.client.get("status"), lambda _: None)
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
                # The last known table stays, with the reason above it, until the daemon is back.
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
def reload(session: Session) -> None:
    """Make the daemon read its configuration again; a bad one changes nothing."""
    _done(session, session.client.post("reload"))


COMMANDS = (agent, queue, call, status, reload)
EXPECTED = (Refused, NotReachable, BadUse)
