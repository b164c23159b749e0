"""`fsacd customer add`, `list`, `match` and `remove`: on the database itself that the configuration names.

They work while the daemon is down; a running daemon sees a change within seconds. Customers that stand in the
configuration file are not shown here, and go before those of the table. The commands over the API are in
`cli_customers` and `cli_customer_tables`.
"""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from typing_extensions import override

from fsacd.cli import output as o
from fsacd.cli.board import clean, duration
from fsacd.cli.client import BadUse, Document, NotReachable
from fsacd.cli.values import Whole
from fsacd.errors import Refused

if TYPE_CHECKING:
    import psycopg

    from fsacd.caller.number_plan import NumberPlan
    from fsacd.config.model import Config
    from fsacd.core.rules import Parameters

_STATEMENT_MS = 10_000
_NUMBER_LIMIT = 64
_HEAD_START_MS = 86_400_000
_TEXT_LIMIT = 256
_SKILLS_LIMIT = 32

CUSTOMER_COLUMNS = (
    o.Column("NUMBER", lambda row: clean(row["number"])),
    o.Column("PRIO", lambda row: "" if row["priority"] is None else str(row["priority"]), figure=True),
    o.Column("HEAD START", lambda row: duration(row["head_start_seconds"] or None), figure=True),
    o.Column("SKILLS", o.skills),
    o.Column("AGENT", lambda row: clean(row["agent"])),
    o.Column("LANGUAGE", lambda row: clean(row["language"])),
    o.Column("NAME", lambda row: clean(row["name"], 30)),
    o.Column("CHANGED", lambda row: clean(row["changed_at"])),
    o.Column("BY", lambda row: clean(row["changed_by"])),
)


config_option = click.option(
    "--config", "-c", type=click.Path(path_type=Path, dir_okay=False), envvar="FSACD_CONFIG",
    default=Path("/etc/fsacd/fsacd.yaml"), show_default=True, help="Configuration file that names the database.",
)  # fmt: skip


@click.group()
def customer() -> None:
    """Customers: who is known by their numbers, and how their calls are treated.

    add, list, match and remove work on the database itself, by the configuration, also while the daemon is down; all
    others ask the daemon.
    """


@customer.command("add")
@click.argument("number")
@click.option("--priority", type=Whole(-100, 100), help="Class of the customer's calls, instead of the queue's.")
@click.option("--head-start", default="0s", metavar="DURATION", help="Their calls count as having waited so long: 60s.")
@click.option("--skill", "skills", multiple=True, metavar="SKILL=LEVEL", help="Their calls require this; repeatable.")
@click.option("--agent", default="", help="The customer's own agent.")
@click.option("--language", default="", help="The language the customer speaks, such as fr.")
@click.option("--name", default="", help="The customer's name.")
@config_option
def customer_add(
    config: Path,
    number: str,
    priority: int | None,
    head_start: str,
    skills: tuple[str, ...],
    agent: str,
    language: str,
    name: str,
) -> None:
    """In the database: add a customer, or say anew how the calls of one are treated."""
    from fsacd.caller.recognition import Customer  # noqa: PLC0415 - heavy, and for this command only
    from fsacd.store.customers import put, summary  # noqa: PLC0415 - the same

    settings = load_config(config)
    plan = settings.number_plan.plan()
    entry = Customer(
        given_number(number, plan),
        priority,
        _head_start_ms(head_start),
        tuple(sorted(_skills(skills, settings).items())),
        _agent(agent, settings),
        _language(language),
        _text("--name", name, _TEXT_LIMIT),
    )
    with database(settings, config) as connection:
        is_new = put(connection, entry, who(), plan)
    known = summary(entry) or "nothing but the number is known"
    sys.stdout.write(f"{'added' if is_new else 'changed'} {clean(entry.number)}: {clean(known, 1_000)}\n")


@customer.command("list")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True,
    help="What the answer looks like.",
)  # fmt: skip
@click.option("--json", "output", flag_value="json", help="The same as --output json.")
@config_option
def customer_list(config: Path, output: str) -> None:
    """In the database: show the customers."""
    from fsacd.store.customers import stored  # noqa: PLC0415 - heavy, and for this command only

    with database(load_config(config), config) as connection:
        rows: list[Document] = []
        for entry in stored(connection):
            row = asdict(entry)
            row["head_start_seconds"] = row.pop("head_start_ms") / 1_000
            rows.append(row)
    if output == "table":
        o.write_table(CUSTOMER_COLUMNS, rows, sys.stdout)
    else:
        o.write_document({"customers": rows}, cast("o.Format", output), sys.stdout)


@customer.command("match")
@click.argument("number")
@config_option
def customer_match(config: Path, number: str) -> int:
    """Say whose NUMBER it is, by the number plan: how it can be written, and which customer a call with it is.

    Exit code 1 when it is no customer's.
    """
    from fsacd.caller.recognition import Customer  # noqa: PLC0415 - heavy, and for this command only
    from fsacd.store.customers import stored, summary  # noqa: PLC0415 - the same

    settings = load_config(config)
    plan = settings.number_plan.plan()
    wanted = given_number(number, plan)
    forms = plan.forms([wanted])
    told = [f"{wanted}: " + ", ".join(form for form in forms if form != wanted) if len(forms) > 1 else wanted]
    found = [(f"the configuration, as {one}", entry.customer(one)) for one, entry in settings.customers.items()]
    found = [(where, entry) for where, entry in found if plan.identity(entry.number) == wanted]
    if settings.store is not None and settings.store.dsn is not None:
        with database(settings, config) as connection:
            for row in stored(connection, forms):
                skills = tuple(sorted(row.skills.items()))
                entry = Customer(row.number, row.priority, row.head_start_ms, skills, row.agent, row.language, row.name)
                found.append((f"the database, as {row.number}", entry))
    # The first one counts: a customer of the configuration goes before one of the database.
    told += [f"in {where}: {summary(entry) or 'nothing but the number is known'}" for where, entry in found]
    sys.stdout.write("".join(f"{clean(line, 1_000)}\n" for line in told if line))
    if not found:
        sys.stdout.write("no customer has it\n")
    return 0 if found else 1


@customer.command("remove")
@click.argument("number")
@config_option
def customer_remove(config: Path, number: str) -> None:
    """In the database: remove a customer, with all their numbers; not while one is under a legal hold."""
    from fsacd.store.customers import remove  # noqa: PLC0415 - heavy, and for this command only

    settings = load_config(config)
    plan = settings.number_plan.plan()
    wanted = given_number(number, plan)
    with database(settings, config) as connection:
        if not remove(connection, wanted, who(), plan):
            raise Refused(f"there is no customer with the number {wanted} in the database")
    sys.stdout.write(f"removed {clean(wanted)}\n")


# --- what is given ---------------------------------------------------------------------------------------------------


def given_number(text: str, plan: NumberPlan) -> str:
    """A number in the form in which it is compared. Raises BadUse for no number, and for a withheld one."""
    from fsacd.core.numbers import normalised  # noqa: PLC0415 - for these commands only

    number = plan.identity(text)
    if not number and normalised(text):
        raise BadUse(f"{text[:40]!r} is shown where a caller shows no number: it is nobody's in particular.")
    if not any(map(str.isalnum, number)) or not number.isprintable() or len(number) > _NUMBER_LIMIT:
        raise BadUse(f"{text!r} is no number: up to {_NUMBER_LIMIT} letters or digits as the switch shows the caller.")
    return number


def _head_start_ms(text: str) -> int:
    from fsacd.config.kinds import duration_ms  # noqa: PLC0415 - heavy, and for this command only

    length_ms = duration_ms(text)
    if length_ms is None or length_ms > _HEAD_START_MS:
        raise BadUse(f"--head-start: expected a duration like 60s or 2m, up to one day; got {text!r}.")
    return length_ms


def _skills(given: tuple[str, ...], settings: Config) -> dict[str, int]:
    skills: dict[str, int] = {}
    if len(given) > _SKILLS_LIMIT:
        raise BadUse(f"--skill: at most {_SKILLS_LIMIT} are allowed.")
    for text in given:
        skill, _, level = text.partition("=")
        if not level.isascii() or not level.isdigit() or not 1 <= int(level) <= 10:  # noqa: PLR2004 - levels are 1..10
            raise BadUse(f"--skill: expected a skill with a level from 1 to 10 like french=3; got {text!r}.")
        known = settings.skills or {name for agent in settings.agents.values() for name in agent.skills}
        if skill not in known:
            raise BadUse(f"--skill: {skill!r} is no skill of the configuration; there is {_some(known)}.")
        if skill in skills:
            raise BadUse(f"--skill: {skill!r} is given twice.")
        skills[skill] = int(level)
    return skills


def _agent(agent_id: str, settings: Config) -> str:
    if agent_id and agent_id not in settings.agents:
        raise BadUse(f"--agent: there is no agent {agent_id!r} in the configuration.")
    return agent_id


def _language(text: str) -> str:
    from fsacd.config.forms import NAME  # noqa: PLC0415 - heavy, and for this command only

    if text and re.fullmatch(NAME.pattern, text) is None:
        raise BadUse(f"--language: expected {NAME.says}; got {text[:40]!r}.")
    return text


def _text(option: str, text: str, longest: int) -> str:
    if len(text) > longest or not text.isprintable():
        raise BadUse(f"{option}: expected up to {longest} letters; got {text[:40]!r}.")
    return text


def _some(names: set[str] | tuple[str, ...]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "") or "none"  # noqa: PLR2004 - enough to see a slip of the pen


def who() -> str:
    """The user who runs this command: the one who called sudo, else the user of the process."""
    user = os.environ.get("SUDO_USER", "") if os.getuid() == 0 else ""
    if not user:
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = str(os.getuid())  # a container's user need not have a name
    return f"cli:{clean(user, _NUMBER_LIMIT)}"


# --- where it goes ---------------------------------------------------------------------------------------------------


class _Every(frozenset[str]):
    """A set that contains every name."""

    @override
    def __contains__(self, name: object) -> bool:
        return True


class _Unread:
    """The plugins, not loaded: no command here needs one, and a user of these commands need not trust their code."""

    def names(self, kind: str) -> frozenset[str]:  # noqa: ARG002 - the names of fsacd.config.plugins.Catalogue
        """Any name."""
        return _Every()

    def read_parameters(self, kind: str, name: str, raw: Mapping[str, object]) -> Parameters:  # noqa: ARG002 - the same
        """No parameter at all."""
        return ()


def load_config(path: Path) -> Config:
    """The configuration, its plugins unread. Raises BadUse with the first problem."""
    from fsacd.config.problems import ConfigErrors  # noqa: PLC0415 - heavy, and for these commands only
    from fsacd.config.reader import load  # noqa: PLC0415 - the same

    try:
        return load(path, plugins=lambda _directories: (_Unread(), ()))
    except ConfigErrors as errors:
        raise BadUse(f"{path} cannot be used: {errors.problems[0]}") from None


@contextmanager
def database(
    settings: Config, path: Path, statement_ms: int = _STATEMENT_MS, name: str = "fsacd customer"
) -> Iterator[psycopg.Connection]:
    """A connection to the configured database, with our tables, in one transaction.

    Raises:
        Refused: none is configured, or it refuses.
        NotReachable: it is down.
    """
    if settings.store is None or settings.store.dsn is None:
        raise Refused(f"{path} names no database (store.dsn); its own customers stand there under 'customers'")
    import psycopg  # noqa: PLC0415 - heavy, and for these commands only

    from fsacd.store.connecting import connect_migrated, limit_statements, sentence  # noqa: PLC0415 - the same

    try:
        dsn = settings.store.dsn.get_secret_value()
        with closing(connect_migrated(dsn, statement_ms, name)) as connection, connection.transaction():
            limit_statements(connection, statement_ms)
            yield connection
    except psycopg.OperationalError as error:
        raise NotReachable(f"the database cannot be reached: {sentence(error)}") from error
    except psycopg.Error as error:
        raise Refused(f"the database refuses: {sentence(error)}") from error
