"""However much a switch has to say, what is kept of it is short: it goes to pages, the journal and the history."""

from __future__ import annotations

import pytest

from fsacd.core.commands import Command, Connect, RingAgent
from fsacd.core.events import CallerGone, ConnectFailed, OfferEnded
from fsacd.esl.codec import Kind, Message
from fsacd.esl.errors import LinkError, why_closed
from fsacd.esl.states import Down
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.translate import Reader
from fsacd.esl.wire import Outcome, Reply
from tests.esl.control_rig import CALL, LEG, OFFER, RING, Rig

MUCH = "-ERR " + "much\n" * 3_000_000
LIMIT = 300


@pytest.mark.parametrize("sentence", [str(LinkError(MUCH)), Down(MUCH).reason])
def test_the_end_of_a_link_is_told_in_a_line(sentence: str) -> None:
    """Its reason stands in readiness, status and log."""
    assert len(sentence) <= LIMIT
    assert "\n" not in sentence


def test_a_farewell_is_told_in_a_line() -> None:
    """What FreeSWITCH says when it ends a connection is its own, and as long as it likes."""
    notice = Message(Kind.DISCONNECT, {}, ("x" * 1_000_000).encode())
    assert len(why_closed(notice)) <= LIMIT


@pytest.mark.parametrize("command", [RING, Connect(OFFER, CALL, LEG)])
@pytest.mark.parametrize("outcome", [Outcome.ERR, Outcome.NOT_SENT])
def test_a_refusal_is_kept_in_a_line(command: Command, outcome: Outcome) -> None:
    """The fact that is made of it is journalled, and becomes a row and a page."""
    rig = Rig()
    verb = "originate" if isinstance(command, RingAgent) else "uuid_bridge"
    answers = {verb: Reply(outcome, MUCH), "uuid_exists": Reply(Outcome.OK, "true")}
    (fact,) = rig.send(command, **answers)
    assert isinstance(fact, OfferEnded | ConnectFailed)
    assert len(fact.cause) <= LIMIT


@pytest.mark.parametrize("leg", ["agent", "caller"])
def test_a_cause_is_kept_in_a_line(leg: str) -> None:
    """A hangup's cause is a word; a switch that says more is not believed the rest."""
    headers = {
        "Event-Name": "CHANNEL_HANGUP",
        "Unique-ID": OFFER,
        "variable_fsacd_leg": leg,
        "variable_fsacd_offer": OFFER,
        "variable_fsacd_call": CALL,
        "Hangup-Cause": MUCH,
    }
    fact = Reader("fs1", lambda _: None).read(Message(Kind.EVENT, headers, b""), SwitchClock(0, 0), 0)
    assert isinstance(fact, OfferEnded | CallerGone)
    assert len(fact.cause) <= LIMIT


def test_a_failed_job_is_kept_in_a_line() -> None:
    """The answer to an order to ring."""
    headers = {"Event-Name": "BACKGROUND_JOB", "Job-UUID": f"ring-{OFFER}", "_body": MUCH}
    fact = Reader("fs1", lambda _: None).read(Message(Kind.EVENT, headers), SwitchClock(0, 0), 0)
    assert isinstance(fact, OfferEnded)
    assert len(fact.cause) <= LIMIT
