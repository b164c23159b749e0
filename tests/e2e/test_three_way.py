"""Talks of three on a real switch: caller, agent and colleague in one room, and whoever of them goes.

Nobody is lost, no leg stays, and a daemon that is killed meanwhile is followed by one that goes on with the talk.
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
from tests.e2e.test_talks import ANNA, BEN, CALLER, SOON_S, Talk, leg_of


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    """Anna serves support; ben is a colleague whom she may ask."""
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "1h", "ring_timeout": "2m"},
        "queues": {"support": {}, "sales": {}},
        "agents": {
            ANNA: {"queues": ["support"], "login_at_start": True},
            BEN: {"queues": ["sales"], "login_at_start": True},
        },
        "journal": {"directory": str(workplace / "journal")},
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    yield floor
    floor.stop()


def in_room(talk: Talk) -> int:
    """How many legs are in the talk's room, as the switch says."""
    esl = talk.floor.switch.esl()
    told = esl.api(f"conference fsacd-{talk.talk_id} list count").strip()
    esl.close()
    return int(told) if told.isdigit() else 0


def gather(floor: Floor, *, swapped: bool = False) -> tuple[Talk, Dialog]:
    """All three talk with each other; gives the talk and ben's phone."""
    talk = Talk(floor)
    ben = talk.consults()
    if swapped:
        talk.asks("swap")
        talk.becomes("swapped")
    talk.asks("three-way")
    talk.becomes("three_way")
    assert in_room(talk) == 3
    return talk, ben


def bens(talk: Talk, ben: Dialog) -> None:
    """The talk is ben's and the caller's, as any talk of theirs: it ends for both, and no leg is left."""
    talk.is_with(talk.leg, leg_of(ben))
    talk.floor.becomes("wrapping_up", ANNA)
    await_true(lambda: talk.floor.call_of(CALLER)["agents"] == [BEN], SOON_S, "the talk is ben's")
    assert talk.floor.call_of(CALLER)["id"] == talk.call_id
    talk.floor.hang_up(ben, 1.0)
    talk.ends()
    talk.floor.becomes("wrapping_up", BEN)


def annas(talk: Talk) -> None:
    """Caller and anna talk, and ben is free; the talk can be held, and it ends for both."""
    talk.becomes("together")
    talk.is_with(talk.leg, talk.talk_id)
    talk.floor.becomes("ready", BEN)
    talk.asks("hold")
    talk.becomes("held")
    talk.floor.gives_up(CALLER)
    talk.ends()


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("verb", ["leave", "complete"])
def test_the_agent_leaves(floor: Floor, verb: str, swapped: bool) -> None:
    """Caller and colleague talk on, bridged with each other."""
    talk, ben = gather(floor, swapped=swapped)
    talk.asks(verb)
    bens(talk, ben)
    assert (talk.anna.state, talk.anna.by_switch) == ("over", True)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("verb", ["drop", "cancel"])
def test_the_colleague_is_dropped(floor: Floor, verb: str, swapped: bool) -> None:
    """Caller and agent talk on, and the colleague's phone is released."""
    talk, ben = gather(floor, swapped=swapped)
    talk.asks(verb)
    annas(talk)
    assert (ben.state, ben.by_switch) == ("over", True)


def test_the_agent_hangs_up(floor: Floor) -> None:
    """The talk goes on as the colleague's."""
    talk, ben = gather(floor)
    floor.phones.hang_up(ANNA)
    bens(talk, ben)


def test_the_colleague_hangs_up(floor: Floor) -> None:
    """Caller and agent talk on."""
    talk, _ = gather(floor)
    floor.phones.hang_up(BEN)
    annas(talk)


@pytest.mark.parametrize("next_one", [ANNA, BEN])
def test_the_caller_hangs_up(floor: Floor, next_one: str) -> None:
    """Agent and colleague talk on, until one of them hangs up."""
    talk, ben = gather(floor)
    floor.phones.hang_up(CALLER)
    await_true(lambda: in_room(talk) == 2, SOON_S, "two are left")
    assert (talk.anna.state, ben.state) == ("talking", "talking")
    floor.phones.hang_up(next_one)
    talk.ends()
    floor.becomes("wrapping_up", ANNA)
    floor.becomes("ready", BEN)


@pytest.mark.parametrize("then", ["leave", "drop", "anna", "ben"])
def test_the_daemon_is_killed(floor: Floor, then: str) -> None:
    """The three talk on without it; the next daemon knows the talk, and learns who has hung up meanwhile."""
    talk, ben = gather(floor)
    floor.daemon.kill()
    if then == "anna":
        floor.phones.hang_up(ANNA)
    elif then == "ben":
        floor.phones.hang_up(BEN)
    floor.daemon.start()
    if then in ("leave", "drop"):
        talk.becomes("three_way")
        assert in_room(talk) == 3
        talk.asks(then)
    (bens(talk, ben) if then in ("leave", "anna") else annas(talk))


def test_the_daemon_is_killed_on_the_way(floor: Floor) -> None:
    """The next daemon finds all three in the room, or brings them there."""
    talk = Talk(floor)
    ben = talk.consults()
    talk.asks("three-way")
    floor.daemon.kill()
    floor.daemon.start()
    talk.becomes("three_way")
    await_true(lambda: in_room(talk) == 3, SOON_S, "all three are in the room")
    talk.asks("leave")
    bens(talk, ben)


def test_a_daemon_that_remembers_nothing(floor: Floor) -> None:
    """Without a journal nobody knows who was in the room with the caller: they wait again."""
    talk, _ = gather(floor)
    floor.daemon.kill()
    shutil.rmtree(floor.daemon.directory / "journal")
    floor.daemon.start()
    await_true(lambda: floor.call_of(CALLER)["state"] in {"waiting", "offered"}, SOON_S, "they wait again")
    assert floor.call_of(CALLER)["id"] == talk.call_id
    floor.gives_up(CALLER)
