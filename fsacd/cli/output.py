"""Writes answers: a table for people, JSON or YAML for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO, cast

from fsacd.cli.board import agent_detail, clean, duration, failed_plugins, width

Format = Literal["table", "json", "yaml"]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, how a row's cell is made, and whether it is a figure."""

    heading: str
    cell: Callable[[Document], str]
    figure: bool = False


def write_document(document: Document, output: Format, out: TextIO, *, stream: bool = False) -> None:
    """Write JSON or YAML. `stream`: one of many documents, so JSON takes one line and YAML its separator.

    Everything beyond ASCII is escaped: it stays exact for programs, and harmless on a terminal.
    """
    if output == "yaml":
        import yaml  # noqa: PLC0415 - only YAML output needs it

        out.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=False, explicit_start=stream))
    else:
        out.write(json.dumps(document, indent=None if stream else 2) + "\n")
    out.flush()


def write_table(columns: Sequence[Column], rows: Sequence[Document], out: TextIO, *, more: int = 0) -> None:
    """Write rows in columns: as wide as the terminal, or at full width, plain, when the output is a pipe."""
    cells = [[column.cell(row) for column in columns] for row in rows]
    if out.isatty():
        _rich_table(columns, cells, out)
    else:
        out.write("".join(f"{line}\n" for line in _plain_lines(columns, cells)))
    if more > 0:
        out.write(f"… and {more} more\n")
    out.flush()


def table_lines(columns: Sequence[Column], rows: Sequence[Document]) -> list[str]:
    """The rows in columns, plain, at full width."""
    return _plain_lines(columns, [[column.cell(row) for column in columns] for row in rows])


def _plain_lines(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[str]:
    headings = [column.heading for column in columns]
    widths = [max(map(width, column)) for column in zip(headings, *cells, strict=True)]
    lines = []
    for row in (headings, *cells):
        aligned = []
        for column, cell, widest in zip(columns, row, widths, strict=True):
            space = " " * (widest - width(cell))
            aligned.append(space + cell if column.figure else cell + space)
        lines.append("  ".join(aligned).rstrip())
    return lines


def _rich_table(columns: Sequence[Column], cells: Sequence[Sequence[str]], out: TextIO) -> None:
    from rich import box  # noqa: PLC0415 - a tenth of a second, for a terminal only
    from rich.console import Console  # noqa: PLC0415 - the same
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        grid.add_column(column.heading, justify="right" if column.figure else "left", overflow="ellipsis", no_wrap=True)
    for row in cells:
        grid.add_row(*(Text(cell) for cell in row))
    Console(file=out, highlight=False, markup=False, emoji=False).print(grid)


def write_fields(fields: Sequence[tuple[str, str]], out: TextIO) -> None:
    """Write one thing, a field a line; fields without a value are left out."""
    shown = [(name, value) for name, value in fields if value]
    widest = max((len(name) for name, _ in shown), default=0)
    out.write("".join(f"{name.ljust(widest)}  {value}\n" for name, value in shown))
    out.flush()


def complain(sentence: str, problems: Sequence[str] = ()) -> None:
    """Tell what went wrong on standard error, in one sentence and, when there are several, a line for each problem."""
    sys.stderr.write(f"fsacd: {clean(sentence, 1_000)}\n")
    for problem in problems[:1_000]:
        sys.stderr.write(f"  {clean(problem, 1_000)}\n")
    sys.stderr.flush()


def _field(name: str, limit: int = 80) -> Callable[[Document], str]:
    return lambda row: "" if row[name] is None else clean(row[name], limit)


def _duration(name: str) -> Callable[[Document], str]:
    return lambda row: duration(row[name])


def substituted_lines(row: Document) -> list[str]:
    """A line for each plugin of a queue that is out of service."""
    return [
        f"{clean(one['plugin'])} has failed, {clean(one['by'])} does its work until {clean(one['again_at'])[11:19]}: "
        f"{clean(one['why'], 300)}"
        for one in row.get("substituted", ())  # an older daemon reports none
    ]


def skills(row: Document, name: str = "skills") -> str:
    """Skills with their levels."""
    levels = cast("dict[str, int]", row[name])
    return clean(", ".join(f"{skill} {level}" for skill, level in levels.items()))


AGENT_COLUMNS = (
    Column("AGENT", _field("id")),
    Column("NAME", _field("name", 30)),
    Column("STATE", _field("state")),
    Column("FOR", _duration("state_seconds"), figure=True),
    Column("DETAIL", agent_detail),
    Column("QUEUES", lambda row: clean(", ".join(service["queue"] for service in row["queues"]))),
    Column("SKILLS", skills),
)
QUEUE_COLUMNS = (
    Column("QUEUE", _field("name")),
    Column("STATE", lambda row: ", ".join(("open" if row["open"] else "closed", *failed_plugins(row)))),
    Column("WAITING", _field("waiting"), figure=True),
    Column("OLDEST", _duration("oldest_wait_seconds"), figure=True),
    Column("EWT", _duration("estimated_wait_seconds"), figure=True),
    Column("OFFERED", _field("offered"), figure=True),
    Column("TALKING", _field("talking"), figure=True),
    Column("ANSWERED", _field("answered"), figure=True),
    Column("ABANDONED", _field("abandoned"), figure=True),
    Column("READY", _field("agents_ready"), figure=True),
    Column("LOGGED IN", _field("agents_logged_in"), figure=True),
)
CALL_COLUMNS = (
    Column("CALL", _field("id", 36)),
    Column("QUEUE", _field("queue")),
    Column("STATE", _field("state")),
    Column("POS", lambda row: str(row["position"] or ""), figure=True),
    Column("PRIO", _field("priority"), figure=True),
    Column("WAITED", _duration("waited_seconds"), figure=True),
    Column("TALKED", lambda row: duration(row["talked_seconds"]) if row["state"] == "talking" else "", figure=True),
    Column("NUMBER", _field("number", 24)),
    Column("NAME", lambda row: clean(row["customer"] or row["name"], 30)),
    Column("AGENTS", lambda row: clean(", ".join(row["agents"]) or _reserved(row))),
)
SKILL_COLUMNS = (
    Column("SKILL", _field("skill")),
    Column("LEVEL", _field("level"), figure=True),
)
SERVICE_COLUMNS = (
    Column("QUEUE", _field("queue")),
    Column("RANK", _field("rank"), figure=True),
    Column("AFTER", lambda row: duration(row["delay_seconds"] or None), figure=True),
    Column("BACKUP", lambda row: "backup" if row["backup"] else ""),
    Column("WEIGHT", _field("weight"), figure=True),
    Column("NOT READY", lambda row: "" if row.get("ready", True) else clean(row["reason"]) or "yes"),
)


def _reserved(call: Document) -> str:
    return f"waits for {call['reserved_for']}" if call["reserved_for"] else ""


def _service(service: Document) -> str:
    parts = [f"rank {service['rank']}"]
    if service["delay_seconds"]:
        parts.append(f"after {duration(service['delay_seconds'])}")
    if service["backup"]:
        parts.append("backup")
    if service["weight"] != 1:
        parts.append(f"weight {service['weight']}")
    if not service.get("ready", True):
        parts.append("not ready" + (f": {clean(service['reason'])}" if service["reason"] else ""))
    return f"{service['queue']} ({', '.join(parts)})"


def agent_fields(agent: Document) -> list[tuple[str, str]]:
    """One agent, field by field."""
    return [
        ("agent", clean(agent["id"])),
        ("name", clean(agent["name"])),
        ("state", f"{clean(agent['state'])} for {duration(agent['state_seconds'])}"),
        ("reason", clean(agent["reason"])),
        ("until", clean(agent["until_at"] or "")),
        ("then", clean(agent["then"])),
        ("call", clean(agent["call_id"] or "")),
        ("caller", clean(agent.get("caller", ""))),
        ("contact", clean(agent["contact"], 200)),
        ("wrap-up", clean(_codes(agent), 1_000)),
        ("queues", clean(", ".join(map(_service, agent["queues"])), 1_000)),
        ("skills", skills(agent)),
    ]


def _codes(agent: Document) -> str:
    """The wrap-up codes of the talk now, else of the last one."""
    held = [piece for piece in agent.get("work", ()) if piece["state"] != "offered"]
    talk = held[0] if held else agent.get("last_talk") or {}
    return ", ".join(talk.get("codes", ()))


def _talk_fields(talk: Document) -> list[tuple[str, str]]:
    if not talk:
        return []
    becoming = f", becoming {talk['becoming']}" if talk["becoming"] else ""
    third = talk["colleague"] or talk.get("number")
    colleague = f", with {third}" if third else ""
    colleague += f", asks queue {talk['queue']}" if talk.get("queue") else ""
    muted = ", muted" if talk.get("muted") else ""
    held = ", held by the agent's phone" if talk.get("held_by_phone") else ""
    return [("talk", clean(talk["id"])), ("shape", clean(f"{talk['shape']}{becoming}{colleague}{muted}{held}"))]


def call_fields(call: Document) -> list[tuple[str, str]]:
    """One call, field by field."""
    return [
        ("call", clean(call["id"])),
        ("contact id", clean(call.get("contact_id", ""))),
        ("queue", clean(call["queue"])),
        ("state", clean(call["state"])),
        ("position", str(call["position"] or "")),
        ("priority", str(call["priority"])),
        ("head start", duration(call["head_start_seconds"]) if call["head_start_seconds"] else ""),
        ("number", clean(call["number"]) + ("" if call.get("number_believed", True) else " (not believed)")),
        ("name", clean(call["name"])),
        ("customer", clean(call["customer"])),
        ("language", clean(call["language"])),
        ("arrived", clean(call["arrived_at"])),
        ("waited", duration(call["waited_seconds"])),
        ("talked", duration(call["talked_seconds"]) if call["talked_seconds"] else ""),
        ("needs", skills(call, "required_skills")),
        ("agents", clean(", ".join(call["agents"]))),
        *_talk_fields(call.get("talk") or {}),
        ("waits for", clean(call["reserved_for"] or "")),
        ("offers", str(call["offers"])),
        ("resumes", clean(call.get("resumes", ""))),
        ("leg", clean(f"{call['leg_uuid']} on {call['switch']}") if call["leg_uuid"] else ""),
    ]
