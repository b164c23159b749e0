"""What keeps a switch served: comparing it with the engine, and its clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import gevent
import pytest

from fsacd.core.events import CallQueued, SwitchConnected, SwitchLost
from fsacd.esl.codec import Kind, Message
from fsacd.esl.differences import Absence
from fsacd.esl.pipeline import Pipeline
from fsacd.esl.states import Down, Up
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.process.monotonic import monotonic_ms
from fsacd.runtime.loop import Runtime
from tests.esl.control_rig import CALL, DIALS, LEG, NOBODY, HashTable, Rig, comes_up
from tests.esl.fake_switch import until


@pytest.fixture
def rig() -> Rig:
    return Rig()


def _somebody_waits() -> dict[str, Reply]:
    waits = {"leg": "caller", "over": "false", "call": CALL, "queue": "sales", "queued_at": "5000"}
    dump = {"Unique-ID": LEG.uuid, **{f"variable_fsacd_{name}": value for name, value in waits.items()}}
    rows = [{"uuid": LEG.uuid, "context": "fsacd"}]
    return {
        "show": Reply(Outcome.OK, json.dumps({"row_count": 1, "rows": rows})),
        "uuid_dump": Reply(Outcome.OK, json.dumps(dump)),
    }


SOMEBODY_WAITS = _somebody_waits()


def test_a_caller_of_whom_nobody_told_is_found(rig: Rig) -> None:
    """When engine and switch are compared, the caller is told of as if they had been announced, and counted."""
    repaired: list[str] = []
    rig.control._service._reconciler.on_repair = repaired.append
    rig.link.answers = {"show": NOBODY}
    rig.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=10_000, at_ms=monotonic_ms()))
    until(lambda: rig.control.in_sync)
    rig.link.answers = SOMEBODY_WAITS
    assert rig.control.resync()
    until(lambda: any(isinstance(fact, CallQueued) for fact in rig.runtime.facts))
    rig.control._on_state(Down("the test is over"))
    assert repaired == ["unknown_caller"]


def test_what_the_engine_learns_while_the_switch_is_asked_is_newer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy switch tells of a caller late: what they do by then is not ended by what was found out before."""
    rig.link.answers = {"show": NOBODY}
    rig.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=10_000, at_ms=monotonic_ms()))
    until(lambda: rig.control.in_sync)
    rig.runtime.facts.clear()
    rig.link.answers, submit, dumps = SOMEBODY_WAITS, rig.link.submit, list[Wire]()

    def hears_of_him(wire: Wire, on_reply: Callable[[Reply], object] | None = None, timeout_s: float = 0.0) -> None:
        submit(wire, on_reply, timeout_s)
        if wire.text.startswith("api uuid_dump"):
            dumps.append(wire)
            if len(dumps) == 2:  # the second look
                Runtime.post(rig.runtime, CallQueued(CALL, "sales", 0, LEG))

    monkeypatch.setattr(rig.link, "submit", hears_of_him)
    assert rig.control.resync()
    until(lambda: len(dumps) == 2)
    gevent.sleep(0.05)
    rig.control._on_state(Down("the test is over"))
    assert rig.runtime.facts == [SwitchLost("fs1")]


def test_callers_keep_their_order_when_the_clock_is_looked_at(rig: Rig) -> None:
    """A round trip that takes longer than the last one is no reason to shift what the next caller has waited."""
    watch = rig.control._service
    for uptime_ms, expected in ((900_000, 900_000), (900_040, 900_000), (899_700, 900_000), (950_000, 950_000)):
        watch._set_clock(uptime_ms, 1_000)
        assert watch.clock.uptime_at(1_000) == expected


def test_a_number_that_is_no_uptime_is_passed_over(rig: Rig) -> None:
    """Milliseconds are printed modulo 2^32: a larger number says nothing, and the clock stays as it was."""
    watch = rig.control._service
    watch._set_clock(900_000, 1_000)
    for text in ("9" * 18, "9" * 5_000, str(1 << 32), "x"):
        rig.link.answers = {"uptime": Reply(Outcome.OK, text)}
        watch._read_clock()
        assert watch.clock.uptime_at(1_000) == 900_000


def test_a_phone_that_names_its_leg_itself_ends_no_service(rig: Rig) -> None:
    """Where legs are called by their Call-ID, such a leg cannot be asked for; everybody else is served all the same."""
    comes_up(rig, restarted=False, show=NOBODY)
    rig.control._on_event(Message(Kind.EVENT, DIALS | {"Unique-ID": "3c26701@10.0.0.7"}))
    rig.runtime.facts.clear()
    assert SwitchConnected("fs1") in comes_up(rig, restarted=False, show=NOBODY)


def _has_looked(looks: list[int], times: int) -> bool:
    return len(looks) == times


def test_a_fault_of_ours_in_comparing_ends_no_service(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would notice: the lease would be renewed, and callers hear music for ever."""
    assert rig.control._outside is not None
    looks: list[int] = []

    def sweep(*_: object, **__: object) -> int:
        looks.append(1)
        raise ValueError("a fault of ours")

    monkeypatch.setattr(rig.control._outside, "sweep", sweep)
    rig.link.answers = {"show": NOBODY}
    rig.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=0, at_ms=0))
    until(lambda: rig.control.in_sync)
    for asked in (2, 3):
        assert rig.control.resync()
        until(partial(_has_looked, looks, asked))
    rig.control._on_state(Down("the test is over"))
    assert SwitchConnected("fs1") in rig.runtime.facts


def test_what_is_known_of_the_time_before_outlives_the_fence() -> None:
    """The fence is lost during the catching up with a switch that was started anew: that is not forgotten by it."""
    rig, table = Rig(fence_term_ms=400), HashTable()
    rig.link.hash, rig.link.answers = table.answer, {"show": NOBODY}
    watch, aways = rig.control._service, list[bool]()
    assert watch._fence is not None
    fence = watch._fence

    def catch_up(away: Absence) -> None:
        aways.append(away.restarted)
        if len(aways) == 1:
            fence._good_until_ms = monotonic_ms()
            watch.check_fence()

    watch._reconciler.catch_up = catch_up  # type: ignore[method-assign]
    rig.control._on_state(Up("core", "fs1", restarted=True, uptime_ms=0, at_ms=monotonic_ms()))
    until(lambda: rig.control.in_sync)
    rig.control._on_state(Down("the test is over"))
    assert aways == [True, True]


def test_the_fence_waits_for_an_answer_as_long_as_it_lasts() -> None:
    """A switch whose every answer takes over a second was left again and again, and served by nobody meanwhile."""
    watch = Rig(fence_term_ms=10_000).control._service
    assert watch._fence is not None
    assert isinstance(watch._fence._ask, Pipeline)
    assert watch._fence._ask._limit_s == 10.0


def test_who_is_stopped_while_it_catches_up_begins_no_service(rig: Rig) -> None:
    """It rings nobody in its last second; the callers keep their lease for the next daemon."""
    rig.link.answers = {"show": NOBODY}
    rig.control.retire()
    rig.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=0, at_ms=0))
    until(lambda: "show" in rig.link.sent and "global_setvar" in rig.link.sent)
    gevent.sleep(0.02)
    assert rig.runtime.facts == []
    rig.control._on_state(Down("the test is over"))
