"""Recognition: what a caller's number says of their call."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.caller.number_plan import NumberPlan
from fsacd.caller.recognition import LIMIT, Customer, Recognition, normalised
from fsacd.core.events import CallQueued, Leg
from fsacd.core.numbers import identity as plain

ACME = Customer("+49301234", 2, 60_000, (("french", 3),), "1001", "fr", "ACME")


def call(number: str = "+49301234", **facts: Any) -> CallQueued:
    return CallQueued("c1", "support", 7, Leg("fs1", "leg"), number=number, **facts)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+49 (30) 12-34", "+49301234"),
        ("030/12.34", "0301234"),
        ("+49\u00a030\u20131234", "+49301234"),
        ("*31", "*31"),
        ("anna-b", "anna-b"),
        (" anna.b ", "anna.b"),
        ("anonymous", "anonymous"),
        ("()", "()"),
        ("", ""),
    ],
)
def test_a_number_is_its_digits(written: str, number: str) -> None:
    """What people write between digits means nothing; a name stays as it is."""
    assert normalised(written) == number


@given(st.text(max_size=20))
def test_a_normal_number_is_normal(text: str) -> None:
    """Bringing a number into its form twice changes no more."""
    assert normalised(normalised(text)) == normalised(text)


def recognised(recognition: Recognition, event: CallQueued) -> CallQueued:
    """What becomes of the call, with who it is of said, where it is left to the number to tell."""
    known = recognition.recognise(event)
    return replace(known, identity=plain(known.number)) if known.identity is None else known


def test_a_known_caller_gets_what_is_known() -> None:
    """Each thing that is known of the customer is filled in."""
    assert recognised(Recognition([ACME]), call("+49 30 1234")) == call(
        "+49 30 1234",
        identity="+49301234",
        priority=2,
        head_start_ms=60_000,
        required=(("french", 3),),
        customer="ACME",
        language="fr",
        named_agent="1001",
    )


@pytest.mark.parametrize(
    ("marked", "believes_unmarked", "believed"),
    [
        (None, True, True),
        (None, False, False),
        (True, False, True),
        (True, True, True),
        (False, True, False),
        (False, False, False),
    ],
)
def test_a_number_that_is_not_believed_is_nobodys(marked: bool | None, believes_unmarked: bool, believed: bool) -> None:
    """What the dialplan says of the number counts; where it says nothing, the configuration does."""
    recognition = Recognition([ACME])
    recognition.believes_unmarked = believes_unmarked
    known = recognised(recognition, call(number_believed=marked))
    if believed:
        assert known.priority == 2
        assert known.number_believed is not False
    else:
        assert known == call(number_believed=False, identity="+49301234")


def test_the_dialplan_knows_better() -> None:
    """What the call says itself stays; of two levels of a skill the higher counts."""
    said: dict[str, Any] = {"priority": 0, "head_start_ms": 1, "customer": "x", "language": "de", "named_agent": "1002"}
    given_call = call(identity="+49301234", required=(("french", 5), ("german", 1)), **said)
    assert recognised(Recognition([ACME]), given_call) == given_call
    lower = recognised(Recognition([ACME]), call(required=(("french", 1), ("german", 1))))
    assert lower.required == (("french", 3), ("german", 1))


@pytest.mark.parametrize(
    ("number", "identity"),
    [("", ""), ("+49301235", "+49301235"), ("49301234", "49301234"), ("anonymous", ""), ("Restricted", "")],
)
def test_an_unknown_caller_is_left_as_they_are(number: str, identity: str) -> None:
    """Numbers are compared whole, a leading plus with them; only who is meant is said."""
    assert recognised(Recognition([ACME]), call(number)) == call(number, identity=identity)


@pytest.mark.parametrize("number", ["anonymous", "Anonymous", "0000000000", "Keine Nummer", " "])
def test_a_number_that_is_withheld_is_no_customer(number: str) -> None:
    """Whoever has written one among the customers means all who show no number, and there is no such person."""
    plan = NumberPlan(frozenset({"anonymous", "keine nummer", "0000000000"}))
    known = Recognition([Customer(number, name="Nobody")], plan=plan)
    known.replace_stored([Customer(number, name="Nobody")])
    assert (len(known), known.find(number)) == (0, None)
    assert recognised(known, call(number)) == call(number, identity="")


def test_a_hidden_number_is_recognised_where_it_may_be_seen() -> None:
    """By the name of the customer everybody would know whose number it is."""
    known = Recognition([ACME])
    assert recognised(known, call(hidden=True)) == call(hidden=True, identity="+49301234")
    known.may_see = frozenset({"support"})
    assert recognised(known, call(hidden=True)).customer == "ACME"


def test_a_customer_without_a_name_goes_by_their_number() -> None:
    """So that views and history can name the customer."""
    event = Recognition([Customer("+49 30 1234")]).recognise(call())
    assert (event.customer, event.priority, event.head_start_ms) == ("+49301234", None, 0)


def test_the_configuration_goes_before_the_database() -> None:
    """Both halves are replaced each by itself, and a number in both is the configuration's."""
    known = Recognition([Customer("1", name="file")])
    known.replace_stored([Customer("1", name="store"), Customer("2", name="store")])
    names = [found.name for found in map(known.find, ("1", "2")) if found is not None]
    assert (names, len(known)) == (["file", "store"], 3)
    known.replace_configured([])
    names = [found.name for found in map(known.find, ("1", "2")) if found is not None]
    assert names == ["store", "store"]
    known.replace_stored([])
    assert (known.find("1"), len(known)) == (None, 0)


def test_more_than_the_limit_are_said_and_left_out() -> None:
    """The first have their place, each half for itself."""
    many = [Customer(str(number)) for number in range(5)]
    known = Recognition(limit=3)
    said = [known.replace_stored([*many, many[0]]), known.replace_configured(many)]
    assert said == [
        "2 numbers of customers of the database are not recognised: only 3 numbers are kept (limits.customers)",
        "2 numbers of customers of the configuration are not recognised: only 3 numbers are kept (limits.customers)",
    ]
    assert (len(known), known.replace_stored(many[:3])) == (6, "")
    assert [known.find(str(number)) is not None for number in range(5)] == [True, True, True, False, False]


def test_two_ways_to_write_a_number_are_one_customer() -> None:
    """The first of them counts."""
    known = Recognition([Customer("+1 2", name="first"), Customer("+12", name="second")])
    assert (known.find("+1-2"), len(known)) == (Customer("+12", name="first"), 1)


def test_a_customer_takes_few_bytes() -> None:
    """A full table takes no more than a small daemon does: below 500 bytes for each, the texts with it."""
    count = 5_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        known = Recognition()
        known.replace_stored(
            Customer(f"+49301{n:06}", n % 3, 60_000, (("fr" + "ench", 3),), f"{n % 9}", "fr", f"Customer number {n}")
            for n in range(count)
        )
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(known) == count
    assert (after - before) / count < 500
    assert LIMIT * 500 <= 100_000_000


FIRST = Customer("+4930111", 2, name="ACME", customer_id=7)
SECOND = Customer("+4930222", 2, name="ACME", customer_id=7, main="+4930111")


def test_a_customer_by_another_of_their_numbers() -> None:
    """They are the same customer; what is remembered of them stands under the first number."""
    recognition = Recognition()
    recognition.replace_stored([FIRST, SECOND])
    one, other = recognised(recognition, call("+4930111")), recognised(recognition, call("+4930222"))
    assert (one.customer_id, one.remembered_as, one.identity) == (7, "", "+4930111")
    assert (other.customer_id, other.remembered_as, other.identity) == (7, "+4930111", "+4930222")
    assert recognition.remembered_as("+4930222") == recognition.remembered_as("+4930111") == "+4930111"
    assert recognition.remembered_as("+4930333") == "+4930333"
    recognition.replace_stored([Customer("1", main="2")])
    assert recognised(recognition, call("1")).customer == "2", "who has no name is called by the first number"


def test_some_of_the_database_s_change() -> None:
    """What was known by the numbers that are named is replaced; a number without an entry is nobody's; others stay."""
    plan = NumberPlan(country="DE", international="00", trunk="0")
    recognition = Recognition(plan=plan, limit=3)
    recognition.replace_stored([Customer("030111111"), Customer("030222222"), Customer("030333333")])
    assert recognition.update_stored(["030111111", "+4930222222"], [Customer("0049 30 222222", name="Zoë")]) == ""
    assert recognition.find("030111111") is None
    assert recognition.find("030222222") == Customer("+4930222222", name="Zoë")
    assert recognition.find("030333333") is not None
    more = [Customer("030444444"), Customer("030555555")]
    assert recognition.update_stored([one.number for one in more], more) == (
        "1 numbers of customers of the database are not recognised: only 3 numbers are kept (limits.customers)"
    )
    assert (recognition.find("030444444") is not None, recognition.find("030555555"), recognition.left_out) == (
        True,
        None,
        1,
    )


def test_whoever_has_no_place_is_told() -> None:
    """Status and /readyz say so, until there is a place for all."""
    recognition = Recognition(limit=1)
    recognition.replace_stored([FIRST, SECOND])
    (trouble,) = recognition.troubles()
    assert "limits.customers" in trouble.words
    assert trouble.detail == "1 numbers are left out, 1 are kept"
    recognition.replace_stored([FIRST])
    assert recognition.troubles() == ()


def test_what_the_configuration_says_goes_before() -> None:
    """And whoever creates a customer in the database can be told that it would mean nothing."""
    recognition = Recognition([ACME])
    recognition.replace_stored([Customer("+49301234", customer_id=3, name="other")])
    assert recognition.is_configured("+49 30 1234")
    assert not recognition.is_configured("+49 30 9999")
    assert (recognised(recognition, call()).customer, recognised(recognition, call()).customer_id) == ("ACME", 0)


def test_numbers_that_are_known_are_not_read_again() -> None:
    """To read a number by the plan is dear; of a table that is read anew only what is new in it is."""
    asked: list[str] = []

    class Plan(NumberPlan):
        def identity(self, number: str) -> str:
            asked.append(number)
            return super().identity(number)

    recognition = Recognition(plan=Plan(country="DE", international="00", trunk="0"))
    entries = [Customer(f"+4930{number}") for number in range(100_000, 100_050)]
    recognition.replace_stored(entries)
    asked.clear()
    recognition.replace_stored([*entries, Customer("030777777")])
    assert asked == ["030777777"]
    assert len(recognition) == 51
