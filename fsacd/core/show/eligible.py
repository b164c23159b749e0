"""Why an agent may not be rung for a call, said for one pair: for explanations and for the proof of the index."""

from __future__ import annotations

from typing import assert_never

from fsacd.core import agent as a
from fsacd.core import skills
from fsacd.core.agent import Served
from fsacd.core.life.decisions import CallMoment, Moment
from fsacd.core.reach import reaches
from fsacd.core.rules import SkillLevels
from fsacd.core.views import WhyNot

# Why an agent is not rung, and more about it.
Why = tuple[WhyNot, str]


def why_not(call: CallMoment, agent_id: str, agent: Moment, service: Served | None) -> Why | None:
    """The first reason that holds, in the order of `WhyNot`, and its detail; None for an eligible ready agent."""
    preferred = call.preferred
    if preferred is not None and preferred.agent_id == agent_id:
        return _by_work(agent, call.queue.weight)
    if preferred is not None and preferred.alone:
        return WhyNot.RESERVED, f"waits for {preferred.agent_id}"
    if service is None:
        return WhyNot.SKILL, "does not serve the queue"
    lacking = _lacking(call.required, dict(agent.skills))
    if lacking is not None:
        return WhyNot.SKILL, lacking
    if not reaches(service.within, call.switch):
        return WhyNot.SWITCH, f"is rung from {' or '.join(service.within)}, not from {call.switch}"
    if service.backup and not call.backup:
        return WhyNot.BACKUP, "no step has called the backup yet"
    if service.delay_ms > call.delay_ms:
        return WhyNot.DELAY, f"helps after {service.delay_ms / 1000:g} s"
    by_work = _by_work(agent, call.queue.weight)
    if service.not_ready is not None and not isinstance(agent.state, a.LoggedOut | a.NotReady):
        return WhyNot.NOT_READY, f"for this queue: {service.not_ready}" if service.not_ready else "for this queue"
    only = call.only_rank_and_level
    if by_work is None and only is not None and only != group_of(call, agent, service):
        return WhyNot.SCOPE, f"rank {only[0]} rings" + (f", level {-only[1]}" if only[1] else "")
    return by_work


def group_of(call: CallMoment, agent: Moment, service: Served) -> tuple[int, int]:
    """Rank and level (negated), as they stand in the agent's key."""
    level = skills.fit(call.required, dict(agent.skills)) or 0
    return service.rank, -level if call.queue.level_first else 0


def _lacking(required: SkillLevels, levels: dict[str, int]) -> str | None:
    for skill, level in required:
        if skill not in levels:
            return f"has no {skill}"
        if levels[skill] < level:
            return f"{skill} {levels[skill]}, needs {level}"
    return None


def _by_work(agent: Moment, weight: int) -> Why | None:
    if agent.room >= weight:
        return None
    match agent.state:
        case a.Ready():
            raise AssertionError("whoever is ready has room for anything")
        case a.LoggedOut():
            return WhyNot.LOGGED_OUT, ""
        case a.NotReady(reason):
            return WhyNot.NOT_READY, reason
        case a.HeldBack(reason, _):
            return WhyNot.HELD_BACK, reason
        case a.Busy():
            return WhyNot.BUSY, ""
        case a.Offered(_, call_id):
            return WhyNot.OFFERED, f"call {call_id}"
        case a.Talking(_, call_id):
            return WhyNot.TALKING, f"call {call_id}"
        case a.WrappingUp():
            return WhyNot.WRAPPING_UP, ""
        case _:
            assert_never(agent.state)
