"""Why this agent, why not that one, why a call still waits: rendered when somebody asks, from what is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice

from fsacd.core import call as c
from fsacd.core.agent import Served
from fsacd.core.life import offers
from fsacd.core.life.decisions import CallMoment, Decision, Moment, Past, moment_of
from fsacd.core.life.world import World
from fsacd.core.match.ordering import FALLBACK
from fsacd.core.show import eligible
from fsacd.core.show.parts import InParts
from fsacd.core.views import Explanation, RankedAgent, Rejected
from fsacd.strategy import Key

# How many agents are looked at in one part.
_PART = 64
_Ranked = tuple[tuple[bool, int, int, int, bool, Key, str], RankedAgent]
_Looked = tuple[list[RankedAgent], list[Rejected]]


def of_call(world: World, call_id: str) -> InParts[tuple[Explanation, ...]]:
    """The call's remembered decisions, oldest first; last, if it is still looking for an agent, why it waits."""
    found: list[Explanation] = []
    for decision in world.decisions.of_call(call_id):
        made = yield from of_decision(world, decision)
        found += [made] if made is not None else []
    call = world.calls.get(call_id)
    if call is not None and isinstance(call.state, c.Waiting):
        waits = yield from _of_waiting(world, call)
        found += [waits] if waits is not None else []
    if call is not None and isinstance(call.state, c.Talking) and call.state.offer_id in world.asking:
        waits = yield from _of_waiting(world, world.asking[call.state.offer_id], call)
        found += [waits] if waits is not None else []
    return tuple(found)


def of_decision(world: World, decision: Decision) -> InParts[Explanation | None]:
    """One decision; None if too much has happened since."""
    looked = yield from _look(world, decision.call, world.decisions.past(decision))
    if looked is None:
        return None
    eligible_, rejected = looked
    # Agents whom the strategy ranked stand in its order. Rank and level decide before any strategy.
    if decision.call.ranked:
        turn = {agent_id: place for place, agent_id in enumerate(decision.call.ranked)}
        eligible_.sort(key=lambda agent: turn.get(agent.agent_id, len(turn)))
    chosen = decision.agent_id
    if eligible_ and eligible_[0].agent_id == chosen:
        count = len(eligible_)
        preferred = decision.call.preferred
        told = f"the first of {count} eligible agents" if count > 1 else "no other could be"
        if preferred is not None and preferred.agent_id == chosen:
            told = "the call waits for them alone" if preferred.alone else "they come first for this caller"
        sentence = f"{chosen} was rung: {told}"
    else:
        sentence = f"{chosen} was rung: the agents before were needed for other calls, which came first for them"
    sentence += _cut(decision.call)
    return _explanation(decision.call, decision.at_ms, eligible_, rejected, sentence, decision)


def _cut(call: CallMoment) -> str:
    """Says that the strategy was not shown all agents, so it may not have rung the one that it would prefer."""
    shown = len(call.ranked)
    if shown >= call.candidates:
        return ""
    return f"; {call.strategy} was shown {shown} of {call.candidates} agents, those idle for longest (limits.rank_pool)"


def _of_waiting(world: World, call: c.Call, talks: c.Call | None = None) -> InParts[Explanation | None]:
    """Why the call waits. `talks`: the call in whose talk the agent asks a queue, where `call` stands for them."""
    moment, now_ms, may_offer = offers.moment_of_call(world, call), world.now_ms, world.may_offer(call)
    looked = yield from _look(world, moment, world.decisions.past())
    if looked is None:
        return None
    eligible_, rejected = looked
    if call.orphan:
        sentence = "it waits: another leg is to take the place of its leg, and is not there yet"
    elif not may_offer:
        sentence = "it waits: its switch is not connected"
    elif moment.preferred is not None and moment.preferred.alone:
        sentence = f"it waits for {moment.preferred.agent_id} alone"
    elif not rejected:
        sentence = "it waits: no agent serves the queue"
    else:
        reasons: dict[str, int] = {}
        for agent in rejected:
            reasons[agent.why.value] = reasons.get(agent.why.value, 0) + 1
        most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        told = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in most)
        sentence = f"it waits: {_nobody(len(rejected))} ({told})"
    if talks is not None:
        moment = moment._replace(call_id=talks.call_id)
        sentence = f"{talks.agent_id} asks the queue: {sentence}"
    return _explanation(moment, now_ms, eligible_, rejected, sentence, None)


def _nobody(agents: int) -> str:
    return f"of {agents} agents none can be rung" if agents > 1 else "its only agent cannot be rung"


def _look(world: World, call: CallMoment, past: Past) -> InParts[_Looked | None]:
    """Everybody who served the queue, or was preferred: who was eligible, in order, and why the rest not.

    None when the agents of that moment are not remembered any more.
    """
    ranked: list[_Ranked] = []
    rejected: list[Rejected] = []
    if not past.catch_up():
        return None
    preferred_id = call.preferred.agent_id if call.preferred is not None else None
    names = {*world.places.get(call.queue.name, ()), *past.changed}
    if preferred_id is not None:
        names.add(preferred_id)
    for looked_at, agent_id in enumerate(sorted(names), 1):
        if looked_at % _PART == 0:
            yield
            if not past.catch_up():
                return None
        moment = past.changed.get(agent_id)
        if moment is None and agent_id in world.agents:
            moment = moment_of(world.agents[agent_id])
        service = moment.service(call.queue.name) if moment is not None else None
        if moment is None or (service is None and agent_id != preferred_id):
            continue
        why = eligible.why_not(call, agent_id, moment, service)
        if why is not None:
            rejected.append(Rejected(agent_id, *why))
        else:
            ranked.append(_rank(call, agent_id, moment, service))
    return (yield from _in_order(ranked)), rejected


def _rank(call: CallMoment, agent_id: str, moment: Moment, service: Served | None) -> _Ranked:
    """What an eligible agent was ordered by, and what is shown of it."""
    rank, level = eligible.group_of(call, moment, service) if service is not None else (1, 0)
    key, wrapped = _key(call, moment, service)
    not_taken = call.not_taken.get(agent_id, 0)
    is_other = call.preferred is None or call.preferred.agent_id != agent_id
    shown = () if call.ordering.ranks is not None and call.strategy != FALLBACK else key
    return (is_other, not_taken, rank, level, wrapped, key, agent_id), RankedAgent(
        agent_id, not_taken, rank, -level, shown
    )


def _in_order(ranked: list[_Ranked]) -> InParts[list[RankedAgent]]:
    """Sort them, in parts."""
    runs: list[list[_Ranked]] = []
    for begin in range(0, len(ranked), _PART):
        runs.append(sorted(ranked[begin : begin + _PART], key=_turn))
        yield
    merged: Iterator[_Ranked] = merge(*runs, key=_turn)
    ordered: list[RankedAgent] = []
    while part := [agent for _, agent in islice(merged, _PART)]:
        ordered += part
        yield
    return ordered


def _turn(ranked: _Ranked) -> tuple[bool, int, int, int, bool, Key, str]:
    return ranked[0]


def _key(call: CallMoment, agent: Moment, service: Served | None) -> tuple[Key, bool]:
    """The strategy's key, and whether it lies before the circle's start, so that the agent comes last."""
    if service is None or agent.facts is None:
        return (), False
    return call.ordering.key_then(call.strategy, agent.facts, service.facts, call.required, call.start)


def _explanation(
    call: CallMoment,
    at_ms: int,
    eligible_: list[RankedAgent],
    rejected: list[Rejected],
    sentence: str,
    decision: Decision | None,
) -> Explanation:
    if call.strategy != call.queue.strategy:
        sentence += f"; {call.strategy} does the work of {call.queue.strategy}, which has failed"
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
        sentence=sentence if call.number_believed else f"{sentence}; the caller's number is not believed",
        candidates=call.candidates if call.ranked else None,
        shown=len(call.ranked) if call.ranked else None,
        contact_id=call.contact_id,
    )
