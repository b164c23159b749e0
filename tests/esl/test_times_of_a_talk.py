"""When a talk was what, by the switch's wall clock: somebody may set that in the middle of it, or two readings cross.

Whatever the switch prints, nothing is to come, nobody is connected before they answer, or answers before it rings.
"""

from __future__ import annotations

import pytest

from fsacd.core.commands import TakeIn
from fsacd.core.events import Leg, OfferEnd, OfferEnded, TalkFound
from fsacd.esl.orders import to_wires
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.translate import Reader
from tests.esl.legs_rig import CALL, LEG, OFFER
from tests.esl.test_strangers import AGENTS, adopted, caller
from tests.esl.test_translate import AGENT, event

NOW_MS = 500_000
# The last six digits of AGENTS' "now" are its microseconds.
NOW_S = 1_700_000_100


def _us(seconds: float) -> str:
    """What the switch's wall clock prints so many seconds from now."""
    return str(round((NOW_S + seconds) * 1_000_000))


def _times(**printed: str) -> tuple[int, int, int]:
    """When the talk rang, was answered and connected, from now on and in ms, if the agent's leg says this of it."""
    moments = {f"Caller-Channel-{name.capitalize()}-Time": text for name, text in printed.items()}
    (fact,) = adopted(caller(LEG, 80_000) | {"variable_bridge_to": OFFER}, AGENTS | moments)
    assert isinstance(fact, TalkFound)
    return fact.rang_ms - NOW_MS, fact.answered_ms - NOW_MS, fact.connected_ms - NOW_MS


def test_the_times_are_what_the_switch_says() -> None:
    """Each told by how long it was ago, there."""
    assert _times(created=_us(-9), answered=_us(-4), bridged=_us(-3.96)) == (-9_000, -4_000, -3_960)


def test_a_talk_that_seems_to_begin_later_begins_now() -> None:
    """The switch's clock was set back since: the talk is there, so it has begun."""
    assert _times(created=_us(-9), answered=_us(-4), bridged=_us(3_600)) == (-9_000, -4_000, 0)
    assert _times(created=_us(3_590), answered=_us(3_599), bridged=_us(3_600)) == (0, 0, 0)


def test_nobody_answers_after_the_bridge_or_before_it_rings() -> None:
    """The clock was set back between them: the later one is believed, which was read last."""
    assert _times(created=_us(-9), answered=_us(-2), bridged=_us(-3)) == (-9_000, -3_000, -3_000)
    assert _times(created=_us(-1), answered=_us(-4), bridged=_us(-3)) == (-4_000, -4_000, -3_000)


def test_what_the_switch_does_not_say_was_at_the_next_moment() -> None:
    """A leg that a crash has brought back has forgotten it."""
    assert _times(created="0", answered="0", bridged=_us(-3)) == (-3_000, -3_000, -3_000)


@pytest.mark.parametrize("ended_s", [-3_600, 0])
def test_no_talk_is_shorter_than_nothing(ended_s: float) -> None:
    """Its end seems to come before its beginning: how long it was is not known, which is what nought says."""
    moments = {"Caller-Channel-Bridged-Time": _us(0), "Event-Date-Timestamp": _us(ended_s)}
    message = event("CHANNEL_HANGUP", **AGENT, **moments, Hangup__Cause="NORMAL_CLEARING")
    fact = Reader("fs1", lambda _sentence: None).read(message, SwitchClock(100_000, 5_000), 6_000)
    assert fact == OfferEnded(OFFER, OfferEnd.HUNG_UP, "NORMAL_CLEARING", talked_ms=0, phone_told=False)


def test_a_leg_that_dies_of_silence_was_not_hung_up_by_its_agent() -> None:
    """How long they talked is told as of any other."""
    moments = {"Caller-Channel-Bridged-Time": _us(-9), "Event-Date-Timestamp": _us(0)}
    message = event("CHANNEL_HANGUP", **AGENT, **moments, Hangup__Cause="MEDIA_TIMEOUT")
    fact = Reader("fs1", lambda _sentence: None).read(message, SwitchClock(100_000, 5_000), 6_000)
    assert fact == OfferEnded(OFFER, OfferEnd.CONNECTION_LOST, "MEDIA_TIMEOUT", talked_ms=9_000, phone_told=False)


def test_who_is_taken_in_has_not_come_before_the_switch_began() -> None:
    """Their call is older than the switch's uptime, after a crash: what a leg says of that is not below nought."""
    variables, _ = to_wires(TakeIn(CALL, Leg("fs1", LEG), "sales", 10_000), 4_000)
    assert ";fsacd_queued_at=0;" in variables.data.decode()
