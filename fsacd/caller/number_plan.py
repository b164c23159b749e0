"""The number plan: which ways to write a number mean the same one, and which numbers are nobody's. Pure.

With a country in it, numbers are compared by meaning: in Germany +49 30 123456, 004930123456, 4930123456 and 030123456
are one. What the numbers of each country look like the package phonenumbers knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fsacd.core.numbers import WITHHELD, identity, normalised

# Callers announce themselves every few seconds, and reading a number takes a tenth of a millisecond.
_REMEMBERED: Final = 50_000
# A shorter number without a prefix is not read as another country's, because it may be a local one.
_SHORTEST_ABROAD: Final = 9


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """How numbers are read here.

    `country` is the ISO 3166 code of the switches' country; empty: numbers are the same if their digits are.
    `international` and `trunk` are the prefixes that people dial, and trunks may show, before a number of another
    country (00) and of another place (0). `withheld` holds the texts, in lower case, that are shown for a withheld
    number.
    """

    withheld: frozenset[str] = frozenset(WITHHELD)
    country: str = ""
    international: str = ""
    trunk: str = ""

    def identity(self, number: str) -> str:
        """Give the identity of the caller with this number; empty for nobody's. The identity of an identity is itself.

        It is the number with a plus and its country's code where the plan can tell, else the number as it is compared.
        """
        key = identity(number, self.withheld)
        return _meant(self, key) if self.country and key.isascii() and key.removeprefix("+").isdigit() else key

    def identities(self, numbers: Iterable[str]) -> frozenset[str]:
        """Give the identities of all these numbers, without nobody's."""
        return frozenset(map(self.identity, numbers)) - {""}

    def forms(self, identities: Iterable[str]) -> list[str]:
        """Give the ways to write the callers with these identities, without punctuation, the longest first."""
        found = {form for one in identities for form in self._forms(one)}
        return sorted(found, key=lambda form: (-len(form), form))

    def beginnings(self, text: str) -> list[str]:
        """Give the ways to write the beginning of a number, without punctuation: 030 is +4930, 4930, 004930.

        `text` may mean several beginnings. Every number that is meant begins with at least one of the results.
        """
        key = normalised(text)
        found = [key]
        if self.country and key.isascii() and key.removeprefix("+").isdigit():
            for one, _, is_sure in _readings(self, key):
                if is_sure or one == "+" + key:
                    found += self._forms(one)
        return list(dict.fromkeys(form for form in found if form))

    def _forms(self, one: str) -> Iterator[str]:
        yield one
        if self.country and one.startswith("+"):
            digits, code = one[1:], _code(self.country)
            yield digits
            if self.international:
                yield self.international + digits
            if digits.startswith(code):
                yield self.trunk + digits.removeprefix(code)


PLAIN: Final = NumberPlan()
"""The plan without a country: numbers are the same if their digits are."""


@lru_cache(maxsize=_REMEMBERED)
def _meant(plan: NumberPlan, key: str) -> str:
    """The number that these digits mean, like +4930123456; the digits where they mean none."""
    import phonenumbers as p  # noqa: PLC0415 - heavy, and for who has a plan only

    for text, region, is_sure in _readings(plan, key):
        try:
            number = p.parse(text, region)
        except p.NumberParseException:
            continue
        if p.is_possible_number(number) if is_sure else p.is_valid_number(number):
            meant = p.format_number(number, p.PhoneNumberFormat.E164)
            # Each reading drops one nought behind a code like 82, so it is read until none is left.
            is_all = key.startswith("+") and len(meant) >= len(key)
            return meant if is_all else _meant(plan, meant)
    return key


def forget() -> None:
    """Forget which numbers have been read, as one of them is erased. The next ones are read anew."""
    _meant.cache_clear()
    identity.cache_clear()


def _readings(plan: NumberPlan, key: str) -> Iterator[tuple[str, str | None, bool]]:
    """The readings of the digits, the likeliest first: text, country it is dialled in, whether a prefix proves it."""
    if key.startswith("+"):
        yield key, None, True
        return
    if plan.international and key.startswith(plan.international):
        yield "+" + key.removeprefix(plan.international), None, True
    code = _code(plan.country)
    # Where both are the same, as in North America, either reading means the same number.
    if plan.trunk and key.startswith(plan.trunk):
        yield f"+{code}{key.removeprefix(plan.trunk)}", None, True
    if key.startswith(code):
        yield "+" + key, None, False
    if not plan.trunk or plan.trunk == code:
        yield key, plan.country, False
    if len(key) >= _SHORTEST_ABROAD:
        yield "+" + key, None, False


def _code(country: str) -> str:
    """The country's calling code, like 49."""
    import phonenumbers as p  # noqa: PLC0415 - heavy, and for who has a plan only

    return str(p.country_code_for_region(country))


def is_country(code: str) -> bool:
    """Whether this is the ISO 3166 code of a country whose numbers are known."""
    import phonenumbers as p  # noqa: PLC0415 - heavy, and for who has a plan only

    return code in p.SUPPORTED_REGIONS


def usual_prefixes(country: str) -> tuple[str, str]:
    """The international prefix and the trunk prefix of a country; the first is empty where there are several."""
    import phonenumbers as p  # noqa: PLC0415 - heavy, and for who has a plan only

    facts = p.PhoneMetadata.metadata_for_region(country)
    assert facts is not None, "is_country was asked before"
    choices = ((facts.preferred_international_prefix or "").replace("~", ""), facts.international_prefix or "")
    return next((one for one in choices if one.isascii() and one.isdigit()), ""), facts.national_prefix or ""
