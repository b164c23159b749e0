"""Customers as records: changed, compared, merged."""

from __future__ import annotations

import pytest

from fsacd.caller.customers import Change, Record, Settings, changed, differing, id_of, merged, told
from fsacd.errors import Refused

ACME = Record(3, ("+4930", "+4940"), Settings("ACME", 2, 60_000, (("vip", 5),), "1001"), {"contract": "K-1"})
BAKER = Record(9, ("+4950",), Settings("Baker", language="fr", agent="1002"), {"contract": "K-2", "paid": "yes"})


def test_two_become_one() -> None:
    """Numbers are those of both; what the kept one does not say, the other says; and what has no place is told."""
    one, lost = merged(ACME, BAKER)
    assert one == Record(
        3,
        ("+4930", "+4940", "+4950"),
        Settings("ACME", 2, 60_000, (("vip", 5),), "1001", "fr"),
        {"contract": "K-1", "paid": "yes"},
    )
    assert lost == "name Baker; agent 1002; contract K-2"


def test_nothing_is_lost_of_what_is_the_same() -> None:
    """Two who say the same, or of whom one says nothing, lose nothing."""
    assert merged(ACME, Record(9, ("+4950",), ACME.settings, ACME.own))[1] == ""
    assert merged(Record(3, ("+4930",)), BAKER)[0].settings == BAKER.settings


def test_a_change_leaves_the_rest() -> None:
    """What is not named stays; an own field with nothing in it goes; further numbers come behind."""
    after = changed(ACME, Change(None, ("+4960", "+4930"), {"priority": None}, {"contract": "", "since": "2026-01-01"}))
    assert after.numbers == ("+4930", "+4940", "+4960")
    assert (after.settings.priority, after.settings.name, after.own) == (None, "ACME", {"since": "2026-01-01"})
    assert differing(ACME, after) == "priority, numbers, contract, since"
    assert differing(ACME, ACME) == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (Change(()), "at least one number"),
        (Change(tuple(map(str, range(21)))), "at most 20 numbers, and these would be 21"),
        (Change(own={f"f{n}": "x" for n in range(101)}), "at most 100 own fields"),
    ],
)
def test_limits(change: Change, sentence: str) -> None:
    """A record without a number could never be found, and one with thousands would be no customer."""
    with pytest.raises(Refused, match=sentence):
        changed(ACME, change)
    with pytest.raises(Refused, match="at most 20 numbers"):
        merged(Record(1, tuple(map(str, range(15)))), Record(2, tuple(map(str, range(15, 30)))))


def test_in_words() -> None:
    """One line with all that is known beside the first number."""
    assert told(ACME) == "priority 2; head start 60 s; skills vip 5; agent 1001; name ACME; also +4940; contract K-1"
    assert told(Record(1, ("1",))) == ""


@pytest.mark.parametrize(
    ("text", "number"), [("c17", 17), ("17", None), ("c", None), ("c१७", None), ("c" + "9" * 19, None)]
)
def test_ids(text: str, number: int | None) -> None:
    """An id is told from a number by its letter."""
    assert id_of(text) == number
