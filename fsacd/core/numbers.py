"""Callers' numbers: how two of them are compared, and which of them name nobody. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_PUNCTUATION: Final = str.maketrans("", "", " \t\u00a0\u202f-\u2010\u2011\u2013()/.")
_DIALLED: Final = re.compile(r"\+?[0-9*#]+")
# What switches show in the place of a number that is withheld or not known; the last is FreeSWITCH's own.
WITHHELD: Final = (
    "anonymous", "unavailable", "unknown", "restricted", "private", "withheld", "blocked", "0000000000",
)  # fmt: skip
_NOBODY: Final = frozenset(WITHHELD)
# A number of this many zeros and nothing else is nobody's.
_NOUGHTS: Final = re.compile(r"\+?0{5,}")
_BEGINS: Final = frozenset("+0123456789")


def normalised(number: str) -> str:
    """Give a number as it is compared: without the spaces, dashes, dots, slashes and parentheses that people write.

    What does not consist of digits then, like the SIP user `anna-b`, stays as it is but for spaces around it.
    """
    if number.isascii() and number.removeprefix("+").isdigit():  # nearly all are, and this is the quick way to see it
        return number
    bare = number.translate(_PUNCTUATION)
    return bare if _DIALLED.fullmatch(bare) else number.strip()


@lru_cache(maxsize=256)  # of one call it is asked several times
def identity(number: str, withheld: frozenset[str] = _NOBODY) -> str:
    """Give what tells the caller with this number from others: the number as it is compared; empty for nobody's.

    `withheld`: what is shown in the place of a number that is not shown, in small letters. Of `anonymous@HOST` the
    first part counts.
    """
    key = normalised(number)
    # Nearly all begin with a plus or a digit, and of those it is quick to see that they are none of these words.
    word = key if key[:1] in _BEGINS else key.casefold().partition("@")[0]
    return "" if word in withheld or _NOUGHTS.fullmatch(word) else key
