"""Talks of three, as orders for the switch, and as read from its legs."""

from __future__ import annotations

import json

import pytest

from fsacd.core.commands import AskBridged, Gather
from fsacd.core.events import Event, Leg, LegInRoom, LegsJoined, OfferAnswered, OfferConnected
from fsacd.core.shape import room_of
from fsacd.esl import encoder
from fsacd.esl.orders import to_wires
from fsacd.esl.shapes import answer

CALLER = "11111111-1111-4111-8111-111111111111"
AGENT = "22222222-2222-5222-8222-222222222220"
THIRD = "33333333-3333-5333-8333-333333333330"
ROOM = room_of(AGENT)
ASKED = AskBridged(AGENT, "fs1", AGENT, CALLER, THIRD, ROOM)
INSIDE = {"variable_current_application": "conference", "variable_conference_name": ROOM}


def orders(*alone: str) -> list[str]:
    """The commands that bring all three into their room."""
    wires = to_wires(Gather(AGENT, "c", Leg("fs1", CALLER), AGENT, THIRD, ROOM, alone))
    return [wire.data.decode().strip() for wire in wires]


def test_all_are_sent_there_and_nothing_holds_them_back() -> None:
    """What a bridge's end does is cleared first; the agent takes along whoever they are bridged with."""
    *cleared, first, last = orders(CALLER)
    there = f"'m:^:conference:{ROOM}@desk^transfer:fsacd_hold XML fsacd' inline fsacd"
    nothing = "park_after_bridge=;transfer_after_bridge="
    assert cleared == [f"api uuid_setvar_multi {leg} {nothing}" for leg in (CALLER, AGENT, THIRD)]
    assert first == f"api uuid_transfer {CALLER} {there}"
    assert last == f"api uuid_transfer {AGENT} -both {there}"


def test_whoever_is_with_nobody_is_sent_alone() -> None:
    assert [line.split()[2] for line in orders(CALLER, THIRD)[3:]] == [CALLER, THIRD, AGENT]


@pytest.mark.parametrize("room", ["", "a b", "x'", "x^hangup", "x,y", "x@desk", "${x}"])
def test_a_room_has_a_plain_name(room: str) -> None:
    with pytest.raises(encoder.EncodeError):
        encoder.uuid_transfer_into_room(CALLER, room, both=True)


def test_all_three_are_asked_for_a_room_alone() -> None:
    """Without a room the caller's leg need not be asked for."""
    legs = [wire.data.decode().split()[2] for wire in to_wires(ASKED)]
    assert sorted(legs) == sorted([CALLER, AGENT, THIRD])
    assert len(to_wires(AskBridged(AGENT, "fs1", AGENT, CALLER, THIRD))) == 2


@pytest.mark.parametrize(
    ("leg", "says", "fact"),
    [
        (CALLER, INSIDE, LegInRoom(AGENT, CALLER)),
        (AGENT, INSIDE, LegInRoom(AGENT, AGENT)),
        (THIRD, INSIDE, LegInRoom(AGENT, THIRD)),
        (AGENT, {**INSIDE, "variable_conference_name": "fsacd-other"}, None),
        (AGENT, {**INSIDE, "variable_current_application": "park"}, OfferAnswered(AGENT, "fs1")),
        (AGENT, {**INSIDE, "variable_bridge_to": CALLER}, OfferConnected(AGENT)),
        (AGENT, {**INSIDE, "variable_bridge_to": THIRD}, LegsJoined(AGENT, THIRD)),
        (THIRD, {**INSIDE, "variable_bridge_to": CALLER}, OfferConnected(THIRD)),
        (CALLER, {**INSIDE, "Answer-State": "hangup"}, None),
    ],
)
def test_where_a_leg_is_is_read_from_the_switch(leg: str, says: dict[str, str], fact: Event | None) -> None:
    """The name of a room stays on a leg that has left it, so it is not enough."""
    assert answer(ASKED, json.dumps({"Unique-ID": leg, **says})) == fact
