"""`fsacd agent`: look at agents, log them in and out, change what they can do and serve."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from fsacd.cli import output as o
from fsacd.cli.client import Document
from fsacd.cli.session import PAGE, Session, common_options, repeat, watch_option
from fsacd.cli.values import Whole, seconds, skill_levels


@click.group()
def agent() -> None:
    """Agents: log in and out, ready and not ready, skills and queues."""


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

    repeat(session, lambda: session.client.get("agents", queue=queue, state=state, limit=PAGE), show)


@agent.command("show")
@click.argument("agent_id", metavar="AGENT")
@watch_option
@common_options
def agent_show(session: Session, agent_id: str) -> None:
    """Show one agent."""
    repeat(session, lambda: session.client.get("agents", agent_id), _show_agent)


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
@click.option("--contact", help="Where to ring the agent until they log out, instead of the configured contact.")
@click.option("--not-ready", is_flag=True, help="Log in, but take no calls yet.")
@common_options
def agent_login(session: Session, agent_id: str, contact: str | None, *, not_ready: bool) -> None:
    """Log an agent in."""
    _agent_action(session, agent_id, "login", {"contact": contact, "ready": not not_ready})


@agent.command("logout")
@click.argument("agent_id", metavar="AGENT")
@common_options
def agent_logout(session: Session, agent_id: str) -> None:
    """Log an agent out, after their call if they have one."""
    _agent_action(session, agent_id, "logout")


@agent.command("ready")
@click.argument("agent_id", metavar="AGENT")
@click.option("--queue", metavar="QUEUE", help="For this one queue again, after not-ready --queue.")
@common_options
def agent_ready(session: Session, agent_id: str, queue: str | None) -> None:
    """Make an agent ready; this ends a wrap-up, too."""
    _agent_action(session, agent_id, "ready", None if queue is None else {"queue": queue})


@agent.command("not-ready")
@click.argument("agent_id", metavar="AGENT")
@click.option("--reason", default="", help="Why, such as lunch.")
@click.option("--queue", metavar="QUEUE", help="For this one queue alone, until ready for it or logged out.")
@common_options
def agent_not_ready(session: Session, agent_id: str, reason: str, queue: str | None) -> None:
    """Make an agent not ready; during a call it takes effect after the wrap-up. For one queue alone: at once."""
    _agent_action(session, agent_id, "not-ready", {"reason": reason} | ({} if queue is None else {"queue": queue}))


@agent.command("end-wrap-up")
@click.argument("agent_id", metavar="AGENT")
@common_options
def agent_end_wrap_up(session: Session, agent_id: str) -> None:
    """End an agent's wrap-up before its time."""
    _agent_action(session, agent_id, "end-wrap-up")


@agent.command("wrap-up")
@click.argument("agent_id", metavar="AGENT")
@click.argument("codes", metavar="[CODE]...", nargs=-1)
@click.option("--note", help="A note for people, in the place of the one before.")
@click.option("--talk", metavar="OFFER", help="Which talk; by default the one now, else the last one.")
@click.option("--no-codes", is_flag=True, help="Take all codes away.")
@common_options
def agent_wrap_up(
    session: Session, agent_id: str, codes: tuple[str, ...], note: str | None, talk: str | None, *, no_codes: bool
) -> None:
    """Say what came of an agent's talk: wrap-up codes, in the place of those before, and a note.

    It may be said while they talk, in the wrap-up, and for a while after (limits.late_codes).
    """
    if codes and no_codes:
        raise click.UsageError("Give codes, or --no-codes.")
    if not codes and not no_codes and note is None:
        raise click.UsageError("Give codes, or a --note.")
    body = {"codes": list(codes) if codes or no_codes else None, "note": note, "offer_id": talk}
    _agent_action(session, agent_id, "wrap-up", body)


@agent.command("skills")
@click.argument("agent_id", metavar="AGENT")
@click.argument("levels", metavar="[SKILL=LEVEL]...", nargs=-1, callback=skill_levels)
@click.option("--remove", multiple=True, metavar="SKILL", help="Take this skill away; may be repeated.")
@click.option("--only", is_flag=True, help="Take all skills away that are not named.")
@common_options
def agent_skills(
    session: Session, agent_id: str, levels: dict[str, int], remove: tuple[str, ...], *, only: bool
) -> None:
    """Show an agent's skills, or change them: those named get these levels, the others stay.

    The change holds until the configuration says something new of this agent.
    """
    skills: dict[str, int | None] = {**dict.fromkeys(remove), **levels}
    if len(skills) < len(levels) + len(remove):
        raise click.UsageError("A skill is named twice.")
    if skills or only:
        document = session.client.post("agents", agent_id, "change", body={"skills": skills, "only": only})
    else:
        document = session.client.get("agents", agent_id)
    rows = [{"skill": skill, "level": level} for skill, level in document["skills"].items()]
    _show_part(session, document, o.SKILL_COLUMNS, rows)


@agent.command("queues")
@click.argument("agent_id", metavar="AGENT")
@click.argument("names", metavar="[QUEUE]...", nargs=-1)
@click.option("--rank", type=Whole(1, 1_000), help="1 goes before 2.")
@click.option(
    "--delay",
    callback=seconds,
    metavar="DURATION",
    help="The agent helps only with calls that have waited this long, such as 20s.",
)
@click.option("--backup/--no-backup", default=None, help="Only for calls that a step has opened to the backup.")
@click.option("--weight", type=Whole(1, 100), help="The agent's share where the strategy gives shares.")
@click.option("--remove", multiple=True, metavar="QUEUE", help="The agent serves this queue no more; may be repeated.")
@click.option("--only", is_flag=True, help="The agent serves no queue that is not named.")
@common_options
def agent_queues(
    session: Session,
    agent_id: str,
    names: tuple[str, ...],
    rank: int | None,
    delay: float | None,
    weight: int | None,
    remove: tuple[str, ...],
    *,
    backup: bool | None,
    only: bool,
) -> None:
    """Show the queues an agent serves, or change them: those named as the options say, the others stay.

    The change holds until the configuration says something new of this agent.
    """
    given = {"rank": rank, "delay_seconds": delay, "backup": backup, "weight": weight}
    service = {name: value for name, value in given.items() if value is not None}
    if service and not names:
        raise click.UsageError("Name the queues that --rank, --delay, --backup and --weight are for.")
    queues: dict[str, Document | None] = {**dict.fromkeys(remove), **dict.fromkeys(names, service)}
    if len(queues) < len(names) + len(remove):
        raise click.UsageError("A queue is named twice.")
    if queues or only:
        document = session.client.post("agents", agent_id, "change", body={"queues": queues, "only": only})
    else:
        document = session.client.get("agents", agent_id)
    _show_part(session, document, o.SERVICE_COLUMNS, document["queues"])


def _show_part(session: Session, document: Document, columns: Sequence[o.Column], rows: Sequence[Document]) -> None:
    if session.output == "table":
        o.write_table(columns, rows, sys.stdout)
    else:
        o.write_document(document, session.output, sys.stdout)
