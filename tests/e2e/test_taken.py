"""Waiting callers whom others take away, on a real switch: nobody rings for them, or tears them away from there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.dialog import Dialog, replaces
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import PASSWORD, RealSwitch, await_true

CALLER, COLLEAGUE = "4930111", "4930999"
SOON_S = 10.0
# Two announcements are missed after 22 s (esl/attendance.py).
SILENT_S = 35.0
# An agent who is free is rung within milliseconds.
RUNG_BY_NOW_S = 1.0


class _Rarely(Daemon):
    """A daemon that compares itself with its switch so rarely that nothing here is found by that."""

    @property
    def switch(self) -> dict[str, Any]:
        return {"port": self.esl_port, "password": PASSWORD, "reconcile_interval": "1h"}


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    """1001 serves support and service, and is not logged in yet."""
    queues: dict[str, Any] = {"support": {}, "service": {}}
    floor = Floor(workplace, switch, {"queues": queues, "agents": {"1001": {"queues": list(queues)}}})
    floor.daemon = _Rarely(workplace, floor.daemon.config, switch.esl_port)
    floor.start()
    # The look that follows the daemon's start finds nothing, and there will be no other one.
    time.sleep(2.0)
    yield floor
    floor.stop()


def leg_of(floor: Floor, number: str = CALLER) -> str:
    return str(floor.call_of(number)["leg_uuid"])


def says(floor: Floor, command: str) -> str:
    """The switch's answer to an operator's command."""
    esl = floor.switch.esl()
    answer = str(esl.api(command))
    esl.close()
    return answer


def left(floor: Floor, within_s: float = SOON_S) -> dict[str, Any]:
    """How the one call has ended, as the log has it."""
    found: list[dict[str, Any]] = []

    def has_ended() -> bool:
        lines = (line for line in floor.daemon.log.read_text(encoding="utf-8").splitlines() if line.startswith("{"))
        found[:] = [told for told in map(json.loads, lines) if told["event"] == "call ended"]
        return bool(found)

    await_true(has_ended, within_s, "the call has left its queue")
    (ended,) = found
    return ended


def nobody_is_rung(floor: Floor) -> None:
    """The agent of the queue comes, and no phone rings."""
    floor.daemon.post("agents/1001/login")
    time.sleep(RUNG_BY_NOW_S)
    assert floor.phones.rung == []
    assert floor.daemon.agents()["1001"]["state"] == "ready"


def picked_up(floor: Floor) -> Dialog:
    """A colleague takes the waiting caller."""
    colleague = floor.phones.call(COLLEAGUE, f"pick-{leg_of(floor)}")
    await_true(lambda: colleague.state == "talking", SOON_S, "the colleague is answered")
    return colleague


def test_who_is_picked_up_has_left(floor: Floor) -> None:
    """At once; they talk on, and are released when the colleague hangs up."""
    caller = floor.call(CALLER, "support")
    colleague = picked_up(floor)
    ended = left(floor)
    assert (ended["outcome"], ended["detail"]) == ("left", "picked_up")
    nobody_is_rung(floor)
    assert (caller.state, colleague.state) == ("talking", "talking")
    floor.phones.end(colleague)
    await_true(lambda: caller.state == "over", SOON_S, "the caller is released, and waits for nobody")
    assert floor.phones.rung == []


def test_a_ring_for_who_is_picked_up_is_withdrawn(floor: Floor) -> None:
    """The phone that rings for them falls silent, and shows no missed call."""
    floor.daemon.post("agents/1001/login")
    caller = floor.call(CALLER, "support")
    ring = floor.ring(CALLER)
    colleague = picked_up(floor)
    await_true(lambda: ring.state == "over", SOON_S, "the phone falls silent")
    assert "answered elsewhere" in ring.reason.lower() or "completed elsewhere" in ring.reason.lower(), ring.reason
    assert left(floor)["detail"] == "picked_up"
    floor.becomes("ready", "1001")
    assert (caller.state, colleague.state) == ("talking", "talking")


@pytest.mark.parametrize("how", ["uuid_transfer", "key"])
def test_who_is_moved_has_left(floor: Floor, how: str) -> None:
    """No event tells of it: two announcements are missed, and the switch is asked for the leg."""
    caller = floor.phones.call(CALLER, "key-support")
    leg = leg_of(floor)
    if how == "key":
        floor.phones.press(caller, "1")
    else:
        says(floor, f"uuid_transfer {leg} lab_voicemail XML public")
    ended = left(floor, SILENT_S)
    assert (ended["outcome"], ended["detail"]) == ("left", "moved")
    nobody_is_rung(floor)
    assert caller.state == "talking"
    assert says(floor, f"uuid_getvar {leg} transfer_after_bridge").strip() in ("_undef_", "")


@pytest.mark.parametrize("how", ["uuid_transfer", "key"])
def test_who_is_moved_into_another_queue_was_moved(floor: Floor, how: str) -> None:
    """The call in the first queue ends so at once, and names the other; there they are a new one."""
    caller = floor.phones.call(CALLER, "key-support")
    call = floor.call_of(CALLER)
    if how == "key":
        floor.phones.press(caller, "2")
    else:
        says(floor, f"uuid_transfer {call['leg_uuid']} queue-service XML public")
    ended = left(floor)
    assert (ended["call"], ended["outcome"], ended["detail"]) == (call["id"], "left", "moved")
    floor.daemon.post("agents/1001/login")
    floor.talk(floor.ring(CALLER))
    again = floor.call_of(CALLER)
    assert (again["queue"], again["leg_uuid"], again["id"] == call["id"]) == ("service", call["leg_uuid"], False)
    assert caller.state == "talking"


def test_who_is_parked_has_left_and_may_come_back(floor: Floor) -> None:
    """Nobody rings for them while they are parked; put back into the music, they are served, with their old id."""
    caller = floor.call(CALLER, "support")
    call = floor.call_of(CALLER)
    says(floor, f"uuid_park {call['leg_uuid']}")
    assert left(floor, SILENT_S)["detail"] == "parked"
    nobody_is_rung(floor)
    says(floor, f"uuid_transfer {call['leg_uuid']} fsacd_wait XML fsacd")
    floor.talk(floor.ring(CALLER))
    again = floor.call_of(CALLER)
    assert (again["id"], again["arrived_at"]) == (call["id"], call["arrived_at"])
    assert caller.state == "talking"


def test_who_is_moved_is_found_by_a_comparison(floor: Floor) -> None:
    """`fsacd resync` need not wait for missed announcements."""
    floor.call(CALLER, "support")
    says(floor, f"uuid_transfer {leg_of(floor)} lab_voicemail XML public")
    # The switch's list of legs lags behind, and what is wrong is looked at twice.
    shown = '"dest":"lab_voicemail"'
    await_true(lambda: shown in says(floor, "show channels as json"), SOON_S, "the list shows it")
    floor.daemon.post("resync")
    assert left(floor)["detail"] == "moved"


# --- who takes over a leg that waits ---------------------------------------------------------------------------------


def live(floor: Floor) -> list[dict[str, Any]]:
    """The live calls, the first of its queue first."""
    calls: list[dict[str, Any]] = floor.daemon.get("calls?limit=1000")["calls"]
    return sorted(calls, key=lambda call: call["position"])


def test_an_invite_with_replaces_takes_over_the_place(floor: Floor) -> None:
    """FreeSWITCH lets the new leg play what the old one played, in no queue: it is taken in, and served in its turn."""
    first = floor.call(CALLER, "support")
    call = floor.call_of(CALLER)
    floor.call("4930222", "support")
    new = floor.phones.call("4930333", "queue-support", replaces=replaces(first))
    await_true(lambda: live(floor)[0]["leg_uuid"] not in (None, call["leg_uuid"]), SOON_S, "another leg has the place")
    await_true(lambda: first.state == "over" and new.state == "talking", SOON_S, "the first leg has ended")
    again = live(floor)[0]
    assert (again["id"], again["arrived_at"]) == (call["id"], call["arrived_at"])
    floor.daemon.post("agents/1001/login")
    await_true(lambda: len(floor.phones.rung) > 0, SOON_S, "a phone rings")
    floor.phones.answer(floor.phones.rung[0])
    await_true(
        lambda: live(floor)[0]["state"] == "talking" or live(floor)[-1]["state"] == "talking", SOON_S, "they talk"
    )
    (talks,) = (one for one in live(floor) if one["state"] == "talking")
    assert talks["id"] == call["id"]
    floor.phones.end(new)
    floor.becomes("wrapping_up", "1001")


def test_who_goes_on_at_another_phone_of_theirs_talks_on(floor: Floor) -> None:
    """An INVITE with Replaces in a talk: it is the agent's leg that is handed over, and it must not be ended."""
    first = floor.call(CALLER, "support")
    floor.daemon.post("agents/1001/login")
    floor.talk(floor.ring(CALLER))
    time.sleep(1.5)  # the talk is one
    new = floor.phones.call("4930333", "queue-support", replaces=replaces(first))
    await_true(lambda: first.state == "over" and new.state == "talking", SOON_S, "the other phone has the call")
    # Whose caller has gone is ended after a second.
    time.sleep(3.0)
    assert new.state == floor.phones.rung[0].state == "talking"
    assert floor.daemon.agents()["1001"]["state"] == "talking"
    floor.phones.end(new)
    floor.becomes("wrapping_up", "1001")
    ended = left(floor)
    assert ended["outcome"] == "answered"


@pytest.mark.parametrize("by", ["the customer's call", "the call in the queue"])
def test_who_asks_a_queue_for_a_customer_gives_them_the_place(floor: Floor, by: str) -> None:
    """The customer goes on in the consultation's call: before those who came later, under their own number."""
    customer = floor.phones.call(CALLER, f"outside-{floor.phones.port}")
    await_true(lambda: len(floor.phones.rung) == 1, SOON_S, "the phone outside rings")
    clerk = floor.phones.rung[0]
    floor.phones.answer(clerk)
    await_true(lambda: customer.state == "talking", SOON_S, "the customer talks with the clerk")
    asks = floor.call(COLLEAGUE, "support")
    call = floor.call_of(COLLEAGUE)
    floor.call("4930222", "support")
    first, second = (clerk, asks) if by == "the customer's call" else (asks, clerk)
    floor.phones.refer(first, f"sip:queue-support@127.0.0.1:{floor.switch.trunk_port}", replaces(second))
    await_true(lambda: live(floor)[0]["number"] == CALLER, SOON_S, "the customer has the first place")
    again = live(floor)[0]
    assert (again["id"], again["arrived_at"], again["position"]) == (call["id"], call["arrived_at"], 1)
    assert [one["number"] for one in live(floor)] == [CALLER, "4930222"]
    floor.daemon.post("agents/1001/login")
    # The clerk's phone has rung for them before.
    floor.talk(floor.ring(CALLER, 2))
    assert customer.state == "talking"
    floor.phones.end(customer)
    floor.becomes("wrapping_up", "1001")


def test_who_was_called_keeps_their_own_number(floor: Floor) -> None:
    """A clerk has called the customer, whose leg bears the clerk's number; in the queue it is the customer's own."""
    clerk = floor.phones.call(COLLEAGUE, f"outside-{floor.phones.port}")
    await_true(lambda: len(floor.phones.rung) == 1, SOON_S, "the customer's phone rings")
    customer = floor.phones.rung[0]
    floor.phones.answer(customer)
    await_true(lambda: clerk.state == "talking", SOON_S, "the clerk talks with the customer")
    asks = floor.call("4930777", "support")
    call = floor.call_of("4930777")
    floor.phones.refer(clerk, f"sip:queue-support@127.0.0.1:{floor.switch.trunk_port}", replaces(asks))
    await_true(lambda: live(floor)[0]["leg_uuid"] not in (None, call["leg_uuid"]), SOON_S, "the customer has the place")
    (again,) = live(floor)
    assert (again["id"], again["number"]) == (call["id"], customer.user)


KNOWS, FORGOT = "the daemon knows of the call", "it has forgotten the call"


@pytest.mark.parametrize("knows", [KNOWS, FORGOT])
def test_who_takes_over_a_place_while_nobody_hears_it_is_found(floor: Floor, workplace: Path, knows: str) -> None:
    """FreeSWITCH lets them hear the music, in no queue and without a word from then on."""
    if knows == KNOWS:
        floor.daemon.stop()
        floor.daemon.config["journal"] = {"directory": str(workplace / "journal")}
        floor.daemon.start()
    first = floor.call(CALLER, "support")
    call = floor.call_of(CALLER)
    floor.daemon.kill()
    new = floor.phones.call("4930333", "direct-1001", replaces=replaces(first))
    await_true(lambda: first.state == "over" and new.state == "talking", SOON_S, "the other phone has the call")
    floor.daemon.start()
    await_true(lambda: [one["state"] for one in live(floor)] == ["waiting"], SOON_S, "the caller waits")
    (again,) = live(floor)
    assert (again["id"] == call["id"]) is (knows == KNOWS)
    assert again["leg_uuid"] != call["leg_uuid"]
    floor.daemon.post("agents/1001/login")
    await_true(lambda: len(floor.phones.rung) > 0, SOON_S, "a phone rings")
    floor.talk(floor.phones.rung[0])
    assert new.state == "talking"
    floor.phones.end(new)
    floor.becomes("wrapping_up", "1001")


def leg_from(floor: Floor, number: str) -> str:
    """The leg of somebody who has called the voicemail."""
    one = floor.phones.call(number, "lab_voicemail")
    await_true(lambda: one.state == "talking", SOON_S, f"{number} is answered")
    await_true(lambda: number in says(floor, "show channels as json"), SOON_S, "the list shows their leg")
    legs = json.loads(says(floor, "show channels as json"))["rows"]
    return str(next(leg["uuid"] for leg in legs if leg["cid_num"] == number))


def bridged_and_gone(floor: Floor, leg: str, number: str) -> None:
    """The leg is bridged with that of somebody who goes within the 40 ms in which the switch makes the bridge."""
    stranger = leg_from(floor, number)
    esl = floor.switch.esl()
    esl.at_once(f"uuid_bridge {stranger} {leg}", f"uuid_kill {stranger}")
    esl.close()
    time.sleep(1.0)
    assert state(floor, leg) != "CS_EXECUTE", "the switch brings them back by itself: nothing to mend"


def state(floor: Floor, leg: str) -> str:
    """What the leg does, as the switch says."""
    return str(json.loads(says(floor, f"uuid_dump {leg} json"))["Channel-State"])


def test_who_is_bridged_with_somebody_who_goes_at_once_is_not_left_in_silence(floor: Floor) -> None:
    """FreeSWITCH then leaves the second leg between two states, for ever: it is put into the music again."""
    caller = floor.call(CALLER, "support")
    call = floor.call_of(CALLER)
    bridged_and_gone(floor, call["leg_uuid"], COLLEAGUE)
    await_true(lambda: state(floor, call["leg_uuid"]) == "CS_EXECUTE", SILENT_S, "the caller hears music again")
    floor.daemon.post("agents/1001/login")
    floor.talk(floor.ring(CALLER))
    assert (floor.call_of(CALLER)["id"], caller.state) == (call["id"], "talking")


def test_who_was_taken_away_and_is_left_in_silence_is_released(floor: Floor) -> None:
    """Their call is over, and nothing of the switch ends their leg: the comparison does."""
    caller = floor.call(CALLER, "support")
    leg = leg_of(floor)
    first = leg_from(floor, COLLEAGUE)
    assert says(floor, f"uuid_bridge {first} {leg}").startswith("+OK")
    assert left(floor)["detail"] == "picked_up"
    await_true(lambda: says(floor, f"uuid_getvar {leg} fsacd_over") == "true", SOON_S, "it is not to come back")
    bridged_and_gone(floor, leg, "4930888")
    floor.daemon.post("resync")
    await_true(lambda: caller.state == "over", SOON_S, "the caller is released")
