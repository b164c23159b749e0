"""The real and the simulated switch tell the same story of hold, consultation, swap, rooms for three, and transfers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.rig.agreement import disagreements
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch
from tests.e2e.rig.talk_plays import TALK_PLAYS


@pytest.fixture
def telephones(switch: RealSwitch) -> Iterator[Telephones]:
    telephones = Telephones(switch.trunk_port)
    yield telephones
    telephones.stop()


@pytest.mark.timeout(1_200)
def test_what_becomes_of_a_talk(switch: RealSwitch, telephones: Telephones) -> None:
    """Leg by leg, event by event and reply by reply, in the same order, for each of these plays."""
    wrong = disagreements(TALK_PLAYS, switch, telephones)
    assert wrong == {}, "\n".join(f"{name}: {found}" for name, found in wrong.items())
