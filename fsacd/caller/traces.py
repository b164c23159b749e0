"""Finds callers' numbers in texts, in whatever way they are written there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from fsacd.caller import number_plan
from fsacd.caller.number_plan import NumberPlan

# What stands in a text instead of a number. No number that is looked for is shorter: a text may not grow.
HIDDEN: Final = "***"
# Shorter numbers are not looked for in texts: other figures would match.
TELLING_DIGITS: Final = 5
# What people write between the digits of a number; the same as in `fsacd.core.numbers`.
MARKS: Final = " \t\u00a0\u202f-\u2010\u2011\u2013()/."
_BETWEEN: Final = f"[{re.escape(MARKS)}]*"
_DIALLED: Final = re.compile(rf"\+?[0-9](?:[0-9{re.escape(MARKS)}]*[0-9])?")
_BARE: Final = str.maketrans("", "", MARKS)
_MASKED_DIGITS: Final = 6


class Traces:
    """The callers with these identities, as texts may name them; `plan` says which spellings mean them."""

    def __init__(self, identities: frozenset[str], plan: NumberPlan) -> None:
        self._identities = identities
        self._plan = plan
        forms = [bare(form) for form in plan.forms(identities)]
        # Without punctuation, the longest first.
        self.forms = [form for form in forms if len(form) >= TELLING_DIGITS]
        spelt = "|".join(_BETWEEN.join(map(re.escape, form)) for form in self.forms)
        self._spelt = re.compile(f"(?<![0-9A-Za-z])(?:{spelt})(?![0-9A-Za-z])") if spelt else None

    def are_meant(self, number: str) -> bool:
        """Whether this is the number of one of them, in whatever way it is written."""
        return self._plan.identity(number) in self._identities

    def without(self, text: str) -> str:
        """The text with `HIDDEN` instead of each number of theirs."""
        if self._spelt is None:
            return text
        # First what is written as one number, like +49 (0)30 123456; then what stands beside other figures.
        return self._spelt.sub(HIDDEN, _DIALLED.sub(self._hidden, text))

    def inside(self, document: Any) -> Iterator[Any]:
        """The smallest objects of a JSON document that name one of them, in a key or a text."""
        match document:
            case dict():
                named = [value for value in document.values() if isinstance(value, str) and self._names(value)]
                if named:
                    yield document
                    return
                for key, value in document.items():
                    if self._names(key):
                        yield {key: value}
                    else:
                        yield from self.inside(value)
            case list() if any(isinstance(part, str) and self._names(part) for part in document):
                yield document
            case list():
                for part in document:
                    yield from self.inside(part)

    def _names(self, text: str) -> bool:
        # A short number names somebody where it is the whole text.
        return self.are_meant(text) or self.without(text) != text

    def _hidden(self, found: re.Match[str]) -> str:
        number = found[0]
        if len(bare(number)) < TELLING_DIGITS or not self.are_meant(number):
            return number
        return HIDDEN


@lru_cache(maxsize=8)  # rows are looked through one by one for the same callers
def traces(identities: frozenset[str], plan: NumberPlan) -> Traces:
    """The callers with these identities, as texts may name them."""
    return Traces(identities, plan)


def forget() -> None:
    """Forget who was looked for, and all numbers that were read: they are erased, and memory is no exception."""
    traces.cache_clear()
    number_plan.forget()
    re.purge()  # it keeps the patterns of numbers


def bare(text: str) -> str:
    """The text without what people write between digits."""
    return text.translate(_BARE)


def masked(number: str) -> str:
    """A number of which only its owner is reminded: the last three digits, as in reports; empty where it is short.

    No hash of it: there are so few numbers that anybody can try all of them.
    """
    digits = re.sub("[^0-9]", "", number)
    return f"...{digits[-3:]}" if len(digits) >= _MASKED_DIGITS else ""
