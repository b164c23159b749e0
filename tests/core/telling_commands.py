"""The engine's commands in the words of stories, and the names of offers there."""

from __future__ import annotations

from typing import assert_never

from fsacd.core import commands as k
from fsacd.core import offer
from fsacd.core.rules import ToExtension
from tests.core.story_legs import tell_leg

# A story that offers one call more often than this is not a story any more.
_ATTEMPTS = 50


class Names:
    """Offers by readable names: `anna/1` is the first offer of the call anna, `anna'/1` that after a takeover."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def learn(self, call_id: str) -> None:
        """A call whose offers are to be named."""
        for takeovers, mark in enumerate(("", "'")):
            for attempt in range(1, _ATTEMPTS + 1):
                self.known[offer.offer_id(takeovers, call_id, attempt)] = f"{call_id}{mark}/{attempt}"

    def of(self, offer_id: str) -> str:
        """The readable name, or the id itself."""
        return self.known.get(offer_id, offer_id)

    def inside(self, text: str) -> str:
        """A sentence with each offer's id replaced by its name."""
        return " ".join(self.of(word) for word in text.split())


def seconds(ms: int) -> str:
    """A duration."""
    return f"{ms / 1000:g}s"


def on_phones(offer_id: str, legs: tuple[str, ...]) -> str:
    """On which phones of several; of a user nobody knows how many there are before the switch is asked."""
    possible = offer.legs_of(offer_id, offer.MOST_LEGS)
    if legs in ((), ("",), possible):
        return ""
    return " on " + " and ".join(str(possible.index(leg) + 1) for leg in legs)


def tell_command(command: k.Command, names: Names) -> str:
    """One command."""
    match command:
        case k.RingAgent():
            return (
                f"ring {command.agent_id} at {names.of(command.standing_leg) or command.contact}"
                f" for {names.of(command.offer_id)} in {command.queue}, {seconds(command.timeout_ms)}"
                + "".join(f", {name}={value}" for name, value in command.variables)
            )
        case k.RingNumber():
            return f"dial {command.number} for {names.of(command.offer_id)}, {seconds(command.timeout_ms)}"
        case k.CancelOffer(offer_id, _, reason, legs):
            return f"cancel {names.of(offer_id)} {reason}{on_phones(offer_id, legs)}"
        case k.Connect(offer_id, call_id, _, leg):
            return f"connect {call_id} to {names.of(offer_id)}{on_phones(offer_id, (leg,))}"
        case k.AskBridged() | k.HoldCaller() | k.Rejoin() | k.JoinThird() | k.HoldThird() | k.HandOver() | k.Gather():
            return _shaping(command, names)
        case k.MuteAgent() | k.SendDigits():
            return _shaping(command, names)
        case k.AskConnected(offer_id, _, leg):
            return f"ask whether {names.of(offer_id)} is connected{on_phones(offer_id, (leg,))}"
        case k.RingStandingLeg() | k.ReturnStandingLeg() | k.EndStandingLeg():
            return tell_leg(command, names.known)
        case _:
            return _of_caller(command)


def _of_caller(command: k.CallerCommand) -> str:
    match command:
        case k.ArmCall(call_id, _):
            return f"arm {call_id}"
        case k.ConfirmTalk(call_id, _, then, stays_armed):
            armed = ", who stays armed" if stays_armed else ""
            return f"confirm talk of {call_id}{armed}" + (f", then {extension(then)}" if then else "")
        case k.TakeIn(call_id, leg, queue, age_ms):
            return f"take {leg.uuid} in for {call_id} in {queue}, {seconds(age_ms)} old"
        case k.LetGo(call_id, _, talks):
            return f"let go of {call_id}" + (", who talks" if talks else "")
        case k.NoteCall() | k.NoteContact():
            return _note(command)
        case k.SendCall(call_id, _, target):
            return f"send {call_id} to {extension(target)}"
        case k.EndCall(call_id, _, cause):
            return f"hang up {call_id} {cause}"
        case _:
            assert_never(command)


def _shaping(command: k.TalkCommand, names: Names) -> str:
    match command:
        case k.AskBridged():
            inside = ", or in their room" if command.room else ""
            return f"ask who are bridged with {names.of(command.offer_id)}{inside}"
        case k.Gather():
            alone = " and ".join(names.of(leg) for leg in command.alone)
            who = f"{command.call_id}, {names.of(command.agents_leg)} and {names.of(command.third_leg)}"
            return f"bring {who} into a room; {alone} alone now"
        case k.HoldCaller():
            return f"hold {command.call_id}, {names.of(command.agents_leg)} stays"
        case k.Rejoin():
            return f"connect {command.call_id} to {names.of(command.agents_leg)} again"
        case k.JoinThird():
            return f"connect {names.of(command.agents_leg)} to {names.of(command.third_leg)}"
        case k.HoldThird():
            return f"hold {names.of(command.third_leg)}, {names.of(command.agents_leg)} stays"
        case k.MuteAgent():
            return f"{'mute' if command.muted else 'unmute'} {names.of(command.agents_leg)}"
        case k.SendDigits():
            return f"send {command.digits} to {' and '.join(names.of(leg) for leg in command.legs)}"
        case k.HandOver():
            agents = command.agents_leg and f", {names.of(command.agents_leg)} stays"
            return f"hand {command.call_id} over to {names.of(command.third_leg)}" + agents


def _note(command: k.NoteCall | k.NoteContact) -> str:
    if isinstance(command, k.NoteContact):
        return f"note on {command.leg.uuid} the contact of {command.call_id}"
    place = f"class {command.priority}, head start {seconds(command.head_start_ms)}"
    since = f"in {command.queue} {seconds(command.joined_after_ms)} after its arrival"
    return f"note on the leg of {command.call_id}: {since}, {place}"


def extension(target: ToExtension) -> str:
    """An extension, and its context if it has one."""
    return f"{target.extension} {target.context}".rstrip()
