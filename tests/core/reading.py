"""All stories, read once: which moves they make, what is told in them, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fsacd.core.events import RulesChanged
from fsacd.core.life import roster
from fsacd.core.life.world import World
from fsacd.core.rules import Rules
from fsacd.core.views import Explanation
from fsacd.testing import Driver
from tests.core import story

STORIES = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))

# Where each is moved: the only way to change a state.
MOVERS: dict[str, tuple[Any, str]] = {
    "call": (World, "move_call"),
    "work": (roster, "move_work"),
    "offer": (World, "move_offer"),
}

Move = tuple[str, str, str]


@dataclass
class Reading:
    """What the stories say."""

    moves: set[Move] = field(default_factory=set)
    states: set[Move] = field(default_factory=set)  # of agents
    drivers: list[Driver] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)

    def rules(self) -> list[Rules]:
        """All rules of all stories, before and after each reload."""
        reloads = [
            fact.rules for driver in self.drivers for _, fact in driver.journal if isinstance(fact, RulesChanged)
        ]
        return [*(driver.first_rules for driver in self.drivers if isinstance(driver, _Noted)), *reloads]


class _Noted(Driver):
    first_rules: Rules


@cache
def read_all() -> Reading:
    """Every story, told once."""
    reading = Reading()
    with pytest.MonkeyPatch.context() as patch:
        for thing, (place, name) in MOVERS.items():
            patch.setattr(place, name, _noting_moves(reading, thing, getattr(place, name)))
        patch.setattr(roster, "settle", _noting_states(reading, roster.settle))

        class Noted(_Noted):
            def __init__(self, rules: Rules, *rest: Any) -> None:
                super().__init__(rules, *rest)
                self.first_rules = rules
                reading.drivers.append(self)

        def explained(explanation: Explanation) -> Any:
            reading.explanations.append(explanation)
            return ()

        patch.setattr(story, "Driver", Noted)
        patch.setattr(story, "tell_explanation", explained)
        for path in STORIES:
            story.retell(path.read_text())
    return reading


def _noting_moves(reading: Reading, thing: str, original: Any) -> Any:
    def noting(world: World, owner: Any, state: Any, *rest: Any) -> None:
        # An agent's work is named by its offer; what it becomes stands behind that.
        before = type((owner.work[state] if thing == "work" else owner).state).__name__
        original(world, owner, state, *rest)
        reading.moves.add((thing, before, type(rest[0] if thing == "work" else state).__name__))

    return noting


def _noting_states(reading: Reading, original: Any) -> Any:
    """The one state that an agent is told to be in follows from others, so these moves are in no table."""

    def noting(world: World, agent: Any, *rest: Any) -> None:
        before = agent.state
        original(world, agent, *rest)
        if agent.state != before:
            reading.states.add(("agent", type(before).__name__, type(agent.state).__name__))

    return noting
