"""Who has taken over a waiting leg, and nobody has told of it, is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fsacd.core.events import CallerReplaced, Leg
from fsacd.core.views import CallView, Underway
from fsacd.esl import heirs
from fsacd.esl.differences import Difference, Finding
from tests.esl.legs_rig import CALL, LEG, OFFER, OTHER, Legs, Switch

# As FreeSWITCH 1.10.12 says it of a leg that replaced one in a queue.
ROW = {"direction": "inbound", "dialplan": "inline", "dest": "answer,playback:local_stream://moh", "context": "public"}
HEIR = {
    "Caller-Dialplan": "inline",
    "Caller-Context": "public",
    "Answer-State": "answered",
    "Other-Leg-Unique-ID": LEG,
    "Other-Leg-Context": "fsacd",
    "Other-Leg-RDNIS": "queue-support",
    "variable_sip_replaces_call_id": "1@phone",
    "variable_sip_req_user": "4930123",
}


def underway(state: str) -> Underway:
    """One call, whose leg was LEG."""
    call = CallView(CALL, "sales", state, 1, 0, 0, 0, 0, "", "", "", (), (), 0, Leg("fs1", LEG))
    return Underway(0, (call,), ())


def found(legs: Legs, known: Underway) -> list[Finding]:
    return list(heirs.findings(known, "fs1", legs, Switch(legs).ask))


def test_which_legs_are_asked_for() -> None:
    """Only those that the list shows to do what another one did."""
    rows = {
        OTHER: ROW,
        LEG: ROW | {"dialplan": "XML"},
        "a broadcast": ROW | {"direction": "outbound"},
        CALL: ROW | {"dest": "park"},
        "talks": ROW | {"dest": f"answer,intercept:{LEG}"},
        OFFER: ROW,  # bears an agent's leg's name
    }
    assert heirs.suspected(rows) == [OTHER]
    assert len(heirs.suspected({str(number): ROW for number in range(10_000)})) == 100, "a round has its time"


@pytest.mark.parametrize("state", ["waiting", "offered", "connecting"])
def test_the_call_of_who_was_replaced_goes_on(state: str) -> None:
    """The engine is told whose leg it is now."""
    (finding,) = found({OTHER: HEIR}, underway(state))
    assert (finding.kind, finding.leg, finding.remedy) == (Difference.HEIR_UNHEARD, LEG, None)
    assert finding.fact == CallerReplaced(Leg("fs1", LEG), Leg("fs1", OTHER))


def test_who_took_over_an_unknown_leg_comes_in_anew() -> None:
    """By the number that had led that one into the queue, in the context of their own call; else by their own."""
    nobody = replace(underway("waiting"), calls=())
    for channel, command in (
        (HEIR, f"api uuid_transfer {OTHER} queue-support XML public"),
        (HEIR | {"Other-Leg-RDNIS": "fsacd_enter"}, f"api uuid_transfer {OTHER} 4930123 XML public"),
        (HEIR | {"Other-Leg-RDNIS": "-both"}, f"api uuid_transfer {OTHER} 4930123 XML public"),
        (HEIR | {"Other-Leg-RDNIS": "a b"}, f"api uuid_transfer {OTHER} 4930123 XML public"),
        (
            HEIR | {"Other-Leg-RDNIS": "", "variable_sip_req_user": ""},
            f"api uuid_kill {OTHER} NORMAL_TEMPORARY_FAILURE",
        ),
    ):
        (finding,) = found({OTHER: channel}, nobody)
        assert finding.fact is None and finding.remedy is not None
        assert (finding.leg, finding.remedy.data.decode().strip()) == (OTHER, command)


def test_a_leg_on_another_switch_is_another_one() -> None:
    """The same name says nothing there."""
    known = underway("waiting")
    elsewhere = tuple(replace(call, leg=Leg("fs2", LEG)) for call in known.calls)
    (finding,) = found({OTHER: HEIR}, replace(known, calls=elsewhere))
    assert finding.fact is None


@pytest.mark.parametrize(
    "differs",
    [
        {"Caller-Dialplan": "XML"},
        {"Answer-State": "hangup"},
        {"Other-Leg-Context": "public"},
        {"variable_sip_replaces_call_id": ""},
        {"variable_bridge_to": OFFER},
        {"Unique-ID": CALL},
    ],
)
def test_who_is_left_alone(differs: dict[str, str]) -> None:
    """Whoever has gone on, has gone, talks, or never stood in a queue."""
    assert found({OTHER: HEIR | differs}, replace(underway("waiting"), calls=())) == []


def test_who_goes_on_in_a_talk_is_left_alone() -> None:
    """It is the agent's leg that tells how that goes on."""
    assert found({OTHER: HEIR}, underway("talking")) == []
