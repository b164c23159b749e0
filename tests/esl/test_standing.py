"""Standing legs: the orders for them, and what is read from the switch's events and answers."""

from __future__ import annotations

import orjson
import pytest

from fsacd.core.commands import EndStandingLeg, ReturnStandingLeg, RingAgent, RingStandingLeg
from fsacd.core.events import Event, Leg, StandingLegEnded, StandingLegUp
from fsacd.core.offer import MAKING_MS
from fsacd.core.views import StandingLegView, Underway
from fsacd.esl import standing, strangers
from fsacd.esl.codec import Kind, Message
from fsacd.esl.encoder import EncodeError
from fsacd.esl.orders import switch_of, to_wires
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.translate import Reader
from fsacd.esl.wire import Outcome, Reply, Wire
from tests.esl.legs_rig import CALL, OFFER

STANDS = "0a000000-0000-5000-8000-000000000010"
WHERE = Leg("fs1", STANDS)


def sent(*wires: Wire) -> list[str]:
    return [wire.data.decode().strip() for wire in wires]


def test_it_is_rung_into_the_dialplan() -> None:
    """Not parked: it goes where it announces itself. With a timeout its leg ends when the phone is silent."""
    order = RingStandingLeg(STANDS, "1001", "[confirm_key=1]sofia/gateway/pstn/+4930123", "fs1", 45_000, 5_000)
    (wire,) = to_wires(order)
    text = wire.data.decode()
    assert f"origination_uuid={STANDS},fsacd_leg=standing,fsacd_agent=1001," in text
    assert "media_timeout=5000" in text
    assert "sofia/gateway/pstn/+4930123 fsacd_stand XML fsacd " in text
    assert f"Job-UUID: stand-{STANDS}" in text
    assert switch_of(order) == "fs1"


@pytest.mark.parametrize("contact", ["user/1001,user/1002", "nonsense"])
def test_it_is_at_one_phone(contact: str) -> None:
    with pytest.raises(EncodeError, match="not one phone"):
        to_wires(RingStandingLeg(STANDS, "1001", contact, "fs1", 45_000))


def test_an_offer_fetches_it() -> None:
    """The offer's own leg is a loopback to the standing one, and parks after a tone."""
    order = RingAgent(OFFER, CALL, "1001", "support", "user/1001", "fs1", "4930", "Ann", 20_000, standing_leg=STANDS)
    (wire,) = to_wires(order)
    text = wire.data.decode()
    assert f"origination_uuid={OFFER},fsacd_standing_leg={STANDS},fsacd_leg=agent," in text
    assert "loopback_bowout=false," in text, "else the offer's leg ends when the two are bridged"
    assert f"loopback/fsacd_reach_{STANDS}/fsacd 'm:^:playback:tone_stream://" in text
    assert "^park:' inline fsacd_agent_leg" in text
    assert "user/1001" not in text


def test_it_is_returned_and_ended() -> None:
    assert sent(*to_wires(ReturnStandingLeg(STANDS, "fs1"))) == [f"api uuid_transfer {STANDS} fsacd_stand XML fsacd"]
    assert sent(*to_wires(EndStandingLeg(STANDS, "fs1"))) == [f"api uuid_kill {STANDS} NORMAL_CLEARING"]


def event(name: str, **more: str) -> Message:
    own = {"Event-Name": name, "Unique-ID": STANDS, "variable_fsacd_leg": "standing", "variable_fsacd_agent": "1001"}
    return Message(Kind.EVENT, own | more)


def announced(back: str) -> Message:
    return event("CUSTOM", **{"Event-Subclass": "fsacd::waiting", "variable_fsacd_back": back})


@pytest.mark.parametrize(
    ("message", "fact"),
    [
        (announced("true"), StandingLegUp("1001", WHERE, back=True)),
        (announced("false"), StandingLegUp("1001", WHERE)),
        (event("CHANNEL_HANGUP", **{"Hangup-Cause": "USER_BUSY"}), StandingLegEnded(WHERE, "USER_BUSY")),
        (
            event("CHANNEL_HANGUP", **{"Hangup-Cause": "MEDIA_TIMEOUT"}),
            StandingLegEnded(WHERE, "MEDIA_TIMEOUT", silent=True),
        ),
        (event("CHANNEL_BRIDGE", **{"Bridge-B-Unique-ID": OFFER, "Other-Leg-Context": "fsacd"}), None),
    ],
)
def test_what_it_tells(message: Message, fact: Event | None) -> None:
    """A bridge of it is with the far end of an offer's leg, and takes no caller away."""
    assert Reader("fs1", pytest.fail).read(message, SwitchClock(0, 0), 0) == fact


def test_a_ring_that_fails() -> None:
    job = {"Event-Name": "BACKGROUND_JOB", "Job-UUID": f"stand-{STANDS}", "_body": "-ERR NO_ANSWER\n"}
    message = Message(Kind.EVENT, job)
    assert Reader("fs1", pytest.fail).read(message, SwitchClock(0, 0), 0) == StandingLegEnded(WHERE, "NO_ANSWER")
    never = standing.never(STANDS, "fs1", Reply(Outcome.NOT_SENT, ""), "the link is down")
    assert never == StandingLegEnded(WHERE, "the link is down", sent=False)


def view(state: str, since_ms: int = 0) -> Underway:
    return Underway(MAKING_MS, (), (), standing_legs=(StandingLegView(STANDS, "1001", "fs1", state, since_ms),))


def test_one_that_is_gone() -> None:
    """A leg that is rung may still be made."""

    def gone(_wire: Wire) -> Reply:
        return Reply(Outcome.OK, "false")

    for now in (view("stands"), view("ringing")):
        (finding,) = standing.ended(now, "fs1", {}, gone)
        assert isinstance(finding.fact, StandingLegEnded)
        assert finding.fact.leg == WHERE
    assert not list(standing.ended(view("ringing", MAKING_MS), "fs1", {}, gone))
    assert not list(standing.ended(view("stands"), "fs1", {STANDS: {}}, gone))
    assert not list(standing.ended(view("stands"), "fs2", {}, gone))


@pytest.mark.parametrize("state", ["answered", "ringing"])
def test_one_that_nobody_knows(state: str) -> None:
    """It tells of itself once it is answered, unless it is in a talk, after which it says so itself."""
    leg = {"Unique-ID": STANDS, "Answer-State": state, "variable_fsacd_leg": "standing", "variable_fsacd_agent": "1001"}

    def found(**more: str) -> list[Event | None]:
        def ask(_wire: Wire) -> Reply:
            return Reply(Outcome.OK, orjson.dumps(leg | more).decode())

        return [one.fact for one in strangers.findings([STANDS], ask, lambda _leg: None, None, "fs1")]

    assert found() == ([StandingLegUp("1001", WHERE)] if state == "answered" else [])
    assert not found(variable_bridge_to=OFFER)
    assert strangers.suspected(view("stands"), "fs1", {STANDS: {}}) == []
    assert strangers.suspected(view("ringing"), "fs1", {STANDS: {}}) == [STANDS]
