from __future__ import annotations

import pytest

from fsacd.sim.expand import condition, expand, regex


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("<${a}>", "<1>"),
        ("${missing}", ""),
        ("${${name}}", "1"),
        ("${upper(x ${a})}", "upper:x 1"),
        ("${upper x}", "upper:x"),
        ("${long:2}", "cdef"),
        ("${long:1:2}", "bc"),
        ("${long:0:-1}", "abcde"),
        ("${unclosed", "${unclosed"),
    ],
)
def test_variables_and_api_calls_are_expanded(text: str, result: str) -> None:
    """Variables, slices and API calls, nested as one likes."""
    variables = {"a": "1", "name": "a", "long": "abcdef"}
    assert expand(text, lambda name: variables.get(name, ""), lambda api, data: f"{api}:{data}") == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("5 < 010 ? yes : no", "yes"),
        ("44 < 010 ? yes : no", "no"),
        ("44\n < 010 ? yes : no", "yes"),
        ("44 < 0 ? yes : no", "no"),
        ("abc == abc ? yes : no", "yes"),
        ("'a b' == 'a c' ? yes : no", "no"),
        ("1 == 2 ? yes", ""),
        ("nonsense", "-ERR"),
        (" < 3 ? yes : no", "yes"),
    ],
)
def test_cond_compares_numbers_by_value_and_text_by_length(text: str, result: str) -> None:
    """A number with a newline behind it, as `${uptime(s)}` gives, is text: its length counts."""
    assert condition(text) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [("44\n|([0-9]+)|%1", "44"), ("abc|b", "true"), ("abc|x", "false"), ("abc|x|%1", "abc"), ("abc", "-ERR")],
)
def test_regex_substitutes(text: str, result: str) -> None:
    """The way to get rid of a newline in a dialplan."""
    assert regex(text) == result
