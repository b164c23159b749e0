"""Random small call centres, over all that rules can say. Each is drawn from one number; 0 is the plainest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from types import MappingProxyType
from typing import TypeVar

from fsacd.core import events as e
from fsacd.core.rules import (
    AgentRules,
    Cause,
    HoldBack,
    Limits,
    Overflow,
    OwnPauses,
    Parameters,
    QueueRules,
    Rules,
    Service,
    SkillLevels,
    Step,
    Sticky,
    StickyAgent,
    Target,
    ToExtension,
    ToHangup,
    ToQueue,
    WrapUp,
)
from fsacd.testing import agent, queue, rules_of

T = TypeVar("T")

SWITCHES = ("fs1", "fs2")
AGENTS = tuple(str(number) for number in range(1001, 1007))
QUEUES = ("support", "sales", "vip")
# At which several agents may be logged in at once.
SHARED_PHONE = "user/desk"
# A phone that any switch can ring.
OUTSIDE_PHONE = "sofia/gateway/pstn/4930"
SKILLS: tuple[SkillLevels, ...] = ((), (("german", 3),), (("english", 1),), (("english", 2), ("german", 5)))
NUMBERS = ("+1", "+2", "+3", "", "+ 1", "anonymous")
SOURCES = ("", "", "192.0.2.1", "2001:db8::1")

# (name, parameters); what is met more often is here more often.
STRATEGIES: tuple[tuple[str, Parameters], ...] = (
    ("longest_idle", ()),
    ("least_recent", ()),
    ("round_robin", ()),
    ("round_robin_memory", ()),
    ("round_robin_memory", ()),
    ("top_down", ()),
    ("top_down", ()),
    ("fewest_calls", ()),
    ("least_talk_time", ()),
    ("least_occupied", ()),
    ("most_skilled", ()),
    ("random", ()),
    ("weighted_random", ()),
    ("ring_all", (("scope", "best"),)),
    ("ring_all", (("scope", "best"),)),
    ("ring_all", (("scope", "all"),)),
    ("ring_progressive", (("every", 2_000),)),
    ("ring_progressive", (("every", 5_000),)),
    ("fragile", ()),
)
CALL_ORDERS = (None, None, None, "by_class", "newest_first", "fragile_order")

LIMITS = Limits(
    offer_grace_ms=1_000,
    settle_ms=2_000,
    longest_wrap_up_ms=60_000,
    # Short, so that what has faded matters.
    counters_half_life_ms=60_000,
    # Short, so that what has failed comes back, and fails again, within a walk.
    plugin_retry_ms=3_000,
    plugin_retry_most_ms=10_000,
)


class Pick:
    """Choices drawn from one number, so that a test case is a list of small numbers."""

    def __init__(self, number: int) -> None:
        self._number = number

    def below(self, bound: int) -> int:
        """A choice of 0 … bound - 1."""
        self._number, choice = divmod(self._number, bound)
        return choice

    def of(self, things: Sequence[T]) -> T:
        """One of these."""
        return things[self.below(len(things))]

    def event(self, *events: e.Event) -> e.Event:
        """One of these facts."""
        return self.of(events)

    def chance(self, one_in: int) -> bool:
        """Seldom."""
        return self.below(one_in) == one_in - 1


def build_rules(pick: Pick, agents: Sequence[str] = AGENTS) -> Rules:
    """One of many small call centres. Calls overflow to later queues only, so never in a circle."""
    queues = [build_queue(pick, name, QUEUES[place + 1 :]) for place, name in enumerate(QUEUES)]
    line_up = list(agents)
    for place in range(len(line_up) - 1, 0, -1):
        other = place - pick.below(place + 1)
        line_up[place], line_up[other] = line_up[other], line_up[place]
    limits = replace(LIMITS, calls=pick.of((100, 100, 9)), ringing=pick.of((100, 3, 2)), rank_pool=pick.of((200, 2)))
    limits = replace(limits, switch_gone_ms=pick.of((20_000, 5_000, 0)))
    return rules_of(*queues, *(build_agent(pick, one) for one in line_up), limits=limits)


def build_queue(pick: Pick, name: str, later: Sequence[str]) -> QueueRules:
    """One queue, which may send its calls to the later ones."""
    strategy, parameters = pick.of(STRATEGIES)
    return queue(
        name,
        strategy=strategy,
        strategy_parameters=parameters,
        call_order=pick.of(CALL_ORDERS),
        level_first=not pick.chance(3),
        priority=pick.of((0, 0, 1)),
        no_agent_no_delay=pick.chance(2),
        abandoned_resume_ms=pick.of((0, 0, 60_000, 5_000)),
        required=pick.of((*SKILLS[:2], ())),
        ring_timeout_ms=pick.of((20_000, 5_000)),
        ring_at_once=pick.of((1, 1, 1, 2, 4)),
        wrap_up_ms=pick.of((10_000, 2_000, 0)),
        wrap_up=pick.of((WrapUp.CAPPED, WrapUp.FIXED, WrapUp.UNTIL_READY)),
        max_length=pick.of((500, 500, 500, 3)),
        when_full=_target(pick, later),
        max_per_number=pick.of((0, 0, 1, 3)),
        when_max_per_number=_target(pick, later),
        max_per_source=pick.of((0, 0, 0, 2)),
        when_max_per_source=_target(pick, later),
        max_wait_ms=pick.of((None, None, None, 30_000)),
        when_max_wait=_target(pick, later),
        when_nobody_logged_in=_overflow(pick, later),
        when_nobody_ready=_overflow(pick, later),
        max_estimated_wait_ms=pick.of((60_000, 200_000)),
        when_estimated_wait=_overflow(pick, later, (0,)),
        when_closed=_overflow(pick, later) or Overflow(ToHangup()),
        expected_handling_ms=pick.of((30_000, 180_000)),
        steps=_steps(pick, later),
        sticky=_sticky(pick),
        after_talk=pick.of((None, None, ToExtension("survey"))),
        hold_back=pick.of((HoldBack(0, 0, 0, 0), HoldBack(0, 2_000, 0, 3_000), HoldBack(), HoldBack(0, 0, 1_000, 0))),
        not_ready_after=pick.of((0, 0, 0, 1, 2, 2)),
        not_ready_after_others=MappingProxyType(pick.of(({}, {}, {Cause.REFUSED: 2, Cause.UNREACHABLE: 1}))),
    )


def _target(pick: Pick, later: Sequence[str]) -> Target:
    targets: list[Target] = [ToHangup("USER_BUSY"), *map(ToQueue, later), ToExtension("night")]
    return pick.of(targets)


def _overflow(pick: Pick, later: Sequence[str], after_ms: Sequence[int] = (0, 0, 5_000)) -> Overflow | None:
    if not pick.chance(4):
        return None
    joining, waiting = pick.of(((True, True), (False, True), (True, False)))
    return Overflow(_target(pick, later), joining, waiting, pick.of(after_ms))


def _steps(pick: Pick, later: Sequence[str]) -> tuple[Step, ...]:
    times = [after_ms for after_ms in (1_000, 5_000, 10_000, 25_000) if pick.chance(3)]
    return tuple(_step(pick, after_ms, later) for after_ms in times)


def _step(pick: Pick, after_ms: int, later: Sequence[str]) -> Step:
    match pick.below(8):
        case 0:
            return Step(after_ms, lower=(("german", 2),))
        case 1:
            return Step(after_ms, drop=("german",))
        case 2 | 3:
            return Step(after_ms, backup=True)
        case 4:
            return Step(after_ms, ring_at_once=pick.of((2, 3)))
        case 5:
            return Step(after_ms, raise_by=1)
        case 6:
            return Step(after_ms, lower=(("english", 1), ("german", 1)), backup=True, raise_by=2)
        case _:
            return Step(after_ms, overflow=_target(pick, later) if after_ms >= 10_000 else None, ring_at_once=2)


def _sticky(pick: Pick) -> Sticky | None:
    if not pick.chance(3):
        return None
    return Sticky(
        agent=pick.of(tuple(StickyAgent)),
        for_ms=pick.of((20_000, 5_000)),
        wait=pick.chance(2),
        any_queue=pick.chance(2),
    )


def build_agent(pick: Pick, agent_id: str) -> AgentRules:
    """One agent, who serves one queue at least."""
    skills = {skill: pick.of((1, 5, 8)) for skill in ("german", "english") if pick.chance(2)}
    serves = build_services(pick)
    made = replace(agent(agent_id, *serves.items(), skills=skills), own=_own(pick))
    made = replace(made, contact=SHARED_PHONE) if pick.chance(5) else made
    return replace(made, switches=pick.of(((), (), SWITCHES[:1], SWITCHES[1:], SWITCHES)))


def _own(pick: Pick) -> OwnPauses:
    if not pick.chance(3):
        return OwnPauses()
    return OwnPauses(
        wrap_up_ms=pick.of((None, 0, 4_000)),
        wrap_up=pick.of((None, *WrapUp)),
        hold_back_ms=MappingProxyType(pick.of(({}, {Cause.REFUSED: 3_000}, {Cause.NO_ANSWER: 0, Cause.BUSY: 500}))),
        not_ready_after=MappingProxyType(pick.of(({}, {Cause.NO_ANSWER: 3}, {Cause.NO_ANSWER: 0, Cause.REFUSED: 1}))),
    )


def build_services(pick: Pick) -> dict[str, Service]:
    """How an agent serves the queues."""
    serves = [name for name in QUEUES if not pick.chance(3)] or [QUEUES[0]]
    return {
        name: Service(
            rank=pick.of((1, 1, 2)),
            delay_ms=pick.of((0, 0, 10_000)),
            backup=pick.chance(5),
            weight=pick.of((1, 10)),
        )
        for name in serves
    }


def without(rules: Rules, agents: Sequence[str], queues: Sequence[str]) -> Rules:
    """The same rules without these agents and queues; calls that would go there are hung up on."""
    left = {name: one for name, one in rules.queues.items() if name not in queues}
    for gone in queues:
        left = {name: _without_target(one, gone) for name, one in left.items()}
    staff = {
        agent_id: replace(
            one, queues=MappingProxyType({name: how for name, how in one.queues.items() if name not in queues})
        )
        for agent_id, one in rules.agents.items()
        if agent_id not in agents
    }
    return replace(rules, queues=MappingProxyType(left), agents=MappingProxyType(staff))


def _without_target(one: QueueRules, gone: str) -> QueueRules:
    changes: dict[str, object] = {}
    for field in fields(one):
        value = getattr(one, field.name)
        if value == ToQueue(gone):
            changes[field.name] = ToHangup()
        elif isinstance(value, Overflow) and value.target == ToQueue(gone):
            changes[field.name] = replace(value, target=ToHangup())
    steps = tuple(replace(step, overflow=ToHangup()) if step.overflow == ToQueue(gone) else step for step in one.steps)
    return replace(one, steps=steps, **changes)  # type: ignore[arg-type] # each keeps its field's type
