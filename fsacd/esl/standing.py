"""Standing legs, as the switch tells of them: in events, as the outcome of a ring, and when it is asked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fsacd.core.events import Leg, StandingEvent, StandingLegEnded, StandingLegUp
from fsacd.core.offer import MAKING_MS
from fsacd.core.records import ENDED_UNSEEN
from fsacd.core.views import Underway
from fsacd.esl.announced import LONGEST_TEXT
from fsacd.esl.codec import Message
from fsacd.esl.differences import PARTNER, SILENT, Ask, Difference, Finding, Row, has_ended
from fsacd.esl.ringing import STANDING_JOB
from fsacd.esl.wire import Outcome, Reply

KIND = "standing"
# It announces itself as a caller does, for the link may hear no more kinds of events (`config.installed`).
_SUBCLASS = "fsacd::waiting"


def fact(message: Message, switch: str) -> StandingEvent | None:
    """The fact in an event of a standing leg, or None."""
    leg = Leg(switch, message.get("Unique-ID")[:LONGEST_TEXT])
    match message.name:
        case "CUSTOM" if message.subclass == _SUBCLASS:
            return up(message, switch)
        case "CHANNEL_HANGUP":
            # Before the end of the offer's leg that follows from it: so the engine knows of a lost connection in time.
            cause = message.get("Hangup-Cause")[:LONGEST_TEXT]
            return StandingLegEnded(leg, cause, silent=cause == SILENT)
    return None


def up(message: Message, switch: str) -> StandingLegUp:
    """That a leg stands, read from its announcement or from all that the switch knows of it."""
    agent_id, back = message.get("variable_fsacd_agent")[:LONGEST_TEXT], message.get("variable_fsacd_back") == "true"
    return StandingLegUp(agent_id, Leg(switch, message.get("Unique-ID")[:LONGEST_TEXT]), back)


def job_ended(message: Message, switch: str) -> StandingLegEnded | None:
    """That the ring of a standing leg has failed, read from the outcome of its job."""
    job, text = message.get("Job-UUID"), message.text.strip()
    if not job.startswith(STANDING_JOB) or not text.startswith("-ERR"):
        return None
    cause = text.removeprefix("-ERR").strip()[:LONGEST_TEXT]
    return StandingLegEnded(Leg(switch, job.removeprefix(STANDING_JOB)), cause)


def never(leg: str, switch: str, reply: Reply, why: str) -> StandingLegEnded:
    """That the order to ring it was refused, or never left."""
    return StandingLegEnded(Leg(switch, leg), why, sent=reply.outcome is not Outcome.NOT_SENT)


def waits(channel: Message) -> bool:
    """Whether this is an answered standing leg that is in no talk."""
    return (
        channel.get("variable_fsacd_leg") == KIND
        and channel.get("Answer-State") == "answered"
        and not channel.get(PARTNER)
    )


def ended(underway: Underway, switch: str, rows: Mapping[str, Row], ask: Ask) -> Iterator[Finding]:
    """The standing legs that the engine knows and the switch does not. Blocks for a question for each of them."""
    for leg in underway.standing_legs:
        made = leg.state != "ringing" or underway.now_ms - leg.since_ms >= MAKING_MS
        if leg.switch == switch and made and leg.leg not in rows and has_ended(leg.leg, ask):
            yield Finding(Difference.STANDING_LEG_ENDED, leg.leg, StandingLegEnded(Leg(switch, leg.leg), ENDED_UNSEEN))
