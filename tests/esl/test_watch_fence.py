"""For how long a command may be under way: the fence's end goes along with each, and the lease's with every caller."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from fsacd.core.events import OfferEnd, OfferEnded
from fsacd.esl.states import Down, Up
from fsacd.esl.wire import Reply, Wire
from fsacd.runtime import monotonic_ms
from tests.esl.control_rig import NOBODY, OFFER, RING, HashTable, Rig
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
        fence = self.rig.control._watch._fence
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
    assert fenced.rig.control._watch.may_act_for_s() == given_s
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


def test_without_a_fence_a_command_has_its_own_time() -> None:
    """Where there is one daemon only, nothing ends its right to act."""
    assert Rig().control._watch.may_act_for_s() == COMMAND_S


def test_who_has_lost_the_fence_gives_nothing_up(fenced: Fenced) -> None:
    """It ended while we stood still: what stands in the switch is for whoever takes it."""
    fenced.lasts(0)
    table = dict(fenced.table.table)
    fenced.rig.control._watch.stop()
    assert fenced.table.table == table
    assert "leader" in table


def test_a_callers_lease_ends_early_by_what_their_music_takes(fenced: Fenced, monkeypatch: pytest.MonkeyPatch) -> None:
    """They look at it every ten seconds only, and are gone within five of its end: it is told five seconds shorter."""
    watching = fenced.rig.control._watch
    monkeypatch.setattr(watching, "_uptime", lambda _now_ms: 100_000)
    fenced.lasts(8_000)
    fenced.rig.link.wires.clear()
    watching._renew_lease()
    assert [wire.text.split()[-1] for wire in fenced.rig.link.wires] == ["fsacd_lease=155"]
