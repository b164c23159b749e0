"""The real and the simulated switch tell the same story of forks, diversions, Replaces, REFER, hold and pick-up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.rig.agreement import disagreements
from tests.e2e.rig.leg_plays import PLAYS
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch


@pytest.fixture
def telephones(switch: RealSwitch) -> Iterator[Telephones]:
    telephones = Telephones(switch.trunk_port)
    yield telephones
    telephones.stop()


@pytest.mark.timeout(1_200)
def test_what_phones_and_strangers_do_to_legs(switch: RealSwitch, telephones: Telephones) -> None:
    """Leg by leg, event by event and reply by reply, in the same order, for each of these plays."""
    wrong = disagreements(PLAYS, switch, telephones)
    assert wrong == {}, "\n".join(f"{name}: {found}" for name, found in wrong.items())
