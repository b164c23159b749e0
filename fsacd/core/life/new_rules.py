"""What other rules bring about in the world, but for calls and agents (`reloading`): plugins, index, places, delays.

Computed beforehand (`prepare`) or when the rules change, it is the same; a replay knows only the second way.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping
from typing import NamedTuple

from fsacd.core.amending import amended
from fsacd.core.call import in_queue
from fsacd.core.events import RulesAmended
from fsacd.core.life.roster import Made, make
from fsacd.core.life.world import World
from fsacd.core.match.standing import POSTS
from fsacd.core.rules import AgentRules, Rules

# So many agents are prepared in one part, which takes less than a millisecond.
_PART = 64

Places = dict[str, dict[str, int]]


class Prepared(NamedTuple):
    """What an event brings about: the rules, places by queue and agent, and agents' services.

    It holds while nobody has changed the rules (`edition`) or an agent (`by_hand`) since.
    """

    event: RulesAmended
    edition: int
    by_hand: int
    rules: Rules
    places: Places
    made: Mapping[str, Made]


def prepare(world: World, event: RulesAmended) -> Generator[None, None, None]:
    """Compute in parts what the event will bring about, so that it takes less when it comes; others run meanwhile."""
    world.prepared = yield from _prepared(world, event)


def prepared(world: World, event: RulesAmended) -> Prepared:
    """What the event brings about: as prepared, or computed now."""
    found, world.prepared = world.prepared, None
    now = (world.edition, world.by_hand)
    if isinstance(found, Prepared) and found.event is event and (found.edition, found.by_hand) == now:
        return found
    return _whole(_prepared(world, event))


def _prepared(world: World, event: RulesAmended) -> Generator[None, None, Prepared]:
    edition, by_hand = world.edition, world.by_hand
    rules = amended(world.rules, world.retired, event)
    yield
    places = yield from _places(world, rules, event)
    made: dict[str, Made] = {}
    for number, agent_id in enumerate(dict.fromkeys((*event.agents, *moved(world, places))), 1):
        agent, now = world.agents.get(agent_id), rules.agents.get(agent_id)
        if now is not None:
            # Who is at their configured phone will be at the new one.
            where = now.contact if agent is None or agent.contact == agent.rules.contact else agent.contact
            made[agent_id] = _made(world, now, where, places)
        if number % _PART == 0:
            yield
    return Prepared(event, edition, by_hand, rules, places, made)


def set_rules(world: World, rules: Rules, retired: frozenset[str]) -> None:
    """Work by other rules, with everything made anew. No call may stand in a queue that is no more."""
    for queue in world.orderings:
        world.timers.clear_all(POSTS, queue)  # each plugin has its chance at once
    world.take_rules(rules, retired)
    world.order(rules)
    for queue in rules.queues:
        world.index.order_agents_anew(queue)  # by its next call, or one step would sort the agents of all queues
    _count_queues(world)


def amend_rules(
    world: World, rules: Rules, retired: frozenset[str], anew: Collection[str], places: Mapping[str, dict[str, int]]
) -> None:
    """Work by rules that differ in the queues `anew`; they hold no call and no ready agent of the index now.

    Queues that are no more are among them. The limits are the same.
    """
    world.take_rules(rules, retired)
    if anew:
        for queue in anew:
            world.timers.clear_all(POSTS, queue)  # as above
        world.orderings = {
            name: world.ordering(name, queue) if name in anew else world.orderings[name]
            for name, queue in rules.queues.items()
        }
        world.index.replace_queues(world.orderings, anew)
        for queue in rules.queues.keys() & set(anew):
            world.index.order_agents_anew(queue)  # as above
        world.delays = {name: known for name, known in world.delays.items() if name in rules.queues}
        world.places = {name: world.places.get(name, {}) for name in rules.queues}
        _count_queues(world)
        if world.present.let_ask(rules.asking_for_delays()):
            for agent in world.agents.values():
                world.present.count(agent)
    world.places.update(places)


def _count_queues(world: World) -> None:
    world.staffing.add_queues(world.rules.queues, world.now_ms)
    world.queue_lengths = dict.fromkeys(world.rules.queues, 0)
    for call in world.calls.values():
        world.queue_lengths[call.queue] += in_queue(call.state)


def set_delays(world: World, queues: Collection[str]) -> None:
    """Find the delays of these queues' agents anew."""
    if not queues:
        return
    found: dict[str, set[int]] = {}
    for agent in world.agents.values():
        for name, service in agent.rules.queues.items():
            if service.delay_ms and name in queues:
                found.setdefault(name, set()).add(service.delay_ms)
    for name in queues:
        if name in found:
            world.delays[name] = tuple(sorted(found[name]))
        else:
            world.delays.pop(name, None)


# --- places ---


def _places(world: World, rules: Rules, event: RulesAmended) -> Generator[None, None, Places]:
    """The places of agents in the queues where they may change, by the configuration's order.

    As many as can keep their number do, for who has another one is sorted anew.
    """
    queues = set(rules.queues) if event.order_of_agents is not None else _other_crews(world, rules, event)
    places: Places = {name: {} for name in sorted(queues) if name in rules.queues}
    if not places:
        return places
    last = dict.fromkeys(places, -1)
    for number, agent in enumerate(rules.agents.values(), 1):
        for name in agent.queues:
            if name in places:
                last[name] = places[name][agent.agent_id] = max(
                    world.places.get(name, {}).get(agent.agent_id, -1), last[name] + 1
                )
        if number % _PART == 0:
            yield
    for name, crew in places.items():
        for agent_id, place in world.places.get(name, {}).items():
            known = world.agents.get(agent_id)
            # Somebody has let the agent serve the queue by hand.
            if (
                agent_id not in crew
                and agent_id not in event.agents
                and known is not None
                and name in known.rules.queues
            ):
                last[name] = crew[agent_id] = max(place, last[name] + 1)
        yield
    return places


def _other_crews(world: World, rules: Rules, event: RulesAmended) -> set[str]:
    """The queues that other agents serve than before."""
    queues: set[str] = set()
    for agent_id in (*event.agents, *event.gone_agents):
        before, now = world.rules.agents.get(agent_id), rules.agents.get(agent_id)
        known = world.agents.get(agent_id)
        queues |= set(_queues(before)) ^ set(_queues(now))
        if known is not None and known.rules is not before:  # changed by hand
            queues |= set(_queues(known.rules)) ^ set(_queues(now))
    return queues


def _queues(rules: AgentRules | None) -> Iterable[str]:
    return () if rules is None else rules.queues


def moved(world: World, places: Places) -> list[str]:
    """The agents who have other places by these than now."""
    found: dict[str, None] = {}
    for name, crew in places.items():
        old = world.places.get(name, {})
        found.update((agent_id, None) for agent_id, place in crew.items() if old.get(agent_id, place) != place)
    return list(found)


def _made(world: World, rules: AgentRules, contact: str, places: Places) -> Made:
    def place_in(queue: str) -> int:
        found = places[queue] if queue in places else world.places.get(queue, {})
        # Whoever has no place has been changed by hand meanwhile, and then nothing of this holds.
        return found.get(rules.agent_id, -1)

    return make(rules, contact, place_in)


def _whole(parts: Generator[None, None, Prepared]) -> Prepared:
    while True:
        try:
            next(parts)
        except StopIteration as end:
            whole: Prepared = end.value
            return whole
