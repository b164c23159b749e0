"""Talks that change their shape on a real switch: hold, a colleague who is asked, the caller handed over.

Whoever hangs up or dies at whatever step, and a daemon that is killed there: nobody is left alone, and no leg stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

CALLER = "4930111"
ANNA, BEN = "1001", "1002"
SOON_S = 30.0


def floor_of_two(workplace: Path, switch: RealSwitch, **more: Any) -> Floor:
    """Anna serves support; ben, who serves sales, is a colleague whom she may ask."""
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "1h", "ring_timeout": "2m"},
        "queues": {"support": {}, "sales": {}},
        "agents": {
            ANNA: {"queues": ["support"], "login_at_start": True},
            BEN: {"queues": ["sales"], "login_at_start": True},
        },
        "journal": {"directory": str(workplace / "journal")},
        **more,
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    return floor


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    floor = floor_of_two(workplace, switch)
    yield floor
    floor.stop()


class Talk:
    """Anna's talk with the caller, who was called from the queue."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.caller = floor.call(CALLER, "support")
        self.anna = floor.ring(CALLER)
        floor.talk(self.anna)
        call = floor.call_of(CALLER)
        self.call_id, self.leg, self.talk_id = call["id"], call["leg_uuid"], call["talk"]["id"]
        # Whoever changes a talk in its first moment is told to try again.
        esl = floor.switch.esl()
        await_true(lambda: esl.api(f"uuid_getvar {self.leg} fsacd_over") == "true", SOON_S, "the talk is one")
        esl.close()

    def asks(self, verb: str, **body: str) -> None:
        """Anna wishes something of her talk."""
        self.floor.daemon.post(f"talks/{self.talk_id}/{verb}", **body)

    def becomes(self, shape: str) -> None:
        """Wait until the talk has this shape, and nothing is under way."""

        def is_so() -> bool:
            talk = self.floor.call_of(CALLER)["talk"]
            return talk is not None and (talk["shape"], talk["becoming"]) == (shape, "")

        await_true(is_so, SOON_S, f"the talk is {shape}")

    def consults(self) -> Dialog:
        """Ben is asked, and answers: his phone."""
        rings = len(self.floor.rings_for(CALLER))
        self.asks("consult", agent=BEN)
        ben = self.floor.ring(CALLER, rings + 1)
        self.floor.phones.answer(ben)
        self.becomes("consulting")
        return ben

    def partner(self, leg: str) -> str:
        """The leg with which this one is bridged on the switch; empty for none."""
        esl = self.floor.switch.esl()
        answer = esl.api(f"uuid_getvar {leg} bridge_to")
        esl.close()
        return "" if answer in ("_undef_", "") or answer.startswith("-ERR") else answer

    def is_with(self, one: str, other: str) -> None:
        """Wait until these two legs are bridged with each other."""
        await_true(lambda: self.partner(one) == other and self.partner(other) == one, SOON_S, f"{one} is with {other}")

    def ends(self) -> None:
        """Wait until no leg is left on the switch."""
        esl = self.floor.switch.esl()
        await_true(lambda: esl.api("show channels count").strip().startswith("0 total"), SOON_S, "no leg is left")
        esl.close()


def leg_of(ring: Dialog) -> str:
    """The agent's leg, as its phone was told."""
    assert ring.invite is not None
    return ring.invite.headers["x-fsacd-offer"]


def test_hold_and_back(floor: Floor) -> None:
    """The caller hears the music of the hold, the agent's phone stays, and both talk again."""
    talk = Talk(floor)
    for _ in range(2):
        talk.asks("hold")
        talk.becomes("held")
        assert (talk.partner(talk.leg), talk.anna.state, talk.caller.state) == ("", "talking", "talking")
        talk.asks("resume")
        talk.becomes("together")
        talk.is_with(talk.leg, talk.talk_id)
    floor.hang_up(talk.anna)
    talk.ends()
    assert talk.caller.by_switch


@pytest.mark.parametrize("who", ["caller", "anna"])
def test_somebody_hangs_up_on_hold(floor: Floor, who: str) -> None:
    """The caller's end ends the talk; the agent's brings the caller back to the head of the queue."""
    talk = Talk(floor)
    talk.asks("hold")
    talk.becomes("held")
    floor.phones.hang_up(CALLER if who == "caller" else ANNA)
    if who == "caller":
        talk.ends()
        floor.becomes("wrapping_up", ANNA)
    else:
        await_true(lambda: floor.call_of(CALLER)["state"] == "waiting", SOON_S, "they wait again")
        floor.daemon.post(f"agents/{ANNA}/end-wrap-up")
        floor.talk(floor.ring(CALLER, 2))
        floor.gives_up(CALLER)
        talk.ends()


def test_to_and_fro_and_handed_over(floor: Floor) -> None:
    """The agent goes to and fro between colleague and caller, and then the two talk, as in any talk of theirs."""
    talk = Talk(floor)
    ben = talk.consults()
    talk.is_with(talk.talk_id, leg_of(ben))
    assert talk.partner(talk.leg) == ""
    for _ in range(2):
        talk.asks("swap")
        talk.becomes("swapped")
        talk.is_with(talk.leg, talk.talk_id)
        talk.asks("swap")
        talk.becomes("consulting")
        talk.is_with(talk.talk_id, leg_of(ben))
    talk.asks("complete")
    talk.is_with(talk.leg, leg_of(ben))
    floor.becomes("wrapping_up", ANNA)
    await_true(lambda: floor.call_of(CALLER)["agents"] == [BEN], SOON_S, "the talk is ben's")
    assert (talk.anna.state, talk.anna.by_switch) == ("over", True)
    floor.hang_up(ben, 1.0)
    talk.ends()
    floor.becomes("wrapping_up", BEN)


@pytest.mark.parametrize("how", ["refuses", "hangs_up", "cancelled"])
def test_the_colleague_goes(floor: Floor, how: str) -> None:
    """Caller and agent talk again, and the colleague is free."""
    talk = Talk(floor)
    if how == "refuses":
        talk.asks("consult", agent=BEN)
        floor.phones.refuse(floor.ring(CALLER, 2))
    else:
        talk.consults()
        if how == "hangs_up":
            floor.phones.hang_up(BEN)
        else:
            talk.asks("cancel")
    talk.becomes("together")
    talk.is_with(talk.leg, talk.talk_id)
    floor.becomes("ready", BEN)
    floor.gives_up(CALLER)
    talk.ends()


@pytest.mark.parametrize("who", ["caller", "anna"])
def test_somebody_goes_while_a_colleague_is_asked(floor: Floor, who: str) -> None:
    """If the caller goes, agent and colleague talk on; if the agent goes, the caller waits again, and nobody else."""
    talk = Talk(floor)
    ben = talk.consults()
    floor.phones.hang_up(CALLER if who == "caller" else ANNA)
    if who == "caller":
        await_true(lambda: talk.caller.state == "over", SOON_S, "the caller is gone")
        talk.is_with(talk.talk_id, leg_of(ben))
        floor.phones.hang_up(ANNA)
        talk.ends()
        floor.becomes("wrapping_up", ANNA)
    else:
        await_true(lambda: floor.call_of(CALLER)["state"] == "waiting", SOON_S, "they wait again")
        floor.becomes("ready", BEN)
        floor.gives_up(CALLER)
        talk.ends()


@pytest.mark.parametrize("shape", ["held", "consulting", "swapped", "becoming"])
def test_the_daemon_is_killed(floor: Floor, shape: str) -> None:
    """Another daemon goes on with the talk as it is: it can be changed further, and ends as it should."""
    talk = Talk(floor)
    ben = None
    if shape in ("held", "becoming"):
        talk.asks("hold")
        if shape == "held":
            talk.becomes("held")
    else:
        ben = talk.consults()
        if shape == "swapped":
            talk.asks("swap")
            talk.becomes("swapped")
    floor.daemon.kill()
    floor.daemon.start()
    talk.becomes("held" if shape == "becoming" else shape)
    talk.asks("resume" if ben is None else "cancel")
    talk.becomes("together")
    talk.is_with(talk.leg, talk.talk_id)
    floor.becomes("ready", BEN)
    floor.gives_up(CALLER)
    talk.ends()


def test_the_colleague_goes_while_no_daemon_runs(floor: Floor) -> None:
    """The next daemon finds it out, and brings caller and agent together again."""
    talk = Talk(floor)
    talk.consults()
    floor.daemon.kill()
    floor.phones.hang_up(BEN)
    floor.daemon.start()
    talk.becomes("together")
    talk.is_with(talk.leg, talk.talk_id)
    floor.gives_up(CALLER)
    talk.ends()


@pytest.mark.parametrize("shape", ["held", "consulting"])
def test_a_daemon_that_remembers_nothing(floor: Floor, shape: str) -> None:
    """Without a journal nobody knows what the caller is on hold for: they wait again, with their time."""
    talk = Talk(floor)
    if shape == "held":
        talk.asks("hold")
        talk.becomes("held")
    else:
        talk.consults()
    floor.daemon.kill()
    shutil.rmtree(floor.daemon.directory / "journal")
    floor.daemon.start()
    await_true(lambda: floor.call_of(CALLER)["state"] in {"waiting", "offered"}, SOON_S, "they wait again")
    assert floor.call_of(CALLER)["id"] == talk.call_id
    floor.gives_up(CALLER)
