"""One contact on a real switch: over queues, transfers, other phones and another daemon, on the legs and in history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.rig.dialog import Dialog, replaces
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

CALLER, HOME = "4930111", "4930222"
SOON_S = 30.0


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch, database: str) -> Iterator[Floor]:
    """Anna serves support and ben sales."""
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "1h", "ring_timeout": "2m"},
        "queues": {"support": {}, "sales": {}},
        "agents": {"1001": {"queues": ["support"], "login_at_start": True}, "1002": {"queues": ["sales"]}},
        "store": {"dsn": database},
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    yield floor
    floor.stop()


def on_leg(floor: Floor, leg: str) -> str:
    """The contact that a leg says it belongs to."""
    esl = floor.switch.esl()
    answer = esl.api(f"uuid_getvar {leg} fsacd_contact_id")
    esl.close()
    return answer


def at_phone(ring: Dialog) -> dict[str, str]:
    """What the phone was told of the call in the INVITE: by the name behind `X-Fsacd-`."""
    assert ring.invite is not None
    return dict(re.findall(r"^X-Fsacd-([A-Za-z-]+): *(\S+)\r?$", ring.invite.raw, re.MULTILINE))


def contacts_in(database: str) -> dict[str, set[str]]:
    """By queue, the contacts of its calls and of their offers in history."""
    found: dict[str, set[str]] = {}
    with psycopg.connect(database) as connection:
        if connection.execute("SELECT to_regclass('offers_contact_id')").fetchone() == (None,):
            return {}  # the daemon is still making the tables
        for table in ("calls", "offers"):
            for queue, contact_id in connection.execute(f"SELECT queue, contact_id FROM {table}"):
                found.setdefault(queue, set()).add(contact_id)
    return found


def to_queue(floor: Floor, agent: Dialog, queue: str, replaced: str = "") -> None:
    """The agent transfers the caller."""
    floor.phones.refer(agent, f"sip:queue-{queue}@127.0.0.1:{floor.switch.trunk_port}", replaced)


def is_a_talk(floor: Floor, leg: str) -> None:
    """Wait until the caller's talk is confirmed: whoever transfers them in the middle of their bridge breaks it."""
    esl = floor.switch.esl()
    await_true(lambda: esl.api(f"uuid_getvar {leg} fsacd_over") == "true", SOON_S, "the talk is one")
    esl.close()


def is_with_another(floor: Floor, agents_leg: str, leg: str) -> None:
    """Wait until the agent's leg is bridged with another leg than this one."""
    esl = floor.switch.esl()
    await_true(
        lambda: esl.api(f"uuid_getvar {agents_leg} bridge_to") not in {"_undef_", "", leg}, SOON_S, "they talk there"
    )
    esl.close()


def serves_sales(floor: Floor) -> None:
    floor.daemon.post("agents/1002/login")


def test_an_agent_transfers_the_caller_to_another_queue(floor: Floor, database: str) -> None:
    """Two calls, and one contact: in the API, on all legs, at both phones, in both rows and in what is explained.

    The daemon is killed while the second call waits, and has no journal: the leg tells the next one.
    """
    floor.call(CALLER, "support")
    first = floor.call_of(CALLER)
    contact_id = first["contact_id"]
    assert contact_id == first["id"]
    anna = floor.ring(CALLER)
    assert (at_phone(anna)["Call"], at_phone(anna)["Contact-Id"]) == (first["id"], contact_id)
    assert [on_leg(floor, leg) for leg in (first["leg_uuid"], at_phone(anna)["Offer"])] == [contact_id] * 2
    floor.talk(anna)
    is_a_talk(floor, first["leg_uuid"])
    to_queue(floor, anna, "sales")
    await_true(lambda: floor.call_of(CALLER)["queue"] == "sales", SOON_S, "they wait in the other queue")
    # Without a spool, what is not in the database dies with the daemon.
    await_true(lambda: contacts_in(database) == {"support": {contact_id}}, SOON_S, "history tells of the first")
    floor.daemon.kill()
    floor.daemon.start()
    second = floor.call_of(CALLER)
    assert second["id"] != first["id"]
    assert (second["contact_id"], second["leg_uuid"]) == (contact_id, first["leg_uuid"])
    serves_sales(floor)
    ben = floor.ring(CALLER, 2)
    assert (at_phone(ben)["Call"], at_phone(ben)["Contact-Id"]) == (second["id"], contact_id)
    floor.talk(ben)
    assert [on_leg(floor, leg) for leg in (second["leg_uuid"], at_phone(ben)["Offer"])] == [contact_id] * 2
    explained = floor.daemon.get(f"calls/{second['id']}/explain")["decisions"]
    assert [one["contact_id"] for one in explained] == [contact_id]
    floor.hang_up(ben)
    both = {"support": {contact_id}, "sales": {contact_id}}
    await_true(lambda: contacts_in(database) == both, SOON_S, "history tells of both")


def test_the_dialplan_brings_an_id(floor: Floor) -> None:
    """One that fits is kept; one that could break commands is replaced by the call's own, on the leg too, and told."""
    floor.phones.call(CALLER, "contact-sales", more=("X-Contact: K-7",))
    brought = floor.call_of(CALLER)
    assert (brought["contact_id"], on_leg(floor, brought["leg_uuid"])) == ("K-7", "K-7")
    hostile = "K;fsacd_queue=support^transfer:park|.*"
    floor.phones.call(HOME, "contact-sales", more=(f"X-Contact: {hostile}",))
    replaced = floor.call_of(HOME)
    assert (replaced["contact_id"], replaced["queue"]) == (replaced["id"], "sales")
    await_true(lambda: on_leg(floor, replaced["leg_uuid"]) == replaced["id"], SOON_S, "the leg has it")
    assert floor.daemon.log.read_text().count("fsacd_contact_id") == 1
    serves_sales(floor)
    ring = floor.ring(HOME) if floor.rings_for(HOME) else floor.ring(CALLER)
    contact_id = {CALLER: "K-7", HOME: replaced["id"]}[ring.caller]
    assert at_phone(ring)["Contact-Id"] == contact_id


def test_an_agent_hands_the_place_in_which_they_waited_to_their_customer(floor: Floor, database: str) -> None:
    """The call goes on in the contact of the customer, who was in a queue before."""
    floor.call(CALLER, "support")
    first = floor.call_of(CALLER)
    contact_id = first["contact_id"]
    anna = floor.ring(CALLER)
    floor.talk(anna)
    is_a_talk(floor, first["leg_uuid"])
    consult = floor.phones.call("1001", "queue-sales")
    asks = floor.call_of("1001")
    assert asks["contact_id"] == asks["id"] != contact_id
    to_queue(floor, anna, "sales", replaces(consult))
    await_true(lambda: floor.call_of(CALLER)["queue"] == "sales", SOON_S, "the customer has the place")
    goes_on = floor.call_of(CALLER)
    assert (goes_on["id"], goes_on["contact_id"]) == (asks["id"], contact_id)
    serves_sales(floor)
    ben = floor.ring(CALLER, 2)
    assert at_phone(ben)["Contact-Id"] == contact_id
    floor.talk(ben)
    floor.hang_up(ben)
    both = {"support": {contact_id}, "sales": {contact_id}}
    await_true(lambda: contacts_in(database) == both, SOON_S, "history tells of both")


def test_an_agent_joins_their_customer_with_a_colleague_whom_they_have_asked(floor: Floor, database: str) -> None:
    """The consultation was a contact of its own; with the customer its talk becomes part of theirs."""
    floor.call(CALLER, "support")
    first = floor.call_of(CALLER)
    anna = floor.ring(CALLER)
    floor.talk(anna)
    is_a_talk(floor, first["leg_uuid"])
    serves_sales(floor)
    consult = floor.phones.call("1001", "queue-sales")
    ben = floor.ring("1001")
    floor.talk(ben)
    asked = floor.call_of("1001")
    assert asked["contact_id"] == asked["id"]
    is_a_talk(floor, asked["leg_uuid"])
    to_queue(floor, anna, "sales", replaces(consult))
    await_true(lambda: floor.call_of("1001")["contact_id"] == first["contact_id"], SOON_S, "it is one contact")
    floor.hang_up(ben)
    both = {"support": {first["contact_id"]}, "sales": {first["contact_id"]}}
    await_true(lambda: contacts_in(database) == both, SOON_S, "history tells of both")


@pytest.mark.parametrize("when", ["waiting", "talking"])
def test_a_caller_goes_on_at_another_phone(floor: Floor, when: str) -> None:
    """The new leg is of the contact: while it waits in the call's place, and when its agent transfers it."""
    caller = floor.call(CALLER, "support" if when == "talking" else "sales")
    first = floor.call_of(CALLER)
    if when == "talking":
        anna = floor.ring(CALLER)
        floor.talk(anna)
        is_a_talk(floor, first["leg_uuid"])
    home = floor.phones.call(HOME, "queue-support", replaces=replaces(caller))
    await_true(lambda: home.state == "talking" and caller.state == "over", SOON_S, "the other phone has the call")
    if when == "talking":
        is_with_another(floor, at_phone(anna)["Offer"], first["leg_uuid"])
        to_queue(floor, anna, "sales")

    def waits() -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = floor.daemon.get("calls?queue=sales")["calls"]
        return [call for call in calls if call["leg_uuid"] not in {None, first["leg_uuid"]}]

    await_true(waits, SOON_S, "they wait at the other phone")
    (goes_on,) = waits()
    assert goes_on["contact_id"] == on_leg(floor, goes_on["leg_uuid"]) == first["contact_id"]
    assert (goes_on["id"] == first["id"]) == (when == "waiting")
    rings = len(floor.phones.rung)
    serves_sales(floor)
    await_true(lambda: len(floor.phones.rung) > rings, SOON_S, "a phone rings for them")
    assert at_phone(floor.phones.rung[-1])["Contact-Id"] == first["contact_id"]
