"""`fsacd call`: look at live calls, move them, change them, send them, end them."""

from __future__ import annotations

import sys

import click

from fsacd.cli import output as o
from fsacd.cli.client import Document
from fsacd.cli.session import PAGE, Session, common_options, done, repeat, watch_option
from fsacd.cli.values import Whole, seconds, skill_levels


@click.group()
def call() -> None:
    """Live calls: look, move, promote, change, send, drop."""


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

    repeat(session, lambda: session.client.get("calls", queue=queue, state=state, limit=PAGE), show)


@call.command("show")
@click.argument("call_id", metavar="CALL")
@watch_option
@common_options
def call_show(session: Session, call_id: str) -> None:
    """Show one call; six characters of its id are enough when no other begins so."""
    repeat(
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
    done(session, session.client.post("calls", call_id, "requeue", body={"queue": queue}))


@call.command("move")
@click.argument("call_id", metavar="CALL")
@click.argument("queue")
@common_options
def call_move(session: Session, call_id: str, queue: str) -> None:
    """Move a call into another queue, with the waiting time it has."""
    done(session, session.client.post("calls", call_id, "requeue", body={"queue": queue}))


@call.command("promote")
@click.argument("call_id", metavar="CALL")
@common_options
def call_promote(session: Session, call_id: str) -> None:
    """Let a call go before all others of its queue, whatever their class."""
    done(session, session.client.post("calls", call_id, "promote"))


@call.command("change")
@click.argument("call_id", metavar="CALL")
@click.option("--priority", type=Whole(-100, 100), help="Its class; higher goes first.")
@click.option(
    "--head-start",
    callback=seconds,
    metavar="DURATION",
    help="It counts as having arrived this much earlier, such as 1m.",
)
@click.option(
    "--skill", "skills", multiple=True, callback=skill_levels, metavar="SKILL=LEVEL",
    help="What the call itself needs, instead of what it needed; may be repeated.",
)  # fmt: skip
@click.option("--no-skills", is_flag=True, help="It needs nothing but what its queue requires.")
@common_options
def call_change(
    session: Session,
    call_id: str,
    priority: int | None,
    head_start: float | None,
    skills: dict[str, int],
    *,
    no_skills: bool,
) -> None:
    """Change a call's priority, head start or required skills."""
    if skills and no_skills:
        raise click.UsageError("--skill and --no-skills exclude each other.")
    given = {
        "priority": priority,
        "head_start_seconds": head_start,
        "required_skills": skills if skills or no_skills else None,
    }
    body = {name: value for name, value in given.items() if value is not None}
    if not body:
        raise click.UsageError("Say what to change: --priority, --head-start, --skill or --no-skills.")
    done(session, session.client.post("calls", call_id, "change", body=body))


@call.command("send")
@click.argument("call_id", metavar="CALL")
@click.argument("agent_id", metavar="AGENT")
@click.option(
    "--for",
    "for_s",
    callback=seconds,
    metavar="DURATION",
    help="The call waits for this agent alone so long (1m), then for all again.",
)
@common_options
def call_send(session: Session, call_id: str, agent_id: str, for_s: float | None) -> None:
    """Send a call to one agent, whether or not they serve its queue."""
    body: Document = {"agent": agent_id}
    if for_s is not None:
        body["for_seconds"] = for_s
    done(session, session.client.post("calls", call_id, "send", body=body))


@call.command("drop")
@click.argument("call_id", metavar="CALL")
@common_options
def call_drop(session: Session, call_id: str) -> None:
    """End a call: its caller is hung up."""
    _hang_up(session, call_id)


# The former name of `drop`.
@call.command("hangup", hidden=True)
@click.argument("call_id", metavar="CALL")
@common_options
def call_hangup(session: Session, call_id: str) -> None:
    """Hang a call up."""
    _hang_up(session, call_id)


def _hang_up(session: Session, call_id: str) -> None:
    done(session, session.client.post("calls", call_id, "hangup"))
