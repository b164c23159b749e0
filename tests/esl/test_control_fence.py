"""One switch's call control behind its fence: what it sends, believes and tells while another daemon may serve."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import gevent
import pytest

from fsacd.core.events import (
    CallerGone,
    CallQueued,
    OfferEnd,
    OfferEnded,
    OutsideCallStarted,
    SwitchConnected,
    SwitchHeld,
    SwitchLost,
    SwitchTaken,
)
from fsacd.esl import service
from fsacd.esl.codec import Kind, Message
from fsacd.esl.states import Down, Up
from fsacd.esl.wire import Outcome, Reply
from fsacd.process.monotonic import monotonic_ms
from fsacd.runtime.loop import Runtime
from tests.esl.control_rig import CALL, DIALS, LEG, LISTED, NOBODY, RING, HashTable, Rig
from tests.esl.fake_switch import until

Fenced = tuple[Rig, HashTable]


@pytest.fixture
def fenced() -> Iterator[Fenced]:
    rig, table = Rig(fence_term_ms=400), HashTable()
    rig.link.hash = table.answer
    rig.link.answers = {"show": NOBODY}
    rig.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=0, at_ms=monotonic_ms()))
    yield rig, table
    rig.control._on_state(Down("the test is over"))


def test_nothing_is_sent_before_the_fence_is_ours(fenced: Fenced) -> None:
    """A command that comes up earlier is told as not sent."""
    rig, _ = fenced
    rig.control.send(RING)
    until(lambda: rig.runtime.facts)
    (fact, *_) = rig.runtime.facts
    assert isinstance(fact, OfferEnded)
    assert (fact.end, "originate" in rig.link.sent) == (OfferEnd.NOT_SENT, False)
    until(lambda: rig.control.in_sync)
    rig.control.send(RING)
    assert "originate" in rig.link.sent


def test_what_cannot_be_renewed_ends_the_service(fenced: Fenced) -> None:
    """The switch confirms no renewal: before the term has ended nothing more is sent, and the engine is told why."""
    rig, table = fenced
    until(lambda: rig.control.in_sync)
    table.deaf = True
    until(lambda: SwitchLost("fs1") in rig.runtime.facts)
    rig.link.sent.clear()
    rig.control.send(RING)
    assert "originate" not in rig.link.sent
    table.deaf = False
    until(lambda: rig.control.in_sync)


def test_a_process_that_stood_still_finds_out_at_its_first_command(fenced: Fenced) -> None:
    """However long it was stopped, and whatever it does first: the clock has gone on, and no command leaves."""
    rig, _ = fenced
    until(lambda: rig.control.in_sync)
    rig.link.sent.clear()
    fence = rig.control._service._fence
    assert fence is not None
    fence._good_until_ms = monotonic_ms()  # as after 30 s of SIGSTOP
    rig.control.send(RING)
    assert rig.runtime.facts.index(SwitchLost("fs1")) == len(rig.runtime.facts) - 1
    assert "originate" not in rig.link.sent
    until(lambda: rig.control.in_sync)
    assert rig.runtime.facts[-1] == SwitchConnected("fs1")


@pytest.mark.parametrize("first", ["an event", "a deadline"])
def test_a_process_that_stood_still_neither_believes_nor_decides(fenced: Fenced, first: str) -> None:
    """What the switch told it, and what came due meanwhile, may be another daemon's by now: first comes a new link."""
    rig, _ = fenced
    until(lambda: rig.control.in_sync)
    rig.runtime.facts.clear()
    renewals: list[str] = []
    rig.link.on_renewal = renewals.append
    fence = rig.control._service._fence
    assert fence is not None
    fence._good_until_ms = monotonic_ms()
    if first == "an event":
        rig.control._on_event(Message(Kind.EVENT, DIALS))
    else:
        rig.control.check_fence()
    assert rig.runtime.facts == [SwitchLost("fs1")]
    until(lambda: renewals)
    gevent.sleep(0.05)
    assert not rig.control.in_sync, "on this link there may be more of that time"


def test_who_stands_by_says_so_and_listens_to_nothing(fenced: Fenced) -> None:
    """Another daemon takes over: its calls are not ours to hear of, until it is gone."""
    rig, table = fenced
    until(lambda: rig.control.in_sync)
    table.table["leader"] = "other:7:1000:abcdef"  # by the switch's uptime: a second after the link came up
    until(lambda: rig.control.standing_by)
    assert rig.control.detail == "standing by: instance other serves this switch"
    assert rig.runtime.facts[-1] == SwitchLost("fs1")
    rig.runtime.facts.clear()
    rig.control._on_event(Message(Kind.EVENT, DIALS))
    assert rig.runtime.facts == []
    assert not rig.control.resync()
    until(lambda: rig.control.in_sync)
    assert not rig.control.standing_by
    assert rig.runtime.facts == [SwitchTaken("fs1"), SwitchHeld("fs1", 8), SwitchConnected("fs1")]


def test_calls_are_handed_over_when_the_other_one_surely_knows_them(
    fenced: Fenced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then their ends are looked for: a caller may go before the other daemon has ever heard of them."""
    rig, table = fenced
    looks: list[float] = []
    monkeypatch.setattr(service, "_ALL_KNOWN_S", 0.3)
    monkeypatch.setattr(service, "_LOOK_ON_EVERY_S", 0.0)
    monkeypatch.setattr(rig.control._service._reconciler, "look_on", lambda _away: looks.append(time.monotonic()))
    until(lambda: rig.control.in_sync)
    table.table["leader"] = "other:7:1000000:abcdef"
    until(lambda: SwitchTaken("fs1") in rig.runtime.facts)
    assert looks[-1] - looks[0] >= 0.3
    count = len(looks)
    gevent.sleep(1.0)
    assert len(looks) == count, "what was handed over is not ours to look for"
    assert rig.runtime.facts.count(SwitchTaken("fs1")) == 1


def test_an_agents_own_call_outlasts_another_daemon(fenced: Fenced) -> None:
    """The engine forgot the call with the switch, and is told anew: the agent talks still, and must not be rung."""
    rig, table = fenced
    until(lambda: rig.control.in_sync)
    rig.control._on_event(Message(Kind.EVENT, DIALS))
    table.table["leader"] = "other:7:1000:abcdef"
    until(lambda: rig.control.standing_by)
    rig.runtime.facts.clear()
    there = Reply(Outcome.OK, "true")
    rig.link.answers = {"show": LISTED, "uuid_exists": there, "uuid_dump": Reply(Outcome.OK, json.dumps(DIALS))}
    until(lambda: rig.control.in_sync)
    taken = [SwitchTaken("fs1"), SwitchHeld("fs1", 8)]
    assert rig.runtime.facts == [*taken, OutsideCallStarted("1001", LEG), SwitchConnected("fs1")]


def test_a_crash_of_the_switch_does_not_hide_that_another_one_served(fenced: Fenced) -> None:
    """The switch has forgotten who that was; whoever stood by has not: what it knew of the calls is of before."""
    rig, table = fenced
    until(lambda: rig.control.in_sync)
    table.table["leader"] = "other:7:1000000:abcdef"
    until(lambda: rig.control.standing_by)
    rig.runtime.facts.clear()
    table.table.clear()
    until(lambda: rig.control.in_sync)
    assert rig.runtime.facts == [SwitchTaken("fs1"), SwitchHeld("fs1", 8), SwitchConnected("fs1")]


def test_a_caller_who_went_before_the_other_daemon_knew_them(fenced: Fenced) -> None:
    """Nobody but us can tell of them: what we say is that they went, not that somebody has them."""
    rig, table = fenced
    until(lambda: rig.control.in_sync)
    Runtime.post(rig.runtime, CallQueued(CALL, "sales", 0, LEG))
    table.table["leader"] = "other:7:1000000:abcdef"
    rig.link.answers = {"show": NOBODY, "uuid_exists": Reply(Outcome.OK, "false")}
    gone = CallerGone(CALL, "ended_unseen", leg=LEG, found=True)
    until(lambda: gone in rig.runtime.facts)
    assert SwitchTaken("fs1") not in rig.runtime.facts


def test_a_clean_stop_gives_the_fence_up(fenced: Fenced) -> None:
    """The next daemon, another instance too, need not wait."""
    rig, table = fenced
    until(lambda: rig.control.in_sync)
    rig.control._service.stop()
    assert table.table == {"last": "fsacd:1"}
