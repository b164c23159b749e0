"""An agent's phone falls silent in a talk, and the switch ends its leg: the agent has not hung up.

The caller hears music again and is the next one's, with the time that they have; the agent is not ready until they say
that they are there again. In every shape that a talk can have, and if no daemon runs while it happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.e2e.rig.voice import Ear, Voice
from tests.e2e.test_talks import ANNA, BEN, CALLER, SOON_S, Talk

CARL = "1003"


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    """Anna serves support, and carl does when she cannot; ben is a colleague whom she may ask."""
    config: dict[str, Any] = {
        "agent_media_timeout": "2s",
        "defaults": {"wrap_up": "1h", "ring_timeout": "2m"},
        "queues": {"support": {}, "sales": {}},
        "agents": {
            ANNA: {"queues": ["support"], "login_at_start": True},
            BEN: {"queues": ["sales"], "login_at_start": True, "media_timeout": "0s"},
            CARL: {"queues": {"support": 2}, "login_at_start": True, "media_timeout": "0s"},
        },
        "journal": {"directory": str(workplace / "journal")},
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    yield floor
    floor.stop()


class Spoken(Talk):
    """Anna's talk, with her voice."""

    def __init__(self, floor: Floor) -> None:
        floor.phones.on_ring = self._speak
        self.voices: dict[str, Voice] = {}
        super().__init__(floor)

    def _speak(self, ring: Dialog) -> None:
        if ring.user == ANNA:
            self.voices[ring.call_id] = Voice(ring)

    def anna_falls_silent(self) -> None:
        """Her browser has crashed: it sends no sound, and says nothing."""
        self.voices[self.anna.call_id].stop()

    def is_carls(self) -> None:
        """Carl gets the caller, in the same call; the talk ends as any other, and no leg is left."""
        carl = next_ring(self.floor, CARL)
        self.floor.talk(carl)
        call = self.floor.call_of(CALLER)
        assert (call["id"], call["agents"], call["queue"]) == (self.call_id, [CARL], "support")
        self.floor.hang_up(carl, 1.0)
        self.ends()
        self.floor.becomes("wrapping_up", CARL)
        assert self.caller.by_switch


def next_ring(floor: Floor, user: str) -> Dialog:
    """The ring at this agent's phone, as soon as it comes."""

    def rings() -> Dialog | None:
        return floor.phones.latest(user, "ringing")

    await_true(rings, SOON_S, f"{user} is rung")
    found = rings()
    assert found is not None
    return found


def is_lost(floor: Floor, agent: str) -> None:
    """The agent is not ready because their connection was lost; it is so until they are ready again."""
    floor.becomes("not_ready", agent)
    shown = floor.daemon.agents()[agent]
    assert shown["reason"] == "connection_lost"


@pytest.mark.parametrize("shape", ["together", "held", "calling", "consulting", "swapped"])
def test_the_caller_is_the_next_ones(floor: Floor, shape: str) -> None:
    """They keep call and place; whoever was asked is free again."""
    talk = Spoken(floor)
    if shape == "held":
        talk.asks("hold")
        talk.becomes("held")
    elif shape == "calling":
        talk.asks("consult", agent=BEN)
        floor.ring(CALLER, 2)
        talk.becomes("calling")
    elif shape != "together":
        talk.consults()
        if shape == "swapped":
            talk.asks("swap")
            talk.becomes("swapped")
    talk.anna_falls_silent()
    await_true(lambda: talk.anna.state == "over", SOON_S, "the switch ends her leg")
    is_lost(floor, ANNA)
    floor.becomes("ready", BEN)
    talk.is_carls()
    floor.daemon.post(f"agents/{ANNA}/ready")
    floor.becomes("ready", ANNA)


@pytest.mark.parametrize("shape", ["together", "held", "consulting"])
def test_while_no_daemon_runs(floor: Floor, shape: str) -> None:
    """The next daemon finds the caller in the music, and nobody is lost."""
    talk = Spoken(floor)
    if shape == "held":
        talk.asks("hold")
        talk.becomes("held")
    elif shape == "consulting":
        talk.consults()
    floor.daemon.kill()
    talk.anna_falls_silent()
    await_true(lambda: talk.anna.state == "over", SOON_S, "the switch ends her leg")
    assert talk.caller.state == "talking"
    floor.daemon.start()
    if shape == "together":
        is_lost(floor, ANNA)
    else:
        floor.becomes("wrapping_up", ANNA)  # no leg is left that says why hers has ended
    talk.is_carls()


@pytest.mark.parametrize("killed", [False, True], ids=["served", "killed"])
@pytest.mark.parametrize("who", ["anna", "caller"])
def test_an_ordinary_end(floor: Floor, who: str, killed: bool) -> None:
    """Whoever hangs up ends the talk as in any other, also if a daemon learns of it late."""
    talk = Spoken(floor)
    if killed:
        floor.daemon.kill()
    floor.phones.hang_up(ANNA if who == "anna" else CALLER)
    await_true(lambda: talk.anna.state == "over", SOON_S, "her talk is over")
    if killed:
        floor.daemon.start()
    talk.ends()
    floor.becomes("wrapping_up", ANNA)
    assert (talk.caller.by_switch, talk.caller.state) == (who == "anna", "over")


@pytest.mark.parametrize("killed", [False, True], ids=["served", "killed"])
def test_on_the_phones_own_hold(floor: Floor, killed: bool) -> None:
    """A phone that holds sends nothing for a long time; when it is dead the switch does not take the caller along."""
    talk = Spoken(floor)
    floor.phones.hold(talk.anna)
    esl = floor.switch.esl()
    await_true(lambda: '"callstate":"HELD"' in esl.api("show channels as json").replace(" ", ""), SOON_S, "held")
    esl.close()
    if killed:
        floor.daemon.kill()
    talk.anna_falls_silent()
    await_true(lambda: talk.anna.state == "over", SOON_S, "the switch ends her leg")
    if killed:
        floor.daemon.start()
    is_lost(floor, ANNA)
    talk.is_carls()


def test_a_phone_that_speaks_lives(floor: Floor) -> None:
    """Many times the timeout of it, on hold and talking: nothing ends."""
    talk = Spoken(floor)
    talk.asks("hold")
    talk.becomes("held")
    esl = floor.switch.esl()
    began_s = float(esl.api("uptime ms"))
    await_true(lambda: float(esl.api("uptime ms")) - began_s > 5_000, SOON_S, "five seconds are over")
    esl.close()
    talk.asks("resume")
    talk.becomes("together")
    assert (talk.anna.state, talk.caller.state) == ("talking", "talking")
    floor.hang_up(talk.anna)
    talk.ends()


def test_music_at_once(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the end of the agent's leg on, the caller hears something again."""
    theirs = Telephones(floor.switch.trunk_port)
    ear = Ear(theirs._deaf)
    monkeypatch.setattr(floor.phones, "call", theirs.call)  # so that nobody else's sound comes to the ear
    try:
        talk = Spoken(floor)
        talk.anna_falls_silent()
        await_true(lambda: talk.anna.state == "over", SOON_S, "the switch ends her leg")
        await_true(lambda: ear.heard_after(talk.anna.over_s) is not None, SOON_S, "the caller hears music")
        talk.is_carls()
    finally:
        ear.stop()
        theirs.stop()


def test_she_sends_the_caller_to_a_number_that_nobody_has(floor: Floor) -> None:
    """By her phone (REFER): the caller waits again, though their leg is another's than that of an ordinary talk."""
    talk = Spoken(floor)
    before = floor.call_of(CALLER)
    floor.phones.refer(talk.anna, f"sip:nobody-{floor.phones.port}@127.0.0.1:{floor.switch.trunk_port}")
    await_true(lambda: talk.anna.state == "over", SOON_S, "her talk is over")
    carl = next_ring(floor, CARL)
    floor.talk(carl)
    now = floor.call_of(CALLER)
    assert (now["contact_id"], now["arrived_at"]) == (before["contact_id"], before["arrived_at"])
    floor.hang_up(carl, 1.0)
    talk.ends()
