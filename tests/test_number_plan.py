"""Which ways to write a number mean the same one, by the plan of the country in which the switch is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fsacd.caller.number_plan import PLAIN, NumberPlan, is_country, usual_prefixes
from fsacd.caller.recognition import Customer, Recognition
from fsacd.core.events import CallQueued


def plan(country: str, **fields: Any) -> NumberPlan:
    international, trunk = usual_prefixes(country)
    return replace(NumberPlan(country=country, international=international, trunk=trunk), **fields)


GERMANY = plan("DE")


@pytest.mark.parametrize(
    ("country", "meant", "written"),
    [
        ("DE", "+4930123456", ("030123456", "004930123456", "4930123456", "+49 (0)30/12 34-56", "+4930123456")),
        ("DE", "+4915112345678", ("015112345678", "4915112345678", "0049 151 12345678")),
        ("DE", "+4312345678", ("004312345678", "4312345678", "+43 1 2345678")),
        ("AT", "+4312345678", ("012345678", "004312345678", "4312345678")),
        ("FR", "+33142685300", ("01 42 68 53 00", "0033142685300", "33142685300")),
        # No trunk prefix: the nought of an Italian number is its own, and a Spanish number stands as it is.
        ("IT", "+390669812345", ("0669812345", "390669812345", "00390669812345")),
        ("ES", "+34912345678", ("912345678", "34912345678", "0034912345678")),
        ("US", "+12125551234", ("2125551234", "12125551234", "(212) 555-1234", "+1 212 555 1234")),
        ("US", "+4930123456", ("0114930123456", "4930123456")),
        ("RU", "+74951234567", ("84951234567", "74951234567")),
        ("GB", "+442079460123", ("02079460123", "00442079460123", "+44 (0)20 7946 0123")),
    ],
)
def test_ways_to_write_one_number(country: str, meant: str, written: tuple[str, ...]) -> None:
    """With a plus, the international prefix, the trunk prefix, or bare as many trunks show it."""
    assert {text: plan(country).identity(text) for text in written} == dict.fromkeys(written, meant)


@pytest.mark.parametrize(
    "number", ["1001", "110", "49", "4930", "12345678", "*31", "anna", "anna-b", "99999999999999999999"]
)
def test_what_is_no_number_of_a_country_stays_as_it_is(number: str) -> None:
    """Extensions, emergency numbers, SIP users: nothing is made of them."""
    assert GERMANY.identity(number) == number


@pytest.mark.parametrize("number", ["", "anonymous", "0000000000", "Restricted"])
def test_nobodys_numbers_stay_nobodys(number: str) -> None:
    """Also where a plan could read a number into noughts."""
    assert GERMANY.identity(number) == ""


def test_prefixes_of_a_pbx() -> None:
    """Behind one whose users dial a nought for a line, its trunk may show that, too."""
    pbx = plan("DE", international="000", trunk="00")
    assert {pbx.identity(text) for text in ("0004930123456", "0030123456", "4930123456")} == {"+4930123456"}


def test_without_a_country_digits_alone_count() -> None:
    """As ever."""
    assert len(PLAIN.identities(["+4930123456", "004930123456", "4930123456", "030123456"])) == 4


NUMBERS = st.from_regex(r"\+?[0-9]{1,17}", fullmatch=True) | st.text(max_size=12)
COUNTRIES = st.sampled_from(["DE", "US", "IT", "AT", "RU", "GB", "JP", "MX", "AR"])


@given(NUMBERS, COUNTRIES)
@example("+820000000", "DE")
@settings(max_examples=300, deadline=None)
def test_an_identity_is_its_own(number: str, country: str) -> None:
    """What has been settled once, on an edge or in another process, is not read as something else again."""
    here = plan(country)
    assert here.identity(here.identity(number)) == here.identity(number)


@given(st.integers(30_100_000, 30_999_999))
@settings(max_examples=50, deadline=None)
def test_all_forms_mean_the_same(national: int) -> None:
    """What is looked for to erase a caller is what they can be written as."""
    identity = f"+49{national}"
    forms = GERMANY.forms([identity])
    assert forms == sorted(forms, key=len, reverse=True)
    assert set(forms) == {identity, f"0049{national}", f"49{national}", f"0{national}"}
    assert GERMANY.identities(forms) == {identity}


def test_customers_are_known_by_meaning() -> None:
    """However the entry is written, and however the trunk shows the caller."""
    known = Recognition([Customer("030 123456", name="ACME"), Customer("+4930123456", name="twice")], plan=GERMANY)
    assert len(known) == 1
    for number in ("+4930123456", "004930123456", "4930123456", "030123456"):
        event = known.recognise(CallQueued("c", "support", 0, number=number))
        # Where nothing is said of who it is, the number tells.
        assert (number if event.identity is None else event.identity, event.customer) == ("+4930123456", "ACME")


def test_countries() -> None:
    """Known by their codes; the usual prefixes of each, or none where there are several."""
    assert [is_country(code) for code in ("DE", "US", "XX", "de", "")] == [True, True, False, False, False]
    assert [usual_prefixes(code) for code in ("DE", "US", "RU", "BR")] == [
        ("00", "0"), ("011", "1"), ("810", "8"), ("", "0")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("030 12", ["+4930123456", "4930123456", "004930123456", "030123456"]),
        ("+49 30 12", ["+4930123456", "4930123456", "004930123456", "030123456"]),
        ("004930", ["+4930123456", "030123456"]),
        ("4930", ["+4930123456", "4930123456"]),
        ("0043", ["+43123456789", "43123456789"]),
        ("10", ["1001"]),
        ("anna", ["anna-b"]),
    ],
)
def test_the_beginning_of_a_number(typed: str, stored: list[str]) -> None:
    """Whoever looks for numbers that begin so finds them however they are written."""
    for number in stored:
        assert any(number.startswith(one) for one in GERMANY.beginnings(typed)), number
    assert not any("+4940123456".startswith(one) for one in GERMANY.beginnings(typed))
