"""Facts: what happened, in the past tense. The only thing that enters the engine.

Times are milliseconds of the engine's own monotonic clock; a fact may carry a time before now (a call that waited
while the daemon was away). Facts arrive late, doubled, out of order and about things the engine never heard of;
`Engine.handle` takes all of that as ordinary.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from fsacd.core.fact import fact
from fsacd.core.rules import Rules, Service, SkillLevels

# Who asked for a change: "phone:1001", "api:wallboard", "cli:root". Recorded, never interpreted.
By = str


@fact
class Leg:
    """Where a caller can be reached: one channel on one switch."""

    switch: str
    uuid: str


@fact
class LegVariable:
    """A channel variable of a caller's leg that may go along to the agent's; `exported`: the dialplan says so."""

    name: str
    value: str
    exported: bool = False


class OfferEnd(StrEnum):
    """Why an agent's leg is no more, told from the hangup cause that the switch gave."""

    REFUSED = "refused"
    BUSY = "busy"
    # The phone wants the call to go elsewhere (SIP 302), where it is no business of the queue's.
    DIVERTED = "diverted"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    CANCELLED = "cancelled"
    HUNG_UP = "hung_up"
    # The order to ring never left this process, so no phone rang and the agent is not to blame.
    NOT_SENT = "not_sent"


class Taken(StrEnum):
    """How others take a waiting caller out of our hands; history has it as the detail of a call that has left."""

    PICKED_UP = "picked_up"  # somebody who is no agent of the call's talks with them
    MOVED = "moved"  # into another extension
    PARKED = "parked"


# --- calls ---------------------------------------------------------------------------------------------------------


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
    variables: tuple[LegVariable, ...] = ()  # of its leg, when it was queued: those that may go along to agents' legs
    # The customer in the database whom the caller is known as; 0: none.
    customer_id: int = 0
    # The number under which whom they talked with is remembered, where a customer has several; empty: the identity.
    remembered_as: str = ""


@fact
class CallReturned:
    """The caller's leg came back to the music by itself: the bridge to the agent broke before they could talk.

    `leg`, here and below, is the leg that the fact is about: a fact about another one than the call's is not believed.
    `at_ms` is when it came back, if that is known: the fact may come late.
    """

    call_id: str
    leg: Leg | None = None
    at_ms: int | None = None


@fact
class CallerGone:
    """The caller's leg has ended.

    `transferred`: it has given its place to another leg, which goes on where it was (a consultation call is handed
    over to the one it was about). `found`, here and below: nobody heard of it; it was found out by asking.
    """

    call_id: str
    cause: str = ""
    transferred: bool = False
    leg: Leg | None = None
    found: bool = False


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
    """Others have taken the caller on this leg away, without our doing.

    `where` is the number of who has picked them up, or `EXTENSION CONTEXT` into which they were moved.
    """

    leg: Leg
    how: Taken
    where: str = ""
    found: bool = False


@fact
class CallerReplaced:
    """The leg `heir` has taken the place of a call's leg (INVITE with Replaces), and is in no queue yet."""

    leg: Leg
    heir: Leg


@fact
class CallLost:
    """The switch the leg stood on has restarted, or no longer knows the leg: nobody saw it end."""

    call_id: str
    cause: str = ""


@fact
class TalkFound:
    """A caller talks with an agent of ours, and nobody has told us: a daemon before us connected them.

    `call` is what the caller's announcement would say. `rang_ms`, `answered_ms` and `connected_ms` are when the agent's
    phone was rung, was answered, and when they began to talk. `leg`: which one it is, where several phones were rung.
    """

    call: CallQueued
    offer_id: str
    agent_id: str
    rang_ms: int
    answered_ms: int
    connected_ms: int
    leg: str = ""


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
    """An operator wants this agent to have the call: it waits for him alone for `for_ms`, then for all again."""

    call_id: str
    agent_id: str
    by: By
    for_ms: int = 60_000


# --- offers --------------------------------------------------------------------------------------------------------


@fact
class OfferForked:
    """So many phones are rung for the offer, each on a leg of its own; the switch was asked how many there are."""

    offer_id: str
    legs: int


@fact
class OfferUnheard:
    """The link broke before anything was heard of the offer, and there is no leg of it: perhaps there never will be."""

    offer_id: str


@fact
class OfferRang:
    """The agent's phone rings."""

    offer_id: str


@fact
class OfferAnswered:
    """The agent's leg is answered and parked: it can be bridged. `switch` lets a leg nobody knows be ended.

    `leg`: which one it is, where several phones were rung.
    """

    offer_id: str
    switch: str = ""
    leg: str = ""


@fact
class OfferConnected:
    """Caller and agent are bridged: they talk."""

    offer_id: str


@fact
class ConnectFailed:
    """The switch refused to bridge, or the order never reached it."""

    offer_id: str
    cause: str = ""


@fact
class OfferEnded:
    """The agent's leg has ended or never came to be: a failed originate and a hangup are the same fact.

    `answered`: the phone had been answered, though the leg may have ended before it could be bridged. `talked_ms`: how
    long it was bridged, by the switch's own clock; 0 if it was not, or nobody knows. `told`: its phone knows. A leg
    that we end is over in the switch up to 20 ms before its phone hears of it, and would be busy for the next ring.
    `leg`: it is the end of this one leg of `legs` that were rung at once; without it no leg of the offer is left.
    """

    offer_id: str
    end: OfferEnd
    cause: str = ""
    answered: bool = False
    talked_ms: int = 0
    told: bool = True
    leg: str = ""
    legs: int = 1


# --- agents --------------------------------------------------------------------------------------------------------


@fact
class AgentLoggedIn:
    """The agent is at work, reachable at his contact; `contact` overrides the configured one until he logs out."""

    agent_id: str
    by: By
    contact: str | None = None
    ready: bool = True


@fact
class AgentLoggedOut:
    """The agent goes home. During a call it takes effect after the call."""

    agent_id: str
    by: By


@fact
class AgentSetReady:
    """The agent wants calls. During wrap-up it ends the wrap-up."""

    agent_id: str
    by: By


@fact
class AgentSetNotReady:
    """The agent wants no calls, for a reason. During a call it is remembered and takes effect after wrap-up."""

    agent_id: str
    by: By
    reason: str = ""


@fact
class AgentSetReadyFor:
    """The agent wants calls of this one of their queues again."""

    agent_id: str
    by: By
    queue: str


@fact
class AgentSetNotReadyFor:
    """The agent wants no calls of this one of their queues, for a reason, and goes on with the others'.

    At once: a phone that rings for one of them falls silent. It ends when they say so, or log out.
    """

    agent_id: str
    by: By
    queue: str
    reason: str = ""


@fact
class AgentEndedWrapUp:
    """The agent has finished his after-call work before its time."""

    agent_id: str
    by: By


@fact
class AgentChangeAsked:
    """An operator changes what an agent can do or serves, until the configuration says something new of him.

    None leaves as it is.
    """

    agent_id: str
    by: By
    skills: SkillLevels | None = None
    queues: Mapping[str, Service] | None = None


@fact
class OutsideCallStarted:
    """The agent's phone is in a call that is not ours: it rings, is answered, or he dials out himself."""

    agent_id: str
    leg: Leg


@fact
class OutsideCallEnded:
    """That call's leg on the agent's side is over."""

    agent_id: str
    leg: Leg


# --- the world -----------------------------------------------------------------------------------------------------


@fact
class SwitchHeld:
    """The switch is ours to act on, and what it tells is true; `epoch` counts up each time it is anybody's.

    What has happened there before is found out until `SwitchConnected`.
    """

    switch: str
    epoch: int


@fact
class SwitchConnected:
    """The switch is there, in sync, and takes commands."""

    switch: str


@fact
class SwitchLost:
    """The link to the switch is down: its calls go on without us, and no new offer can be made there."""

    switch: str


@fact
class SwitchRestarted:
    """The switch has started anew (its Core-UUID changed): every leg on it is gone."""

    switch: str


@fact
class SwitchTaken:
    """Another daemon serves the switch: the calls there are that one's now, and it writes how they end."""

    switch: str


@fact
class QueueSetOpen:
    """A queue opens or closes: by its hours, or because somebody wants it so."""

    queue: str
    open: bool
    by: By


@fact
class LastAgentsKnown:
    """Whom these callers talked with last, by history: (number, agent), the oldest first. What is known stays."""

    pairs: tuple[tuple[str, str], ...]


@fact
class CallersForgotten:
    """Nobody shall know any more whom the callers with these numbers talked with; calls that go on do so unchanged."""

    numbers: tuple[str, ...]


@fact
class RulesChanged:
    """The configuration was reloaded."""

    rules: Rules


CallWish = CallRequeueAsked | CallHangupAsked | CallChangeAsked | CallPromoteAsked | CallSendAsked
TakenEvent = CallerTaken | CallerReplaced
CallEvent = CallQueued | CallReturned | CallerGone | CallLeft | TakenEvent | CallLost | TalkFound | CallWish
OfferEvent = OfferForked | OfferUnheard | OfferRang | OfferAnswered | OfferConnected | ConnectFailed | OfferEnded
QueueBreakEvent = AgentSetReadyFor | AgentSetNotReadyFor
AgentStateEvent = AgentLoggedIn | AgentLoggedOut | AgentSetReady | AgentSetNotReady | AgentEndedWrapUp
AgentEvent = AgentStateEvent | QueueBreakEvent | AgentChangeAsked
OutsideEvent = OutsideCallStarted | OutsideCallEnded
SwitchEvent = SwitchHeld | SwitchConnected | SwitchLost | SwitchRestarted | SwitchTaken
CallerEvent = LastAgentsKnown | CallersForgotten
WorldEvent = SwitchEvent | QueueSetOpen | CallerEvent | RulesChanged
Event = CallEvent | OfferEvent | AgentEvent | OutsideEvent | WorldEvent
