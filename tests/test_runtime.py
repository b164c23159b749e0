"""The loop around the engine: order, time, failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import gevent
import pytest

from fsacd.core.commands import CancelOffer, CancelReason, Command, RingAgent
from fsacd.core.engine import Engine
from fsacd.core.events import (
    AgentLoggedIn,
    AgentSetReady,
    CallerGone,
    CallQueued,
    Event,
    Leg,
    OfferAnswered,
    OfferEnd,
    OfferEnded,
    RulesAmended,
    RulesChanged,
    SwitchConnected,
)
from fsacd.core.match.plugins import Plugins
from fsacd.core.records import CallJoined, Record, StrategyFailed
from fsacd.core.rules import AgentRules, QueueRules, Rules, Service
from fsacd.core.show.parts import InParts
from fsacd.errors import Refused, Unavailable
from fsacd.plugins import shipped
from fsacd.runtime.loop import Runtime
from tests.core.tired import TiredPlugins

RULES = Rules(
    queues={"q": QueueRules("q", ring_timeout_ms=50)},
    agents={"a": AgentRules("a", contact="user/a", queues={"q": Service()})},
)


class Rig:
    """A runtime whose commands and records are kept, in the order in which they came."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.seen: list[Command | Record] = []
        self.runtime = Runtime(Engine(rules, shipped()))
        self.runtime.set_sender(self.send)
        self.runtime.add_sink(self.seen.extend)

    def send(self, command: Command) -> None:
        self.seen.append(command)

    def serve_one(self) -> None:
        self.runtime.post(SwitchConnected("s"))
        self.runtime.post(AgentLoggedIn("a", "test"))
        self.runtime.post(CallQueued("c", "q", 0, Leg("s", "u")))

    def kinds(self) -> list[str]:
        return [type(seen).__name__ for seen in self.seen]


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.runtime.stop()


def test_commands_go_out_before_records(rig: Rig) -> None:
    """History never delays a phone."""
    rig.serve_one()
    assert rig.kinds()[-4:] == ["RingAgent", "CallJoined", "DecisionMade", "AgentStateEnded"]


def test_a_fact_that_a_command_causes_at_once_waits_for_the_end_of_the_step(rig: Rig) -> None:
    """A command that could not be sent says so while the step still runs; the engine is not entered twice."""

    def refuse(command: Command) -> None:
        rig.seen.append(command)
        if isinstance(command, RingAgent):
            rig.runtime.post(OfferEnded(command.offer_id, OfferEnd.NOT_SENT))

    rig.runtime.set_sender(refuse)
    rig.serve_one()
    kinds = rig.kinds()
    assert kinds.index("CallJoined") < kinds.index("OfferClosed")
    assert not rig.runtime.failure


def test_a_deadline_is_acted_on_without_a_fact(rig: Rig) -> None:
    """An agent who does not answer is given up although nothing comes from the switch."""
    rig.runtime.start()
    rig.serve_one()
    with gevent.Timeout(30):
        while not any(isinstance(seen, CancelOffer) for seen in rig.seen):
            gevent.sleep(0.005)


def test_a_deadline_that_comes_up_earlier_wakes_the_timer(rig: Rig) -> None:
    """The timer sleeps for ever when there is nothing to wait for, and still acts on what comes later."""
    rig.runtime.start()
    gevent.sleep(0.01)
    test_a_deadline_is_acted_on_without_a_fact(rig)


def test_a_deadline_behind_the_next_look_wakes_nobody() -> None:
    """The timer looks at the clock a few times a second anyway, and calls set deadlines further ahead than that."""
    rig = Rig(replace(RULES, queues={"q": QueueRules("q", ring_timeout_ms=600_000)}))
    rig.runtime.start()
    gevent.sleep(0.01)
    rig.serve_one()
    assert any(isinstance(seen, RingAgent) for seen in rig.seen), "which has a deadline"
    assert not rig.runtime._wake.is_set()
    rig.runtime.stop()


def test_what_makes_a_deadline_void_is_told_first(rig: Rig) -> None:
    """After a long stop the switch may be another daemon's: the engine hears of it before it acts on what was due."""
    rig.serve_one()
    rig.runtime.start(lambda: rig.runtime.post(CallerGone("c")))
    with gevent.Timeout(30):
        while not any(isinstance(seen, CancelOffer) for seen in rig.seen):
            gevent.sleep(0.005)
    assert [seen.reason for seen in rig.seen if isinstance(seen, CancelOffer)][:1] == [CancelReason.CALLER_GONE]


def test_what_was_slept_through_is_heard_before_deadlines_are_acted_on() -> None:
    """A process that stood still may find in its sockets that the phone was answered before the ring was over."""
    clock_ms = 0
    runtime, sent = Runtime(Engine(RULES, shipped()), clock=lambda: clock_ms), list[Command]()
    runtime.set_sender(sent.append)
    runtime.post(SwitchConnected("s"))
    runtime.post(AgentLoggedIn("a", "test"))
    runtime.post(CallQueued("c", "q", 0, Leg("s", "u")))
    (ring,) = sent
    assert isinstance(ring, RingAgent)
    clock_ms = 5_000
    runtime.start()
    gevent.sleep(0.01)  # the timer has seen by now that it is late
    runtime.post(OfferAnswered(ring.offer_id, "s"))
    gevent.sleep(0.2)
    runtime.stop()
    assert [type(command).__name__ for command in sent] == ["RingAgent", "Connect"]


def test_a_clock_that_goes_back_breaks_nothing() -> None:
    """The engine asserts that its time never does."""
    times = iter([5_000, 5_000, 4_000, 4_000])
    runtime = Runtime(Engine(RULES, shipped(), 5_000), clock=lambda: next(times, 4_000))
    runtime.post(SwitchConnected("s"))
    runtime.post(AgentLoggedIn("a", "test"))
    assert not runtime.failure
    assert runtime.snapshot().now_ms == 5_000


def test_a_deadline_at_the_end_of_what_was_slept_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not late at all, and what makes it void lies in the sockets all the same."""
    clock_ms = 0
    patient = replace(RULES, queues={"q": QueueRules("q", ring_timeout_ms=20_000)})
    runtime, sent = Runtime(Engine(patient, shipped()), clock=lambda: clock_ms), list[Command]()
    runtime.set_sender(sent.append)
    runtime.post(SwitchConnected("s"))
    runtime.post(AgentLoggedIn("a", "test"))
    runtime.post(CallQueued("c", "q", 0, Leg("s", "u")))
    (ring,) = sent
    assert isinstance(ring, RingAgent)
    heard = list[int]()

    def hear(_runtime: Runtime) -> None:
        heard.append(clock_ms)
        runtime.post(OfferAnswered(ring.offer_id, "s"))

    monkeypatch.setattr(Runtime, "_listen", hear)
    runtime.start()
    gevent.sleep(0.01)
    deadline_ms = runtime._engine.next_deadline_ms()
    assert deadline_ms is not None
    clock_ms = deadline_ms
    with gevent.Timeout(60):
        while not heard:
            gevent.sleep(0.01)
    gevent.sleep(0.05)
    runtime.stop()
    assert [type(command).__name__ for command in sent] == ["RingAgent", "Connect"]


def test_a_wish_is_refused_with_the_engines_reason(rig: Rig) -> None:
    """What the API tells its caller is the engine's own sentence."""
    with pytest.raises(Refused, match="agent a is logged out"):
        rig.runtime.ask(AgentSetReady("a", "test"))


def test_busy_is_told_when_it_changes(rig: Rig) -> None:
    """The event connections are kept awake only while a call or a ready agent exists."""
    told: list[bool] = []
    rig.runtime.set_busy_listener(told.append)
    rig.serve_one()
    rig.runtime.post(AgentSetReady("a", "test"))
    assert told == [True]


def test_a_failing_engine_decides_nothing_any_more(rig: Rig) -> None:
    """An engine in an unknown state must not go on; whoever watches the daemon starts it again."""

    def fail(_command: Command) -> None:
        raise RuntimeError("a fault of ours")

    rig.runtime.set_sender(fail)
    rig.serve_one()
    assert rig.runtime.failure == "RuntimeError: a fault of ours"
    with pytest.raises(Unavailable, match="the engine has failed"):
        rig.runtime.ask(AgentSetReady("a", "test"))


def test_a_wish_at_which_the_engine_fails_was_not_done(rig: Rig) -> None:
    """Who asked is told so, and not that all is well."""
    with pytest.raises(Unavailable, match="the engine has failed"):
        rig.runtime.ask(object())  # type: ignore[arg-type] # no fact at all


def test_a_timer_that_fails_is_noticed(rig: Rig) -> None:
    """Without it no ring would end and no caller overflow, and the daemon would look well for ever."""

    def fail() -> None:
        raise RuntimeError("a fault of ours")

    rig.serve_one()
    rig.runtime.start(fail)
    with gevent.Timeout(30):
        while not rig.runtime.failure:
            gevent.sleep(0.005)
    assert rig.runtime.failure == "RuntimeError: a fault of ours"


def test_a_sink_that_fails_stops_nothing(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """History, metrics and logs are behind the calls: whatever is wrong with one, calls and the others go on."""

    def fail(_records: Sequence[Record]) -> None:
        raise RuntimeError("a fault of ours")

    later: list[Record] = []
    rig.runtime.add_sink(fail)
    rig.runtime.add_sink(later.extend)
    rig.serve_one()
    assert rig.runtime.failure == ""
    assert later == [seen for seen in rig.seen if not isinstance(seen, RingAgent)]
    assert capsys.readouterr().out.count("a part of fsacd failed") == 1


def test_the_snapshot_shows_the_state_after_the_last_step(rig: Rig) -> None:
    """A reader never sees what was before their own change."""
    before = rig.runtime.snapshot()
    rig.serve_one()
    after = rig.runtime.snapshot()
    assert ([c.state for c in before.calls], [c.state for c in after.calls]) == ([], ["offered"])
    assert any(isinstance(seen, CallJoined) for seen in rig.seen)


class Pages:
    """A journal that notes when it was written to."""

    def __init__(self, seen: list[object]) -> None:
        self._seen = seen

    def put(self, now_ms: int, event: Event | None) -> None:
        assert now_ms
        self._seen.append(event)

    def prepare(self, event: RulesAmended) -> InParts[None]:
        self._seen.append(f"prepared {type(event).__name__}")
        yield

    def put_plugin_failures(self, now_ms: int, failures: Sequence[StrategyFailed]) -> None:
        assert now_ms
        self._seen.append(failures[0].plugin)

    def put_engine_failure(self, now_ms: int) -> None:
        assert now_ms
        self._seen.append("engine failed")


def journaled(plugins: Plugins | None = None, ahead_ms: int = 0) -> tuple[Runtime, list[object]]:
    seen: list[object] = []
    engine = Engine(RULES, plugins or shipped())
    runtime = Runtime(engine, clock=lambda: 1_000, journal=Pages(seen), ahead_ms=ahead_ms)
    runtime.set_sender(seen.append)
    return runtime, seen


def test_a_fact_is_written_before_anything_is_done_about_it() -> None:
    """Killed at any moment, whatever was ordered follows from what is written."""
    runtime, seen = journaled()
    for event in (SwitchConnected("s"), AgentLoggedIn("a", "test"), CallQueued("c", "q", 0, Leg("s", "u"))):
        runtime.post(event)
    assert [type(one).__name__ for one in seen] == ["SwitchConnected", "AgentLoggedIn", "CallQueued", "RingAgent"]


def test_a_failed_plugin_is_written_before_what_was_decided_without_it() -> None:
    """A replay decides the same only if it knows of the failure."""
    runtime, seen = journaled(TiredPlugins(1))
    runtime.post(RulesChanged(replace(RULES, queues={"q": QueueRules("q", strategy="tired")})))
    for event in (SwitchConnected("s"), AgentLoggedIn("a", "test"), CallQueued("c", "q", 0, Leg("s", "u"))):
        runtime.post(event)
    assert [one if isinstance(one, str) else type(one).__name__ for one in seen[-3:]] == [
        "CallQueued",
        "tired",
        "RingAgent",
    ]


def test_a_failing_engine_is_noted() -> None:
    """The next daemon must not fail at the same fact; a failing sender is another matter."""
    runtime, seen = journaled()
    runtime.post(object())  # type: ignore[arg-type] # no fact at all
    assert seen[-1] == "engine failed"
    assert runtime.failure


def test_a_caller_came_when_they_came_whatever_the_engines_clock() -> None:
    """After a reboot the engine's clock is ahead of the machine's, by which switches tell when a caller came."""
    runtime, seen = journaled(ahead_ms=500)
    runtime.post(CallQueued("c", "q", 100, Leg("s", "u")))
    assert seen == [CallQueued("c", "q", 600, Leg("s", "u"))]
    assert runtime.engine_ms(100) == 600
