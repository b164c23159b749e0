"""The routes of customers: what they take, what they say, and how they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fsacd.caller.number_plan import NumberPlan
from fsacd.errors import Refused, Unavailable
from fsacd.http.api import CustomerDesk
from fsacd.http.customer_forms import Forms
from tests.http.rig import TERMS, FakeBook, Rig, serve

ALL = "/api/v1/customers"
GERMANY = NumberPlan(country="DE", international="00", trunk="0")
CONFIGURED = "+4930999999"


@pytest.fixture
def book() -> FakeBook:
    return FakeBook()


@pytest.fixture
def rig(book: FakeBook) -> Iterator[Rig]:
    forms = Forms(TERMS, GERMANY, lambda number: number == CONFIGURED)
    with serve(customers=CustomerDesk(book, lambda: forms)) as rig:
        yield rig


def test_a_customer(rig: Rig) -> None:
    """All that is known of one, in the API's units; what is not declared is not shown."""
    assert rig.get(f"{ALL}/c1").json == {
        "id": "c1", "numbers": ["+4930111"], "name": "ACME", "priority": None, "head_start_seconds": 0.0, "skills": {},
        "agent": None, "language": "", "own": {"contract": "K-1"}, "changed_at": "2026-03-01T12:00:00Z",
        "changed_by": "cli:root", "merged": [],
    }  # fmt: skip


def test_a_page(rig: Rig) -> None:
    """A page says which own fields there are, and that it is the last."""
    page = rig.get(f"{ALL}?name_begins=ac&limit=5").json
    assert [one["id"] for one in page["customers"]] == ["c1"]
    assert (page["next"], page["fields"]) == (None, {"contract": "text", "since": "date"})


def test_what_is_given_is_read_by_the_plan(rig: Rig, book: FakeBook) -> None:
    """Numbers reach the database in the one form, whoever wrote them how, and with who wants it."""
    body = {"numbers": ["030 123456", "0049 30 123456", "+49 40 123456"], "name": "Zoë", "own": {"since": "2026-01-31"}}
    assert rig.post(ALL, body).status == 200
    assert book.asked == ["create ('+4930123456', '+4940123456') by api:admin"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "numbers: field required"),
        ({"numbers": []}, "numbers: list should have at least 1 item"),
        ({"numbers": ["anonymous"]}, "'anonymous' is shown where a caller shows no number: it is nobody's"),
        ({"numbers": ["()"]}, "'()' is no number of up to 64 letters or digits."),
        ({"numbers": ["030 999999"]}, f"The number {CONFIGURED} is a customer's of the configuration"),
        ({"numbers": ["1"], "own": {"contrat": "x"}}, "There is no own field 'contrat'; did you mean 'contract'?"),
        ({"numbers": ["1"], "own": {"since": "31.1.2026"}}, "since: expected a date like 2026-01-31, got '31.1.2026'."),
        ({"numbers": ["1"], "skills": {"frensh": 3}}, "There is no skill 'frensh'; did you mean 'french'?"),
        ({"numbers": ["1"], "skills": {"french": 11}}, "skills.french: should be less than or equal to 10"),
        ({"numbers": ["1"], "agent": "1009"}, "There is no agent '1009'; did you mean '1002'?"),
        ({"numbers": ["1"], "language": "très"}, "language: expected a name of up to 64"),
        ({"numbers": ["1"], "name": "a\nb"}, "name: expected up to 256 printable letters, got 'a\\nb'."),
        ({"numbers": ["1"], "priority": 101}, "priority: should be less than or equal to 100"),
        ({"numbers": ["1"], "nmae": "x"}, "nmae: unknown field, did you mean 'name'?"),
    ],
)
def test_slips_of_the_pen(rig: Rig, book: FakeBook, body: dict[str, Any], sentence: str) -> None:
    """Each is one sentence, and the database is not asked."""
    for path in (ALL, f"{ALL}/c1/change") if body.get("numbers") else (ALL,):
        reply = rig.post(path, body)
        assert (reply.status, sentence in reply.json["detail"]) == (422, True), reply.json["detail"]
    assert book.asked == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("name_begins=a&number=1", "one condition at a time"),
        ("value_begins=a", "value_begins means nothing without field"),
        ("field=contrat", "There is no own field 'contrat'; did you mean 'contract'?"),
        ("after=nonsense", "after: it is not what a page has given as next."),
        ("after=WzEsMl0=", "after: it is not what a page has given as next."),
        ("limit=1001", "limit: should be less than or equal to 1000"),
    ],
)
def test_searches_that_cannot_be(rig: Rig, book: FakeBook, query: str, sentence: str) -> None:
    """A sentence says what is wrong."""
    reply = rig.get(f"{ALL}?{query}")
    assert (reply.status, sentence in reply.json["detail"]) == (422, True), reply.json["detail"]
    assert book.asked == []


@pytest.mark.parametrize("path", ["", "/change", "/delete", "/merge"])
@pytest.mark.parametrize(("name", "shown"), [("c2", "c2."), ("17", "'17'; an id looks like c17.")])
def test_nobody_of_that_id(rig: Rig, path: str, name: str, shown: str) -> None:
    """It is said, and what an id looks like."""
    body = {"customer": "c1"} if path == "/merge" else None
    reply = rig.ask("POST" if path else "GET", f"{ALL}/{name}{path}", body=body)
    assert (reply.status, reply.json["detail"]) == (404, f"There is no customer {shown}")


def test_what_the_database_says(rig: Rig, book: FakeBook) -> None:
    """A refusal is 409, a database that is away 503 with Retry-After; both in one sentence."""
    book.wrong = Refused("the number +4930111 is c1 (ACME)'s already; merge")
    assert rig.post(ALL, {"numbers": ["030111"]}).json["detail"] == "The number +4930111 is c1 (ACME)'s already; merge."
    book.wrong = Unavailable("the customers cannot be reached, and nothing was changed: it is starting up")
    for reply in (rig.get(ALL), rig.get(f"{ALL}/c1"), rig.post(f"{ALL}/c1/delete")):
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert reply.json["detail"] == ("The customers cannot be reached, and nothing was changed: it is starting up.")


def test_without_a_database() -> None:
    """It is said where the customers of such a daemon are."""
    with serve() as rig:
        reply = rig.get(ALL)
    assert reply.status == 409
    assert reply.json["detail"].startswith("This daemon has no database (store.dsn)")


def test_a_change_says_what_is_another(rig: Rig, book: FakeBook) -> None:
    """Null takes away; what is left out is not in the wish at all."""
    body = {
        "priority": None,
        "head_start_seconds": 90,
        "own": {"contract": None},
        "more_numbers": ["030 5"],
        "agent": None,
    }
    assert rig.post(f"{ALL}/c1/change", body).status == 200
    assert rig.post(f"{ALL}/c1/change", {}).status == 200
    first, second = book.changes
    assert (first.numbers, first.more_numbers, dict(first.own)) == (None, ("+49305",), {"contract": ""})
    assert first.settings == {"priority": None, "head_start_ms": 90_000, "agent": ""}
    assert (second.settings, second.own, second.numbers) == ({}, {}, None)


def test_lines_of_a_table(rig: Rig, book: FakeBook) -> None:
    """Each bad line is told by its number; then nothing is written, and what else is wrong is told as well."""
    cells = {
        "numbers": "030 123456; +49 40 123456", "name": "=ACME", "priority": "-3", "head_start": "1m30s",
        "skills": "french=3; german = 5", "agent": "1001", "language": "fr", "since": "2026-01-31", "contract": "",
    }  # fmt: skip
    reply = rig.post(f"{ALL}/import", {"lines": [{"line": 2, "cells": cells}], "dry_run": True})
    assert reply.json == {
        "added": 1, "changed": 0, "unchanged": 0, "numbers": [["+4930123456", "+4940123456"]], "customers": [None],
    }  # fmt: skip
    bad = [
        ({"numbers": ""}, "The line names no customer and no number."),
        ({"numbers": "1", "priority": "1.5"}, "priority: expected a whole number from -100 to 100, got '1.5'."),
        ({"numbers": "1", "priority": "१"}, "priority: expected a whole number"),
        ({"numbers": "1", "head_start": "25h"}, "head_start: expected a duration like 60s or 2m, up to one day"),
        ({"numbers": "1", "skills": "french"}, "skills: expected skills with levels from 1 to 10 like french=3; vip=5"),
        ({"numbers": "1", "skills": "french=3;french=4"}, "skills: 'french' is named twice."),
        ({"numbers": ";".join(map(str, range(10, 31)))}, "A customer has at most 20 numbers."),
        ({"customer": "17", "numbers": "1"}, "customer: expected an id like c17, got '17'."),
        ({"numbers": "1", "since": "soon"}, "since: expected a date like 2026-01-31, got 'soon'."),
    ]
    lines = [{"line": 2, "cells": cells}, *({"line": 3 + n, "cells": each} for n, (each, _) in enumerate(bad))]
    reply = rig.post(f"{ALL}/import", {"lines": lines})
    assert (reply.status, reply.json["detail"]) == (422, "Nothing was imported: 9 of 10 lines are wrong.")
    for line, (problem, (_, sentence)) in enumerate(zip(reply.json["problems"], bad, strict=True), 3):
        assert problem.startswith(f"line {line}: {sentence}"), problem
    assert book.asked == ["take 1 by api:admin dry"] * 2
