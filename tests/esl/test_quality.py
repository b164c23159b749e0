"""How a leg sounded, from its last event; what is no figure counts for nothing."""

from __future__ import annotations

import pytest

from fsacd.core.events import OfferEnded
from fsacd.core.records import LegMeasured, Record
from fsacd.esl import quality
from fsacd.esl.codec import Kind, Message
from fsacd.esl.translate import FILTERS
from tests.esl.control_rig import Rig
from tests.esl.legs_rig import CALL, LEG, OFFER

AGENT = {
    "Event-Name": "CHANNEL_HANGUP_COMPLETE",
    "Unique-ID": OFFER,
    "Hangup-Cause": "NORMAL_CLEARING",
    "variable_fsacd_leg": "agent",
    "variable_fsacd_offer": OFFER,
    "variable_fsacd_call": CALL,
    "variable_rtp_audio_in_packet_count": "1500",
    "variable_rtp_audio_in_mos": "4.37",
    "variable_rtp_audio_in_flaw_total": "12",
    "variable_rtp_audio_in_jitter_max_variance": "144.30",
}
FIGURES = LegMeasured(OFFER, "agent", OFFER, CALL, 7_000, 437, 1_500, 12, 12)


def _measured(**other: str) -> LegMeasured | None:
    headers = {**AGENT, **{f"variable_rtp_audio_in_{name}": text for name, text in other.items()}}
    return quality.measured(Message(Kind.EVENT, headers), 7_000)


def test_the_figures_of_an_agents_leg() -> None:
    """Of the talk that it was."""
    assert _measured() == FIGURES


def test_the_figures_of_a_callers_leg() -> None:
    """It is in no offer."""
    event = Message(Kind.EVENT, {**AGENT, "variable_fsacd_leg": "caller", "Unique-ID": LEG})
    assert quality.measured(event, 7_000) == LegMeasured(LEG, "caller", "", CALL, 7_000, 437, 1_500, 12, 12)


@pytest.mark.parametrize(
    "other",
    [
        {"packet_count": "0"},  # the switch says 4.50 of a phone that has sent nothing
        {"packet_count": ""},
        {"mos": ""},
        {"mos": "nan"},
        {"mos": "-1"},
        {"mos": "9" * 30},
    ],
)
def test_nothing_is_measured(other: dict[str, str]) -> None:
    """What is missing or no figure."""
    assert _measured(**other) is None


def test_other_legs_and_other_events() -> None:
    """A leg that is not ours, and an event that has no figures yet."""
    assert quality.measured(Message(Kind.EVENT, {**AGENT, "variable_fsacd_leg": ""}), 0) is None
    assert quality.measured(Message(Kind.EVENT, {**AGENT, "Event-Name": "CHANNEL_HANGUP"}), 0) is None


def test_jitter_that_is_not_known() -> None:
    """The rest is."""
    found = _measured(jitter_max_variance="-nan")
    assert found is not None
    assert (found.mos_hundredths, found.jitter_ms) == (437, None)


def test_a_link_tells_of_it_beside_the_legs_end() -> None:
    """History hears the figures, and the engine the end."""
    rig, told = Rig(), list[Record]()
    rig.runtime.add_sink(told.extend)
    rig.control._service.listens = True
    rig.control._on_event(Message(Kind.EVENT, AGENT))
    (figures,) = told
    assert isinstance(figures, LegMeasured)
    assert (figures.leg, figures.mos_hundredths) == (OFFER, 437)
    assert [type(fact) for fact in rig.runtime.facts] == [OfferEnded]


def test_callers_last_events_are_heard_only_if_they_are_wanted() -> None:
    """They are the largest of a call."""
    assert quality.heard(FILTERS, callers=False) == FILTERS
    assert set(FILTERS) - set(quality.heard(FILTERS, callers=True)) == {("variable_last_app", "-multiset")}
