"""Fields of the operator's own: what each may hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.caller.own_fields import FieldType, read_value
from fsacd.config.own_fields import RESERVED
from fsacd.config.problems import ConfigErrors
from fsacd.config.reader import parse
from tests.config.few_plugins import few_plugins

T, N, D, F = FieldType.TEXT, FieldType.NUMBER, FieldType.DATE, FieldType.FLAG


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (T, " K-4711 ", "K-4711"),
        (N, "0012", "12"),
        (N, "-2.50", "-2.5"),
        (N, "-0.0", "0"),
        (N, "3.000", "3"),
        (D, "2026-02-28", "2026-02-28"),
        (F, "On", "yes"),
        (F, "0", "no"),
    ],
)
def test_a_value_has_one_form(kind: FieldType, text: str, value: str) -> None:
    """However it is written, it is kept, shown and compared in one form."""
    assert read_value(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (T, "x" * 257, "expected up to 256 printable letters"),
        (T, "a\nb", "got 'a\\nb'"),
        (N, "1e5", "expected a number like 12 or -1.5, got '1e5'"),
        (N, "१२", "expected a number"),
        (N, "1,5", "expected a number"),
        (D, "2026-02-29", "expected a date like 2026-01-31"),
        (D, "29.02.2028", "expected a date like 2026-01-31"),
        (F, "perhaps", "expected yes or no, got 'perhaps'"),
    ],
)
def test_what_is_no_value_is_said(kind: FieldType, text: str, sentence: str) -> None:
    """The sentence names what is expected and what came."""
    with pytest.raises(ValueError, match="expected") as error:
        read_value(kind, text)
    assert sentence in str(error.value)


@given(st.sampled_from(FieldType), st.text(max_size=40))
def test_the_form_is_the_last_one(kind: FieldType, text: str) -> None:
    """What has been read once is read again as itself."""
    try:
        value = read_value(kind, text)
    except ValueError:
        return
    assert read_value(kind, value) == value


CENTRE = "switches: {fs1: {password: secret}}\nqueues: {support: }\n"


def fields(text: str) -> object:
    return parse((CENTRE + text).encode(), Path("f.yaml"), plugins=few_plugins, environ={}).own_fields()


def test_they_are_declared() -> None:
    """In short or in full; without a type it is a text."""
    declared = fields("customer_fields: {contract: , since: date, paid: {type: flag}}")
    assert declared == {"contract": T, "since": D, "paid": F}


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_field_has_the_name_of_what_everybody_has(name: str) -> None:
    """The heading of a table could not tell the two apart."""
    with pytest.raises(ConfigErrors, match="every customer has this already"):
        fields(f"customer_fields: {{{name.upper()}: text}}")


def test_a_type_that_is_none() -> None:
    """The types that there are stand in the sentence."""
    with pytest.raises(ConfigErrors, match="expected one of text, number, date, flag"):
        fields("customer_fields: {since: day}")
