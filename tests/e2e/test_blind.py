"""An agent gives the caller away on a real switch, without asking whoever is next: nobody is lost, and nothing stays.

To a queue, to a colleague, to a number that somebody answers, and to one that nobody has; and the daemon is killed as
soon as it has taken the wish.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.e2e.test_talks import ANNA, BEN, CALLER, SOON_S, Talk, floor_of_two

OUTSIDE = "7000"


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    floor = floor_of_two(workplace, switch)
    yield floor
    floor.stop()


def gives_away(talk: Talk, *, killed: bool, **to: str) -> None:
    """Anna wishes it; her phone is released, and she wraps up. The daemon may be killed as soon as it has answered."""
    talk.asks("transfer", **to)
    if killed:
        talk.floor.daemon.kill()
        talk.floor.daemon.start()
    await_true(lambda: talk.anna.state == "over", SOON_S, "her phone is released")
    talk.floor.becomes("wrapping_up", ANNA)
    assert talk.caller.state == "talking"


def goes_on(talk: Talk) -> None:
    """Ben has the caller, in the same call as before; then they hang up, and nothing is left."""
    ben = talk.floor.ring(CALLER, 2)
    talk.floor.talk(ben)
    call = talk.floor.call_of(CALLER)
    assert (call["id"], call["agents"]) == (talk.call_id, [BEN])
    talk.floor.hang_up(ben, 1.0)
    talk.ends()
    talk.floor.becomes("wrapping_up", BEN)


@pytest.mark.parametrize("held", [False, True], ids=["talking", "held"])
@pytest.mark.parametrize("killed", [False, True], ids=["served", "killed"])
@pytest.mark.parametrize("to", [{"queue": "sales"}, {"agent": BEN}], ids=["queue", "agent"])
def test_to_whom_we_know(floor: Floor, to: dict[str, str], killed: bool, held: bool) -> None:
    """The caller waits in that queue, or for that colleague alone, who does not even serve the queue."""
    talk = Talk(floor)
    if held:
        talk.asks("hold")
        talk.becomes("held")
    gives_away(talk, killed=killed, **to)
    goes_on(talk)


@pytest.mark.parametrize("killed", [False, True], ids=["served", "killed"])
def test_to_a_number(floor: Floor, killed: bool) -> None:
    """The caller's leg dials it, in the operator's context, and is no call of ours any more."""
    talk = Talk(floor)
    gives_away(talk, killed=killed, number=f"00{floor.phones.port}")
    await_true(lambda: floor.phones.latest(OUTSIDE, "ringing"), SOON_S, "it rings outside")
    phone = floor.phones.latest(OUTSIDE, "ringing")
    assert phone is not None
    floor.phones.answer(phone)
    await_true(lambda: phone.state == "talking", SOON_S, "they talk")
    assert floor.daemon.get("calls")["calls"] == []
    floor.phones.hang_up(OUTSIDE)
    talk.ends()
    assert [ring.user for ring in floor.rings_for(CALLER) if ring.user != OUTSIDE] == [ANNA]


@pytest.mark.parametrize("killed", [False, True], ids=["served", "killed"])
def test_to_a_number_that_nobody_has(floor: Floor, killed: bool) -> None:
    """The caller is back in the music, and their call goes on at its place."""
    talk = Talk(floor)
    gives_away(talk, killed=killed, number="4711*2")
    call = floor.call_of(CALLER)
    assert (call["id"], call["state"], call["queue"]) == (talk.call_id, "waiting", "support")
    floor.daemon.post(f"agents/{ANNA}/end-wrap-up")
    anna = floor.ring(CALLER, 2)
    floor.talk(anna)
    assert floor.call_of(CALLER)["leg_uuid"] == talk.leg
    floor.hang_up(anna, 1.0)
    talk.ends()
