"""`fsacd explain`: why agents were chosen for a call, why others were not, and why it still waits."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from fsacd.cli import output as o
from fsacd.cli.board import clean, duration
from fsacd.cli.client import Document
from fsacd.cli.session import Session, common_options, repeat, watch_option
from fsacd.cli.values import Whole

_INDENT = "   "
_SENTENCE_LIMIT = 1_000


@click.command()
@click.argument("call_id", metavar="CALL")
@click.option("--limit", type=Whole(1, 50), default=20, show_default=True, help="The latest so many decisions.")
@click.option(
    "--agents", type=Whole(1, 250), default=100, show_default=True,
    help="Of each decision, so many eligible agents and so many others.",
)  # fmt: skip
@watch_option
@common_options
def explain(session: Session, call_id: str, limit: int, agents: int) -> None:
    """Tell why agents were chosen for a call, why others were not, and why it still waits.

    Six characters of a live call's id are enough; a call that has ended needs its whole id.
    """

    def show(document: Document) -> None:
        sys.stdout.write("".join(f"{line}\n" for line in text(document)))
        sys.stdout.flush()

    repeat(session, lambda: session.client.get("calls", call_id, "explain", limit=limit, agents=agents), show)


def text(document: Document) -> list[str]:
    """The API's explanations of a call, line by line, for a person."""
    shown = [f"call {clean(document['call_id'])} (times are UTC)"]
    for place, decision in enumerate(document["decisions"], start=1):
        shown += ["", *_told(f"{place}.", decision)]
    if document["waiting"] is not None:
        shown += ["", *_told("Now,", document["waiting"])]
    if not document["decisions"] and document["waiting"] is None:
        shown += ["", "No decision about it is known."]
    if document["note"]:
        shown += ["", clean(document["note"], _SENTENCE_LIMIT)]
    return shown


def _told(heading: str, told: Document) -> Iterator[str]:
    """One decision, or why the call waits: a sentence, the call at that time, the eligible agents, and the others."""
    yield f"{heading} {clean(told['at'])[11:19]} {clean(told['sentence'], _SENTENCE_LIMIT)}"
    yield _INDENT + _call_then(told)
    yield from _table(ELIGIBLE_COLUMNS, told["eligible"], told["eligible_total"], "eligible")
    yield from _table(NOT_RUNG_COLUMNS, told["not_rung"], told["not_rung_total"], "not rung")
    if told["not_rung_total"] > len(told["not_rung"]):
        reasons = (f"{count} {clean(why).replace('_', ' ')}" for why, count in told["reasons"].items())
        yield f"{_INDENT}not rung in all: {', '.join(reasons)}"


def _call_then(told: Document) -> str:
    parts = [
        f"queue {clean(told['queue'])}",
        f"strategy {clean(told['strategy'])}",
        f"priority {told['priority']}",
        f"waited {duration(told['waited_seconds'])}",
    ]
    if told["required_skills"]:
        parts.append(f"needs {o.skills(told, 'required_skills')}")
    if told["decision"] is not None:
        parts.append(f"decision {told['decision']}")
    return ", ".join(parts)


def _table(columns: tuple[o.Column, ...], rows: list[Document], total: int, what: str) -> Iterator[str]:
    if not rows:
        return
    for line in o.table_lines(columns, rows):
        yield _INDENT + line
    if total > len(rows):
        yield f"{_INDENT}… and {total - len(rows)} more {what}"


def _key(row: Document) -> str:
    """A strategy's key: whole numbers as they are, others to six digits."""
    parts = []
    for part in row["key"]:
        is_fraction = isinstance(part, float) and not part.is_integer()
        parts.append(f"{part:.6g}" if is_fraction else clean(int(part) if isinstance(part, float) else part))
    return " ".join(parts)


def _missed(row: Document) -> str:
    if "missed" in row:
        return str(row["missed"])
    # After an update the old daemon runs until it is restarted: only then this command needs the core.
    from fsacd.core.old_names import before  # noqa: PLC0415 - see above

    return str(row[before("Eligible", "missed")])


ELIGIBLE_COLUMNS = (
    o.Column("ELIGIBLE", lambda row: clean(row["agent"])),
    o.Column("MISSED", _missed, figure=True),
    o.Column("RANK", lambda row: str(row["rank"]), figure=True),
    o.Column("LEVEL", lambda row: str(row["level"]), figure=True),
    o.Column("KEY", _key),
)
NOT_RUNG_COLUMNS = (
    o.Column("NOT RUNG", lambda row: clean(row["agent"])),
    o.Column("WHY", lambda row: clean(row["why"]).replace("_", " ")),
    o.Column("DETAIL", lambda row: clean(row["detail"], 200)),
)
