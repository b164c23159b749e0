"""Why this agent, why not that one, why a call still waits: rendered when somebody asks, from what is remembered."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from fsacd.core import call as c
from fsacd.core import eligible, offers
from fsacd.core.agent import Served
from fsacd.core.decisions import CallMoment, Decision, Moment, moment_of
from fsacd.core.views import Explanation, RankedAgent, Rejected
from fsacd.core.world import World
from fsacd.strategy import Key

# An explanation, computed in parts: between them, calls go first. It tells of the moment at which it was begun.
InParts = Generator[None, None, Explanation | None]

# How many agents are looked at in one part.
_PART = 64


def of_call(world: World, call_id: str) -> tuple[Explanation, ...]:
    """The call's remembered decisions, oldest first; last, if it is still looking for an agent, why it waits."""
    found = [whole(of_decision(world, decision)) for decision in world.decisions.of_call(call_id)]
    call = world.calls.get(call_id)
    if call is not None and isinstance(call.state, c.Waiting):
        found.append(whole(_of_waiting(world, call)))
    return tuple(explanation for explanation in found if explanation is not None)


def whole(parts: InParts) -> Explanation | None:
    """All parts at once."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            told: Explanation | None = end.value
            return told


def of_decision(world: World, decision: Decision) -> InParts:
    """One decision; None if too much has happened since."""
    was = world.decisions.agents_at(decision)
    if was is None:
        return None
    eligible_, rejected = yield from _look(world, decision.call, was)
    # Those whom a strategy ranked: in its order. Rank and level decide before any strategy.
    if decision.call.ranked:
        turn = {agent_id: place for place, agent_id in enumerate(decision.call.ranked)}
        eligible_.sort(key=lambda agent: turn.get(agent.agent_id, len(turn)))
    chosen = decision.agent_id
    if eligible_ and eligible_[0].agent_id == chosen:
        count = len(eligible_)
        preferred = decision.call.preferred
        told = f"the first of {count} eligible agents" if count > 1 else "no other could be"
        if preferred is not None and preferred.agent_id == chosen:
            told = "the call waits for him alone" if preferred.alone else "he comes first for this caller"
        sentence = f"{chosen} was rung: {told}"
    else:
        sentence = f"{chosen} was rung: those before were wanted by other calls, which came first for them"
    return _explanation(decision.call, decision.at_ms, eligible_, rejected, sentence, decision)


def _of_waiting(world: World, call: c.Call) -> InParts:
    moment = offers.moment_of_call(world, call)
    eligible_, rejected = yield from _look(world, moment, {})
    if not world.may_offer(call):
        sentence = "it waits: its switch is not connected"
    elif call.preferred is not None and call.preferred.alone:
        sentence = f"it waits for {call.preferred.agent_id} alone"
    elif not rejected:
        sentence = "it waits: no agent serves the queue"
    else:
        reasons: dict[str, int] = {}
        for agent in rejected:
            reasons[agent.why.value] = reasons.get(agent.why.value, 0) + 1
        most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        told = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in most)
        sentence = f"it waits: {_nobody(len(rejected))} ({told})"
    return _explanation(moment, world.now_ms, eligible_, rejected, sentence, None)


def _nobody(agents: int) -> str:
    return f"of {agents} agents none can be rung" if agents > 1 else "its only agent cannot be rung"


def _look(
    world: World, call: CallMoment, was: Mapping[str, Moment]
) -> Generator[None, None, tuple[list[RankedAgent], list[Rejected]]]:
    """Everybody who served the queue, or was preferred: who was eligible, in order, and why the rest not."""
    preferred_id = call.preferred.agent_id if call.preferred is not None else None
    ranked: list[tuple[tuple[bool, int, int, int, bool, Key, str], RankedAgent]] = []
    rejected: list[Rejected] = []
    for looked_at, (agent_id, moment, service) in enumerate(_cast(world, call, was, preferred_id), 1):
        if looked_at % _PART == 0:
            yield
        why = eligible.why_not(call, agent_id, moment, service)
        if why is not None:
            rejected.append(Rejected(agent_id, *why))
            continue
        rank, level = eligible.group_of(call, moment, service) if service is not None else (1, 0)
        key, wrapped = _key(call, moment, service)
        passed = call.let_pass.get(agent_id, 0)
        turn = (agent_id != preferred_id, passed, rank, level, wrapped, key, agent_id)
        shown = () if call.ordering.ranks is not None else key
        ranked.append((turn, RankedAgent(agent_id, passed, rank, -level, shown)))
    ranked.sort(key=lambda item: item[0])
    return [agent for _, agent in ranked], rejected


def _cast(
    world: World, call: CallMoment, was: Mapping[str, Moment], preferred_id: str | None
) -> list[tuple[str, Moment, Served | None]]:
    """The agents as they were, read at once: whoever judges them later looks at what does not change any more."""
    queue = call.queue.name
    cast = []
    for agent_id in {*world.places.get(queue, ()), *was, preferred_id}:
        agent = world.agents.get(agent_id) if agent_id is not None else None
        moment = was.get(agent_id) if agent_id is not None else None
        if moment is None and agent is not None:
            moment = moment_of(agent)
        if agent_id is None or moment is None:
            continue
        service = moment.service(queue)
        if service is not None or agent_id == preferred_id:
            cast.append((agent_id, moment, service))
    return sorted(cast, key=lambda entry: entry[0])


def _key(call: CallMoment, agent: Moment, service: Served | None) -> tuple[Key, bool]:
    """The strategy's key, and whether it comes round only after the others."""
    # The order of the queue may have fallen back since.
    if service is None or agent.facts is None or call.ordering.strategy_name != call.strategy:
        return (), False
    return call.ordering.key_then(agent.facts, service.facts, call.required, call.start)


def _explanation(
    call: CallMoment,
    at_ms: int,
    eligible_: list[RankedAgent],
    rejected: list[Rejected],
    sentence: str,
    decision: Decision | None,
) -> Explanation:
    return Explanation(
        call_id=call.call_id,
        queue=call.queue.name,
        at_ms=at_ms,
        decision=decision.number if decision else None,
        chosen=decision.agent_id if decision else None,
        strategy=call.strategy,
        required=call.required,
        priority=call.priority,
        waited_ms=call.waited_ms,
        eligible=tuple(eligible_),
        rejected=tuple(rejected),
        sentence=sentence,
    )
