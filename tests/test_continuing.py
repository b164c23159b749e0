"""What a daemon tells its engine when it goes on where another one stopped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import get_args

import gevent

from fsacd.caller.number_plan import NumberPlan
from fsacd.core import events as e
from fsacd.core.records import CallEnded, LogIn, Record, WrapUpEnded
from fsacd.core.rules import Rules
from fsacd.core.views import Snapshot
from fsacd.daemon.resume import Continuation, rename_callers
from fsacd.journal.erasure import Outcome, ask
from fsacd.journal.journal import Journal
from fsacd.journal.recovery import Ended
from fsacd.journal.settings import JournalSettings
from fsacd.runtime.loop import Runtime
from fsacd.testing import PLUGINS, agent, queue, queued, rules_of

RULES = rules_of(queue("q"), agent("a", "q"), agent("b", "q"))


class Control:
    """A switch's control that is told what is remembered."""

    def __init__(self) -> None:
        self.in_sync = False
        self.epoch = -1
        self.remembered: list[tuple[str, e.Leg]] = []

    def check_fence(self) -> None:
        """It is ours."""

    def remember_epoch(self, epoch: int) -> None:
        """Keep it."""
        self.epoch = epoch

    def remember_outside(self, legs: Iterable[tuple[str, e.Leg]]) -> None:
        """Keep it."""
        self.remembered.extend(legs)


class Life:
    """One daemon, as far as it matters here."""

    def __init__(self, directory: Path, rules: Rules = RULES, *, log_in: tuple[str, ...] = ("a",)) -> None:
        self.journal = Journal(JournalSettings(directory))
        self.continuation = Continuation(self.journal, rules, PLUGINS, seed=1)
        self.runtime = Runtime(self.continuation.engine, clock=self.continuation.clock, journal=self.journal)
        self.sent: list[object] = []
        self.runtime.set_sender(self.sent.append)
        self.control = Control()
        self.controls = {"fs1": self.control}
        self.journal.begin(self.continuation.engine)
        self.continuation.tell(self.runtime, self.controls, log_in)

    def shown(self) -> Snapshot:
        """What the engine shows now."""
        return self.runtime.snapshot()

    def states(self) -> dict[str, str]:
        """Each agent's state."""
        return {one.agent_id: one.state for one in self.shown().agents}

    def end(self) -> None:
        """End it."""
        self.runtime.stop()
        self.journal.close()


def test_agents_are_logged_in_at_the_first_start_alone(tmp_path: Path) -> None:
    """Who went home stays there over a restart; who is new in the configuration is logged in as it says."""
    first = Life(tmp_path)
    assert first.states() == {"a": "ready", "b": "logged_out"}
    first.runtime.post(e.AgentLoggedOut("a", "phone:a"))
    first.end()
    second = Life(tmp_path, rules_of(queue("q"), agent("a", "q"), agent("c", "q")), log_in=("a", "c"))
    assert second.states() == {"a": "logged_out", "c": "ready"}
    second.end()


def test_no_link_is_up_after_a_restart(tmp_path: Path) -> None:
    """Nobody is rung before the switch has said what has happened meanwhile."""
    first = Life(tmp_path)
    first.runtime.post(e.SwitchConnected("fs1"))
    first.end()
    second = Life(tmp_path)
    assert second.shown().switches == (("fs1", False),)
    second.runtime.post(queued("c", "q", 0))
    assert second.sent == []
    second.runtime.post(e.SwitchConnected("fs1"))
    assert len(second.sent) == 1
    second.end()


def test_calls_on_a_switch_that_is_not_configured_any_more_are_lost(tmp_path: Path) -> None:
    """Nothing could reach them, and no command is ever sent there."""
    first = Life(tmp_path)
    first.runtime.post(e.SwitchConnected("old"))
    first.runtime.post(queued("c", "q", 0, "old"))
    first.end()
    second = Life(tmp_path)
    assert second.shown().calls == ()
    assert second.states()["a"] == "ready"
    second.end()


def test_a_configuration_that_has_changed_meanwhile_holds(tmp_path: Path) -> None:
    """The rules of the file are in force after the start, whatever the journal says."""
    Life(tmp_path).end()
    second = Life(tmp_path, rules_of(queue("q"), queue("new"), agent("a", "q")))
    assert [one.name for one in second.shown().queues] == ["new", "q"]
    second.end()


def test_rules_that_are_the_same_are_not_read_again(tmp_path: Path) -> None:
    """A restart with the same file is no reload: nothing but the links has changed."""
    Life(tmp_path).end()
    second = Life(tmp_path)
    assert second.continuation.engine.works_by(RULES)
    assert second.journal.state().entries == 0
    second.end()


def test_calls_of_agents_without_us_are_handed_on(tmp_path: Path) -> None:
    """The switch's control learns of them, or nobody would hear their end."""
    first = Life(tmp_path)
    first.runtime.post(e.OutsideCallStarted("a", e.Leg("fs1", "u")))
    first.end()
    second = Life(tmp_path)
    assert second.control.remembered == [("a", e.Leg("fs1", "u"))]
    assert second.states()["a"] == "busy"
    second.end()


def test_deadlines_wait_for_the_switches(tmp_path: Path) -> None:
    """A ring that was due to end meanwhile may have been answered: first the switch is asked."""
    first = Life(tmp_path, rules_of(queue("q", ring_timeout_ms=1), agent("a", "q")))
    first.runtime.post(e.SwitchConnected("fs1"))
    first.runtime.post(queued("c", "q", 0))
    first.end()
    second = Life(tmp_path, rules_of(queue("q", ring_timeout_ms=1), agent("a", "q")))
    second.continuation.keep_time(second.runtime, second.controls.values())
    gevent.sleep(0.1)
    assert [offer.state for offer in second.shown().offers] == ["ringing"]
    second.control.in_sync = True
    with gevent.Timeout(30):
        while [offer.state for offer in second.shown().offers] != ["ending"]:
            gevent.sleep(0.01)
    second.end()


def test_contacts_are_what_agents_said(tmp_path: Path) -> None:
    """Who had logged in at another phone is reached there after the restart."""
    first = Life(tmp_path, log_in=())
    began_ms = first.continuation.engine.now_ms
    first.runtime = Runtime(first.continuation.engine, clock=lambda: began_ms, journal=first.journal)
    first.runtime.set_sender(first.sent.append)
    first.runtime.post(e.AgentLoggedIn("a", "phone:b", contact="user/b"))
    first.end()
    second = Life(tmp_path, log_in=())
    assert second.continuation.contacts() == {"a": "user/b", "b": "user/b"}
    second.end()


def test_without_a_journal_every_start_is_a_first_one() -> None:
    """The engine is a fresh one, by the machine's clock."""
    continuation = Continuation(None, RULES, PLUGINS, seed=1)
    assert (continuation.ahead_ms, dict(continuation.hours)) == (0, {})
    assert continuation.engine.works_by(RULES)


def test_what_ended_last_is_handed_to_history_again(tmp_path: Path) -> None:
    """Of the last seconds before a death rows may be missing; they come again, and what is older does not."""
    first = Life(tmp_path)
    now_ms = 0

    def clock() -> int:
        return now_ms

    first.runtime = Runtime(first.continuation.engine, clock=clock, journal=first.journal)
    first.runtime.set_sender(first.sent.append)
    now_ms = began_ms = first.continuation.engine.now_ms
    first.runtime.post(e.SwitchConnected("fs1"))
    for number, at_ms in enumerate((0, 3_000, 7_900, 8_000, 8_000)):
        now_ms = began_ms + at_ms
        first.runtime.post(queued(f"c{number}", "q", now_ms))
        first.runtime.post(e.CallerGone(f"c{number}", ""))
    first.end()
    second = Life(tmp_path)
    unwritten = [record.call_id for record in second.continuation.unwritten if isinstance(record, CallEnded)]
    assert unwritten == ["c2", "c3", "c4"]
    second.end()


def test_what_is_handed_to_history_again_names_nobody_who_was_erased(tmp_path: Path) -> None:
    """Neither as the caller nor as whom somebody was sent to, however the number is written there."""
    first = Life(tmp_path)
    post = first.runtime.post
    post(e.SwitchConnected("fs1"))
    for call_id, number in (("c1", "+49 301"), ("c2", "+49302"), ("c3", "+49303")):
        post(queued(call_id, "q", first.continuation.clock(), number=number))
    post(e.CallerGone("c1", ""))
    for call_id, where in (("c2", "+49 301"), ("c3", "+49302")):
        post(e.CallerTaken(e.Leg("fs1", f"leg-{call_id}"), e.Taken.PICKED_UP, where))
    first.end()
    assert ask(tmp_path, ["+49301"], 0.0) is Outcome.WAITS_FOR_DAEMON
    second = Life(tmp_path)
    ended = {
        one.call_id: (one.number, one.after) for one in second.continuation.unwritten if isinstance(one, CallEnded)
    }
    assert ended == {"c1": ("", ""), "c2": ("+49302", "number ***"), "c3": ("+49303", "number +49302")}
    second.end()


def test_whatever_ends_with_a_call_is_handed_on() -> None:
    """A record that tells of an end within a call is told again, and so are log-ins, which are as few."""
    of_calls = {kind for kind in get_args(Record) if {"call_id", "evidence"} <= {one.name for one in fields(kind)}} | {
        WrapUpEnded,
        LogIn,
    }
    assert set(get_args(Ended)) == of_calls


def test_log_ins_of_the_last_seconds_are_handed_to_history_again(tmp_path: Path) -> None:
    """With the id that they had, whether they go on or are over; without a number that was erased meanwhile."""
    first = Life(tmp_path, log_in=())
    began_ms = first.continuation.engine.now_ms
    first.runtime = Runtime(first.continuation.engine, clock=lambda: began_ms, journal=first.journal)
    first.runtime.set_sender(first.sent.append)
    first.runtime.post(e.AgentLoggedIn("a", "phone:+49301", contact="sofia/gateway/pstn/+49301"))
    first.runtime.post(e.AgentLoggedIn("b", "cli:root"))
    first.runtime.post(e.AgentLoggedOut("b", "cli:root"))
    first.end()
    assert ask(tmp_path, ["+49301"], 0.0) is Outcome.WAITS_FOR_DAEMON
    second = Life(tmp_path)
    told = [one for one in second.continuation.unwritten if isinstance(one, LogIn)]
    assert [(one.agent_id, one.ended_ms is None) for one in told] == [("a", True), ("b", True), ("b", False)]
    assert told[1].log_in_id == told[2].log_in_id != told[0].log_in_id
    assert (told[0].contact, told[0].by) == ("sofia/gateway/pstn/***", "phone:***")
    second.runtime.post(e.AgentLoggedOut("a", "cli:root"))
    second.end()
    third = Life(tmp_path)
    again = [one for one in third.continuation.unwritten if isinstance(one, LogIn) and one.agent_id == "a"]
    assert {one.log_in_id for one in again} == {told[0].log_in_id}, "a restart is no log-in"
    third.end()


def test_callers_are_known_by_the_plan_of_now(tmp_path: Path) -> None:
    """A daemon that had none remembers them by what was shown; the next one, with a plan, by what that means."""
    plan = NumberPlan(withheld=frozenset({"geheim"}), country="DE", international="00", trunk="0")
    life = Life(tmp_path)
    engine, post = life.continuation.engine, life.runtime.post
    post(e.LastAgentsKnown((("030123456", "a"), ("geheim", "a"), ("+4930777777", "b"), ("0049 30 123456", "b"))))
    rename_callers(engine, post, plan.identity)
    remembered = engine.numbers_remembered()
    assert sorted(remembered) == ["+4930123456", "+4930777777"]
    assert engine.last_agent_of("+4930123456") == "b", "whom they talked with last"
    rename_callers(engine, post, plan.identity)
    assert engine.numbers_remembered() == remembered
    life.end()


def test_two_numbers_that_have_become_one_customers(tmp_path: Path) -> None:
    """Whom the customer has talked with last counts, by whichever number; what is newer than the look stays."""
    life = Life(tmp_path)
    engine, post = life.continuation.engine, life.runtime.post
    post(e.LastAgentsKnown((("+491", "a"), ("+492", "b"), ("+493", "a"), ("+494", "b"), ("+495", "a"))))
    firsts = {"+492": "+491", "+493": "+494"}
    rename_callers(engine, post, lambda number: firsts.get(number, number))
    assert {number: engine.last_agent_of(number) for number in engine.numbers_remembered()} == {
        "+491": "b", "+494": "b", "+495": "a",
    }  # fmt: skip

    def while_looking(number: str) -> str:
        if number == "+496":
            post(e.CallersForgotten(("+497",)))
            post(e.LastAgentsKnown((("+497", "a"),)))
        return {"+496": "+497"}.get(number, number)

    post(e.LastAgentsKnown((("+497", "b"), ("+496", "b"))))
    rename_callers(engine, post, while_looking)
    assert (engine.last_agent_of("+497"), engine.last_agent_of("+496")) == ("a", "")
    life.end()
