"""What becomes of agents: wrap-up in its three modes, breaks, hold-backs, missed calls, calls of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.rules import Cause, OwnPauses, QueueRules, WrapUp
from fsacd.core.views import AgentView, Snapshot, Step
from tests.core.books import Books

NOT_SENT_MS = 1_000

# What becomes of an agent who wants calls, and may be given one at once, or has one of their own.
AT_WORK = frozenset({"ready", "offered", "busy"})


@dataclass(frozen=True)
class Work:
    """One wrap-up, as the rules were when it began."""

    mode: WrapUp
    for_ms: int


@dataclass
class Duties:
    """Judges agents' states. Called after the clerk has written the books."""

    books: Books
    last_queue: dict[str, str] = field(default_factory=dict)  # agent → the queue they were rung for last
    work: dict[str, Work] = field(default_factory=dict)

    def take(self, event: e.Event | None, step: Step, before: Snapshot, after: Snapshot) -> None:
        """One step."""
        was = {agent.agent_id: agent for agent in before.agents}
        for agent in after.agents:
            if agent.agent_id in was:
                self._changed(was[agent.agent_id], agent, after.now_ms, event)
        for record in step.records:
            if isinstance(record, r.AgentStateEnded) and record.state == "wrapping_up":
                self._work_ended(record, was.get(record.agent_id), after)
            elif isinstance(record, r.OfferClosed) and record.reason == "no_answer" and record.answered_ms is None:
                self._not_answered(record, was, after)
        self._asked(event, step, was, after)
        self._silenced(event, before, after)
        for command in step.commands:
            if isinstance(command, k.RingAgent):
                self.last_queue[command.agent_id] = command.queue

    def _rules(self, agent_id: str) -> QueueRules | None:
        return self.books.rules.queues.get(self.last_queue.get(agent_id, ""))

    def _changed(self, was: AgentView, agent: AgentView, now_ms: int, event: e.Event | None) -> None:
        if was.since_ms == agent.since_ms and was.state == agent.state:
            return
        rules = self._rules(agent.agent_id)
        if agent.state == "wrapping_up":
            assert was.state == "talking", f"{agent.agent_id} wraps up after {was.state}"
            if rules is not None and not isinstance(event, e.RulesChanged):
                self._work_begins(agent, rules, now_ms)
        if agent.state == "held_back" and rules is not None:
            assert agent.until_ms == now_ms + self._held_back_for(agent, rules)
        if agent.state == "not_ready" and agent.reason == "no_answer" and not isinstance(event, e.AgentSetNotReady):
            most = self.books.agent(agent.agent_id).no_answers_most
            limit = self._missed_limit(agent.agent_id, rules)
            assert rules is None or 0 < limit <= most, f"{agent.agent_id} missed {most} calls only"
            self.books.agent(agent.agent_id).no_answers_least = 0

    def _own(self, agent_id: str) -> OwnPauses:
        known = self.books.rules.agents.get(agent_id)
        return OwnPauses() if known is None else known.own

    def _held_back_for(self, agent: AgentView, rules: QueueRules) -> int:
        if agent.reason == "not_sent":
            return NOT_SENT_MS
        times = rules.hold_back
        queues = {
            "refused": times.refused_ms,
            "busy": times.busy_ms,
            "no_answer": times.no_answer_ms,
            "unreachable": times.unreachable_ms,
        }[agent.reason]
        return self._own(agent.agent_id).hold_back_ms.get(Cause(agent.reason), queues)

    def _missed_limit(self, agent_id: str, rules: QueueRules | None) -> int:
        queues = 0 if rules is None else rules.not_ready_after
        return self._own(agent_id).not_ready_after.get(Cause.NO_ANSWER, queues)

    def _work_of(self, agent_id: str, rules: QueueRules) -> Work:
        own = self._own(agent_id)
        for_ms = rules.wrap_up_ms if own.wrap_up_ms is None else own.wrap_up_ms
        return Work(rules.wrap_up if own.wrap_up is None else own.wrap_up, for_ms)

    def _work_begins(self, agent: AgentView, rules: QueueRules, now_ms: int) -> None:
        work = self.work[agent.agent_id] = self._work_of(agent.agent_id, rules)
        if work.mode is WrapUp.UNTIL_READY:
            longest_ms = now_ms + self.books.rules.limits.longest_wrap_up_ms
            assert agent.until_ms in {None, longest_ms}
        elif work.for_ms:
            assert agent.until_ms == now_ms + work.for_ms

    def _work_ended(self, record: r.AgentStateEnded, was: AgentView | None, after: Snapshot) -> None:
        work = self.work.pop(record.agent_id, None)
        now = next((agent for agent in after.agents if agent.agent_id == record.agent_id), None)
        if work is None or now is None or now.state == "logged_out":
            return
        lasted_ms = record.ended_ms - record.started_ms
        match work.mode:
            case WrapUp.FIXED if work.for_ms:
                assert lasted_ms >= work.for_ms, f"{record.agent_id} ended fixed work after {lasted_ms} ms"
            case WrapUp.UNTIL_READY if not record.by:
                assert lasted_ms >= self.books.rules.limits.longest_wrap_up_ms
                # A break that was asked for meanwhile has a better reason.
                wished = was is not None and was.then.startswith("not_ready")
                assert wished or (now.state, now.reason) == ("not_ready", "wrap_up_not_ended")
            case _:
                pass

    def _not_answered(self, record: r.OfferClosed, was: dict[str, AgentView], after: Snapshot) -> None:
        rules = self.books.rules.queues.get(record.queue)
        now = next((agent for agent in after.agents if agent.agent_id == record.agent_id), None)
        limit = self._missed_limit(record.agent_id, rules)
        if rules is None or now is None or not limit:
            return
        missed = self.books.agent(record.agent_id).no_answers_least
        if missed >= limit and not was[record.agent_id].then:
            assert now.state in {"not_ready", "logged_out"}, f"{record.agent_id} missed {missed} calls in a row"

    def _silenced(self, event: e.Event | None, before: Snapshot, after: Snapshot) -> None:
        """Nobody is rung on who has asked for no calls; whoever has answered is let talk."""
        # Whoever a reload has taken out of the configuration can ask for nothing any more.
        if isinstance(event, e.AgentSetNotReady | e.AgentLoggedOut) and event.agent_id in self.books.rules.agents:
            ringing = {offer.offer_id for offer in before.offers if offer.state == "ringing"}
            states = {o.offer_id: o.state for o in after.offers if o.agent_id == event.agent_id}
            for offer_id in ringing & set(states):
                assert states[offer_id] == "ending", f"{event}, and {offer_id} is {states[offer_id]}"

    def _asked(self, event: e.Event | None, step: Step, was: dict[str, AgentView], after: Snapshot) -> None:
        """What an agent asks for happens at once if they are free for it, is remembered, or is refused."""
        if not isinstance(
            event, e.AgentLoggedIn | e.AgentSetReady | e.AgentSetNotReady | e.AgentLoggedOut | e.AgentEndedWrapUp
        ):
            return
        before = was.get(event.agent_id)
        now = next((agent for agent in after.agents if agent.agent_id == event.agent_id), None)
        if before is None or now is None or event.agent_id not in self.books.rules.agents:
            assert step.refused
            return
        work, rules = self.work.get(event.agent_id), self._rules(event.agent_id)
        match event:
            case e.AgentSetReady() | e.AgentEndedWrapUp() if before.state == "wrapping_up" and work is not None:
                same = rules is not None and self._work_of(event.agent_id, rules).mode is work.mode
                if same and work.for_ms and work.mode is WrapUp.FIXED:
                    # An agent who has asked for a break may think better of it, and goes on with their work.
                    reconsidered = bool(before.then) and now.state == "wrapping_up" and not now.then
                    assert reconsidered or "fixed" in (step.refused or ""), f"{event} was not refused"
                elif same and work.mode is not WrapUp.FIXED:
                    assert step.refused is None
                    assert now.state != "wrapping_up", f"{event} ended nothing"
            case e.AgentLoggedIn():
                self._logged_in(event, before, now)
            case e.AgentSetReady() if before.state in {"not_ready", "held_back"}:
                assert now.state in AT_WORK, f"{event} led to {now.state}"
            case e.AgentEndedWrapUp() if before.state != "wrapping_up":
                assert step.refused
            case e.AgentSetNotReady(_, _, reason) if before.state in {"ready", "busy", "held_back", "not_ready"}:
                assert (now.state, now.reason) == ("not_ready", reason)
            case e.AgentSetNotReady() if before.state in {"offered", "talking"} and now.state == before.state:
                assert now.then.startswith("not_ready")
            case e.AgentLoggedOut() if before.state in {"ready", "busy", "held_back", "not_ready", "logged_out"}:
                assert now.state == "logged_out"
            case _:
                pass

    def _logged_in(self, event: e.AgentLoggedIn, before: AgentView, now: AgentView) -> None:
        """A log-in says whether the agent wants calls, wherever they were before."""
        if event.ready:
            assert not now.then, f"{event} left a wish to be {now.then}"
            assert before.state not in {"logged_out", "not_ready"} or now.state in AT_WORK, f"{event}: {now.state}"
        elif before.state not in {"offered", "talking", "wrapping_up"}:
            assert now.state == "not_ready", f"{event} led to {now.state}"
