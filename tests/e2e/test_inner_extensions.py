"""The extensions that are fsacd's own affair serve nobody else on a real switch, whatever leads there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.e2e.test_refer import CALLER, SOON_S, floor_on, outside, refers, rung_outside, talking

INNER = ("careful", "new_call", "wait", "back", "arm", "step", "fallback", "feature", "yes", "no", "stand", "standing")
# What the lab's careless dialplan hands on to the context fsacd for whoever calls from outside.
CODES = ("*31", "*32", "*33", "*341", "*35")


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    floor = floor_on(workplace, switch)
    yield floor
    floor.stop()


def test_nobody_dials_an_inner_extension(floor: Floor) -> None:
    """Each releases the leg unanswered; nothing is announced, nobody is rung, and calls are served after it."""
    dialogs = {name: floor.phones.call(f"49302{index}", f"fsacd_{name}") for index, name in enumerate(INNER)}
    for name, dialog in dialogs.items():
        await_true(lambda dialog=dialog: dialog.state == "over", SOON_S, f"fsacd_{name} releases")  # type: ignore[misc]
    for index, code in enumerate(CODES):
        dialog = floor.phones.call(f"49303{index}", code)
        await_true(lambda dialog=dialog: dialog.state == "over", 2 * SOON_S, f"{code} releases")  # type: ignore[misc]
    assert [name for name, dialog in dialogs.items() if dialog.answered] == []
    assert floor.daemon.get("calls")["calls"] == []
    assert "no sense" not in floor.daemon.log.read_text(encoding="utf-8")
    assert set(floor.states().values()) == {"ready"}
    talking(floor, CALLER, "support")


@pytest.mark.parametrize("name", ["careful", "new_call", "wait", "back", "arm", "step", "feature", "yes", "no"])
def test_an_agent_transfers_a_caller_there(floor: Floor, name: str) -> None:
    """The call is over, and its caller is released: none of these serves a call that has ended."""
    caller, agent = talking(floor, CALLER, "support")
    target = f"sip:fsacd_{name}@127.0.0.1:{floor.switch.trunk_port}"
    assert refers(floor, agent, target).startswith("200")
    await_true(lambda: caller.state == "over", 2 * SOON_S, f"the caller is released by fsacd_{name}")
    await_true(lambda: floor.daemon.get("calls")["calls"] == [], SOON_S, "no call is left")
    assert len(floor.phones.rung) == 1


def test_a_partner_works_no_feature_code_by_refer(floor: Floor) -> None:
    """An agent's phone talks with somebody outside, who sends REFER to *32: the agent stays logged in."""
    # As if the phone had called and shown its password: what the switch knows of such a leg are these variables.
    shown = "{sip_authorized=true,sip_auth_username=1001}"
    esl = floor.switch.esl()
    esl.api(f"bgapi originate {shown}sofia/trunk/1001@127.0.0.1:{floor.phones.port} {outside_number(floor)} XML agents")
    await_true(lambda: floor.phones.rung, SOON_S, "the agent's phone rings")
    own = floor.phones.rung[-1]
    await_true(lambda: own.state == "ringing", SOON_S, "it can be answered")
    floor.phones.answer(own)
    stranger = rung_outside(floor)
    assert refers(floor, stranger, f"sip:*32@127.0.0.1:{floor.switch.trunk_port}").startswith("200")
    await_true(lambda: own.state == "over", 2 * SOON_S, "the phone is released")
    esl.close()
    await_true(lambda: floor.states()["1001"] == "ready", SOON_S, "the agent is still there, and free again")


def outside_number(floor: Floor) -> str:
    """The number that leads to the phone outside."""
    return outside(floor).removeprefix("sip:").partition("@")[0]
