"""What becomes of agents: wrap-up in its three modes, breaks, hold-backs, missed calls, calls of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.rules import QueueRules, WrapUp
from fsacd.core.views import AgentView, Snapshot, Step
from tests.core.books import Books

NOT_SENT_MS = 1_000

# What becomes of an agent who wants calls, and may be given one at once, or has one of his own.
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
    last_queue: dict[str, str] = field(default_factory=dict)  # agent → the queue he was rung for last
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
            times = rules.hold_back
            expected = {
                "refused": times.refused_ms,
                "busy": times.busy_ms,
                "no_answer": times.no_answer_ms,
                "unreachable": times.unreachable_ms,
                "not_sent": NOT_SENT_MS,
            }[agent.reason]
            assert agent.until_ms == now_ms + expected
        if agent.state == "not_ready" and agent.reason == "no_answer" and not isinstance(event, e.AgentSetNotReady):
            most = self.books.agent(agent.agent_id).no_answers_most
            assert rules is None or 0 < rules.not_ready_after <= most, f"{agent.agent_id} missed {most} calls only"
            self.books.agent(agent.agent_id).no_answers_least = 0

    def _work_begins(self, agent: AgentView, rules: QueueRules, now_ms: int) -> None:
        self.work[agent.agent_id] = Work(rules.wrap_up, rules.wrap_up_ms)
        if rules.wrap_up is WrapUp.UNTIL_READY:
            longest_ms = now_ms + self.books.rules.limits.longest_wrap_up_ms
            assert agent.until_ms in {None, longest_ms}
        elif rules.wrap_up_ms:
            assert agent.until_ms == now_ms + rules.wrap_up_ms

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
        if rules is None or now is None or not rules.not_ready_after:
            return
        missed = self.books.agent(record.agent_id).no_answers_least
        if missed >= rules.not_ready_after and not was[record.agent_id].then:
            assert now.state in {"not_ready", "logged_out"}, f"{record.agent_id} missed {missed} calls in a row"

    def _asked(self, event: e.Event | None, step: Step, was: dict[str, AgentView], after: Snapshot) -> None:
        """What an agent asks for happens at once if he is free for it, is remembered, or is refused."""
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
                same = rules is not None and rules.wrap_up is work.mode
                if same and work.for_ms and work.mode is WrapUp.FIXED:
                    # Whoever has asked for a break may think better of it, and goes on with his work.
                    reconsidered = bool(before.then) and now.state == "wrapping_up" and not now.then
                    assert reconsidered or "fixed" in (step.refused or ""), f"{event} was not refused"
                elif same and work.mode is not WrapUp.FIXED:
                    assert step.refused is None
                    assert now.state != "wrapping_up", f"{event} ended nothing"
            case e.AgentLoggedIn() if before.state == "logged_out":
                assert now.state in (AT_WORK if event.ready else {"not_ready"}), f"{event} led to {now.state}"
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
