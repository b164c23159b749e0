"""The promise of order: each decision of a step is looked at in the scene it was made in, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fsacd.core import commands as k
from fsacd.core import records as r
from fsacd.core.views import Snapshot, Step, WhyNot
from tests.core import meaning
from tests.core.books import Books, CallBook
from tests.core.departures import Departures
from tests.core.plugins import Shown
from tests.core.scene import Scene


@dataclass
class Decision:
    """One decision, the scene in which it was made, and what else the step gave."""

    record: r.DecisionMade
    scene: Scene
    later: list[Decision] = field(default_factory=list)

    @property
    def call_id(self) -> str:
        """Whose it is."""
        return self.record.call_id

    @property
    def agent_id(self) -> str:
        """Who was chosen."""
        return self.record.agent_id


@dataclass
class Order:
    """Judges who gets whom."""

    books: Books
    departures: Departures
    last_number: int | None = None

    def decisions(self, step: Step, after: Snapshot) -> list[Decision]:
        """The step's decisions with their scenes. The books move on with each: call it once for a step."""
        records = [record for record in step.records if isinstance(record, r.DecisionMade)]
        rings = [command for command in step.commands if isinstance(command, k.RingAgent)]
        assert [(one.offer_id, one.call_id, one.agent_id, one.queue) for one in records] == [
            (one.offer_id, one.call_id, one.agent_id, one.queue) for one in rings
        ], "each agent who is rung was decided for"
        found: list[Decision] = []
        for place, record in enumerate(records):
            assert self.last_number is None or record.number == self.last_number + 1, "decisions are counted"
            self.last_number = record.number
            scene = self.scene(after, records[place:])
            found.append(Decision(record, scene))
            yield_to = self.books.calls.get(record.call_id)
            assert yield_to is not None, f"{record.agent_id} rings for {record.call_id}, which is no more"
        for place, decision in enumerate(found):
            decision.later = found[place + 1 :]
        return found

    def scene(self, after: Snapshot, still_to_come: list[r.DecisionMade], at_ms: int | None = None) -> Scene:
        """What it looked like when these decisions of a step were not made yet."""
        offers = {(record.call_id, record.agent_id) for record in still_to_come}
        free = {agent.agent_id for agent in after.agents if agent.state == "ready"}
        # Who shares a phone that these decisions ring was free until then.
        phones = {agent.contact for agent in after.agents if agent.agent_id in {one.agent_id for one in still_to_come}}
        free |= {
            agent.agent_id
            for agent in after.agents
            if agent.state == "busy" and agent.contact in phones and not self.books.agent(agent.agent_id).legs
        }
        scene = Scene(
            books=self.books,
            at_ms=after.now_ms if at_ms is None else at_ms,
            agents={agent.agent_id: agent for agent in after.agents},
            calls={call.call_id: call for call in after.calls},
            free=free | {agent_id for _, agent_id in offers},
            rings={
                call.call_id: [one for one in call.agent_ids if (call.call_id, one) not in offers]
                for call in after.calls
                if call.state == "offered"
            },
            up=frozenset(switch for switch, is_up in after.switches if is_up),
        )
        scene.leaving = {
            call.call_id
            for call in after.calls
            if call.state == "offered"
            and (self.departures.must_leave(call, after) is not None or scene.open_scope(call.call_id))
        }
        return scene

    def made(self, decision: Decision, *, goes_on: bool) -> None:
        """The books after a decision: positions, offers, and the beginning of a round of ringing.

        `goes_on`: it may as well be that the last round is not over, for more than one deadline came in this step.
        """
        scene, agent_id = decision.scene, decision.agent_id
        call = self.books.calls[decision.call_id]
        serves = call.queue in dict(scene.agents[agent_id].queues)
        if not scene.rings.get(decision.call_id):
            call.ring_began_ms, call.first_scope = scene.at_ms, None
            call.first_required = None if goes_on else scene.required(call)
        # Whoever does not serve the queue has no rank and no place in it.
        if serves and call.first_scope is None:
            call.first_scope = scene.scope(decision.call_id, agent_id)
        if serves:
            queue = self.books.queue(call.queue)
            call.last_rung, call.unsure_last = agent_id, False
            queue.last_rung, queue.unsure_last = agent_id, False
        call.offers += 1
        self.books.agent(agent_id).last_offered_ms = scene.at_ms
        self.books.numbers[decision.record.number] = decision.record
        call.decisions.append(decision.record.number)

    def forget_scopes(self, call_ids: Iterable[str]) -> None:
        """Agents or rules have changed: what those who ring now were chosen by may not hold any more."""
        for call_id in call_ids:
            if call_id in self.books.calls:
                self.books.calls[call_id].first_required = None

    # --- judging ---

    def judge(self, decision: Decision, given: list[Shown]) -> None:
        """This decision, by everybody's wishes; later decisions of the step may have given them what they wished."""
        scene, call_id, agent_id = decision.scene, decision.call_id, decision.agent_id
        why_not = scene.why_not(call_id, agent_id)
        open_round = scene.open_scope(call_id)
        assert (open_round and why_not is WhyNot.SCOPE) or scene.may(call_id, agent_id), (
            f"{agent_id} was rung for {call_id}: {why_not}"
        )
        assert open_round or scene.wants(call_id), f"{agent_id} was rung for {call_id}, for which enough ring"
        if scene.sure_of_agents(self.books.calls[call_id]) and not open_round:
            for other in self._better_agents(decision):
                assert self._got_better(decision, other), f"{call_id} got {agent_id}, and would rather have {other}"
        elif self.books.strategy(self.books.calls[call_id].queue) in meaning.THROWN and not open_round:
            self._thrown(decision, given)
        self._best_call(decision)

    def _better_agents(self, decision: Decision) -> Iterator[str]:
        scene, call_id = decision.scene, decision.call_id
        for other in scene.free - {decision.agent_id}:
            if scene.may(call_id, other) and scene.before(call_id, other, decision.agent_id):
                yield other

    def _got_better(self, decision: Decision, agent_id: str) -> bool:
        """Whether this step gave the agent a call that they would rather have."""
        for later in decision.later:
            if later.agent_id == agent_id and later.call_id != decision.call_id:
                return later.scene.choice(agent_id, (later.call_id, decision.call_id)) == later.call_id
        return False

    def _best_call(self, decision: Decision) -> None:
        """Of the calls that did not get a better agent in this step, the agent got the best."""
        scene, agent_id = decision.scene, decision.agent_id
        rivals = {decision.call_id}
        for call_id in scene.wanting():
            if call_id in scene.leaving or not scene.may(call_id, agent_id):
                continue
            if not any(self._rather(scene, later, call_id, agent_id) for later in decision.later):
                rivals.add(call_id)
        best = scene.choice(agent_id, rivals)
        assert best == decision.call_id, f"{agent_id} got {decision.call_id}, and {best} goes before it"

    def _rather(self, scene: Scene, later: Decision, call_id: str, agent_id: str) -> bool:
        if later.call_id != call_id:
            return False
        if not scene.sure_of_agents(self.books.calls[call_id]):
            return True
        return not scene.before(call_id, agent_id, later.agent_id)

    def _thrown(self, decision: Decision, given: list[Shown]) -> None:
        """A strategy that throws its die was shown the pool, and the first of its answer was rung."""
        scene, call_id, agent_id = decision.scene, decision.call_id, decision.agent_id
        if decision.later:
            return  # others of the pool may have been given better calls
        pool = scene.pool(call_id)
        assert agent_id in pool, f"{call_id} got {agent_id}, who is not of its pool {pool}"
        if len(pool) > 1:
            shown = shown_as(pool, call_id, given)
            assert shown is not None, f"{call_id} had a choice of {pool}, and the strategy was not asked"
            assert shown.answer[0] == agent_id

    # --- nobody is left ---

    def nobody_idle(self, scene: Scene, other: Scene) -> None:
        """No ready agent is left who may take a call that wants one, as seen at either of two times."""
        for call_id in scene.wanting():
            if call_id in scene.leaving or not other.wants(call_id):
                continue
            for agent_id in scene.free:
                idle = scene.may(call_id, agent_id) and other.may(call_id, agent_id)
                assert not idle, f"{agent_id} idles while {call_id} waits"

    def nobody_overtaken(self, decisions: list[Decision], scene: Scene) -> None:
        """Same queue, class, requirement and reach: nobody goes before who came earlier by their head starts."""
        for decision in decisions:
            first = self.books.calls[decision.call_id]
            if decision.scene.rings.get(decision.call_id) or self._ordered_otherwise(first.queue):
                continue
            if self.books.preferred(first, scene.at_ms) == decision.agent_id:
                continue  # the caller's own agent, who may be nobody else's
            for call_id in scene.wanting():
                left = self.books.calls[call_id]
                if self._alike(first.queue, decision.call_id, call_id, scene) and not scene.rings.get(call_id):
                    gained = first.head_start_ms - left.head_start_ms
                    assert first.arrived_ms - left.arrived_ms <= gained, f"{call_id} was overtaken"

    def _ordered_otherwise(self, queue: str) -> bool:
        return self.books.queue_rules(queue).call_order is not None and not self.books.queue(queue).order.failed

    def _alike(self, queue: str, one: str, other: str, scene: Scene) -> bool:
        first, left = self.books.calls[one], self.books.calls[other]
        return (
            left.queue == queue
            and _switch_of(first) == _switch_of(left)
            and self.books.reserved(first, scene.at_ms) is self.books.reserved(left, scene.at_ms) is None
            and self.books.priority(first, scene.at_ms) == self.books.priority(left, scene.at_ms)
            and self.books.required(first, scene.at_ms) == self.books.required(left, scene.at_ms)
            and self.books.backup_open(first, scene.at_ms) == self.books.backup_open(left, scene.at_ms)
        )


def _switch_of(call: CallBook) -> str | None:
    return call.event.leg.switch if call.event.leg is not None else None


def shown_as(pool: list[str], call_id: str, given: list[Shown]) -> Shown | None:
    """What a strategy answered when it was shown this pool for this call."""
    for one in given:
        if one.call.call_id == call_id and [candidate.agent.agent_id for candidate in one.candidates] == pool:
            return one
    return None
