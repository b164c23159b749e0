"""The engine's memory as plain data, and an engine made of it that goes on exactly as the first one would have.

It holds what decisions depend on. What follows from that is made anew: the index, the counts, what an agent serves.
Decisions that could be explained are left out, as they only tell of the past; their numbers go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.abandoned import Place
from fsacd.core.call import in_queue
from fsacd.core.commands import EndCall, SendCall
from fsacd.core.fact import fact
from fsacd.core.life import asking, resuming, sticky, visits
from fsacd.core.life.world import World
from fsacd.core.match.ordering import Ordering
from fsacd.core.match.plugins import Plugins
from fsacd.core.match.standing import POSTS, Post, Standing
from fsacd.core.plain import from_plain, to_plain
from fsacd.core.records import CallOutcome
from fsacd.core.rules import QueueRules, Rules, SkillLevels
from fsacd.core.shape import TalkShape
from fsacd.core.show import memory_of_agents
from fsacd.core.show.memory_of_agents import AgentMemory
from fsacd.core.staffing import Condition
from fsacd.core.timers import Timers
from fsacd.core.visit import HowIn, Visit


@fact
class StandingMemory:
    """How a plugin of a queue stands, beside what `OrderMemory` has always said of it."""

    post: str
    failures: int = 0
    since_ms: int = 0
    why: str = ""


@fact
class OrderMemory:
    """How a queue orders. A replay must find plugins as they were: failed, or called so many times."""

    queue: str
    last_place: int | None = None
    strategy_failed: bool = False
    call_order_failed: bool = False
    strategy_calls: int = 0
    call_order_calls: int = 0
    sorted_for: tuple[SkillLevels, ...] = ()
    standings: tuple[StandingMemory, ...] = ()


@fact
class EndedMemory:
    """An ended call that is remembered, and the final command to its leg."""

    call_id: str
    at_ms: int
    final_command: SendCall | EndCall | None = None
    offers: int | None = None
    visit: Visit | None = None
    contact_id: str = ""


@fact
class Memory:
    """The engine's whole memory. Pairs and triples stand in the order in which the engine holds them."""

    now_ms: int
    seed: int
    rules: Rules
    retired: tuple[str, ...] = ()
    switches: dict[str, bool] | None = None
    agents: tuple[AgentMemory, ...] = ()
    calls: tuple[c.Call, ...] = ()
    offers: tuple[o.Offer, ...] = ()
    ended: tuple[EndedMemory, ...] = ()
    timers: tuple[tuple[str, str, int], ...] = ()  # kind, owner, when
    staffed: tuple[str, ...] = ()  # queues, also those that are gone
    conditions: tuple[tuple[Condition, str, int], ...] = ()  # since when each holds
    handling: dict[str, float] | None = None
    last_agents: tuple[tuple[str, str], ...] = ()
    outcomes: tuple[tuple[str, CallOutcome, int], ...] = ()
    places: dict[str, dict[str, int]] | None = None
    delays: dict[str, tuple[int, ...]] | None = None
    orders: tuple[OrderMemory, ...] = ()
    decisions: int = 0
    takeovers: int = 0
    epochs: dict[str, int] | None = None
    abandoned: tuple[Place, ...] = ()  # the oldest first
    absent: dict[str, int] | None = None  # switches that are away, since when
    edition: int = 0
    shapes: tuple[tuple[str, TalkShape], ...] = ()  # of the talks that somebody has changed, by offer


def dump(world: World) -> dict[str, Any]:
    """Everything, as plain data. Costs a look at everything; nothing may be handled meanwhile."""
    memory = Memory(
        now_ms=world.now_ms,
        seed=world.seed,
        rules=world.rules,
        retired=tuple(sorted(world.retired)),
        switches=world.switches,
        agents=tuple(memory_of_agents.dumped(world, agent) for agent in world.agents.values()),
        calls=tuple(world.calls.values()),
        offers=tuple(world.offers.values()),
        ended=tuple(EndedMemory(*ended) for ended in world.ended.all()),
        timers=tuple((str(kind), owner, at_ms) for kind, owner, at_ms in world.timers.all()),
        staffed=tuple(sorted(world.staffing.logged_in)),
        conditions=tuple((condition, queue, at_ms) for (condition, queue), at_ms in world.staffing.since.items()),
        handling=world.handling,
        last_agents=tuple(world.last_agents.items()),
        outcomes=tuple((queue, outcome, count) for (queue, outcome), count in world.outcomes.items()),
        places=world.places,
        delays=world.delays,
        orders=tuple(_order(world, name, ordering) for name, ordering in world.orderings.items()),
        decisions=world.decisions.number,
        takeovers=world.takeovers,
        epochs=world.epochs,
        abandoned=tuple(world.abandoned),
        absent=world.absent,
        edition=world.edition,
        shapes=tuple(world.shapes.items()),
    )
    plain: dict[str, Any] = to_plain(memory, Memory)
    return plain


def _order(world: World, name: str, ordering: Ordering) -> OrderMemory:
    failed = {post: standing.failed for post, standing in ordering.standings.items()}
    return OrderMemory(
        name,
        ordering.last_place,
        strategy_failed=failed["strategy"],
        call_order_failed=failed.get("call_order", False),
        strategy_calls=ordering.calls("strategy"),
        call_order_calls=ordering.calls("call_order"),
        sorted_for=world.index.sorted_for(name),
        standings=tuple(
            StandingMemory(post, standing.failures, standing.since_ms, standing.why)
            for post, standing in ordering.standings.items()
        ),
    )


def restore(plain: Mapping[str, Any], plugins: Plugins) -> World:
    """A world that goes on from there.

    Raises:
        Unreadable: the data is no memory.
        PluginError: the rules in it name a plugin that is not there.
    """
    memory: Memory = from_plain(dict(plain), Memory)
    world = World(memory.rules, plugins, memory.now_ms, memory.seed)
    world.retired, world.edition = frozenset(memory.retired), memory.edition
    world.switches, world.takeovers = memory.switches or {}, memory.takeovers
    world.epochs, world.absent = memory.epochs or {}, memory.absent or {}
    if memory.places is not None and memory.delays is not None:
        # The delays of agents who were changed by hand stand in no rules.
        world.places, world.delays = memory.places, memory.delays
    for order in memory.orders:
        if order.queue in world.orderings:
            world.orderings[order.queue].go_on(order.last_place, _standings(order, world.rules.queues[order.queue]))
    world.staffing.add_queues(memory.staffed, memory.now_ms)
    world.offers.update((offer.offer_id, offer) for offer in memory.offers)
    for talk_id, shape in memory.shapes:
        world.shapes[talk_id] = shape
        if shape.third is not None:
            world.thirds[shape.third.offer_id] = talk_id
        elif shape.asks is not None and asking.is_there(world, shape.asks):
            world.asking[talk_id] = shape.asks
    for remembered in memory.agents:
        memory_of_agents.restore(world, remembered)
    # Counting the agents has set these to begin now; the memory knows when each really began.
    world.staffing.since = {(condition, queue): at_ms for condition, queue, at_ms in memory.conditions}
    _restore_calls(world, memory)
    world.timers = Timers()
    for kind, owner, at_ms in memory.timers:
        world.timers.set(_TIMER_KINDS.get(kind, kind), owner, at_ms)
    for place in memory.abandoned:
        resuming.keep(world, place)
    _try_again_whom_nobody_would(world)
    world.handling = memory.handling or {}
    for number, agent_id in memory.last_agents:
        sticky.remember(world, number, agent_id)  # an earlier fsacd has kept them by the number as it was shown
    for queue, outcome, count in memory.outcomes:
        world.outcomes[queue, outcome] = count
    world.decisions.go_on_from(memory.decisions)
    _restore_index(world, memory)
    return world


def _standings(order: OrderMemory, rules: QueueRules) -> dict[Post, Standing]:
    more = {standing.post: standing for standing in order.standings}
    failed: dict[Post, bool] = {"strategy": order.strategy_failed, "call_order": order.call_order_failed}
    plugins: dict[Post, str | None] = {"strategy": rules.strategy, "call_order": rules.call_order}
    standings = dict[Post, Standing]()
    for post in POSTS:
        plugin = plugins[post]
        if plugin is not None:
            known = more.get(post, StandingMemory(post))
            standings[post] = Standing(plugin, failed[post], known.failures, known.since_ms, known.why)
    return standings


def _try_again_whom_nobody_would(world: World) -> None:
    """Set the deadline of failed plugins that have none: an older fsacd never tried them again."""
    for queue, ordering in world.orderings.items():
        for post, standing in ordering.standings.items():
            if standing.failed and world.timers.at(post, queue) is None:
                world.timers.set(post, queue, standing.count(world.rules.limits, world.now_ms))


_TIMER_KINDS: dict[str, str] = {condition.value: condition for condition in Condition}


def _restore_calls(world: World, memory: Memory) -> None:
    world.calls.update((call.call_id, call) for call in memory.calls)
    for offer in world.offers.values():
        offer.contact_id = offer.contact_id or offer.call_id
    for call in memory.calls:
        # An earlier fsacd knew of no contacts: this is the first call of its own.
        call.contact_id = call.contact_id or call.call_id
        # Nor of visits: this one is taken for its first, and for what the call is now.
        rules = world.queue_rules(call)
        call.visit = call.visit or visits.as_at_entry(call, 1, call.joined_ms, HowIn.DIRECT, rules)
        world.queue_lengths[call.queue] += in_queue(call.state)
        world.origins.add(call)
    for ended in memory.ended:
        world.ended.restore(
            ended.call_id, ended.at_ms, ended.final_command, ended.offers, ended.visit, ended.contact_id
        )


def _restore_index(world: World, memory: Memory) -> None:
    """Let calls and agents find each other as before. This matches nobody: the last step has left no possible match."""
    for order in memory.orders:
        if order.queue in world.orderings:
            world.index.sort_for(order.queue, order.sorted_for)
    for agent in world.agents.values():
        if agent.room:
            agent.show()
            world.index.add_agent(agent)
    for call in (*world.calls.values(), *world.asking.values()):
        if world.seeks(call):
            world.index.add_call(call, already_ringing=isinstance(call.state, c.Ringing))
    world.free_agents.clear()
    world.free_calls.clear()
    world.present.changed.clear()
    for order in memory.orders:
        if order.queue in world.orderings:
            # Making the index has called the plugins anew: their count goes on from where it was.
            world.orderings[order.queue].count_from("strategy", order.strategy_calls)
            world.orderings[order.queue].count_from("call_order", order.call_order_calls)
    if world.failures:
        world.note_failures()  # a plugin failed meanwhile; the next step records it
    world.forget_changes()
