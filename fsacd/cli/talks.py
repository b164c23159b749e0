"""`fsacd talk`: hold, mute or end a talk, send digits, consult a colleague, hand the caller over."""

from __future__ import annotations

import sys

import click

from fsacd.cli import output as o
from fsacd.cli.client import Document
from fsacd.cli.session import Session, common_options


@click.group()
def talk() -> None:
    """Talks: hold and resume, mute, send digits, consult, swap, complete, cancel, talk in threes, transfer, hang up.

    A talk is named by its own id or by its call's; six characters of the call's id are enough when no other begins so.
    """


def _ask(session: Session, talk_id: str, verb: str, body: Document | None = None) -> None:
    document = session.client.post("talks", talk_id, verb, body=body)
    if session.output == "table":
        o.write_fields(o.call_fields(document), sys.stdout)
    else:
        o.write_document(document, session.output, sys.stdout)


@talk.command("hold")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_hold(session: Session, talk_id: str) -> None:
    """Let the caller hear music while the agent does something else."""
    _ask(session, talk_id, "hold")


@talk.command("resume")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_resume(session: Session, talk_id: str) -> None:
    """Let caller and agent talk again."""
    _ask(session, talk_id, "resume")


@talk.command("consult")
@click.argument("talk_id", metavar="TALK")
@click.argument("agent_id", metavar="[AGENT]", required=False)
@click.option("--agent", help="A colleague who is in no call: the same as AGENT.")
@click.option("--queue", help="Whoever is next in this queue, for a minute at most.")
@click.option("--number", help="An extension or number.")
@common_options
def talk_consult(
    session: Session, talk_id: str, agent_id: str | None, agent: str | None, queue: str | None, number: str | None
) -> None:
    """Ring a colleague, whoever is next in a queue, or a number; the caller hears music meanwhile."""
    given = [("agent", agent_id), ("agent", agent), ("queue", queue), ("number", number)]
    named: list[tuple[str, str]] = [(name, value) for name, value in given if value is not None]
    if len(named) != 1:
        raise click.UsageError("Give one of AGENT (or --agent), --queue and --number.")
    _ask(session, talk_id, "consult", dict(named))


@talk.command("transfer")
@click.argument("talk_id", metavar="TALK")
@click.option("--agent", help="A colleague: the caller waits for them alone for a minute, then for all again.")
@click.option("--queue", help="The queue in which the caller waits, with the time that they have.")
@click.option("--number", help="An extension or number. If nobody has it, the caller waits again.")
@common_options
def talk_transfer(session: Session, talk_id: str, agent: str | None, queue: str | None, number: str | None) -> None:
    """Give the caller away without a word to whoever is next: to an agent, a queue or a number."""
    to = {"agent": agent, "queue": queue, "number": number}
    given: Document = {name: value for name, value in to.items() if value is not None}
    if len(given) != 1:
        raise click.UsageError("Give one of --agent, --queue and --number.")
    _ask(session, talk_id, "transfer", given)


@talk.command("swap")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_swap(session: Session, talk_id: str) -> None:
    """Let the agent talk with the other of caller and third party."""
    _ask(session, talk_id, "swap")


@talk.command("complete")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_complete(session: Session, talk_id: str) -> None:
    """Let caller and third party talk, and the agent leave."""
    _ask(session, talk_id, "complete")


@talk.command("cancel")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_cancel(session: Session, talk_id: str) -> None:
    """Let the third party go, and caller and agent talk again."""
    _ask(session, talk_id, "cancel")


@talk.command("three-way")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_three_way(session: Session, talk_id: str) -> None:
    """Let caller, agent and third party talk with each other."""
    _ask(session, talk_id, "three-way")


@talk.command("leave")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_leave(session: Session, talk_id: str) -> None:
    """Leave a talk of three; caller and third party talk on."""
    _ask(session, talk_id, "leave")


@talk.command("drop")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_drop(session: Session, talk_id: str) -> None:
    """Let the third party go from a talk of three."""
    _ask(session, talk_id, "drop")


@talk.command("mute")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_mute(session: Session, talk_id: str) -> None:
    """Let nobody hear the agent, who hears everybody, until unmuted or the end of the talk."""
    _ask(session, talk_id, "mute")


@talk.command("unmute")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_unmute(session: Session, talk_id: str) -> None:
    """Let the agent be heard again."""
    _ask(session, talk_id, "unmute")


@talk.command("dtmf")
@click.argument("talk_id", metavar="TALK")
@click.argument("digits", metavar="DIGITS")
@common_options
def talk_dtmf(session: Session, talk_id: str, digits: str) -> None:
    """Send digits to whoever hears the agent: 0-9, A-D, * and #, with pauses of half a second (w) and a second (W).

    "-" for DIGITS reads them from standard input, where no list of processes and no history of a shell shows them.
    """
    _ask(session, talk_id, "dtmf", {"digits": sys.stdin.readline().strip() if digits == "-" else digits})


@talk.command("hang-up")
@click.argument("talk_id", metavar="TALK")
@common_options
def talk_hang_up(session: Session, talk_id: str) -> None:
    """End the agent's part in the talk, as if their phone had hung up."""
    _ask(session, talk_id, "hangup")
