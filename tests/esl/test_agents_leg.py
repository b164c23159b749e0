"""What an agent's phone does by its own keys, as the switch tells it: with the headers of a FreeSWITCH 1.10.12."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fsacd.core.events import GivenAway, HeldByPhone, OfferAnswered, OfferEnd, OfferEnded, ResumedByPhone
from fsacd.core.records import TransferKind
from fsacd.core.views import OfferView
from fsacd.esl import talks
from fsacd.esl.agents_leg import fact
from fsacd.esl.codec import HeaderValue, Kind, Message
from fsacd.esl.differences import Difference, Finding
from tests.esl.legs_rig import LEG, OFFER, Switch, view

NOW_MS = 500_000
AGENT: dict[str, HeaderValue] = {"Unique-ID": OFFER, "variable_fsacd_leg": "agent", "variable_fsacd_offer": OFFER}
TALKED: dict[str, HeaderValue] = {
    "Caller-Channel-Answered-Time": "1796282527813207",
    "Caller-Channel-Bridged-Time": "1796282527873207",
    "Event-Date-Timestamp": "1796282532373208",
    "Caller-Channel-Last-Hold": "1796282531381582",
    "Caller-Channel-Hold-Accum": "2752130",
}
ENDED = OfferEnded(
    OFFER, OfferEnd.HUNG_UP, "NORMAL_CLEARING", answered=True, talked_ms=4_500, phone_told=False, held_ms=2_752
)


def told(name: str, **more: str) -> Message:
    """An event of a leg that has talked, and whose phone has held."""
    return Message(Kind.EVENT, {"Event-Name": name, **AGENT, **TALKED, **more})


def ends(cause: str = "NORMAL_CLEARING", **more: str) -> object:
    return fact(told("CHANNEL_HANGUP", **{"Hangup-Cause": cause}, **more), "fs1", NOW_MS)


def test_it_holds_and_is_taken_back() -> None:
    """Both say since when it held, by the switch's clock, which may lag behind itself by a step of its own."""
    assert fact(told("CHANNEL_UNHOLD"), "fs1", NOW_MS) == ResumedByPhone(OFFER, NOW_MS - 991)
    early = {"Event-Date-Timestamp": "1796282531373208"}
    assert fact(told("CHANNEL_HOLD", **early), "fs1", NOW_MS) == HeldByPhone(OFFER, NOW_MS)
    assert fact(told("CHANNEL_HOLD", **{"Caller-Channel-Last-Hold": "0"}), "fs1", NOW_MS) == HeldByPhone(OFFER, NOW_MS)
    copied = told("CHANNEL_HOLD", **{"Unique-ID": LEG})
    assert fact(copied, "fs1", NOW_MS) is None


def test_it_hangs_up() -> None:
    """The switch says for how long it has held in all; nonsense is nothing."""
    assert ends() == ENDED
    assert ends(**{"Caller-Channel-Hold-Accum": "-1"}) == replace(ENDED, held_ms=0)


@pytest.mark.parametrize(
    ("variables", "kind", "to"),
    [
        (
            {
                "endpoint_disposition": "BLIND_TRANSFER",
                "transfer_destination": "blind:7000",
                "transfer_to": "blind:" + LEG,
            },
            TransferKind.BLIND,
            "7000",
        ),
        ({"endpoint_disposition": "ANSWER", "transfer_to": f"att:{LEG}"}, TransferKind.ATTENDED, LEG),
        ({"endpoint_disposition": "ATTENDED_TRANSFER"}, TransferKind.ATTENDED, ""),
        ({"endpoint_disposition": "ATTENDED_TRANSFER", "transfer_to": "att:x;y"}, TransferKind.ATTENDED, ""),
        # The leg has ended before the switch has marked it.
        ({"endpoint_disposition": "ANSWER", "transfer_disposition": "replaced"}, TransferKind.ATTENDED, ""),
    ],
)
def test_it_gives_its_caller_away(variables: dict[str, str], kind: TransferKind, to: str) -> None:
    """By these variables, which are there whether or not the profile fires events of transfers."""
    expected = replace(ENDED, end=OfferEnd.TRANSFERRED, kind=kind, to=to)
    assert ends(**{f"variable_{name}": text for name, text in variables.items()}) == expected


def test_its_caller_gets_the_place_of_its_other_call() -> None:
    """The leg that was named in the REFER ends with this cause."""
    expected = replace(ENDED, end=OfferEnd.TRANSFERRED, cause="ATTENDED_TRANSFER", kind=TransferKind.ATTENDED)
    assert ends("ATTENDED_TRANSFER", variable_endpoint_disposition="ANSWER") == expected


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"endpoint_disposition": "ANSWER"},
        # It had nobody to give away.
        {"endpoint_disposition": "ATTENDED_TRANSFER_ERROR", "transfer_to": "blind:7000"},
        {"endpoint_disposition": "ANSWER", "transfer_to": "att:"},
        {"endpoint_disposition": "ANSWER", "transfer_disposition": "bridge"},  # who has got the caller
    ],
)
def test_any_other_end_is_a_hang_up(variables: dict[str, str]) -> None:
    """Also that of a phone whose REFER was refused."""
    assert ends(**{f"variable_{name}": text for name, text in variables.items()}) == ENDED


def test_its_leg_is_left_alone() -> None:
    """The leg parks when the phone has joined its caller with somebody, and as ever otherwise."""
    given = fact(told("CHANNEL_PARK", variable_endpoint_disposition="ATTENDED_TRANSFER"), "fs1", NOW_MS)
    assert given == GivenAway(OFFER, TransferKind.ATTENDED, "", 4_500, 2_752)
    parked = fact(told("CHANNEL_PARK", variable_endpoint_disposition="ANSWER"), "fs1", NOW_MS)
    assert parked == OfferAnswered(OFFER, "fs1", "")


def found(callstate: str | None, dumped: str, *, known: bool, state: str = "talking") -> list[Finding]:
    """What is found of a talk of which the list of legs says this, and the leg's dump that."""
    rows = {} if callstate is None else {OFFER: {"uuid": OFFER, "callstate": callstate}}
    dump = {"Channel-Call-State": dumped, "Event-Date-Timestamp": "2000000", "Caller-Channel-Last-Hold": "1500000"}
    underway = view("talking", "talking")
    offer = OfferView(OFFER, underway.calls[0].call_id, "1001", "fs1", state, 0, phone_holds=known)
    switch = Switch({OFFER: dump})
    return list(talks.findings(replace(underway, now_ms=NOW_MS, offers=(offer,)), "fs1", rows, switch.ask))


def test_a_hold_that_nobody_has_told_of_is_found() -> None:
    """Its beginning and its end, by the list of legs, and for certain by the leg itself."""
    began, ended = HeldByPhone(OFFER, NOW_MS - 500), ResumedByPhone(OFFER, NOW_MS - 500)
    assert found("HELD", "HELD", known=False) == [Finding(Difference.PHONE_HOLD_UNHEARD, OFFER, began)]
    assert found("ACTIVE", "ACTIVE", known=True) == [Finding(Difference.PHONE_HOLD_UNHEARD, OFFER, ended)]


@pytest.mark.parametrize(
    ("callstate", "dumped", "known", "state"),
    [
        ("HELD", "HELD", True, "talking"),
        ("ACTIVE", "ACTIVE", False, "talking"),
        ("HELD", "ACTIVE", False, "talking"),  # the list lags
        (None, "HELD", False, "talking"),
        ("HELD", "HELD", False, "ending"),
    ],
)
def test_what_is_known_or_not_sure_is_no_finding(callstate: str | None, dumped: str, known: bool, state: str) -> None:
    """Nor what the list does not show."""
    assert found(callstate, dumped, known=known, state=state) == []
