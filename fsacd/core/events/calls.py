"""Facts about calls, and wishes about them."""

from __future__ import annotations

from enum import StrEnum

from fsacd.core.events.legs import By, Leg, LegVariable
from fsacd.core.fact import fact
from fsacd.core.rules import SkillLevels
from fsacd.core.visit import HowIn


class Taken(StrEnum):
    """How somebody else takes a waiting caller away; history has it as the detail of a call that has left."""

    PICKED_UP = "picked_up"  # somebody other than the call's agent talks with them
    MOVED = "moved"  # into another extension
    PARKED = "parked"


@fact
class CallQueued:
    """A caller stands in a queue. Announced again every few seconds, so a lost announcement heals itself."""

    call_id: str
    queue: str
    arrived_ms: int
    leg: Leg | None = None
    priority: int | None = None  # None: the queue's
    head_start_ms: int = 0
    required: SkillLevels = ()
    number: str = ""
    name: str = ""
    customer: str = ""
    language: str = ""
    named_agent: str = ""  # the agent who is this customer's own
    source: str = ""  # the network address that the call came from
    # Whether the number is taken for the caller's own; None: nobody has said, and it is.
    number_believed: bool | None = None
    joined_after_ms: int = 0  # its arrival → its joining the queue it stands in
    # What the dialplan has set for the phones that are rung (effective_caller_id_*).
    shown_name: str = ""
    shown_number: str = ""
    changed: bool = False  # priority, head start and skills are as somebody has changed them: nothing is added
    # Who calls, as callers are told apart: empty for nobody in particular; None: nobody has said, the number tells.
    identity: str | None = None
    hidden: bool = False  # the caller asks that the number be shown to nobody
    variables: tuple[LegVariable, ...] = ()  # of its leg, when it was queued: those that agents' legs may get
    # The customer in the database whom the caller is known as; 0: none.
    customer_id: int = 0
    # The number under which whom they talked with is remembered, where a customer has several; empty: the identity.
    remembered_as: str = ""
    # The contact that its leg belongs to, as the leg says. Empty: it says none, or one that does not fit; None: nobody
    # has looked.
    contact_id: str | None = None
    # The number of its visit to this queue and how it came in, as a daemon has noted it on the leg; 0: none has.
    visit: int = 0
    how_in: HowIn | None = None


@fact
class CallReturned:
    """The caller's leg came back to the music by itself: the bridge to the agent broke before they could talk.

    `leg`, here and below, is the leg that the fact is about: a fact about a leg that is not the call's is not believed.
    `at_ms` is when it came back, if that is known: the fact may come late.
    """

    call_id: str
    leg: Leg | None = None
    at_ms: int | None = None


@fact
class CallerGone:
    """The caller's leg has ended.

    `transferred`: another leg takes its place and goes on where it was (attended transfer: a consult call is handed
    over to the person it was about). `found`, here and below: no event told it; it was found out by asking the switch.
    """

    call_id: str
    cause: str = ""
    transferred: bool = False
    leg: Leg | None = None
    found: bool = False
    late_ms: int = 0


@fact
class CallLeft:
    """The caller left the music loop without our doing: for the dialplan's fallback, or `into` another queue.

    There they are another call, which announces itself.
    """

    call_id: str
    leg: Leg | None = None
    found: bool = False
    into: str = ""


@fact
class CallerTaken:
    """Somebody else has taken the caller on this leg away, without our doing.

    `where` is the number of the person who has picked them up, or the `EXTENSION CONTEXT` into which they were moved.
    """

    leg: Leg
    how: Taken
    where: str = ""
    found: bool = False


@fact
class CallerReplaced:
    """The leg `heir` has taken the place of a call's leg (INVITE with Replaces), and is in no queue yet.

    `talks`: it takes the caller's part in a talk, or in one that is about to begin.
    """

    leg: Leg
    heir: Leg
    talks: bool = False


@fact
class CallLost:
    """The switch the leg stood on has restarted, or no longer knows the leg: nobody saw it end."""

    call_id: str
    cause: str = ""


@fact
class TalkFound:
    """A caller is found talking with one of our agents: a daemon before this one connected them.

    `call` is what the caller's announcement would say. `rang_ms`, `answered_ms` and `connected_ms` are when the agent's
    phone was rung, was answered, and when they began to talk. `leg`: the agent's leg, where several phones were rung.
    `muted`: nobody hears the agent. `standing_leg`: the leg that is lent to the talk, of an agent who has one.
    """

    call: CallQueued
    offer_id: str
    agent_id: str
    rang_ms: int
    answered_ms: int
    connected_ms: int
    leg: str = ""
    muted: bool = False
    standing_leg: str = ""


@fact
class CallRequeueAsked:
    """An operator wants the call back in its queue (or in another), with the waiting time it has."""

    call_id: str
    by: By
    queue: str | None = None


@fact
class CallHangupAsked:
    """An operator wants the call ended."""

    call_id: str
    by: By


@fact
class CallChangeAsked:
    """An operator changes what a call is or requires; None leaves as it is."""

    call_id: str
    by: By
    priority: int | None = None
    required: SkillLevels | None = None
    head_start_ms: int | None = None


@fact
class CallPromoteAsked:
    """An operator lets a call go before all others of its queue, whatever their class."""

    call_id: str
    by: By


@fact
class CallSendAsked:
    """An operator wants this agent to have the call: it waits for this agent alone for `for_ms`, then for all again."""

    call_id: str
    agent_id: str
    by: By
    for_ms: int = 60_000


CallWish = CallRequeueAsked | CallHangupAsked | CallChangeAsked | CallPromoteAsked | CallSendAsked


TakenEvent = CallerTaken | CallerReplaced


CallEvent = CallQueued | CallReturned | CallerGone | CallLeft | TakenEvent | CallLost | TalkFound | CallWish
