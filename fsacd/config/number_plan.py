"""The settings of the number plan: how callers' numbers are compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import override

from fsacd.caller.number_plan import NumberPlan, is_country, usual_prefixes
from fsacd.config.blocks import NO_LIST, Settings
from fsacd.config.kinds import Kind, Text, Word
from fsacd.config.problems import Complaint, Loc, wrong
from fsacd.core.numbers import WITHHELD, normalised
from fsacd.process.quoting import shown

_SHOWN: Final = Text("what is shown in the place of a number", longest=64, shortest=1)
_PREFIX: Final = Word(r"[0-9]{0,8}", "a prefix of up to 8 digits", null=True)


@dataclass(frozen=True)
class Country(Kind):
    """A country whose numbers are known."""

    null: bool = True

    @property
    @override
    def expects(self) -> str:
        return "a country by its ISO 3166 code, like DE"

    @override
    def read(self, text: str) -> str:
        if not is_country(text.upper()):
            raise wrong(f"expected {self.expects}, got {shown(text)}")
        return text.upper()


class NumberPlanSettings(Settings):
    """How callers' numbers are compared, and which of them are nobody's."""

    country: Annotated[str | None, Country()] = Field(
        default=None,
        description="The country of the switches, like DE. Then +49 30 123456, 004930123456, 4930123456 and 030123456 "
        "are one number, for customers, last agents, limits and erasing; null: numbers are compared by digits.",
    )
    international_prefix: Annotated[str | None, _PREFIX] = Field(
        default=None,
        description="The prefix before a number of another country without a plus; null: as usual in the country.",
    )
    trunk_prefix: Annotated[str | None, _PREFIX] = Field(
        default=None,
        description="The prefix before a number of the country itself without its code; null: as usual in the country.",
    )
    withheld: Annotated[tuple[Annotated[str, _SHOWN], ...], NO_LIST] = Field(
        default=WITHHELD,
        max_length=100,
        description="What is shown for a number that is withheld or unknown, in upper or lower case. A caller who "
        "shows this, no number, or only zeros is not recognised, not counted and not remembered.",
    )

    def plan(self) -> NumberPlan:
        """Give the plan as recognition takes it."""
        withheld = frozenset(normalised(word).casefold() for word in self.withheld)
        if self.country is None:
            return NumberPlan(withheld)
        international, trunk = usual_prefixes(self.country)
        return NumberPlan(
            withheld,
            self.country,
            international if self.international_prefix is None else self.international_prefix,
            trunk if self.trunk_prefix is None else self.trunk_prefix,
        )


def check_number_plan(settings: NumberPlanSettings, loc: Loc) -> Iterator[Complaint]:
    """Complain of prefixes without a country, and of a country with several prefixes of which none is chosen."""
    if settings.country is None:
        for name in ("international_prefix", "trunk_prefix"):
            if getattr(settings, name) is not None:
                yield Complaint((*loc, name), "means nothing without a country")
    elif settings.international_prefix is None and not usual_prefixes(settings.country)[0]:
        yield Complaint((*loc, "country"), f"{settings.country} has several international prefixes; choose one")
