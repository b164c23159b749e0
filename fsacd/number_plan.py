"""The number plan: which ways to write a number mean the same one, and which numbers are nobody's. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fsacd.core.numbers import WITHHELD, identity


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """How numbers are read here. `withheld`: what is shown where a caller shows no number, in small letters."""

    withheld: frozenset[str] = frozenset(WITHHELD)

    def identity(self, number: str) -> str:
        """Give what tells the caller with this number from others; empty for nobody's. Of an identity it is itself."""
        return identity(number, self.withheld)

    def identities(self, numbers: Iterable[str]) -> frozenset[str]:
        """Give those of all these numbers, without nobody's."""
        return frozenset(map(self.identity, numbers)) - {""}

    def forms(self, identities: Iterable[str]) -> list[str]:
        """Give the ways to write the callers with these identities, without punctuation, the longest first."""
        return sorted(set(identities), key=len, reverse=True)


PLAIN: Final = NumberPlan()
"""The plan of who has said nothing: numbers are the same that have the same digits."""
