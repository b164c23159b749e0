"""`fsacd customer` over the API, without the database's password: create, show, search, edit, delete, merge.

The commands that work on the database itself are in `cli_customer`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import click

from fsacd.cli import output as o
from fsacd.cli.board import clean, duration
from fsacd.cli.client import BadUse, Client, Document
from fsacd.cli.customer import customer
from fsacd.cli.session import Session, common_options, done
from fsacd.cli.values import Whole, seconds, skill_levels
from fsacd.errors import Refused

_Command = TypeVar("_Command", bound=Callable[..., None])
# The fields that --clear takes beside own fields, and their cleared values.
_CLEARED: Final[dict[str, object]] = {
    "name": None, "priority": None, "head_start": 0, "skills": {}, "agent": None, "language": None,
}  # fmt: skip

COLUMNS: Final = (
    o.Column("CUSTOMER", lambda row: clean(row["id"])),
    o.Column("NUMBERS", lambda row: clean(", ".join(row["numbers"]), 60)),
    o.Column("NAME", lambda row: clean(row["name"], 30)),
    o.Column("PRIO", lambda row: "" if row["priority"] is None else str(row["priority"]), figure=True),
    o.Column("HEAD START", lambda row: duration(row["head_start_seconds"] or None), figure=True),
    o.Column("SKILLS", o.skills),
    o.Column("AGENT", lambda row: clean(row["agent"] or "")),
    o.Column("LANGUAGE", lambda row: clean(row["language"])),
    o.Column("OWN FIELDS", lambda row: clean(", ".join(f"{name} {value}" for name, value in row["own"].items()), 60)),
)


def _fields(row: Document) -> list[tuple[str, str]]:
    return [
        ("customer", clean(row["id"])),
        ("numbers", clean(", ".join(row["numbers"]), 1_000)),
        ("name", clean(row["name"], 300)),
        ("priority", "" if row["priority"] is None else str(row["priority"])),
        ("head start", duration(row["head_start_seconds"]) if row["head_start_seconds"] else ""),
        ("skills", o.skills(row)),
        ("agent", clean(row["agent"] or "")),
        ("language", clean(row["language"])),
        *((clean(name), clean(value, 300)) for name, value in row["own"].items()),
        ("was also", clean(", ".join(row["merged"]), 1_000)),
        ("changed", clean(f"{row['changed_at']} by {row['changed_by']}")),
    ]


def _show(session: Session, document: Document) -> None:
    if session.output == "table":
        o.write_fields(_fields(document), sys.stdout)
    else:
        o.write_document(document, session.output, sys.stdout)


def resolved(client: Client, who: str) -> str:
    """The id of the customer who is named by an id like c17, or by a number. Raises Refused when it is nobody's."""
    if re.fullmatch("c[0-9]{1,18}", who):
        return who
    found = client.get("customers", number=who)["customers"]
    if not found:
        raise Refused(f"no customer in the database has the number {who}")
    return str(found[0]["id"])


def _said(command: _Command) -> _Command:
    """The options for a customer's data."""
    for option in reversed(
        (
            click.option("--name", help="Who they are."),
            click.option("--priority", type=Whole(-100, 100), help="The class of their calls, instead of the queue's."),
            click.option(
                "--head-start", callback=seconds, metavar="DURATION",
                help="Their calls count as having waited so long: 60s.",
            ),
            click.option(
                "--skill", "skills", multiple=True, callback=skill_levels, metavar="SKILL=LEVEL",
                help="All that their calls require besides; repeatable.",
            ),
            click.option("--agent", help="The agent who is their own."),
            click.option("--language", help="The language they speak, such as fr."),
            click.option("--field", "own", multiple=True, metavar="FIELD=VALUE", help="An own field; repeatable."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def _body(given: dict[str, Any]) -> Document:
    """The body for the API, made from the options."""
    own = {}
    for text in given.pop("own"):
        name, between, value = text.partition("=")
        if not between or not name:
            raise BadUse(f"--field: expected a field with its value like contract=K-4711; got {text[:40]!r}.")
        own[name] = value
    body = {name: value for name, value in given.items() if value is not None and name != "skills"}
    if "head_start" in body:
        body["head_start_seconds"] = body.pop("head_start")
    if given["skills"]:
        body["skills"] = given["skills"]
    return body | ({"own": own} if own else {})


@customer.command("create")
@click.argument("numbers", metavar="NUMBER…", nargs=-1, required=True)
@_said
@common_options
def create(session: Session, numbers: tuple[str, ...], **said: Any) -> None:
    """Create a customer with one or more numbers, of which the first names who has no name."""
    _show(session, session.client.post("customers", body={"numbers": list(numbers)} | _body(said)))


@customer.command("show")
@click.argument("who", metavar="CUSTOMER")
@common_options
def show(session: Session, who: str) -> None:
    """Show one customer, by an id like c17 or by any of the numbers."""
    _show(session, session.client.get("customers", resolved(session.client, who)))


@customer.command("search")
@click.option("--name", help="Whose name begins so.")
@click.option("--number", help="Of whom a number begins so, however it is written.")
@click.option("--field", metavar="FIELD=VALUE", help="Whose own field begins so.")
@click.option("--limit", type=Whole(1, 100_000), default=100, show_default=True, help="At most so many.")
@common_options
def search(session: Session, name: str | None, number: str | None, field: str | None, limit: int) -> None:
    """Search the customers in the database, or show all; small and large letters are the same."""
    key, _, value = (field or "").partition("=")
    query = {"name_begins": name, "number_begins": number, "field": key or None, "value_begins": value or None}
    rows: list[Document] = []
    more = False
    for page in _pages(session.client, min(limit, 1_000), query):
        rows += page["customers"]
        more = page["next"] is not None or len(rows) > limit
        if len(rows) >= limit:
            break
    if session.output == "table":
        o.write_table(COLUMNS, rows[:limit], sys.stdout)
        sys.stdout.write(f"… and more: --limit shows more than {limit}\n" if more else "")
    else:
        o.write_document({"customers": rows[:limit], "more": more}, session.output, sys.stdout)


def _pages(client: Client, limit: int, query: dict[str, str | None]) -> Iterator[Document]:
    after: str | None = None
    while True:
        page = client.get("customers", limit=limit, after=after, **query)
        yield page
        after = page["next"]
        if after is None:
            return


@customer.command("edit")
@click.argument("who", metavar="CUSTOMER")
@_said
@click.option(
    "--number", "numbers", multiple=True, help="All their numbers, instead of those that they have; repeatable."
)
@click.option("--add-number", "more_numbers", multiple=True, help="A further number; repeatable.")
@click.option(
    "--clear", multiple=True, metavar="NAME", help="What is known no more: name, priority, …, or an own field."
)
@common_options
def edit(
    session: Session,
    who: str,
    numbers: tuple[str, ...],
    more_numbers: tuple[str, ...],
    clear: Sequence[str],
    **said: Any,
) -> None:
    """Change a customer, by an id like c17 or by any of the numbers; what is not named stays."""
    body = _body(said)
    for name in clear:
        if name in _CLEARED:
            body["head_start_seconds" if name == "head_start" else name] = _CLEARED[name]
        else:
            body["own"] = {**body.get("own", {}), name: None}
    body |= {"numbers": list(numbers)} if numbers else {}
    body |= {"more_numbers": list(more_numbers)} if more_numbers else {}
    if not body:
        raise BadUse("Say what to change; --help lists it.")
    _show(session, session.client.post("customers", resolved(session.client, who), "change", body=body))


@customer.command("delete")
@click.argument("who", metavar="CUSTOMER")
@common_options
def delete(session: Session, who: str) -> None:
    """Delete a customer, by an id like c17 or by any of the numbers; what history knows of the caller stays."""
    done(session, session.client.post("customers", resolved(session.client, who), "delete"))


@customer.command("merge")
@click.argument("kept", metavar="CUSTOMER")
@click.argument("other", metavar="OTHER")
@common_options
def merge(session: Session, kept: str, other: str) -> None:
    """Let OTHER become one with CUSTOMER, each by an id like c17 or by any of the numbers.

    Numbers and own fields are those of both. Where both say something, CUSTOMER says it. What history knows of OTHER
    is CUSTOMER's then, and so is whom they talked with last.
    """
    client = session.client
    gone = resolved(client, other)
    document = client.post("customers", resolved(client, kept), "merge", body={"customer": gone})
    if session.output != "table":
        o.write_document(document, session.output, sys.stdout)
        return
    o.write_fields(_fields(document["customer"]), sys.stdout)
    if document["not_kept"]:
        sys.stdout.write(f"not kept of {clean(gone)}: {clean(document['not_kept'], 1_000)}\n")
