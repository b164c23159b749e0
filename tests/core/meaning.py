"""What the shipped strategies mean, said a second time in the plainest words: for the oracle, which believes no plugin.

A key is a tuple of numbers, smaller goes first; `surely_before` leaves open what rounding may decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fsacd.core.rules import Parameters
from fsacd.strategy import EVERYBODY, SkillLevels

# What goes round begins behind the agent rung last: by this queue, or for this call.
BY_QUEUE = "queue"
BY_CALL = "call"
GOES_ROUND = {"round_robin_memory": BY_QUEUE, "top_down": BY_CALL}

# These order a pool that they are shown, by the die.
THROWN = frozenset({"random", "weighted_random"})

# Two sums closer than this may be told apart by rounding alone.
ROUNDING = 1e-9

OrderKey = tuple[float | str, ...]


@dataclass(frozen=True)
class Known:
    """What a strategy may go by of one agent."""

    idle_since_ms: int
    last_offered_ms: float
    recent_calls: float
    recent_talk: float
    recent_work: float
    place: int
    skills: SkillLevels


@dataclass(frozen=True)
class RingMeant:
    """How many ring at once."""

    at_once: int = 1
    one_more_every_ms: int = 0
    beyond_best: bool = True


def ring_of(name: str, parameters: Parameters) -> RingMeant:
    """How many agents the strategy rings at once."""
    given = dict(parameters)
    match name:
        case "ring_all":
            return RingMeant(at_once=EVERYBODY, beyond_best=given.get("scope", "best") == "all")
        case "ring_progressive":
            every_ms = given.get("every", 10_000)
            assert isinstance(every_ms, int)
            return RingMeant(one_more_every_ms=every_ms)
        case _:
            return RingMeant()


def key_of(name: str, agent: Known, required: SkillLevels, behind: int | None) -> OrderKey:
    """The strategy's opinion of an agent; `behind` is the place that a round begins behind."""
    match name:
        case "longest_idle" | "ring_all" | "ring_progressive":
            return (agent.idle_since_ms,)
        case "least_recent":
            return (agent.last_offered_ms, agent.idle_since_ms)
        case "round_robin":
            return (agent.place,)
        case "round_robin_memory" | "top_down":
            return (0 if behind is None or agent.place > behind else 1, agent.place)
        case "fewest_calls":
            return (agent.recent_calls, agent.idle_since_ms)
        case "least_talk_time":
            return (agent.recent_talk, agent.idle_since_ms)
        case "least_occupied":
            return (agent.recent_work, agent.idle_since_ms)
        case "most_skilled":
            levels = dict(agent.skills)
            best = sum(levels.get(skill, 0) for skill, _ in required) if required else sum(levels.values())
            return (-best, agent.idle_since_ms)
        case "random" | "weighted_random":
            return ()
        case "fragile":
            return (-agent.place,)
        case _:
            raise AssertionError(f"nobody has said what {name} means")


def surely_before(one: OrderKey, other: OrderKey) -> bool:
    """Whether one key goes before the other, and not by rounding."""
    for mine, yours in zip(one, other, strict=True):
        if isinstance(mine, str) or isinstance(yours, str):
            if mine != yours:
                return str(mine) < str(yours)
        elif _is_rounded(mine) and math.isclose(mine, yours, rel_tol=0, abs_tol=ROUNDING):
            return False
        elif mine != yours:
            return mine < yours
    return False


def _is_rounded(number: float) -> bool:
    return isinstance(number, float) and math.isfinite(number)  # type: ignore[redundant-expr] # an int is a float, too
