"""Keeps the oracle's books: what each fact and each record means for them, and that the engine shows the same."""

from __future__ import annotations

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.views import AgentView, Snapshot, Step
from tests.core.books import NOT_TAKEN, AgentBook, Books, CallBook, PluginBook, is_somebodys, shown, shown_number

IN_QUEUE = frozenset({"waiting", "offered", "connecting"})


def given_up(step: Step) -> list[str]:
    """The switches that have been away for too long."""
    return [record.text.split()[1] for record in step.records if isinstance(record, r.Anomaly) and record.kind == GONE]


GONE = "switch_gone"


class Clerk:
    """Writes the books, step by step."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.offers: dict[str, k.RingAgent] = {}
        # Offers that were not taken, and those not answered: how their legs end may be told later.
        self._not_taken: set[str] = set()
        self._unanswered: set[str] = set()
        self._closed_offers: set[str] = set()

    def take(self, event: e.Event | None, step: Step, before: Snapshot, after: Snapshot) -> None:
        """One step: the fact, the records, and what is shown after it. Decisions are left to the judge of order."""
        agents = {agent.agent_id: agent for agent in after.agents}
        for command in step.commands:
            if isinstance(command, k.RingAgent):
                self.offers[command.offer_id] = command
            elif isinstance(command, k.CancelOffer) and command.reason is k.CancelReason.NO_ANSWER:
                self._does_not_take(command.offer_id)
                self._not_answered(command.offer_id)
        if event is not None and step.refused is None:
            self._fact(event, before, after)
        for switch in given_up(step):
            self._outside(e.SwitchRestarted(switch))
        for record in step.records:
            moved_to = event.queue if isinstance(event, e.CallRequeueAsked) else None
            self._record(record, agents, after.now_ms, moved_to)
        for record in step.records:
            if isinstance(record, r.CallConnected):
                self._connected(record)
        self._agents(after)
        self._leave(agents)
        self._forget(after)

    # --- facts ---

    def _fact(self, event: e.Event, before: Snapshot, after: Snapshot) -> None:
        books, now_ms = self.books, after.now_ms
        match event:
            case e.LastAgentsKnown() | e.CallersForgotten():
                self._last_agents(event)
            case e.QueueSetOpen(queue, is_open, _):
                books.queue(queue).is_open = is_open
            case e.OutsideCallStarted() | e.OutsideCallEnded() | e.SwitchRestarted():
                self._outside(event)
            case e.RulesChanged(rules):
                self._rules(event, now_ms)
                books.rules = rules
            case e.AgentLoggedIn() | e.AgentSetReady() | e.AgentSetNotReady() | e.AgentSetNotReadyFor():
                self._agent_asks(event, {switch for switch, is_up in after.switches if is_up})
            case e.AgentChangeAsked(_, _, _, queues) if queues is not None:
                self._places_moved()
            case e.OfferAnswered(offer_id) | e.OfferEnded(offer_id, answered=True) if offer_id in self.offers:
                self._picked_up(offer_id)
            case e.CallRequeueAsked() | e.CallChangeAsked() | e.CallSendAsked() if event.call_id in books.calls:
                self._wish(event, before, now_ms)
            case e.CallPromoteAsked(call_id) if call_id in books.calls:
                self._promoted(books.calls[call_id], after)
            case _:
                pass

    def _agent_asks(
        self, event: e.AgentLoggedIn | e.AgentSetReady | e.AgentSetNotReady | e.AgentSetNotReadyFor, up: set[str]
    ) -> None:
        """Missed calls may be counted anew; nobody waits for who wants no calls of the queue."""
        if not isinstance(event, e.AgentSetNotReadyFor):
            self.books.agent(event.agent_id).no_answers_least = 0
            if isinstance(event, e.AgentLoggedIn):
                # They are there, whatever a switch has said of their phone before it went away.
                book = self.books.agent(event.agent_id)
                book.legs = {leg for leg in book.legs if leg.switch in up}
            return
        for call in self.books.calls.values():
            if call.preferred == event.agent_id and call.queue == event.queue:
                call.preferred = call.reserved = None

    def _last_agents(self, event: e.LastAgentsKnown | e.CallersForgotten) -> None:
        """What history knows of callers, and whom nobody may know any more."""
        known = self.books.last_agents
        match event:
            case e.LastAgentsKnown(pairs):
                for number, agent_id in dict(pairs).items():
                    known.setdefault(shown_number(number), agent_id)
            case e.CallersForgotten(numbers):
                for number in numbers:
                    known.pop(shown_number(number), None)
                    for key in [key for key in self.books.places if key[1] == shown_number(number)]:
                        del self.books.places[key]

    def _outside(self, event: e.OutsideEvent | e.SwitchRestarted) -> None:
        """Agents' own calls."""
        books = self.books
        match event:
            case e.OutsideCallStarted(agent_id, leg) if agent_id in books.agents:
                books.agent(agent_id).legs.add(leg)
            case e.OutsideCallEnded(agent_id, leg) if agent_id in books.agents:
                books.agent(agent_id).legs.discard(leg)
            case e.SwitchRestarted(switch):
                for book in books.agents.values():
                    book.legs = {leg for leg in book.legs if leg.switch != switch}
            case _:
                pass

    def _wish(
        self, event: e.CallRequeueAsked | e.CallChangeAsked | e.CallSendAsked, before: Snapshot, now_ms: int
    ) -> None:
        call = self.books.calls[event.call_id]
        match event:
            case e.CallRequeueAsked():
                talked = any(view.call_id == event.call_id and view.state == "talking" for view in before.calls)
                if talked:
                    call.joined_ms = now_ms  # put back after a talk: it joins anew
            case e.CallChangeAsked():
                call.priority = call.priority if event.priority is None else event.priority
                call.head_start_ms = call.head_start_ms if event.head_start_ms is None else event.head_start_ms
                call.asked = call.asked if event.required is None else dict(event.required)
            case e.CallSendAsked():
                call.preferred = call.reserved = event.agent_id
                call.until_ms = now_ms + event.for_ms
                call.sent = True

    def _promoted(self, call: CallBook, after: Snapshot) -> None:
        view = next(view for view in after.calls if view.call_id == call.event.call_id)
        call.head_start_ms = view.head_start_ms
        call.priority = view.priority - (self.books.priority(call, after.now_ms) - call.priority)
        others = [other for other in after.calls if other.queue == view.queue and other.state == "waiting"]
        for other in others:
            mine = (-view.priority, view.arrived_ms - view.head_start_ms)
            theirs = (-other.priority, other.arrived_ms - other.head_start_ms)
            assert other is view or mine < theirs, f"{view.call_id} was promoted, and {other.call_id} goes before it"

    def _rules(self, event: e.RulesChanged, now_ms: int) -> None:
        kept = [name for name, queue in event.rules.queues.items() if queue.abandoned_resume_ms]
        self.books.places = {key: place for key, place in self.books.places.items() if key[0] in kept}
        for name, queue in self.books.queues.items():
            queue.strategy, queue.order = PluginBook(since_ms=now_ms), PluginBook(since_ms=now_ms)
            if name not in event.rules.queues:
                queue.is_open = True  # whoever closed it has closed another one than that which may come later
        if list(event.rules.agents) != list(self.books.rules.agents) or any(
            event.rules.agents[agent_id].queues != one.queues for agent_id, one in self.books.rules.agents.items()
        ):
            self._places_moved()

    def _places_moved(self) -> None:
        """Places are numbers in a list: what one of them said of the last agent rung is no more sure."""
        for queue in self.books.queues.values():
            queue.unsure_last = queue.last_rung is not None
        for call in self.books.calls.values():
            call.unsure_last = call.last_rung is not None

    # --- records ---

    def _record(self, record: r.Record, agents: dict[str, AgentView], now_ms: int, moved_to: str | None) -> None:
        books = self.books
        match record:
            case r.CallJoined(call_id, queue, _, by_overflow) if call_id in books.calls:
                call = books.calls[call_id]
                joined_ms = now_ms if by_overflow else call.arrived_ms
                books.join(call, queue, joined_ms, now_ms, agents, by_hand=queue == moved_to)
            case r.AgentStateEnded(agent_id, state, _, started_ms, ended_ms, _):
                book = books.agent(agent_id)
                book.tally.spent(state, ended_ms - started_ms)
                book.since_ms = ended_ms
                if state in {"talking", "logged_out"}:
                    book.idle_since_ms = ended_ms
            case r.OfferClosed():
                self._closed(record)
            case r.CallEnded(call_id, outcome=r.CallOutcome.ABANDONED) if call_id in books.calls:
                books.abandoned(books.calls[call_id], now_ms)
            case r.StrategyFailed():
                self._plugin_failed(record, now_ms)
            case r.StrategyReturned():
                plugin = self._plugin(record.queue, record.plugin)
                assert plugin.failed, f"{record.plugin} returns, and was there"
                assert now_ms == record.at_ms >= plugin.again_ms, f"{record.plugin} returns too early"
                assert record.failures == plugin.in_a_row
                plugin.failed, plugin.since_ms = False, now_ms
            case _:
                pass

    def _plugin(self, queue: str, plugin: str) -> PluginBook:
        book = self.books.queue(queue)
        return book.order if "order" in plugin else book.strategy

    def _plugin_failed(self, record: r.StrategyFailed, now_ms: int) -> None:
        """It is out for a while: twice as long as the last time, unless it has served for long meanwhile."""
        plugin, limits = self._plugin(record.queue, record.plugin), self.books.rules.limits
        assert not plugin.failed, f"{record.plugin} fails, and was out of service"
        if now_ms - plugin.since_ms >= limits.plugin_retry_most_ms:
            plugin.in_a_row = 0
        pause_ms = min(limits.plugin_retry_ms * 2**plugin.in_a_row, limits.plugin_retry_most_ms)
        plugin.failed, plugin.since_ms, plugin.again_ms = True, now_ms, now_ms + pause_ms
        plugin.in_a_row += 1
        assert record.again_ms == plugin.again_ms

    def _closed(self, record: r.OfferClosed) -> None:
        self._closed_offers.add(record.offer_id)
        if record.answered_ms is None and record.reason == "no_answer":
            self._not_answered(record.offer_id)
        if record.reason in NOT_TAKEN:
            self._does_not_take(record.offer_id)

    def _picked_up(self, offer_id: str) -> None:
        agent = self.books.agent(self.offers[offer_id].agent_id)
        agent.no_answers_least = 0
        if offer_id not in self._unanswered | self._closed_offers:
            agent.no_answers_most = 0

    def _not_answered(self, offer_id: str) -> None:
        if offer_id not in self._unanswered:
            self._unanswered.add(offer_id)
            agent = self.books.agent(self.offers[offer_id].agent_id)
            agent.no_answers_most += 1
            agent.no_answers_least += 1

    def _does_not_take(self, offer_id: str) -> None:
        call = self.books.calls.get(self.offers[offer_id].call_id)
        if call is None or offer_id in self._not_taken:
            return
        self._not_taken.add(offer_id)
        agent_id = self.offers[offer_id].agent_id
        call.not_taken[agent_id] += 1
        if call.preferred == agent_id:
            call.preferred = call.reserved = None

    def _connected(self, record: r.CallConnected) -> None:
        self.books.agent(record.agent_id).tally.answered()
        event = self.books.calls[record.call_id].event
        if is_somebodys(event):
            self.books.talked(event.number, record.agent_id)

    # --- what is shown ---

    def _agents(self, after: Snapshot) -> None:
        live = {agent.agent_id for agent in after.agents}
        self.books.agents = {agent_id: book for agent_id, book in self.books.agents.items() if agent_id in live}
        for view in after.agents:
            if view.agent_id not in self.books.agents:
                self.books.agents[view.agent_id] = AgentBook(since_ms=view.since_ms)
            book = self.books.agents[view.agent_id]
            assert book.since_ms == view.since_ms, f"{view.agent_id} has a gap in their history"
            own_leg = any(offer.agent_id == view.agent_id for offer in after.offers)
            self._state(book, view, rung=self._rung_at(view.contact, after), own_leg=own_leg)
            book.state = view.state

    def _rung_at(self, contact: str, after: Snapshot) -> bool:
        """Whether this phone rings for us, or talks, or has not been told yet that this is over."""
        return any(
            self.offers[offer.offer_id].contact == contact for offer in after.offers if offer.offer_id in self.offers
        )

    def _state(self, book: AgentBook, view: AgentView, *, rung: bool, own_leg: bool) -> None:
        """`own_leg`: a leg of ours to this agent is there, perhaps at a phone that they have left since."""
        if view.state == "ready":
            assert not book.legs, f"{view.agent_id} is ready while their phone is in a call of their own"
            assert not rung, f"{view.agent_id} is ready while their phone is in a call of ours"
            assert not view.then, f"{view.agent_id} is ready, though they asked for {view.then}"
        if view.state == "busy":
            assert book.legs or rung or own_leg, f"{view.agent_id} is busy without a call of their own"
        if book.state == "wrapping_up" and view.state != "wrapping_up" and view.reason == "wrap_up_not_ended":
            assert view.state == "not_ready"

    def _leave(self, agents: dict[str, AgentView]) -> None:
        """Nobody's call waits for an agent who has gone home, or to where the call's switch cannot ring them."""
        for call in self.books.calls.values():
            agent = agents.get(call.preferred or "")
            if agent is None or agent.state == "logged_out" or not self.books.in_reach(call, agent):
                call.preferred = call.reserved = None

    def _forget(self, after: Snapshot) -> None:
        live = {view.call_id for view in after.calls}
        self.books.calls = {call_id: call for call_id, call in self.books.calls.items() if call_id in live}

    def compare(self, after: Snapshot) -> None:
        """What the engine shows of calls and plugins is what the books say; only if no deadline is overdue."""
        for queue in after.queues:
            book = self.books.queue(queue.name)
            out = {"strategy": book.strategy, "call_order": book.order}
            failed = {(post, one.again_ms, one.in_a_row) for post, one in out.items() if one.failed}
            assert {(one.post, one.again_ms, one.failures) for one in queue.substituted} == failed
            assert all(again_ms > after.now_ms for _, again_ms, _ in failed), "a plugin is not tried again"
        for view in after.calls:
            if view.state not in IN_QUEUE:
                continue
            call = self.books.calls[view.call_id]
            now_ms = after.now_ms
            known = call.queue, self.books.priority(call, now_ms), self.books.required(call, now_ms)
            assert known == shown(view), f"{view.call_id}: {known} by the books, the engine shows {shown(view)}"
            assert (call.head_start_ms, call.resumes) == (view.head_start_ms, view.resumes)
            expected = self.books.reserved(call, now_ms)
            told = f"{view.call_id} is shown as reserved for {view.reserved_for}, not {expected}"
            assert view.reserved_for == expected, told
