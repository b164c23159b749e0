"""A moment between two decisions, and what calls and agents think of each other in it. Looks at everything, each time.

`at_ms` is the time by which delays, steps and reservations are judged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from fsacd.core.rules import SkillLevels
from fsacd.core.views import AgentView, CallView, WhyNot
from fsacd.strategy import EVERYBODY
from tests.core import meaning
from tests.core.books import Books, CallBook, lacks
from tests.core.meaning import OrderKey, surely_before

STATE_REASONS = {
    "logged_out": WhyNot.LOGGED_OUT,
    "not_ready": WhyNot.NOT_READY,
    "held_back": WhyNot.HELD_BACK,
    "busy": WhyNot.BUSY,
    "offered": WhyNot.OFFERED,
    "talking": WhyNot.TALKING,
    "wrapping_up": WhyNot.WRAPPING_UP,
}


@dataclass
class Scene:
    """`free` are the ready agents who are not rung yet, `rings` says who rings for each call."""

    books: Books
    at_ms: int
    agents: dict[str, AgentView]
    calls: dict[str, CallView]
    free: set[str]
    rings: dict[str, list[str]]
    up: frozenset[str]
    # Calls that leave as soon as nobody rings for them: nothing says that more are rung, or that they are not.
    leaving: set[str] = field(default_factory=set)
    _required: dict[str, dict[str, int]] = field(default_factory=dict)

    def required(self, call: CallBook) -> dict[str, int]:
        """What an agent must be able to do for it."""
        call_id = call.event.call_id
        if call_id not in self._required:
            self._required[call_id] = self.books.required(call, self.at_ms)
        return self._required[call_id]

    # --- may the agent? ---

    def why_not(self, call_id: str, agent_id: str) -> WhyNot | None:
        """The first reason why this agent is not rung for this call, or None if they may be."""
        call, agent = self.books.calls[call_id], self.agents[agent_id]
        if self.books.reserved(call, self.at_ms) not in {None, agent_id}:
            return WhyNot.RESERVED
        if self.books.preferred(call, self.at_ms) == agent_id:
            return self._state_of(agent)
        rests = None
        if call.queue in dict(agent.not_ready_for) and agent.state != "logged_out":
            rests = WhyNot.NOT_READY
        state = self._state_of(agent)
        return self._not_one_of_many(call, agent) or rests or state or self._out_of_scope(call_id, agent_id)

    def _not_one_of_many(self, call: CallBook, agent: AgentView) -> WhyNot | None:
        """Why this agent may not be rung for it as others may."""
        service = dict(agent.queues).get(call.queue)
        if service is None or lacks(dict(agent.skills), self.required(call)) is not None:
            return WhyNot.SKILL
        if not self.books.in_reach(call, agent):
            return WhyNot.SWITCH
        if service.backup and not self.books.backup_open(call, self.at_ms):
            return WhyNot.BACKUP
        if self.at_ms - call.virtual_ms < service.delay_ms and self._delay_holds(call, service.delay_ms):
            return WhyNot.DELAY
        return None

    def _delay_holds(self, call: CallBook, delay_ms: int) -> bool:
        """Whether the queue keeps to delays, or somebody who helps earlier is at work and could take the call."""
        if not self.books.queue_rules(call.queue).no_agent_no_delay:
            return True
        backup_open = self.books.backup_open(call, self.at_ms)
        for other in self.agents.values():
            service = dict(other.queues).get(call.queue)
            if service is None or service.delay_ms >= delay_ms or (service.backup and not backup_open):
                continue
            away = other.state in {"logged_out", "not_ready"} or bool(other.then)
            away = away or call.queue in dict(other.not_ready_for) or not self.books.in_reach(call, other)
            if not away and lacks(dict(other.skills), self.required(call)) is None:
                return True
        return False

    def _state_of(self, agent: AgentView) -> WhyNot | None:
        if agent.agent_id in self.free:
            return None
        return STATE_REASONS.get(agent.state, WhyNot.OFFERED)

    def _out_of_scope(self, call_id: str, agent_id: str) -> WhyNot | None:
        call = self.books.calls[call_id]
        if not self.rings.get(call_id) or self._ring(call).beyond_best or call.first_scope is None:
            return None
        return WhyNot.SCOPE if self.scope(call_id, agent_id) != call.first_scope else None

    def open_scope(self, call_id: str) -> bool:
        """Whether what the first agent was chosen by has changed, so that it is open who may ring beside them."""
        call = self.books.calls[call_id]
        changed = call.first_required != self.required(call)
        return bool(self.rings.get(call_id)) and (
            call.first_required is None or (changed and not self._ring(call).beyond_best)
        )

    def may(self, call_id: str, agent_id: str) -> bool:
        """Whether the agent is eligible."""
        return self.why_not(call_id, agent_id) is None

    # --- how many? ---

    def _ring(self, call: CallBook) -> meaning.RingMeant:
        return meaning.ring_of(self.books.strategy(call.queue), self.books.queue_rules(call.queue).strategy_parameters)

    def wanted(self, call_id: str) -> int:
        """How many agents shall ring for the call at once now."""
        call = self.books.calls[call_id]
        rules = self.books.queue_rules(call.queue)
        ring = self._ring(call)
        limit = self.books.rules.limits.ringing
        at_once = [rules.ring_at_once, limit if ring.at_once == EVERYBODY else ring.at_once]
        at_once += [rules.steps[place].ring_at_once or 1 for place in self.books.due(call, self.at_ms)]
        grown = 0
        if ring.one_more_every_ms and self.rings.get(call_id):
            grown = (self.at_ms - call.ring_began_ms) // ring.one_more_every_ms
        return min(limit, max(at_once) + grown)

    def wants(self, call_id: str) -> bool:
        """Whether one more agent would be rung for the call."""
        view = self.calls[call_id]
        # A call whose leg has given its place away shows none until the next one is there.
        if view.state not in {"waiting", "offered"} or view.leg is None or view.leg.switch not in self.up:
            return False
        return len(self.rings.get(call_id, ())) < self.wanted(call_id)

    def wanting(self) -> list[str]:
        """All such calls."""
        return [call_id for call_id in self.calls if self.wants(call_id)]

    # --- which agent? ---

    def level(self, call: CallBook, agent: AgentView) -> int:
        """The agent's lowest level in the required skills, if the queue goes by it; 0 if they are not enough."""
        required, levels = self.required(call), dict(agent.skills)
        if not self.books.queue_rules(call.queue).level_first or lacks(levels, required) is not None:
            return 0
        return min((levels[skill] for skill in required), default=0)

    def rank(self, call: CallBook, agent: AgentView) -> int:
        """The agent's rank for the call's queue; 1 if they do not serve it."""
        service = dict(agent.queues).get(call.queue)
        return service.rank if service is not None else 1

    def scope(self, call_id: str, agent_id: str) -> tuple[int, int]:
        """The agent's rank and level for the call."""
        call, agent = self.books.calls[call_id], self.agents[agent_id]
        return self.rank(call, agent), self.level(call, agent)

    def group(self, call_id: str, agent_id: str) -> tuple[int, ...]:
        """What goes before any strategy; smaller goes first."""
        call = self.books.calls[call_id]
        rank, level = self.scope(call_id, agent_id)
        preferred = self.books.preferred(call, self.at_ms) == agent_id
        return (not preferred, call.not_taken[agent_id], rank, -level)

    def agent_key(self, call_id: str, agent_id: str) -> OrderKey:
        """The call's opinion of the agent; smaller goes first."""
        call = self.books.calls[call_id]
        required: SkillLevels = tuple(sorted(self.required(call).items()))
        name = self.books.strategy(call.queue)
        key = meaning.key_of(name, self.known(agent_id, call.queue), required, self.behind(call))
        return (*self.group(call_id, agent_id), *key, agent_id)

    def sure_of_agents(self, call: CallBook) -> bool:
        """Whether the books know all that the order of agents hangs on, and it is not the die's."""
        name = self.books.strategy(call.queue)
        unsure = {
            meaning.BY_QUEUE: self.books.queue(call.queue).unsure_last,
            meaning.BY_CALL: call.unsure_last,
        }.get(meaning.GOES_ROUND.get(name, ""), False)
        return name not in meaning.THROWN and not unsure

    def behind(self, call: CallBook) -> int | None:
        """The place that the round begins behind, for strategies that go round."""
        match meaning.GOES_ROUND.get(self.books.strategy(call.queue)):
            case meaning.BY_QUEUE:
                last = self.books.queue(call.queue).last_rung
            case meaning.BY_CALL:
                last = call.last_rung
            case _:
                return None
        return self.books.place(last, call.queue) if last is not None and last in self.books.rules.agents else None

    def known(self, agent_id: str, queue: str) -> meaning.Known:
        """What strategies may go by, computed anew."""
        book, half_life_ms = self.books.agent(agent_id), self.books.rules.limits.counters_half_life_ms
        # One clock for all: the sums of a ready agent fade as everybody's do, so those of any one moment will do.
        ready_for_ms = self.at_ms - book.since_ms
        return meaning.Known(
            idle_since_ms=book.idle_since_ms,
            last_offered_ms=book.last_offered_ms,
            recent_calls=book.tally.recent_calls(ready_for_ms, half_life_ms),
            recent_talk=book.tally.recent_talk(ready_for_ms, half_life_ms),
            recent_work=book.tally.recent_work(ready_for_ms, half_life_ms),
            place=self.books.place(agent_id, queue),
            skills=self.agents[agent_id].skills,
        )

    # --- which call? ---

    def call_key(self, call_id: str, agent_id: str) -> OrderKey:
        """The agent's opinion of the call, as against calls of other queues."""
        call = self.books.calls[call_id]
        return (
            -self.books.priority(call, self.at_ms),
            self.rank(call, self.agents[agent_id]),
            call.virtual_ms,
            call_id,
        )

    def order_key(self, call_id: str) -> OrderKey:
        """The place of a call in its own queue's order."""
        call = self.books.calls[call_id]
        priority = self.books.priority(call, self.at_ms)
        name = None if self.books.queue(call.queue).order.failed else self.books.queue_rules(call.queue).call_order
        match name:
            case None | "by_class":
                return (-priority, call.virtual_ms, call_id)
            case "newest_first":
                return (-priority, -call.arrived_ms, call_id)
            case "fragile_order":
                return (call.arrived_ms, call_id)
            case _:
                raise AssertionError(f"nobody has said what {name} means")

    def choice(self, agent_id: str, call_ids: Collection[str]) -> str | None:
        """Which of these calls, all of which the agent may take, they get."""
        alone = [call_id for call_id in call_ids if not self.rings.get(call_id)]
        best: dict[str, str] = {}
        rivals: list[str] = []
        for call_id in alone or list(call_ids):
            call = self.books.calls[call_id]
            if self.books.preferred(call, self.at_ms) == agent_id:
                rivals.append(call_id)
            his_own = self.books.reserved(call, self.at_ms) == agent_id
            if his_own or self._not_one_of_many(call, self.agents[agent_id]) is not None:
                continue
            if call.queue in dict(self.agents[agent_id].not_ready_for):
                continue
            if call.queue not in best or self.order_key(call_id) < self.order_key(best[call.queue]):
                best[call.queue] = call_id
        return min([*rivals, *best.values()], key=lambda call_id: self.call_key(call_id, agent_id), default=None)

    def pool(self, call_id: str) -> list[str]:
        """The agents whom a strategy that throws its die is shown: the best group, the longest idle ones of it."""
        able = [agent_id for agent_id in self.free if self.may(call_id, agent_id)]
        best = min((self.group(call_id, agent_id) for agent_id in able), default=())
        pool = [agent_id for agent_id in able if self.group(call_id, agent_id) == best]
        pool.sort(key=lambda agent_id: (self.books.agent(agent_id).idle_since_ms, agent_id))
        return pool[: self.books.rules.limits.rank_pool]

    def before(self, call_id: str, one: str, other: str) -> bool:
        """Whether the call surely rather has the first of two agents."""
        return surely_before(self.agent_key(call_id, one), self.agent_key(call_id, other))

    def in_order(self, call_id: str, agent_ids: Iterable[str]) -> list[str]:
        """Agents in the order in which the call would ring them."""
        return sorted(agent_ids, key=lambda agent_id: self.agent_key(call_id, agent_id))
