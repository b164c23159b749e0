"""Explanations: the same agents in the same order for the same reasons, found by looking at everybody."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from fsacd.core.views import Explanation, RankedAgent, WhyNot
from tests.core import meaning
from tests.core.books import Books, lacks
from tests.core.meaning import surely_before
from tests.core.order import shown_as
from tests.core.plugins import Shown
from tests.core.scene import Scene


@dataclass
class Reasons:
    """Judges what `explain` says of a scene."""

    books: Books
    judged: int = 0

    def judge(self, told: Explanation, scene: Scene, chosen: str | None, given: list[Shown]) -> None:
        """An explanation of a decision in this scene; or, with nobody chosen, of why the call waits in it."""
        self.judged += chosen is not None
        call = self.books.calls[told.call_id]
        assert told.chosen == chosen
        assert told.queue == call.queue
        assert told.at_ms == scene.at_ms
        assert dict(told.required) == scene.required(call)
        assert told.priority == self.books.priority(call, scene.at_ms)
        assert told.strategy == self.books.strategy(call.queue)
        assert told.sentence
        self._everybody(told, scene)
        self._order(told, scene, given)
        for one in told.rejected:
            expected = scene.why_not(told.call_id, one.agent_id)
            if scene.open_scope(told.call_id) and WhyNot.SCOPE in {one.why, expected}:
                continue
            assert one.why == expected, f"{one.agent_id} is not rung for {told.call_id}: {expected}, not {one}"
            self._detail(one.agent_id, one.why, one.detail, told.call_id, scene)

    def _everybody(self, told: Explanation, scene: Scene) -> None:
        """Each agent of the queue is in it once, and those for whom the call is reserved or who may have it."""
        named = [*(one.agent_id for one in told.eligible), *(one.agent_id for one in told.rejected)]
        call = self.books.calls[told.call_id]
        expected = {agent_id for agent_id, agent in scene.agents.items() if call.queue in dict(agent.queues)}
        reserved = self.books.reserved(call, scene.at_ms)
        preferred = self.books.preferred(call, scene.at_ms)
        expected |= {one for one in (reserved, preferred) if one is not None}
        assert sorted(named) == sorted(expected), f"{told.call_id}: told of {named}, not of {sorted(expected)}"
        eligible = {one.agent_id for one in told.eligible}
        if not scene.open_scope(told.call_id):
            assert eligible == {agent_id for agent_id in expected if scene.may(told.call_id, agent_id)}

    def _order(self, told: Explanation, scene: Scene, given: list[Shown]) -> None:
        call = self.books.calls[told.call_id]
        order = [one.agent_id for one in told.eligible]
        for one in told.eligible:
            self._ranked(one, told.call_id, scene)
        if told.chosen is not None:
            assert told.chosen in order
        if scene.sure_of_agents(call):
            for first, second in pairwise(order):
                assert not scene.before(told.call_id, second, first), f"{told.call_id}: {second} goes before {first}"
            return
        if self.books.strategy(call.queue) not in meaning.THROWN:
            return
        # By the die within a pool; the groups before it, and the rest of the pool, in their usual order.
        groups = [scene.group(told.call_id, agent_id) for agent_id in order]
        assert groups == sorted(groups)
        shown = shown_as(scene.pool(told.call_id), told.call_id, given)
        if shown is not None:
            assert order[: len(shown.answer)] == list(shown.answer), (
                f"{told.call_id}: {order}, not {shown.answer} first"
            )

    def _ranked(self, one: RankedAgent, call_id: str, scene: Scene) -> None:
        call = self.books.calls[call_id]
        rank, level = scene.scope(call_id, one.agent_id)
        expected = (call.not_taken[one.agent_id], rank, level)
        if call.queue not in dict(scene.agents[one.agent_id].queues):
            return  # whoever does not serve the queue has no rank in it
        assert (one.missed, one.rank, one.level) == expected, f"{call_id}: {one}, not {expected}"
        name = self.books.strategy(call.queue)
        if name in {"longest_idle", "ring_all", "ring_progressive"}:
            key = (self.books.agent(one.agent_id).idle_since_ms,)
            assert tuple(one.key) == key, f"{call_id}: {one}, not {key}"
        if name in meaning.THROWN:
            assert one.key == (), f"{call_id}: {one} has a key, and {name} throws"

    def _detail(self, agent_id: str, why: WhyNot, detail: str, call_id: str, scene: Scene) -> None:
        """The detail names what the reason speaks of."""
        agent, call = scene.agents[agent_id], self.books.calls[call_id]
        match why:
            case WhyNot.SKILL:
                levels, required = dict(agent.skills), scene.required(call)
                possible = {
                    f"{skill} {levels[skill]}, needs {required[skill]}" if skill in levels else f"has no {skill}"
                    for skill in lacks(levels, required) or ()
                }
                assert detail in possible, f"{agent_id}: {detail!r} is none of {possible}"
            case WhyNot.SWITCH:
                assert call.event.leg is not None
                assert detail.endswith(f"not from {call.event.leg.switch}")
            case WhyNot.DELAY:
                assert detail == f"helps after {in_words(dict(agent.queues)[call.queue].delay_ms)}"
            case WhyNot.NOT_READY:
                if agent.state == "not_ready":
                    assert detail == agent.reason
                else:
                    reason = dict(agent.not_ready_for)[call.queue]
                    assert detail == ("for this queue: " + reason if reason else "for this queue")
            case WhyNot.TALKING:
                assert agent.call_id is not None
                assert agent.call_id in detail
            case WhyNot.RESERVED:
                assert (self.books.reserved(call, scene.at_ms) or "") in detail
            case _:
                pass


def in_words(for_ms: int) -> str:
    """A duration of whole seconds as people write it."""
    return f"{for_ms // 1_000} s"


def keys_in_order(told: Explanation, strategy: str, preferred: str | None) -> bool:
    """Whether the keys that are told, as they are told, are in order: for strategies whose order is not a circle."""
    if strategy in meaning.GOES_ROUND or strategy in meaning.THROWN:
        return True
    others = [one for one in told.eligible if one.agent_id != preferred]
    keys = [(one.missed, one.rank, -one.level, *one.key) for one in others]
    return all(not surely_before(later, first) for first, later in pairwise(keys))
