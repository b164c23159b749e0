"""The real and the simulated switch tell the same story of hold, consultation, swap, rooms for three, and transfers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.conftest import AGENTS
from tests.e2e.rig.agreement import disagreements
from tests.e2e.rig.play import Play
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch
from tests.e2e.rig.talk_plays import REFER, ROOMS, TALK_PLAYS

WITHOUT_ROOMS = {name: play for name, play in TALK_PLAYS.items() if name not in ROOMS}


@pytest.fixture
def talkative(workplace: Path) -> Iterator[RealSwitch]:
    """A switch whose SIP profiles tell of REFER (fire-transfer-events)."""
    real = RealSwitch(workplace / "freeswitch", AGENTS, transfer_events=True)
    real.start()
    yield real
    real.stop()


@pytest.mark.timeout(1_200)
def test_what_becomes_of_a_talk(switch: RealSwitch) -> None:
    """Leg by leg, event by event and reply by reply, in the same order, for each of these plays."""
    agree(WITHOUT_ROOMS, switch)


@pytest.mark.timeout(600)
def test_rooms_for_three(switch: RealSwitch) -> None:
    """The same where all three are in a room."""
    esl = switch.esl()
    known = esl.api("module_exists mod_conference")
    esl.close()
    if known != "true":
        pytest.skip("this FreeSWITCH has no mod_conference")
    agree(ROOMS, switch)


@pytest.mark.timeout(600)
def test_what_is_told_of_refer(talkative: RealSwitch) -> None:
    """The same where the switch also tells of each REFER."""
    agree(REFER, talkative)


def agree(plays: Mapping[str, Play], switch: RealSwitch) -> None:
    telephones = Telephones(switch.trunk_port)
    try:
        wrong = disagreements(plays, switch, telephones)
    finally:
        telephones.stop()
    assert wrong == {}, "\n".join(f"{name}: {found}" for name, found in wrong.items())
