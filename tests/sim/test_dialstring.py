from __future__ import annotations

import pytest

from fsacd.sim.dialstring import brackets, parse, split_words


@pytest.mark.parametrize(
    ("text", "variables", "rest"),
    [
        ("{a=1,b=2}user/1", {"a": "1", "b": "2"}, "user/1"),
        ("{^^;a=1,2;b=3}user/1", {"a": "1,2", "b": "3"}, "user/1"),
        ("{a=1\\,2}user/1", {"a": "1,2"}, "user/1"),
        ("{a='x,inj=1'}user/1", {"a": "x", "inj": "1"}, "user/1"),
        ("{a=x}y=1}user/1", {"a": "x"}, "y=1}user/1"),
        ("{a=${system(id)}}user/1", {}, "}user/1"),
        ("{a=1}[b=2]user/1", {"a": "1", "b": "2"}, "user/1"),
        ("user/1", {}, "user/1"),
    ],
)
def test_brackets_are_read_as_freeswitch_reads_them(text: str, variables: dict[str, str], rest: str) -> None:
    """Quotes protect nothing inside braces, a backslash protects a comma, a brace ends the block."""
    assert brackets(text) == (variables, rest)


def test_words_are_split_at_blanks_outside_quotes() -> None:
    """Single quotes hold a word together and disappear; a backslash protects a quote."""
    assert split_words("a 'b c' d\\'e  f") == ["a", "b c", "d'e", "f"]


@pytest.mark.parametrize(
    "text", ["", "user/1", "user/1 &park() a b c d 1 too-many", "user/1 &park() XML default O'Neil 1 2"]
)
def test_malformed_originate_is_no_originate(text: str) -> None:
    """Too few or too many words, or a lone quote, give the usage line."""
    assert parse(text) is None


def test_undef_stands_for_nothing() -> None:
    """Arguments can be left out in the middle."""
    order = parse("user/1 &park() undef undef undef 4930 12")
    assert order is not None
    assert (order.dialplan, order.context, order.cid_name, order.cid_number, order.timeout_s) == (
        "XML",
        "default",
        "",
        "4930",
        12,
    )
