"""An agent whose phone is rung once, when they log in: all their calls come on that one leg, on a real switch.

Each phone has a tone of its own, so that it is known who hears whom. The leg outlives its talks, also where no daemon
runs; when it ends by itself it is rung anew, and with the agent's work it ends for good.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.e2e.rig.tones import Phone

CALLER, ANNA, BEN = "4930111", "1001", "1002"
SOON_S = 30.0


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    """Anna, who serves support, has a standing leg; ben, whom she may ask, is rung."""
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "0s", "ring_timeout": "2m"},
        "queues": {"support": {}, "sales": {}},
        "agents": {
            ANNA: {"queues": ["support"], "standing_leg": True, "media_timeout": "2s"},
            BEN: {"queues": ["sales"], "login_at_start": True},
        },
        "journal": {"directory": str(workplace / "journal")},
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    yield floor
    floor.stop()


class Work:
    """Anna at work: her phone, which she has picked up, and the tones of hers and of the callers'."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.hers, self.theirs = Phone(floor.phones, ANNA, 400), Phone(floor.phones, CALLER, 700)
        floor.daemon.post(f"agents/{ANNA}/login")
        self.phone = self.picks_up(0)
        floor.becomes("ready", ANNA)

    def picks_up(self, rings_before: int) -> Dialog:
        """Her phone rings once more, for no caller, and she answers."""
        await_true(lambda: len(self.rings) > rings_before, SOON_S, "her phone is rung")
        assert self.floor.states()[ANNA] in ("held_back", "not_ready"), "nobody is offered to her before she answers"
        ring = self.rings[-1]
        self.floor.phones.answer(ring)
        return ring

    @property
    def rings(self) -> list[Dialog]:
        return [ring for ring in self.floor.phones.rung if ring.user == ANNA]

    def is_called(self) -> tuple[Dialog, dict[str, Any]]:
        """Somebody calls, and talks with her at once; the caller's phone and the call."""
        caller = self.floor.call(CALLER, "support")
        self.floor.becomes("talking", ANNA)
        self.they_hear_each_other()
        return caller, self.floor.call_of(CALLER)

    def they_hear_each_other(self) -> None:
        await_true(
            lambda: self.hers.hears(self.theirs)[0] and self.theirs.hears(self.hers)[0], SOON_S, "they hear each other"
        )

    def stands(self) -> bool:
        """Whether her leg waits for the next call."""
        return bool(self.floor.daemon.agents()[ANNA]["standing_leg"] == "stands")

    def is_alone(self) -> None:
        """Her leg is the only one on the switch, and she hears nobody."""
        self.legs_are(1)
        await_true(self.stands, SOON_S, "her leg stands")
        self.hears_nobody()

    def hears_nobody(self) -> None:
        """No frame with the caller's tone comes any more; there may be none at all."""

        def is_so() -> bool:
            self.hers.frames.clear()
            time.sleep(0.1)
            return self.hers.hears(self.theirs) == [False]

        await_true(is_so, SOON_S, "she does not hear the caller")

    def legs_are(self, count: int) -> None:
        esl = self.floor.switch.esl()
        shown = f"{count} total"
        await_true(lambda: esl.api("show channels count").strip().startswith(shown), SOON_S, f"{count} legs are left")
        esl.close()


def test_three_calls_on_one_leg(floor: Floor) -> None:
    """Her phone rings once; each caller is heard after a tone. Whoever ends a talk, her leg goes on."""
    work = Work(floor)
    for ended_by in ("caller", "wish", "caller"):
        began_s, heard = time.time(), len(work.theirs.frames)
        _, call = work.is_called()
        print(f"heard {1_000 * (time.time() - began_s):.0f} ms after the INVITE, tone included")
        assert len(work.theirs.frames) > heard
        assert (call["agents"], call["talk"]["shape"]) == ([ANNA], "together")
        if ended_by == "caller":
            floor.gives_up(CALLER)
        else:
            time.sleep(0.5)  # whoever ends a talk in its first moment has not talked
            floor.daemon.post(f"talks/{call['talk']['id']}/hangup")
        work.is_alone()
        floor.becomes("ready", ANNA)
    assert (len(work.rings), work.phone.state) == (1, "talking")
    floor.daemon.post(f"agents/{ANNA}/logout")
    work.legs_are(0)
    assert work.phone.by_switch
    floor.becomes("logged_out", ANNA)


def test_it_ends_while_nobody_talks(floor: Floor) -> None:
    """She is rung anew, and offered nobody until she has answered."""
    work = Work(floor)
    floor.phones.hang_up(ANNA)
    floor.becomes("held_back", ANNA)
    assert floor.daemon.agents()[ANNA]["reason"] == "standing_leg"
    caller = floor.call(CALLER, "support")
    work.picks_up(1)
    floor.becomes("talking", ANNA)
    work.they_hear_each_other()
    floor.gives_up(CALLER)
    work.is_alone()
    assert caller.state == "over"


def test_it_ends_in_a_talk(floor: Floor) -> None:
    """That is the end of the talk, as if she had hung up, and she is rung anew."""
    work = Work(floor)
    caller, _ = work.is_called()
    time.sleep(0.5)
    floor.phones.hang_up(ANNA)
    await_true(lambda: caller.state == "over", SOON_S, "the caller is released")
    assert caller.by_switch
    work.picks_up(1)
    work.is_alone()
    floor.becomes("ready", ANNA)


def test_her_phone_falls_silent_in_a_talk(floor: Floor) -> None:
    """The caller is kept, as with any agent whose connection is lost; she is not ready until she says so."""
    work = Work(floor)
    work.is_called()
    time.sleep(0.5)
    work.hers.stop()
    floor.becomes("not_ready", ANNA)
    assert floor.daemon.agents()[ANNA]["reason"] == "connection_lost"
    await_true(lambda: floor.call_of(CALLER)["state"] == "waiting", SOON_S, "the caller waits again")
    work.hers = Phone(floor.phones, ANNA, 400)
    work.phone = work.picks_up(1)
    floor.daemon.post(f"agents/{ANNA}/ready")
    floor.becomes("talking", ANNA)
    work.they_hear_each_other()
    floor.gives_up(CALLER)
    work.is_alone()


@pytest.mark.parametrize("journal", ["journal", "none"])
@pytest.mark.parametrize("when", ["idle", "talking"])
def test_the_daemon_is_killed(floor: Floor, workplace: Path, when: str, journal: str) -> None:
    """The next one finds the leg, whether or not it knows of it, and nobody is rung again."""
    work = Work(floor)
    if when == "talking":
        work.is_called()
        time.sleep(0.5)
    floor.daemon.kill()
    if journal == "none":
        for file in sorted((workplace / "journal").rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
    floor.daemon.start()
    if when == "talking":
        floor.becomes("talking", ANNA)
        work.they_hear_each_other()
        floor.gives_up(CALLER)
    if journal == "none":
        work.legs_are(0)  # nobody knows that she is at work
        floor.daemon.post(f"agents/{ANNA}/login")
        work.phone = work.picks_up(1)
    floor.becomes("ready", ANNA)
    work.is_called()
    floor.gives_up(CALLER)
    work.is_alone()
    assert len(work.rings) == (2 if journal == "none" else 1)


def test_logged_out_in_a_talk(floor: Floor) -> None:
    """The talk goes on; the leg ends with it."""
    work = Work(floor)
    work.is_called()
    floor.daemon.post(f"agents/{ANNA}/logout")
    time.sleep(0.5)
    work.they_hear_each_other()
    floor.gives_up(CALLER)
    work.legs_are(0)
    floor.becomes("logged_out", ANNA)


def test_three_talk(floor: Floor) -> None:
    """All three are in a room, which her leg outlives when she leaves it."""
    work = Work(floor)
    bens = Phone(floor.phones, BEN, 1_000)
    _, call = work.is_called()
    time.sleep(0.5)
    talk = f"talks/{call['talk']['id']}"

    def becomes(shape: str) -> None:
        await_true(lambda: floor.call_of(CALLER)["talk"]["shape"] == shape, SOON_S, f"the talk is {shape}")

    floor.daemon.post(f"{talk}/consult", agent=BEN)
    floor.phones.answer(floor.ring(CALLER, 1))
    becomes("consulting")
    floor.daemon.post(f"{talk}/three-way")
    becomes("three_way")
    await_true(lambda: all(work.hers.hears(work.theirs, bens)), SOON_S, "she hears both")
    await_true(lambda: all(work.theirs.hears(work.hers, bens)), SOON_S, "the caller hears both")
    floor.daemon.post(f"{talk}/leave")
    floor.becomes("ready", ANNA)
    await_true(lambda: work.theirs.hears(bens) == [True], SOON_S, "the two talk on")
    floor.gives_up(CALLER)
    work.is_alone()


def test_hold_consult_and_back(floor: Floor) -> None:
    """A talk on a standing leg is held, and a colleague asked, as any other."""
    work = Work(floor)
    _, call = work.is_called()
    time.sleep(0.5)
    talk = f"talks/{call['talk']['id']}"

    def becomes(shape: str) -> None:
        def is_so() -> bool:
            now = floor.call_of(CALLER)["talk"]
            return now is not None and (now["shape"], now["becoming"]) == (shape, "")

        await_true(is_so, SOON_S, f"the talk is {shape}")

    floor.daemon.post(f"{talk}/hold")
    becomes("held")
    work.hears_nobody()
    floor.daemon.post(f"{talk}/resume")
    becomes("together")
    work.they_hear_each_other()
    floor.daemon.post(f"{talk}/consult", agent=BEN)
    ben = floor.ring(CALLER, 1)
    floor.phones.answer(ben)
    becomes("consulting")
    floor.daemon.post(f"{talk}/complete")
    floor.becomes("talking", BEN)
    floor.becomes("ready", ANNA)
    await_true(work.stands, SOON_S, "her leg stands")
    floor.gives_up(CALLER)
    work.is_alone()
    assert len(work.rings) == 1
