"""Calls that leave their queue by rule: only when a condition holds, whenever it does, and to where the rules say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.rules import Overflow, QueueRules, Target, ToExtension, ToHangup, ToQueue
from fsacd.core.views import AgentView, CallView, QueueView, Snapshot, Step
from tests.core.books import Books
from tests.core.clerk import IN_QUEUE

ON_DUTY = frozenset({"ready", "offered", "talking", "wrapping_up", "held_back", "busy"})
CONDITIONS = ("nobody_logged_in", "nobody_ready", "estimated_wait", "closed")
# How long a call waits hangs on who else leaves in the same step, so that this one is only judged where it is plain.
VOLATILE = "estimated_wait"
# What bounds the calls that are alike, each by its setting.
LIMITS = ("max_per_number", "max_per_source")

Departure = tuple[
    str, str, str, Target | str
]  # call, queue, why, and where to: a queue's name or an ended call's target


def overflow_of(rules: QueueRules, condition: str) -> Overflow | None:
    """What the queue does while a condition holds."""
    match condition:
        case "nobody_logged_in":
            return rules.when_nobody_logged_in
        case "nobody_ready":
            return rules.when_nobody_ready
        case "estimated_wait":
            return rules.when_estimated_wait
        case "closed":
            return rules.when_closed
        case _:
            raise AssertionError(condition)


def name_of(target: Target) -> str:
    """A target as records have it."""
    match target:
        case ToQueue(queue):
            return queue
        case ToExtension(extension, context):
            return f"extension {extension} {context}"
        case ToHangup(cause):
            return f"hangup {cause}"


@dataclass
class Departures:
    """Judges who leaves."""

    books: Books
    held_since: dict[tuple[str, str], int] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)  # queues whose handling time has been measured
    # Conditions that a reload has touched: since when they hold is open until they have ended once.
    unsure: set[tuple[str, str]] = field(default_factory=set)

    def take(self, event: e.Event | None, step: Step, before: Snapshot, after: Snapshot, strict: bool) -> None:
        """One step; `strict`: no deadline was overdue before it or is after it."""
        if isinstance(event, e.RulesChanged):
            self.unsure = {(queue, condition) for queue in event.rules.queues for condition in CONDITIONS}
        self.answered |= {record.queue for record in step.records if isinstance(record, r.CallConnected)}
        left = list(self._left(step))
        if strict:
            for departure in left:
                self._justified(departure, before, after)
            self._joiners_turned_away(event, step, before, after)
        self._note(after)
        if strict:
            up = {switch for switch, is_up in after.switches if is_up}
            for call in after.calls:
                # A call that was sent to an agent waits for that agent, whatever it owes.
                sent = self.books.calls[call.call_id].sent and call.reserved_for is not None
                if call.state == "waiting" and call.leg is not None and call.leg.switch in up and not sent:
                    why = self.must_leave(call, after)
                    assert why is None, f"{call.call_id} waits in {call.queue} in spite of {why}"
            for queue in after.queues:
                self._estimate(queue, after)

    # --- conditions ---

    def holds(self, queue: str, condition: str, snapshot: Snapshot) -> bool:
        """Whether a condition holds in what is shown."""
        view = next((view for view in snapshot.queues if view.name == queue), None)
        if view is None:
            return False
        return self._holds(view, [agent for agent in snapshot.agents if serves(agent, queue)], condition)

    def _holds(self, view: QueueView, serving: list[AgentView], condition: str) -> bool:
        match condition:
            case "nobody_logged_in":
                return all(agent.state == "logged_out" for agent in serving)
            case "nobody_ready":
                return not any(on_duty(agent, view.name) for agent in serving)
            case "estimated_wait":
                most_ms = self.books.queue_rules(view.name).max_estimated_wait_ms
                return view.estimated_wait_ms is not None and view.estimated_wait_ms > most_ms
            case "closed":
                return not self.books.queue(view.name).is_open
            case _:
                raise AssertionError(condition)

    def _note(self, after: Snapshot) -> None:
        views = {view.name: view for view in after.queues}
        for queue in self.books.rules.queues:
            shown = views[queue].is_open
            assert shown == self.books.queue(queue).is_open, f"{queue} is shown as open: {shown}"
            serving = [agent for agent in after.agents if serves(agent, queue)]
            for condition in CONDITIONS:
                if self._holds(views[queue], serving, condition):
                    self.held_since.setdefault((queue, condition), after.now_ms)
                else:
                    self.held_since.pop((queue, condition), None)
                    self.unsure.discard((queue, condition))

    def _long_enough(self, queue: str, condition: str, overflow: Overflow, now_ms: int) -> bool:
        since_ms = self.held_since.get((queue, condition))
        return since_ms is not None and now_ms - since_ms >= overflow.after_ms

    # --- whoever leaves has a reason ---

    def _left(self, step: Step) -> Iterator[Departure]:
        for record in step.records:
            match record:
                case r.CallMoved(call_id, from_queue, to_queue, _, why):
                    yield call_id, from_queue, why, to_queue
                case r.CallEnded(call_id, queue, r.CallOutcome.OVERFLOWED, detail, after=after):
                    yield call_id, queue, detail, after
                case _:
                    pass

    def _justified(self, departure: Departure, before: Snapshot, after: Snapshot) -> None:
        call_id, queue, why, target = departure
        rules = self.books.queue_rules(queue)
        if why in CONDITIONS:
            overflow = overflow_of(rules, why)
            assert overflow is not None, f"{call_id} left {queue} for {why}, of which the rules do not speak"
            assert target == name_of(overflow.target)
            held = self.holds(queue, why, before) or self.holds(queue, why, after)
            assert held or why == VOLATILE, f"{call_id} left {queue} for {why}, which does not hold"
            if overflow.after_ms and (queue, why) not in self.unsure:
                assert self._long_enough(queue, why, overflow, after.now_ms), f"{call_id} left {queue} too early: {why}"
        elif why == "full":
            most = max(length(queue, before), length(queue, after))
            assert most >= rules.max_length, f"{call_id} was sent away from {queue}, which is not full"
            assert target == name_of(rules.when_full)
        elif why in LIMITS:
            assert self._alike(call_id, why, before, after) > getattr(rules, why) > 0, (
                f"{call_id} was sent away from {queue}, and there are not too many like it"
            )
            assert target == name_of(getattr(rules, f"when_{why}"))
        elif why == "step":
            targets = {name_of(step.overflow) for step in rules.steps if step.overflow is not None}
            assert target in targets, f"{call_id} left {queue} for {target}, which no step says"
        elif why == "max_wait":
            assert rules.max_wait_ms is not None
            assert target == name_of(rules.when_max_wait)
        else:
            assert why == "queue_removed" or why.startswith(("asked by", "by ")), f"{call_id} left {queue} for {why}"

    # --- whoever has a reason leaves ---

    def must_leave(self, call: CallView, shown: Snapshot) -> str | None:
        """Why this call must not wait any longer, or None."""
        book = self.books.calls[call.call_id]
        rules = self.books.queue_rules(call.queue)
        waited_ms = shown.now_ms - book.joined_ms
        if rules.max_wait_ms is not None and waited_ms >= rules.max_wait_ms:
            return "max_wait"
        if any(rules.steps[place].overflow is not None for place in self.books.due(book, shown.now_ms)):
            return "step"
        for condition in CONDITIONS:
            overflow = overflow_of(rules, condition)
            if overflow is None or not overflow.waiting or condition == VOLATILE:
                continue
            sure = not overflow.after_ms or (call.queue, condition) not in self.unsure
            if sure and self._long_enough(call.queue, condition, overflow, shown.now_ms):
                return condition
        return None

    def _joiners_turned_away(self, event: e.Event | None, step: Step, before: Snapshot, after: Snapshot) -> None:
        by_hand = isinstance(event, e.CallRequeueAsked)
        for place, record in enumerate(step.records):
            if not isinstance(record, r.CallJoined) or by_hand:
                continue
            if any(_leaves(later, record) for later in step.records[place + 1 :]):
                continue
            for limit in LIMITS:
                most = getattr(self.books.queue_rules(record.queue), limit)
                alike = self._alike(record.call_id, limit, after)
                assert not most or alike <= most, f"{record.call_id} joined {record.queue} as one of {alike}: {limit}"
            for condition in CONDITIONS:
                overflow = overflow_of(self.books.queue_rules(record.queue), condition)
                if overflow is None or not overflow.joining or (record.queue, condition) in self.unsure:
                    continue
                held = self.holds(record.queue, condition, before) and (
                    condition == VOLATILE or self.holds(record.queue, condition, after)
                )
                others = any(isinstance(one, r.CallMoved | r.CallEnded) for one in step.records)
                if condition == VOLATILE and (others or not self._plain(record.call_id, after)):
                    continue
                assert not (held and self._long_enough(record.queue, condition, overflow, after.now_ms)), (
                    f"{record.call_id} joined {record.queue} in spite of {condition}"
                )

    def _alike(self, call_id: str, limit: str, *snapshots: Snapshot) -> int:
        """How many of the calls that are shown, and this one, are of this one's number or address."""
        shown = {call.call_id for snapshot in snapshots for call in snapshot.calls} | {call_id}
        mine = origin(self.books.announced[call_id], limit)
        return sum(origin(self.books.announced[one], limit) == mine for one in shown) if mine else 0

    def _plain(self, call_id: str, after: Snapshot) -> bool:
        """Whether the call stands behind all others, as the estimate that is shown of its queue says."""
        call = self.books.calls.get(call_id)
        if call is None or self.books.queue_rules(call.queue).call_order not in {None, "by_class"}:
            return False
        usual = call.priority == self.books.queue_rules(call.queue).priority
        others = [one for one in after.calls if (one.queue, one.arrived_ms) == (call.queue, call.arrived_ms)]
        return usual and call.virtual_ms == after.now_ms and call.preferred is None and len(others) <= 1

    def _estimate(self, queue: QueueView, after: Snapshot) -> None:
        """What a call that joined now would wait, as long as nothing has been measured."""
        serving = [agent for agent in after.agents if serves(agent, queue.name)]
        duty = [agent for agent in serving if on_duty(agent, queue.name)]
        shown = queue.estimated_wait_ms
        assert (shown is None) == (not duty), f"{queue.name} shows an estimate of {shown} with {len(duty)} on duty"
        if shown is None or queue.name in self.answered:
            return
        # A call that cannot be reached, or waits for one agent alone, may be left out: it is in nobody's way.
        least, most = self._ahead(queue.name, after), length(queue.name, after)
        if shown == 0:
            assert least == 0
            assert any(agent.state == "ready" for agent in serving), f"{queue.name} shows no wait, and nobody is ready"
            return
        handling_ms = self.books.queue_rules(queue.name).expected_handling_ms
        possible = {(ahead + 1) * handling_ms // len(duty) for ahead in range(least, most + 1)}
        assert any(abs(shown - one) <= 1 for one in possible), f"{queue.name} shows {shown}, not {possible}"

    def _ahead(self, queue: str, after: Snapshot) -> int:
        """How many calls at least, of those that wait for whoever comes, go before one that joined now."""
        rules = self.books.queue_rules(queue)
        if rules.call_order not in {None, "by_class"}:
            return 0
        up = {switch for switch, is_up in after.switches if is_up}
        return sum(
            call.leg is not None
            and call.leg.switch in up
            and call.reserved_for is None
            and (-call.priority, call.arrived_ms - call.head_start_ms) <= (-rules.priority, after.now_ms)
            for call in after.calls
            if (call.queue, call.state) == (queue, "waiting")
        )


def origin(event: e.CallQueued, limit: str) -> str:
    """What a limit counts a call by; nothing for a number that is nobody's."""
    if limit == "max_per_source":
        return event.source
    return "" if event.number == "anonymous" else event.number.replace(" ", "")


def serves(agent: AgentView, queue: str) -> bool:
    """Whether the agent counts for the queue's conditions."""
    return any(name == queue and not service.backup for name, service in agent.queues)


def on_duty(agent: AgentView, queue: str) -> bool:
    """Whether the agent will take calls of the queue again without being asked."""
    return agent.state in ON_DUTY and not agent.then and queue not in dict(agent.not_ready_for)


def length(queue: str, snapshot: Snapshot) -> int:
    """How many calls stand in the queue."""
    return sum(call.queue == queue and call.state in IN_QUEUE for call in snapshot.calls)


def _leaves(record: r.Record, joined: r.CallJoined) -> bool:
    match record:
        case r.CallMoved(call_id, from_queue):
            return (call_id, from_queue) == (joined.call_id, joined.queue)
        case r.CallEnded(call_id):
            return call_id == joined.call_id
        case _:
            return False


def all_departed(records: Sequence[r.Record]) -> set[str]:
    """The reasons for which calls left their queues."""
    moved = {record.why for record in records if isinstance(record, r.CallMoved)}
    return moved | {
        record.detail
        for record in records
        if isinstance(record, r.CallEnded) and record.outcome is r.CallOutcome.OVERFLOWED
    }
