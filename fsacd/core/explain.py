"""Why this agent, why not that one, why a call still waits: rendered when somebody asks, from what is remembered."""

from __future__ import annotations

from collections.abc import Mapping

from fsacd.core import call as c
from fsacd.core import eligible, offers
from fsacd.core.agent import Served
from fsacd.core.decisions import CallMoment, Decision, Moment, moment_of
from fsacd.core.views import Explanation, RankedAgent, Rejected
from fsacd.core.world import World
from fsacd.strategy import Key


def of_call(world: World, call_id: str) -> tuple[Explanation, ...]:
    """The call's remembered decisions, oldest first; last, if it is still looking for an agent, why it waits."""
    found = [of_decision(world, decision) for decision in world.decisions.of_call(call_id)]
    call = world.calls.get(call_id)
    if call is not None and isinstance(call.state, c.Waiting):
        found.append(_of_waiting(world, call))
    return tuple(explanation for explanation in found if explanation is not None)


def of_decision(world: World, decision: Decision) -> Explanation | None:
    """One decision; None if too much has happened since."""
    was = world.decisions.agents_at(decision)
    if was is None:
        return None
    eligible_, rejected = _look(world, decision.call, was)
    # Those whom a strategy ranked: in its order. Rank and level decide before any strategy.
    if decision.call.ranked:
        turn = {agent_id: place for place, agent_id in enumerate(decision.call.ranked)}
        eligible_.sort(key=lambda agent: turn.get(agent.agent_id, len(turn)))
    chosen = decision.agent_id
    if eligible_ and eligible_[0].agent_id == chosen:
        count = len(eligible_)
        sentence = f"{chosen} was rung: " + (
            f"the first of {count} eligible agents" if count > 1 else "no other could be"
        )
    else:
        sentence = f"{chosen} was rung: those before were wanted by other calls, which came first for them"
    return _explanation(decision.call, decision.at_ms, eligible_, rejected, sentence, decision)


def _of_waiting(world: World, call: c.Call) -> Explanation:
    moment = offers.moment_of_call(world, call)
    eligible_, rejected = _look(world, moment, {})
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
        sentence = f"it waits: of {len(rejected)} agents none can be rung ({told})"
    return _explanation(moment, world.now_ms, eligible_, rejected, sentence, None)


def _look(world: World, call: CallMoment, was: Mapping[str, Moment]) -> tuple[list[RankedAgent], list[Rejected]]:
    """Everybody who serves the queue, or is preferred, as he was: who was eligible, in order, and why the rest not."""
    preferred_id = call.preferred.agent_id if call.preferred is not None else None
    queue = call.queue.name
    serving = {*world.places.get(queue, ()), *(agent_id for agent_id, moment in was.items() if moment.service(queue))}
    if preferred_id is not None:
        serving.add(preferred_id)
    ranked: list[tuple[tuple[bool, int, int, int, bool, Key, str], RankedAgent]] = []
    rejected: list[Rejected] = []
    for agent_id in sorted(serving):
        agent = world.agents.get(agent_id)
        moment = was.get(agent_id) or (moment_of(agent) if agent is not None else None)
        if moment is None:
            continue
        service = moment.service(queue)
        if service is None and agent_id != preferred_id:
            continue
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
