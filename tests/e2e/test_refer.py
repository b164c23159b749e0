"""REFER on a real switch: a caller's dials nothing, whatever they talk or wait for; an agent's goes where it should."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import AGENTS
from tests.e2e.desk import Desk
from tests.e2e.rig.dialog import Dialog, replaces
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import DOMAIN, RealSwitch, await_true

CALLER, SECOND = "4930111", "4930222"
SOON_S = 10.0
# A talk is one when it has lasted for `limits.settle` of the floor; before, the switch brings the caller back.
CONFIRMED_S = 0.4
OUTSIDE = "7000"
# The engine gives an agent's leg that should end by itself so long (core/life/offers.py), and ends it then.
LONGER_THAN_GRACE_S = 3.0
# What a caller may write into Refer-To; NUMBER leads to a phone from every context but that of agents' legs.
TARGETS = (
    "sip:NUMBER@127.0.0.1",
    "sip:NUMBER@127.0.0.1;method=INVITE",
    "sips:NUMBER@elsewhere.example",
    "tel:NUMBER",
    "sip:fsacd_enter@127.0.0.1",
    "sip:*32@127.0.0.1",
    "sip:park@127.0.0.1",
    "sip:bridge:sofia%2Ftrunk%2F7000@127.0.0.1",
)


def floor_on(workplace: Path, switch: RealSwitch, contact: str = "") -> Floor:
    """Anna serves support and ben sales; nobody serves the queue empty."""
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "1h"},
        "queues": {"support": {}, "sales": {}, "empty": {}},
        "agents": {
            "1001": {"queues": ["support"], "login_at_start": True},
            "1002": {"queues": ["sales"], "login_at_start": True},
        },
    }
    floor = Floor(workplace, switch, config)
    if contact:
        floor.daemon.config["agent_contact"] = contact.replace("PORT", str(floor.phones.port))
        Desk(switch, workplace).register(["1001", "1002"], floor.phones.port)
    floor.start()
    return floor


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    floor = floor_on(workplace, switch)
    yield floor
    floor.stop()


def talking(floor: Floor, number: str, queue: str) -> tuple[Dialog, Dialog]:
    """A caller who talks, and has for long enough: their end and the agent's."""
    caller = floor.call(number, queue)
    agent = floor.ring(number)
    floor.talk(agent)
    time.sleep(CONFIRMED_S)
    return caller, agent


def outside(floor: Floor) -> str:
    """The address that leads to the phone outside."""
    return f"sip:outside-{floor.phones.port}@127.0.0.1:{floor.switch.trunk_port}"


def refers(floor: Floor, dialog: Dialog, target: str, replaced: str = "") -> str:
    """Send REFER and return what the switch said of it at last."""
    before = len(dialog.referred)
    floor.phones.refer(dialog, target, replaced)

    def has_answered() -> bool:
        said = dialog.referred[before:]
        return bool(said) and not said[-1].startswith("202")

    await_true(has_answered, SOON_S, "the switch answers the REFER")
    return dialog.referred[-1]


def legs(floor: Floor) -> list[str]:
    """The legs there are."""
    esl = floor.switch.esl()
    rows = json.loads(esl.api("show channels as json")).get("rows", [])
    esl.close()
    return [row["name"].partition("@")[0].rpartition("/")[2] for row in rows]


def legs_ever(floor: Floor) -> int:
    """How many legs the switch has made since it runs."""
    esl = floor.switch.esl()
    found = re.search(r"(\d+) session\(s\) since startup", esl.api("status"))
    esl.close()
    assert found is not None
    return int(found[1])


def is_over(floor: Floor, *agents: str) -> None:
    """Nobody talks any more: no leg of these agents is left, and the daemon knows it."""
    floor.becomes("wrapping_up", *agents)
    await_true(lambda: not set(agents) & set(legs(floor)), SOON_S, "the agents' legs have ended")


def nobody_was_dialled(floor: Floor, legs_made: int) -> None:
    assert OUTSIDE not in {ring.user for ring in floor.phones.rung}
    assert legs_ever(floor) == legs_made


@pytest.mark.parametrize(
    "contact",
    [
        "sofia/trunk/{agent}@127.0.0.1:PORT",
        # The user's own context, where they may dial, would be that of the leg.
        f"user/{{agent}}@{DOMAIN}",
        # Two legs of the switch lead to the phone.
        "loopback/direct-{agent}/public",
    ],
    ids=["sip", "user", "loopback"],
)
def test_a_caller_who_talks_dials_nothing(workplace: Path, switch: RealSwitch, contact: str) -> None:
    """The agent's leg is asked to dial, and finds no number; the talk is over at that moment."""
    floor = floor_on(workplace, switch, contact)
    caller, _ = talking(floor, CALLER, "support")
    made = legs_ever(floor)
    refers(floor, caller, outside(floor))
    is_over(floor, "1001")
    await_true(lambda: floor.daemon.get("calls")["calls"] == [], SOON_S, "the call is over")
    nobody_was_dialled(floor, made)
    floor.stop()


def test_whatever_a_caller_names_is_not_dialled(floor: Floor) -> None:
    """No form of Refer-To leads anywhere: numbers, applications, feature codes, extensions of ours."""
    number = f"outside-{floor.phones.port}"
    for index, target in enumerate(TARGETS, 1):
        caller, agent = talking(floor, f"{CALLER}{index}", "support")
        floor.phones.refer(caller, target.replace("NUMBER", number))
        await_true(lambda caller=caller: caller.referred, SOON_S, "the switch has read the REFER")  # type: ignore[misc]
        floor.phones.hang_up(caller.user)
        await_true(lambda agent=agent: agent.state == "over", SOON_S, f"the agent's leg has ended after {target}")  # type: ignore[misc]
        nobody_was_dialled(floor, 2 * index)
        is_over(floor, "1001")
        floor.daemon.post("agents/1001/end-wrap-up")
        floor.becomes("ready", "1001")


def test_a_caller_who_waits_dials_nothing(floor: Floor) -> None:
    """Blind or attended, before and while a phone rings: it is refused, and the caller is served as if nothing were."""
    waits = floor.call(SECOND, "empty")
    assert refers(floor, waits, outside(floor)).startswith("403")
    caller = floor.call(CALLER, "support")
    ring = floor.ring(CALLER)
    assert refers(floor, caller, outside(floor)).startswith("403")
    assert refers(floor, caller, outside(floor), replaces(waits)).startswith("403")
    assert refers(floor, caller, outside(floor), "nobody;to-tag=1;from-tag=2").startswith("403")
    floor.talk(ring)
    nobody_was_dialled(floor, 3)


@pytest.mark.parametrize("by", ["the talking call", "the waiting call"])
def test_a_caller_does_not_put_the_agent_into_a_queue(floor: Floor, by: str) -> None:
    """An attended transfer to a call that waits would let the agent's leg wait there in its place."""
    waits = floor.call(SECOND, "empty")
    caller, _ = talking(floor, CALLER, "support")
    first, second = (caller, waits) if by == "the talking call" else (waits, caller)
    floor.phones.refer(first, outside(floor), replaces(second))
    is_over(floor, "1001")
    nobody_was_dialled(floor, 3)
    await_true(lambda: floor.daemon.get("calls")["calls"] == [], SOON_S, "no call is left, and the agent is in none")
    await_true(lambda: legs(floor) == [], SOON_S, "no leg is left")


def test_a_caller_with_two_talks_dials_nothing(floor: Floor) -> None:
    """Their two agents may be joined; nobody else is called, and when the caller has gone it is over for both."""
    caller, _ = talking(floor, CALLER, "support")
    second, _ = talking(floor, SECOND, "sales")
    refers(floor, caller, outside(floor), replaces(second))
    floor.phones.hang_up(CALLER)
    is_over(floor, "1001", "1002")
    nobody_was_dialled(floor, 4)


def test_what_the_switch_dials_by_itself_is_ended_before_anybody_answers(floor: Floor) -> None:
    """A REFER that replaces a call which the switch does not know is dialled in no context; the talk goes on."""
    caller, agent = talking(floor, CALLER, "support")
    target = f"sip:{OUTSIDE}@127.0.0.1:{floor.phones.port}"
    refers(floor, caller, target, "nobody;to-tag=1;from-tag=2")
    await_true(lambda: floor.phones.rung[-1].user == OUTSIDE, SOON_S, "it was dialled")
    await_true(lambda: floor.phones.rung[-1].state == "over", SOON_S, "and it is ended")
    assert floor.phones.rung[-1].cancelled_s
    await_true(lambda: sorted(legs(floor)) == sorted(["1001", CALLER]), SOON_S, "the talk alone is left")
    assert (agent.state, caller.state) == ("talking", "talking")


@pytest.mark.parametrize("by", ["the call with the customer", "the call in the queue"])
def test_a_colleague_hands_a_customer_over_to_the_agent(floor: Floor, by: str) -> None:
    """They call the queue, ask the agent, and join them with their customer: the agent talks on, and is known to."""
    customer = floor.phones.call(SECOND, f"outside-{floor.phones.port}")
    phone = rung_outside(floor)
    await_true(lambda: customer.state == "talking", SOON_S, "the colleague talks with the customer")
    asks, agent = talking(floor, CALLER, "support")
    first, second = (customer, asks) if by == "the call with the customer" else (asks, customer)
    assert refers(floor, first, outside(floor), replaces(second)).startswith("200")
    for dialog in (customer, asks):
        if dialog.state == "talking":
            floor.phones.end(dialog)
    await_true(lambda: sorted(legs(floor)) == sorted(["1001", OUTSIDE]), SOON_S, "the two are left")
    time.sleep(LONGER_THAN_GRACE_S)
    assert sorted(legs(floor)) == sorted(["1001", OUTSIDE])
    assert floor.states()["1001"] == "talking"
    floor.phones.end(phone)
    is_over(floor, "1001")
    await_true(lambda: agent.state == "over", SOON_S, "the agent's phone is told")


def test_an_agent_transfers_blindly(floor: Floor) -> None:
    """It is the caller's leg that dials, in the operator's context for it."""
    caller, agent = talking(floor, CALLER, "support")
    assert refers(floor, agent, outside(floor)).startswith("200")
    phone = rung_outside(floor)
    assert caller.state == "talking"
    is_over(floor, "1001")
    floor.phones.hang_up(OUTSIDE)
    await_true(lambda: phone.state == "over" and caller.state == "over", SOON_S, "the transferred call ends")


def test_a_number_that_nobody_has_brings_the_caller_back(floor: Floor) -> None:
    """Whom an agent's phone sends to nobody after a talk: they wait again, as if they had waited all the time."""
    caller, agent = talking(floor, CALLER, "support")
    before = floor.call_of(CALLER)
    assert refers(floor, agent, outside(floor).replace("outside-", "nobody-")).startswith("200")
    is_over(floor, "1001")
    await_true(
        lambda: [call["state"] for call in floor.daemon.get("calls")["calls"]] == ["waiting"],
        SOON_S,
        "the caller waits again",
    )
    now = floor.call_of(CALLER)
    assert now["id"] != before["id"]
    assert (now["queue"], now["contact_id"], now["arrived_at"]) == (
        before["queue"],
        before["contact_id"],
        before["arrived_at"],
    )
    floor.daemon.post("agents/1001/ready")
    floor.talk(floor.ring(CALLER, 2))
    floor.phones.end(caller)


@pytest.mark.parametrize("by", ["the caller's call", "the call to the colleague"])
def test_an_agent_transfers_attended(floor: Floor, by: str) -> None:
    """The agent asks somebody first and then joins them with the caller: both talk on, and the agent is free."""
    caller, agent = talking(floor, CALLER, "support")
    consult = floor.phones.call("1001", f"outside-{floor.phones.port}")
    phone = rung_outside(floor)
    await_true(lambda: consult.state == "talking", SOON_S, "the agent talks with the one outside")
    first, second = (agent, consult) if by == "the caller's call" else (consult, agent)
    assert refers(floor, first, outside(floor), replaces(second)).startswith("200")
    for dialog in (agent, consult):
        if dialog.state == "talking":  # as a phone does whose transfer has succeeded
            floor.phones.end(dialog)
    is_over(floor, "1001")
    await_true(lambda: sorted(legs(floor)) == sorted([CALLER, OUTSIDE]), SOON_S, "the two are left")
    assert (caller.state, phone.state) == ("talking", "talking")
    floor.phones.hang_up(OUTSIDE)
    await_true(lambda: caller.state == "over", SOON_S, "the transferred call ends")


def rung_outside(floor: Floor) -> Dialog:
    """The phone outside rings and is answered."""
    await_true(lambda: OUTSIDE in [ring.user for ring in floor.phones.rung[-1:]], SOON_S, "the phone outside rings")
    phone = floor.phones.rung[-1]
    await_true(lambda: phone.state == "ringing", SOON_S, "it can be answered")
    floor.phones.answer(phone)
    return phone


def test_a_profile_for_callers_refuses_every_refer(workplace: Path) -> None:
    """With disable-transfer there is no REFER for callers at all, and agents' phones on their own profile keep it.

    It alone stops the transfer to a call that the switch does not know: FreeSWITCH dials that address by itself, in no
    context.
    """
    switch = RealSwitch(workplace / "freeswitch", AGENTS, disable_transfer=True)
    switch.start()
    floor = floor_on(workplace, switch, f"user/{{agent}}@{DOMAIN}")
    caller, agent = talking(floor, CALLER, "support")
    made = legs_ever(floor)
    for target, replaced in ((outside(floor), ""), (f"sip:{OUTSIDE}@127.0.0.1:{floor.phones.port}", "x;to-tag=1")):
        before = len(caller.referred)
        floor.phones.refer(caller, target, replaced)
        await_true(lambda before=before: len(caller.referred) > before, SOON_S, "the REFER is answered")  # type: ignore[misc]
        assert caller.referred[-1].startswith("405")
    nobody_was_dialled(floor, made)
    assert floor.states()["1001"] == "talking"

    assert refers(floor, agent, outside(floor)).startswith("200")
    rung_outside(floor)
    is_over(floor, "1001")
    floor.stop()
    switch.stop()
