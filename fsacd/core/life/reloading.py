"""Other rules, swapped whole: a queue that is renamed keeps all it has, and what they do not name is forgotten.

Callers of a queue that is no more go where the new rules say; talks go on.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core.call import in_queue
from fsacd.core.commands import CancelReason
from fsacd.core.life import absence, agents, calls, overflow, resuming, roster, sticky
from fsacd.core.life.world import World
from fsacd.core.records import CallJoined, CallMoved
from fsacd.core.rules import AgentRules, Rules, ToQueue


def change_rules(world: World, rules: Rules) -> None:
    """Work by these rules from now on."""
    renamed = {old: new for old, new in rules.renamed().items() if old in world.rules.queues}
    for old, new in renamed.items():
        _rename(world, old, new)
    world.abandoned.rename(renamed)
    gone = [call for call in world.calls.values() if call.queue not in rules.queues]
    talking = {call.queue: world.rules.queues[call.queue] for call in gone if not in_queue(call.state)}
    moved = _leave(world, [call for call in gone if in_queue(call.state)], rules)
    # A queue with a talk going on keeps its rules until the next reload: the talk's end needs them.
    rules = replace(rules, queues={**rules.queues, **talking})
    half_life_ms = world.rules.limits.counters_half_life_ms
    world.set_rules(rules, retired=frozenset(talking))
    # Whose number and name are shown may be another matter now: of the calls (`rearm`), and to those whom they have.
    world.changed_agents.update(dict.fromkeys(offer.agent_id for offer in world.offers.values()))
    if half_life_ms != rules.limits.counters_half_life_ms:
        for agent in world.agents.values():
            if agent.room:
                world.decisions.remember(agent)  # earlier decisions went by what was counted until now
            agent.load.rescale(world.now_ms, half_life_ms, rules.limits.counters_half_life_ms)
    roster.let_all_look(world)  # so that whoever is ready can be taken out again
    agents.configure(world, dict(rules.agents))
    agents.drop_removed(world)
    roster.let_all_look(world)
    calls.rearm(world)
    absence.change_rules(world)
    for queue in sorted(world.staffing.logged_in):
        world.arm_conditions(queue)
    _forget(world)
    _arrive(world, moved)


def _rename(world: World, old: str, new: str) -> None:
    """All that is known under the old name is known under the new one; what the new one has of its own stays."""
    for call in [call for call in world.calls.values() if call.queue == old]:
        call.queue = new
        if in_queue(call.state):
            world.record(CallMoved(call.call_id, old, new, world.now_ms, "renamed"))
            world.record(CallJoined(call.call_id, new, world.now_ms, by_overflow=True))
            world.note_call(call)
    for offer in world.offers.values():
        if offer.queue == old:
            offer.queue = new
    for agent in world.agents.values():
        if old in agent.rules.queues or old in agent.configured.queues:
            # Before `configure` would: where the half-life changes, too, they have other counters by then.
            world.decisions.remember(agent)
            agent.rules, agent.configured = _serving(agent.rules, old, new), _serving(agent.configured, old, new)
            world.changed_agents[agent.agent_id] = None
        _break_under_other_name(world, agent, old, new)
        for work in agent.work.values():
            if work.queue == old:
                work.queue = new
    world.staffing.rename(old, new, world.now_ms)
    if old in world.handling:
        world.handling.setdefault(new, world.handling.pop(old))
    for queue, outcome in list(world.outcomes):
        if queue == old:
            world.outcomes[new, outcome] += world.outcomes.pop((old, outcome))
    world.orderings.setdefault(new, world.orderings[old])


def _break_under_other_name(world: World, agent: a.Agent, old: str, new: str) -> None:
    """An agent who takes no calls of the queue takes none under its new name, unless they serve the new one already."""
    why = agent.not_ready_for.pop(old, None)
    if why is not None and not any(served.queue == new for served in agent.services):
        agent.not_ready_for[new] = why
        sticky.release(world, agent.agent_id, new)


def _serving(rules: AgentRules, old: str, new: str) -> AgentRules:
    if old not in rules.queues:
        return rules
    # In the same place, because agents are ordered by this list.
    queues = {
        new if name == old else name: how
        for name, how in rules.queues.items()
        if name != old or new not in rules.queues
    }
    return replace(rules, queues=MappingProxyType(queues))


def _leave(world: World, gone: list[c.Call], rules: Rules) -> list[c.Call]:
    """Calls that wait in queues that are no more leave them. Returns those that go into another queue."""
    target = rules.when_queue_removed
    moved = []
    for call in gone:
        if isinstance(target, ToQueue):
            calls.take_offers_back(world, call, CancelReason.WITHDRAWN)
            if not isinstance(call.state, c.Waiting):
                world.move_call(call, c.Waiting())
            world.record(CallMoved(call.call_id, call.queue, target.queue, world.now_ms, calls.QUEUE_REMOVED))
            call.queue, call.joined_ms, call.last_place = target.queue, world.now_ms, None
            world.timers.clear("preferred", call.call_id)
            call.preferred = None
            moved.append(call)
        else:
            calls.take_offers_back(world, call, CancelReason.WITHDRAWN)
            calls.end_without_queue(world, call, target or rules.fallback)
    return moved


def _arrive(world: World, moved: list[c.Call]) -> None:
    """Let these calls join their new queue as overflowing calls do: it may be closed, or full for the latest ones."""
    for call in sorted(moved, key=lambda call: call.order, reverse=True):
        if call.call_id in world.calls:  # a step of the new queue may have sent it away already
            world.record(CallJoined(call.call_id, call.queue, world.now_ms, by_overflow=True))
            world.note_call(call)
            overflow.join(world, call)


def _forget(world: World) -> None:
    """Forget removed queues. Otherwise their data would stay for ever, and hold for a later queue of the same name."""
    queues = world.rules.queues
    for name in [name for name in world.staffing.logged_in if name not in queues]:
        world.timers.clear("estimated_wait", name)
    world.staffing.keep(queues)
    for name in [name for name in world.handling if name not in queues]:
        del world.handling[name]
    for name, outcome in [key for key in world.outcomes if key[0] and key[0] not in queues]:
        del world.outcomes[name, outcome]
    resuming.change_rules(world)
