"""The spool's lines: what goes in comes out, and nothing that was damaged does."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from fsacd.store import lines
from fsacd.store.rows import AGENT_STATES, CHANGES, DECISIONS, TEXT_LIMIT, Row, Value

values = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.text())


@settings(max_examples=50, deadline=None)
@given(st.lists(values, min_size=6, max_size=6), st.integers(0, 400))
def test_every_row_comes_back(given_values: list[Value], length: int) -> None:
    """Whatever callers send, a row is one line, and comes back as it would be stored; also from a line filled up."""
    row = Row(AGENT_STATES, tuple(given_values))
    text = lines.line(lines.encoded(row), length)
    assert (text.count(b"\n"), text[-1:], len(text) >= length) == (1, b"\n", True)
    body = lines.payload(text[:-1])
    assert body is not None
    back = lines.decoded(body)
    assert back is not None
    assert (
        back.fields() == row.fields() if all(not isinstance(v, int) for v in given_values) else back.table is row.table
    )
    assert max(len(v) for v in (*back.values, "") if isinstance(v, str)) <= TEXT_LIMIT


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200), st.data())
def test_no_changed_line_is_taken(payload: bytes, data: st.DataObject) -> None:
    """A line with a changed byte has no payload."""
    text = lines.line(payload)[:-1]
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.integers(1, 255))
    assert lines.payload(text[:at] + bytes([text[at] ^ other]) + text[at + 1 :]) is None


def test_a_document_stays_one_line() -> None:
    """A document with line ends in it, which JSON allows, is kept on one line."""
    row = Row(DECISIONS, ("o1", "c1", 1, "support", "anna", 5, b'{\n"a": [1.5,\n null]}'))
    body = lines.encoded(row)
    assert b"\n" not in body
    assert lines.decoded(body) == replace(row, values=(*row.values[:-1], b'{"a":[1.5,null]}'))


def test_columns_of_another_version() -> None:
    """A column that an older fsacd did not write is empty; one that is known no more is left out."""
    row = Row(CHANGES, ("call_moved", "c1", "to sales", "api:desk", 5))
    old = lines.decoded(b'["changes","call_moved","red","api:desk",5]', {"changes": ("kind", "colour", "by", "at")})
    assert old == replace(row, values=("call_moved", "", "", "api:desk", 5))
    assert lines.decoded(b'["colours","red"]', {"colours": ("name",)}) is None
    assert lines.columns(lines.header()[:-1]) == lines.CURRENT


def test_a_guess_of_another_version_is_one() -> None:
    """An earlier fsacd said only whether it had seen the end."""
    for seen, evidence in ((b"false", "guessed"), (b"true", "")):
        old = lines.decoded(b'["calls","c1",%b]' % seen, {"calls": ("call_id", "seen")})
        assert old is not None
        assert (old.fields()["call_id"], old.fields()["evidence"]) == ("c1", evidence)
