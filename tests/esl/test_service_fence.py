"""For how long a command may be under way: the fence's end goes along with each, and the lease's with every caller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from fsacd.core.events import CallQueued, OfferEnd, OfferEnded, SwitchLost
from fsacd.esl import service
from fsacd.esl.states import Down, Up
from fsacd.esl.wire import Reply, Wire
from fsacd.process.monotonic import monotonic_ms
from tests.esl.control_rig import CALL, LEG, NOBODY, OFFER, RING, HashTable, Rig
from tests.esl.fake_switch import until

COMMAND_S = 5.0
NOW_MS = 10_000_000


class Fenced:
    """A switch that is served behind a fence, with the time that each command is given; its clock stands at NOW_MS."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rig, self.table = Rig(fence_term_ms=10_000), HashTable()
        self.rig.link.hash, self.rig.link.answers = self.table.answer, {"show": NOBODY}
        self.rig.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=0, at_ms=monotonic_ms()))
        until(lambda: self.rig.control.in_sync)
        self.rig.link.on_renewal = lambda _reason: None
        fence = self.rig.control._service._fence
        assert fence is not None
        self.fence = fence
        self.given: list[float | None] = []
        monkeypatch.setattr(fence, "_clock", lambda: NOW_MS)
        submit = self.rig.link.submit

        def noting(
            wire: Wire, on_reply: Callable[[Reply], object] | None = None, timeout_s: float | None = None
        ) -> None:
            self.given.append(timeout_s)
            submit(wire, on_reply, timeout_s)

        monkeypatch.setattr(self.rig.link, "submit", noting)

    def lasts(self, left_ms: int) -> None:
        """From now on the fence is ours for so long; nothing else runs until the test waits."""
        self.fence._good_until_ms = NOW_MS + left_ms


@pytest.fixture
def fenced(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fenced]:
    fenced = Fenced(monkeypatch)
    yield fenced
    fenced.rig.control._on_state(Down("the test is over"))


@pytest.mark.parametrize(("left_ms", "given_s"), [(250, 0.25), (4_999, 4.999), (5_001, COMMAND_S), (8_000, COMMAND_S)])
def test_a_command_leaves_while_the_fence_lasts_or_never(fenced: Fenced, left_ms: int, given_s: float) -> None:
    """One that lies in a full socket until somebody else has the switch must not be written then."""
    fenced.lasts(left_ms)
    assert fenced.rig.control._service.may_act_for_s() == given_s
    fenced.rig.control.send(RING)
    assert fenced.given == [given_s]
    assert "originate" in fenced.rig.link.sent


@pytest.mark.parametrize("left_ms", [0, -1, -60_000])
def test_after_its_end_no_command_leaves(fenced: Fenced, left_ms: int) -> None:
    """At the very moment, and ever after; the engine is told that it was not sent."""
    fenced.lasts(left_ms)
    assert fenced.fence.left_ms() == 0
    fenced.rig.control.send(RING)
    assert fenced.given == []
    ends: list[OfferEnd] = []

    def told() -> bool:
        ends[:] = [fact.end for fact in fenced.rig.runtime.facts if isinstance(fact, OfferEnded)]
        return bool(ends)

    until(told)
    assert ends == [OfferEnd.NOT_SENT]
    assert OFFER not in " ".join(wire.text for wire in fenced.rig.link.wires)


def test_who_acknowledges_after_its_end_is_not_told_of(fenced: Fenced) -> None:
    """The call was kept back until its caller's phone had acknowledged our answer: by now it is another daemon's."""
    call, facts = CallQueued(CALL, "sales", 0, LEG), fenced.rig.runtime.facts
    fenced.lasts(8_000)
    facts.clear()
    fenced.rig.control._acknowledged(call)
    assert facts == [call]
    fenced.lasts(0)
    fenced.rig.control._acknowledged(call)
    assert facts == [call, SwitchLost("fs1")]


def test_without_a_fence_a_command_has_its_own_time() -> None:
    """Where there is one daemon only, nothing ends its right to act."""
    assert Rig().control._service.may_act_for_s() == COMMAND_S


def test_who_has_lost_the_fence_gives_nothing_up(fenced: Fenced) -> None:
    """It ended while we stood still: what stands in the switch is for whoever takes it."""
    fenced.lasts(0)
    table = dict(fenced.table.table)
    fenced.rig.control._service.stop()
    assert fenced.table.table == table
    assert "leader" in table


def test_a_callers_lease_ends_early_by_what_their_music_takes(fenced: Fenced, monkeypatch: pytest.MonkeyPatch) -> None:
    """They look at it every ten seconds only, and are gone within five of its end: it is told five seconds shorter."""
    watching = fenced.rig.control._service
    monkeypatch.setattr(watching, "_uptime", lambda _now_ms: 100_000)
    fenced.lasts(8_000)
    fenced.rig.link.wires.clear()
    watching._renew_lease()
    assert [wire.text.split()[-1] for wire in fenced.rig.link.wires] == ["fsacd_held_until=155", "fsacd_lease=155"]


class Kept:
    """Keeps fence and lease in a time of its own; each renewal takes the switch `answer_s`, and the last one fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, answer_s: float, until_s: float) -> None:
        self.rig, self.now_s = Rig(fence_term_ms=10_000), 0.0
        self.renewals: list[float] = []
        self.leases: list[float] = []
        self._answer_s, self._until_s = answer_s, until_s
        self.rig.link.on_renewal = lambda _reason: None
        watching = self.rig.control._service
        watching.listens = True
        monkeypatch.setattr(watching, "_fence", self)
        monkeypatch.setattr(watching, "_read_clock", lambda: None)
        monkeypatch.setattr(watching, "_renew_lease", lambda: self.leases.append(self.now_s))
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: self.now_s)
            patch.setattr(service, "gevent", self)
            watching._keep()

    def renew(self) -> bool:
        self.renewals.append(round(self.now_s, 3))
        self.now_s += self._answer_s
        return self.now_s < self._until_s

    def holds(self) -> bool:
        return False

    def sleep(self, seconds: float) -> None:
        self.now_s = round(self.now_s + seconds, 6)


def test_a_slow_switch_does_not_spread_the_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted from one question to the next, or what the answers take would be missing of the term."""
    assert Kept(monkeypatch, answer_s=0.02, until_s=0.25).renewals == [0.0, 0.05, 0.1, 0.15, 0.2, 0.25]


def test_answers_that_take_longer_than_a_pause_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no pause then."""
    assert Kept(monkeypatch, answer_s=0.2, until_s=0.7).renewals == [0.0, 0.2, 0.4, 0.6]


def test_the_lease_is_renewed_twelve_times_within_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute: every five seconds, beginning at once."""
    leases = Kept(monkeypatch, answer_s=0.0, until_s=21.0).leases
    assert [round(at_s) for at_s in leases] == [0, 5, 10, 15, 20]


def test_a_renewal_that_fails_ends_the_service_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is told, and the link begins a new life, in which nothing of this one is read."""
    renewed: list[str] = []
    monkeypatch.setattr("tests.esl.control_rig.Link.renew", lambda _self, reason: renewed.append(reason))
    kept = Kept(monkeypatch, answer_s=0.0, until_s=0.0)
    assert kept.rig.runtime.facts == [SwitchLost("fs1")]
    assert renewed == ["the fence was not renewed in time, or another daemon has taken it"]
    assert not kept.rig.control._service.listens
