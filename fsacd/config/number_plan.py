"""The number plan: how callers' numbers are read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fsacd.config.blocks import NO_LIST, Settings
from fsacd.config.kinds import Text
from fsacd.core.numbers import WITHHELD, normalised
from fsacd.number_plan import NumberPlan

_SHOWN = Text("what is shown in the place of a number", longest=64, shortest=1)


class NumberPlanSettings(Settings):
    """How callers' numbers are read, and which of them are nobody's."""

    withheld: Annotated[tuple[Annotated[str, _SHOWN], ...], NO_LIST] = Field(
        default=WITHHELD,
        max_length=100,
        description="What is shown in the place of a number that is withheld or not known, in any letters. Who shows "
        "it, no number, or noughts alone is nobody in particular: not recognised, not counted, not remembered.",
    )

    def plan(self) -> NumberPlan:
        """Give the plan as recognition takes it."""
        return NumberPlan(frozenset(normalised(word).casefold() for word in self.withheld))
