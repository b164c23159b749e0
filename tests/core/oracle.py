"""A judge of the engine by brute force. It shares no code with it: it knows the rules, the facts, and what came out.

`books` is what it knows, `clerk` keeps it, `scene` is what everybody thinks of everybody at one moment. On that judge
`order` (who gets whom), `departures` (who leaves) and `reasons` (what is explained); `ledger` that all ends once,
`contacts` that each call is of one contact.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.rules import Rules
from fsacd.core.views import Explanation, Snapshot, Step
from fsacd.testing import Driver
from tests.core import contacts
from tests.core.absences import Absences
from tests.core.books import Books, CallBook
from tests.core.clerk import Clerk
from tests.core.departures import Departures
from tests.core.duties import Duties
from tests.core.holdings import Holdings
from tests.core.ledger import Ledger
from tests.core.order import Decision, Order
from tests.core.plugins import TestPlugins
from tests.core.reasons import Reasons, keys_in_order
from tests.core.scene import Scene

# How many decisions of a walk are explained a second time at its end.
ASKED_AGAIN = 50


@dataclass
class Oracle:
    """Give it to an `Adversary` as its watch; it raises AssertionError for what must not be."""

    driver: Driver
    rules: Rules
    plugins: TestPlugins
    # In one of so many steps, every waiting call is explained.
    explain_waiting_one_in: int = 4
    only_decisions: bool = False  # judge nothing but decisions and their explanations
    only_holdings: bool = False  # judge nothing but what agents hold: of several pieces the other judges know nothing
    queued: dict[str, e.CallQueued] = field(default_factory=dict)
    advanced_to: int = 0
    explained: dict[int, Explanation] = field(default_factory=dict)
    decisions: int = 0
    waits_explained: int = 0

    def __post_init__(self) -> None:
        self.books = Books(self.rules)
        self.clerk = Clerk(self.books)
        self.departures = Departures(self.books)
        self.order = Order(self.books, self.departures)
        self.reasons = Reasons(self.books)
        self.ledger = Ledger()
        self.holdings = Holdings()
        self.duties = Duties(self.books)
        self.absences = Absences(self.books)
        self.dice = random.Random(1)
        self.before = self._look()
        self.clerk.take(None, Step(), self.before, self.before)

    def _look(self) -> Snapshot:
        return self.driver.engine.snapshot(self.driver.now_ms)

    def watch(self, event: e.Event | None, step: Step, alone: bool, overdue: bool) -> None:
        """One step has been made.

        `alone`: of one fact or one deadline, so that what it gave can be judged as one. `overdue`: deadlines had come
        before the fact and were not acted on yet.
        """
        before = self.before
        if self.only_holdings:
            self.before = self._look()
            self.holdings.take(event, step, before, self.before)
            return
        nothing = self.only_decisions and event is None and not step.commands and not step.records
        after = self.before = replace(before, now_ms=self.driver.now_ms) if nothing else self._look()
        if event is None:
            self.advanced_to = self.driver.now_ms
        self._announced(event, step)
        if not self.only_decisions:
            self.ledger.take(event, step, after, self.queued)
            contacts.judge(event, step, after, self.queued)
            self.holdings.take(event, step, before, after)
        self.clerk.take(event, step, before, after)
        if not self.only_decisions:
            self.duties.take(event, step, before, after)
        due_ms = self.driver.engine.next_deadline_ms()
        late = overdue or (due_ms is not None and due_ms <= self.driver.now_ms)
        strict = not late
        if isinstance(event, e.RulesChanged | e.AgentChangeAsked):
            self.order.forget_scopes(self.books.calls)
        rang = set() if alone else {call.call_id for call in before.calls if call.state == "offered"}
        if event is None:
            # Acted on late: how often a progressive ring has grown by now is open.
            self.order.forget_scopes(rang)
        decisions = self._decide(step, after, rang, judged=alone and not overdue)
        if strict and not nothing:
            self.clerk.compare(after)
        if not self.only_decisions:
            self.departures.take(event, step, before, after, strict and alone)
            self.absences.take(event, step, after, strict=strict)
        now = self.order.scene(after, [])
        if not self.only_decisions:
            self.order.nobody_idle(now, self.order.scene(after, [], self.advanced_to) if late else now)
        if alone and not overdue and decisions:
            self.order.nobody_overtaken(decisions, now)
        if strict and self.dice.randrange(self.explain_waiting_one_in) == 0:
            self._why_waiting(now)
        self.plugins.given.clear()

    def _announced(self, event: e.Event | None, step: Step) -> None:
        if not isinstance(event, e.CallQueued):
            return
        joins = any(isinstance(record, r.CallJoined) for record in step.records)
        if event.call_id in self.queued and not (joins and self.ledger.take_back(event.call_id)):
            return
        self.queued[event.call_id] = self.books.announced[event.call_id] = event
        rules = self.books.queue_rules(event.queue)
        arrived_ms = min(event.arrived_ms, self.driver.now_ms)
        self.books.calls[event.call_id] = CallBook(
            event,
            event.queue,
            arrived_ms,
            arrived_ms,
            rules.priority if event.priority is None else event.priority,
            event.head_start_ms,
            dict(event.required),
            # A call that was lost, and is here again, has been offered before.
            decisions=[number for number, one in self.books.numbers.items() if one.call_id == event.call_id],
        )
        if joins:
            self.books.comes_back(self.books.calls[event.call_id], self.driver.now_ms)

    def _decide(self, step: Step, after: Snapshot, rang: set[str], *, judged: bool) -> list[Decision]:
        broken = {record.queue for record in step.records if isinstance(record, r.StrategyFailed | r.StrategyReturned)}
        # What has broken is not asked again, and so cannot say later what it said.
        self.explained = {number: told for number, told in self.explained.items() if told.queue not in broken}
        decisions = self.order.decisions(step, after)
        for decision in decisions:
            plain = decision.record.queue not in broken
            if judged and not broken:
                self.order.judge(decision, self.plugins.given)
            told = self.driver.engine.explain_decision(decision.record.number)
            assert told is not None, f"decision {decision.record.number} is not remembered"
            self.explained[decision.record.number] = told
            self.decisions += 1
            if plain:
                call = self.books.calls[decision.call_id]
                strategy, preferred = self.books.strategy(call.queue), self.books.preferred(call, after.now_ms)
                assert keys_in_order(told, strategy, preferred), f"keys out of order: {told}"
            if judged and not broken:
                self.reasons.judge(told, decision.scene, decision.agent_id, self.plugins.given)
            self.order.made(decision, goes_on=decision.call_id in rang)
        return decisions

    def _why_waiting(self, scene: Scene) -> None:
        for call in self.before.calls:
            if call.state != "waiting" or call.leg is None or call.leg.switch not in scene.up:
                continue
            told = self.driver.engine.explain(call.call_id, self.driver.now_ms)
            assert told[-1].decision is None
            self.reasons.judge(told[-1], scene, None, [])
            self.waits_explained += 1
            numbers = [one.decision for one in told[:-1]]
            assert numbers == self.books.calls[call.call_id].decisions

    def all_over(self, *, quiet: bool = True) -> None:
        """What was explained is explained in the same words; after a long silence (`quiet`), every offer is closed."""
        if quiet:
            self.ledger.all_over(self.driver.engine.snapshot(self.driver.now_ms))
        for number in list(self.explained)[-ASKED_AGAIN:]:
            again = self.driver.engine.explain_decision(number)
            assert again == self.explained[number], f"explained later: {again}, at first {self.explained[number]}"
