"""`fsacd history`: what the database keeps of callers and agents, given out or erased.

These commands ask the database that the configuration names, so they work while the daemon is down. What a daemon on
this machine has not written yet is erased as well, in its spool.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click
import orjson

from fsacd.cli.board import clean
from fsacd.cli.client import BadUse
from fsacd.cli.customer import config_option, database, given_number, load_config, who
from fsacd.errors import Refused

if TYPE_CHECKING:
    from fsacd.caller.number_plan import NumberPlan
    from fsacd.config.model import Config
    from fsacd.store.persons import Person

TABLES: Final = (
    "customers", "customer_numbers", "customer_fields", "contacts", "calls", "visits", "offers", "talks", "leg_quality",
    "decisions", "wrap_ups", "changes", "agent_presence", "agent_work", "log_ins", "agent_states",
)  # fmt: skip
# Where systemd keeps the daemon's state directory, which it tells only the daemon.
_STATE_DIRECTORY: Final = Path("/var/lib/fsacd")
_STATEMENT_MS: Final = 600_000
# The first characters that a spreadsheet takes for a formula; callers choose their own names.
_FORMULA: Final = frozenset("=+-@\t\r")
_NUMERAL: Final = frozenset("+-0123456789.*#: ")
_DAEMON_S: Final = 15.0


_spool_option = click.option(
    "--spool", type=click.Path(path_type=Path, file_okay=False),
    help="The daemon's spool, where neither the configuration nor systemd's usual place says where it is.",
)  # fmt: skip
_journal_option = click.option(
    "--journal", type=click.Path(path_type=Path, file_okay=False), help="The daemon's journal, likewise.",
)  # fmt: skip


@click.group()
def history() -> None:
    """History: give out or erase what is kept of callers and agents."""


@history.command("export")
@click.option("--number", "numbers", multiple=True, help="All that is kept of the caller with this number; repeatable.")
@click.option("--from", "begin", metavar="TIME", help="What began at this moment or later: 2026-01-31, or with a time.")
@click.option("--to", "end", metavar="TIME", help="What began before this moment.")
@click.option("--table", type=click.Choice(TABLES), help="Of this table alone; csv without it: calls.")
@click.option(
    "--format", "style", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True,
    help="One JSON object a line, or one table with a heading.",
)  # fmt: skip
@_spool_option
@_journal_option
@config_option
def history_export(
    config: Path,
    numbers: tuple[str, ...],
    begin: str | None,
    end: str | None,
    table: str | None,
    style: str,
    spool: Path | None,
    journal: Path | None,
) -> None:
    """Write history to standard output.

    With --number, all that is kept of the caller: their rows, and in `told` the texts of others' rows that name them,
    such as where a call was sent (these may tell of others, too: read them before you hand them out); then what waits
    in the daemon's spool, and what its journal names them in. Who asked for it is noted in `changes`, with a masked
    number.

    Without it, where the configuration's agent_figures is off, agents are named nowhere, and tables about agents alone
    are left out.
    """
    from fsacd.store.figures import LEFT_OUT, without_agents  # noqa: PLC0415 - heavy, and for this command only
    from fsacd.store.holds import note  # noqa: PLC0415 - the same
    from fsacd.store.persons import (  # noqa: PLC0415 - the same
        calls_of,
        columns,
        of_others,
        of_person,
        of_span,
        person,
    )

    if bool(numbers) == bool(begin or end):
        raise BadUse("either --number, or --from and --to (or one of them), say what to export.")
    begin, end = _moment("--from", begin), _moment("--to", end)
    settings = load_config(config)
    plan = settings.number_plan.plan()
    wanted = [given_number(text, plan) for text in numbers]
    tables: tuple[str, ...] = (table,) if table is not None else ("calls",) if style == "csv" else TABLES
    # Of one caller all is given out: it is theirs, and no agent's figure.
    names_agents = bool(wanted) or settings.agent_figures
    if not names_agents:
        if table in LEFT_OUT:
            raise Refused(f"{table} is about agents alone, and figures by agent are switched off (agent_figures)")
        tables = tuple(name for name in tables if name not in LEFT_OUT)
    if wanted:
        # In a transaction of its own: what is given out is noted, also when the reader goes away halfway.
        with database(settings, config, _STATEMENT_MS, "fsacd history") as connection:
            note(connection, "caller_exported", wanted, ", ".join(tables), who())
    with database(settings, config, _STATEMENT_MS, "fsacd history") as connection:
        whose = person(connection, wanted, plan) if wanted else None
        calls = frozenset(calls_of(connection, whose)) if whose else frozenset[str]()
        for name in tables:
            rows = of_person(connection, name, whose) if whose else of_span(connection, name, begin, end)
            if not names_agents:
                rows = map(partial(without_agents, name), rows)
            if style == "csv":
                _write_csv(columns(connection, name), rows, sys.stdout)
            else:
                _write_lines(name, rows, sys.stdout)
                if whose is not None:
                    _write_lines(name, of_others(connection, name, whose, plan), sys.stdout)
    if whose is not None and table is None and style == "jsonl":
        for row in _in_files(settings, spool, journal, whose, calls, plan):
            sys.stdout.write(orjson.dumps(row, option=orjson.OPT_UTC_Z).decode() + "\n")


def _in_files(
    settings: Config, spool: Path | None, journal: Path | None, whose: Person, calls: frozenset[str], plan: NumberPlan
) -> Iterator[Mapping[str, Any]]:
    from fsacd.caller.traces import traces  # noqa: PLC0415 - for this command only
    from fsacd.journal.traces import found  # noqa: PLC0415 - heavy, and for this command only
    from fsacd.store import waiting  # noqa: PLC0415 - the same

    if (directory := _spool(settings, spool)) is not None:
        yield from waiting.of_person(directory, whose, calls, plan)
    if (directory := _journal(settings, journal)) is not None:
        yield from found(directory, traces(whose.identities, plan))


@history.command("erase")
@click.argument("numbers", metavar="NUMBER…", nargs=-1, required=True)
@_spool_option
@_journal_option
@config_option
def history_erase(config: Path, numbers: tuple[str, ...], spool: Path | None, journal: Path | None) -> None:
    """Erase the caller with this NUMBER.

    Calls stay, without number, name, customer and the switch's id of the call; the entry among the customers goes,
    with its own fields. A customer is erased with all of their numbers, and with those who were merged into them.
    Name every form of the number that the switch may have shown (+4930123 and 030123), and begin one that starts with
    a dash after '--'.

    The daemon's journal is left behind for a new one as soon as the caller is in no call. Other places know callers
    too: the switch's own records and log, backups. Of a caller under a legal hold (see `fsacd history hold`) nothing is
    erased.
    """
    from fsacd.store import holds  # noqa: PLC0415 - heavy, and for this command only
    from fsacd.store.persons import erase, person  # noqa: PLC0415 - the same

    settings = load_config(config)
    plan = settings.number_plan.plan()
    wanted = [given_number(text, plan) for text in numbers]
    with database(settings, config, _STATEMENT_MS, "fsacd history") as connection:
        whole = sorted(person(connection, wanted, plan).identities)
        if why := holds.refusal(connection, frozenset(whole), plan):
            holds.note(connection, "erasure_refused", whole, "legal hold", who())
    if why:
        raise Refused(why)
    if more := [number for number in whole if number not in wanted]:
        sys.stdout.write(f"of the same customer, and erased as well: {clean(', '.join(more), 1_000)}\n")
    wanted = whole
    waiting = _erase_waiting(_spool(settings, spool), wanted, plan)
    with database(settings, config, _STATEMENT_MS, "fsacd history") as connection:
        done = erase(connection, wanted, who(), plan)
    if waiting is not None:
        done["rows that waited for the database"] = waiting
    told = ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in done.items() if count)
    sys.stdout.write(f"erased; changed are {told}\n" if told else "nothing of this caller was there\n")
    sys.stdout.write(_erase_in_journal(settings, journal, wanted, plan))
    configured = [text for text in wanted if text in _configured(settings)]
    if configured:
        sys.stdout.write(f"still in {config}, under 'customers': {clean(', '.join(configured))}\n")


def _configured(settings: Config) -> frozenset[str]:
    return settings.number_plan.plan().identities(settings.customers)


def _spool(settings: Config, given: Path | None) -> Path | None:
    """The spool directory of this configuration's daemon; None if it is not known here."""
    from fsacd.daemon.wiring import spool_directory  # noqa: PLC0415 - heavy, and for this command only

    if given is None and settings.store is not None:
        given = spool_directory(settings.store) or _STATE_DIRECTORY / "spool"
    return _existing(given, "where history waits")


def _existing(directory: Path | None, what: str) -> Path | None:
    try:
        return directory if directory is not None and directory.is_dir() else None
    except PermissionError:
        raise Refused(f"{directory}, {what}, cannot be looked into; do it as root or as fsacd's user") from None


def _journal(settings: Config, given: Path | None) -> Path | None:
    """The journal's directory, likewise."""
    from fsacd.daemon.wiring import journal_directory  # noqa: PLC0415 - heavy, and for this command only

    return _existing(given or journal_directory(settings) or _STATE_DIRECTORY / "journal", "where the journal is")


def _erase_in_journal(settings: Config, given: Path | None, numbers: list[str], plan: NumberPlan) -> str:
    """Place the request to erase in the journal, and report the outcome."""
    from fsacd.journal.erasure import Outcome, ask  # noqa: PLC0415 - heavy, and for this command only

    directory = _journal(settings, given)
    if directory is None:
        return ""
    match ask(directory, numbers, _DAEMON_S, plan):
        case Outcome.DONE:
            return "the daemon has begun a new journal without the caller\n"
        case Outcome.WAITS_FOR_CALL:
            return f"still in the journal, {directory}: the daemon leaves it behind when the caller's call has ended\n"
        case Outcome.WAITS_FOR_DAEMON:
            return f"still in the journal, {directory}: no daemon uses it; the next one leaves it behind\n"


def _erase_waiting(directory: Path | None, numbers: list[str], plan: NumberPlan) -> int | None:
    from fsacd.store.erasure import erase_waiting  # noqa: PLC0415 - heavy, and for this command only

    return None if directory is None else erase_waiting(directory, numbers, _DAEMON_S, plan)


def _moment(option: str, text: str | None) -> str | None:
    """A time as PostgreSQL takes it; without a zone it is in this machine's zone."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise BadUse(f"{option}: expected a moment like 2026-01-31 or 2026-01-31T08:00; got {text[:40]!r}.") from None


# --- how it is written -----------------------------------------------------------------------------------------------


def _write_lines(table: str, rows: Iterable[Mapping[str, Any]], out: TextIO) -> None:
    out.writelines(orjson.dumps({"table": table, **row}, option=orjson.OPT_UTC_Z).decode() + "\n" for row in rows)


def _write_csv(columns: list[str], rows: Iterable[Mapping[str, Any]], out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(list(_cells(row)) for row in rows)


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    for value in row.values():
        match value:
            case None:
                yield ""
            case str():
                yield f"'{value}" if value[:1] in _FORMULA and not _NUMERAL.issuperset(value) else value
            case datetime():
                yield value.isoformat()
            case int():
                yield str(value)
            case _:
                yield orjson.dumps(value).decode()
