"""Other rules, swapped whole: a queue that is renamed keeps all it has, and what they do not name is forgotten.

Callers of a queue that is no more go where the new rules say; talks go on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace
from types import MappingProxyType

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core.call import in_queue
from fsacd.core.commands import CancelReason
from fsacd.core.events import RulesAmended
from fsacd.core.life import (
    absence,
    agents,
    asking,
    calls,
    new_rules,
    overflow,
    resuming,
    roster,
    sticky,
    stood,
    visits,
)
from fsacd.core.life.world import World
from fsacd.core.records import CallJoined, CallMoved
from fsacd.core.rules import AgentRules, QueueRules, Rules, ToQueue
from fsacd.core.shape import with_thirds
from fsacd.core.visit import HowIn, VisitOutcome


def change_rules(world: World, rules: Rules) -> None:
    """Work by these rules from now on."""
    asking.leave_index(world)
    renamed = {old: new for old, new in rules.renamed().items() if old in world.rules.queues}
    for old, new in renamed.items():
        _rename(world, old, new, rules.queues[new])
    world.abandoned.rename(renamed)
    rules, talking, moved = _let_leave(world, rules)
    half_life_ms = world.rules.limits.counters_half_life_ms
    new_rules.set_rules(world, rules, talking)
    # Whose number and name are shown may be another matter now: of the calls (`rearm`), and to those whom they have.
    world.changed_agents.update(dict.fromkeys(offer.agent_id for offer in world.offers.values() if offer.agent_id))
    if half_life_ms != rules.limits.counters_half_life_ms:
        for agent in world.agents.values():
            if agent.room:
                world.decisions.remember(agent)  # earlier decisions went by what was counted until now
            agent.load.rescale(world.now_ms, half_life_ms, rules.limits.counters_half_life_ms)
    roster.leave_index(world, world.agents.values(), is_new=True)
    agents.configure(world, rules.agents, counted=set())
    agents.drop_removed(world, world.agents.values())
    roster.let_look(world, world.agents.values())
    calls.rearm(world, moved)
    absence.change_rules(world)
    for queue in sorted(world.staffing.logged_in):
        world.arm_conditions(queue)
    _forget(world)
    stood.rules_changed(world)
    asking.rules_changed(world)
    _arrive(world, moved)


def amend_rules(world: World, event: RulesAmended) -> str | None:
    """Let what differs hold from now on, and touch nothing else. Gives why the fact is refused, if it is."""
    if event.edition != world.edition:
        return f"the rules were changed meanwhile: they are of edition {world.edition}, not {event.edition}"
    ready_made = new_rules.prepared(world, event)
    rules, before = ready_made.rules, world.rules
    if event.limits != before.limits or any(old in before.queues for old in rules.renamed()):
        change_rules(world, rules)  # it concerns everybody
        return None
    asking.leave_index(world)
    failed = {name for name, ordering in world.orderings.items() if ordering.has_ever_failed}
    gone = before.queues.keys() - rules.queues.keys()
    anew = {*event.queues, *event.anew, *failed, *world.retired, *gone}
    places = new_rules.moved(world, ready_made.places)
    others = _others(world, event, places, gone)
    rules, talking, moved = _let_leave(world, rules)
    looking = _leave_index(world, rules, others, places, anew)
    new_rules.amend_rules(world, rules, talking, anew, ready_made.places)
    world.changed_queues.update(dict.fromkeys((*anew, *event.queues)))
    if anew:  # as above
        world.changed_agents.update(dict.fromkeys(offer.agent_id for offer in world.offers.values() if offer.agent_id))
    delays, helped_late = dict(world.delays), _delays(world, others)
    agents.configure(world, rules.agents, others, ready_made.made, counted := set[str]())
    agents.drop_removed(world, [world.agents[agent_id] for agent_id in event.gone_agents if agent_id in world.agents])
    roster.let_look(world, [agent for agent in looking if agent.agent_id in world.agents])
    new_rules.set_delays(world, helped_late | _delays(world, others))
    calls.rearm(world, moved, anew | {call.queue for call in moved})
    for call in [call for call in world.calls.values() if delays.get(call.queue) != world.delays.get(call.queue)]:
        world.set_reach(call)
    for call in [call for call in world.calls.values() if call.preferred is not None]:
        sticky.keep_in_reach(world, call)
    for queue in sorted((counted | anew) & world.staffing.logged_in.keys()):
        world.arm_conditions(queue)
    if anew:
        _forget(world)
    stood.rules_changed(world)
    asking.rules_changed(world)
    _arrive(world, moved)
    return None


def _let_leave(world: World, rules: Rules) -> tuple[Rules, frozenset[str], list[c.Call]]:
    """Calls of queues that are no more leave them.

    Gives the rules with those of queues whose talks go on, these queues, and the calls that go into another queue.
    """
    gone = [call for call in world.calls.values() if call.queue not in rules.queues]
    talking = {call.queue: world.rules.queues[call.queue] for call in gone if not in_queue(call.state)}
    moved = _leave(world, [call for call in gone if in_queue(call.state)], rules)
    # A queue with a talk going on keeps its rules until the next reload: the talk's end needs them.
    if talking:
        rules = replace(rules, queues={**rules.queues, **talking})
    return rules, frozenset(talking), moved


def _others(world: World, event: RulesAmended, moved: Iterable[str], gone: AbstractSet[str]) -> dict[str, None]:
    """Those who take other rules, or other places, or serve by hand a queue that is no more; the new ones last."""
    named = {*event.agents, *event.gone_agents, *moved}
    known = [
        agent_id
        for agent_id, agent in world.agents.items()
        if agent_id in named or (gone and not gone.isdisjoint(agent.rules.queues))
    ]
    return dict.fromkeys((*known, *event.agents))


def _leave_index(
    world: World, rules: Rules, others: Iterable[str], places: Collection[str], anew: Collection[str]
) -> list[a.Agent]:
    """Take whoever is found in another way by these rules out of the index; gives the agents who are to look anew.

    `others` take other rules, `places` (some of them) have other places.
    """
    serving = [
        agent
        for agent in (world.agents.values() if anew else ())
        if any(served.queue in anew for served in agent.services)
    ]
    known = [world.agents[agent_id] for agent_id in others if agent_id in world.agents]
    moved = set(places)
    looking = [
        *serving,
        *(
            agent
            for agent in known
            if agent.room
            and (agent.agent_id in moved or not _stands_as_before(agent, rules.agents.get(agent.agent_id)))
        ),
    ]
    roster.leave_index(world, looking)
    for agent in serving:
        world.index.forget_seats(agent.agent_id)
    for call in world.calls.values() if anew else ():
        if call.queue in anew:
            world.index.remove_call(call.call_id)
    return list({agent.agent_id: agent for agent in looking}.values())


def _stands_as_before(agent: a.Agent, rules: AgentRules | None) -> bool:
    """Whether calls find the agent by other rules as by those of now."""
    before = agent.rules
    return (
        rules is not None
        and before is agent.configured
        and rules is not before
        and rules.contact == before.contact
        and rules.switches == before.switches
        and rules.standing_leg == before.standing_leg
        and rules.skills == before.skills
        and tuple(rules.queues.items()) == tuple(before.queues.items())
    )


def _delays(world: World, others: Iterable[str]) -> set[str]:
    """The queues that these agents help late."""
    if not world.delays:
        return set()
    known = [world.agents[agent_id] for agent_id in others if agent_id in world.agents]
    return {served.queue for agent in known for served in agent.services if served.delay_ms}


def _rename(world: World, old: str, new: str, rules: QueueRules) -> None:
    """All that is known under the old name is known under the new one; what the new one has of its own stays."""
    for call in [call for call in world.calls.values() if call.queue == old]:
        call.queue = new
        if in_queue(call.state):
            visits.leave_for(world, call, new, VisitOutcome.MOVED, "renamed")
            visits.go_on(world, call, HowIn.RENAMED, rules)
            world.record(CallMoved(call.call_id, old, new, world.now_ms, "renamed", call.contact_id))
            world.record(CallJoined(call.call_id, new, world.now_ms, by_overflow=True, contact_id=call.contact_id))
            world.note_call(call)
    for offer in with_thirds(world.offers, world.shapes):
        if offer.queue == old:
            offer.queue = new
    asking.rename(world, old, new)
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
    why = agent.not_ready_for.get(old)
    if why is None:
        return
    left = {queue: reason for queue, reason in agent.not_ready_for.items() if queue != old}
    serves = any(served.queue == new for served in agent.services)
    agent.not_ready_for = left if serves else {**left, new: why}
    if not serves:
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
                world.move_call(call, c.WAITING)
            why, contact_id = calls.QUEUE_REMOVED, call.contact_id
            visits.leave_for(world, call, target.queue, VisitOutcome.MOVED, why)
            world.record(CallMoved(call.call_id, call.queue, target.queue, world.now_ms, why, contact_id))
            world.index.remove_call(call.call_id)
            call.queue, call.joined_ms, call.last_place = target.queue, world.now_ms, None
            visits.go_on(world, call, HowIn.MOVED, rules.queues[target.queue])
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
        world.record(CallJoined(call.call_id, call.queue, world.now_ms, by_overflow=True, contact_id=call.contact_id))
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
