"""Records: what came of calls, offers and agents' time. They go to store, metrics and event stream, behind the calls.

`contact_id` is the contact of the record's call at that moment; empty in records of an older fsacd.
Times are milliseconds of the engine's monotonic clock; whoever writes them down turns them into wall-clock time.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from fsacd.core.evidence import Evidence
from fsacd.core.fact import fact
from fsacd.core.log_in import LogIn as LogIn  # noqa: PLC0414 - the way to hand a name on
from fsacd.core.standing_leg import StandingLegLost as StandingLegLost  # noqa: PLC0414
from fsacd.core.visit import Visit, VisitOutcome


class CallOutcome(StrEnum):
    """The closed list of ways a call can end. Each call has exactly one."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    OVERFLOWED = "overflowed"
    REFUSED = "refused"  # never stood in the queue: unknown queue, or a limit of the daemon
    HUNG_UP = "hung_up"  # by an operator
    LEFT = "left"  # took the fallback by itself, its leg was replaced, or somebody else has taken its caller
    LOST = "lost"  # its switch crashed or forgot it, or nobody saw its end


# The cause of an end that no event told: it was found out by asking the switch.
ENDED_UNSEEN = "ended_unseen"


class Elsewhere(StrEnum):
    """Details of a lost call whose caller is not lost: somebody else has the caller, out of our sight."""

    TALKS_UNSEEN = "talks_unseen"
    SERVED_ELSEWHERE = "served_elsewhere"


class OfferOutcome(StrEnum):
    """The closed list of ways an offer can end; `OfferClosed.reason` says more."""

    ANSWERED = "answered"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"


@fact
class CallJoined:
    """A call joined a queue: it is offered, in the field's sense of the word, to that queue."""

    call_id: str
    queue: str
    at_ms: int
    by_overflow: bool = False
    contact_id: str = ""


@fact
class CallConnected:
    """Caller and agent began to talk. `waited_ms` is queued → answered, the ringing included.

    `handed_over`: the caller had been connected before, and another agent has handed them over.
    """

    call_id: str
    queue: str
    agent_id: str
    at_ms: int
    waited_ms: int
    contact_id: str = ""
    handed_over: bool = False


@fact
class CallMoved:
    """A call overflowed from one queue into another."""

    call_id: str
    from_queue: str
    to_queue: str
    at_ms: int
    why: str
    contact_id: str = ""


@fact
class CallEnded:
    """A finished call: one row of history.

    `evidence` and `epoch` say which row stands if another daemon tells of this end, too; see `evidence`.
    """

    call_id: str
    queue: str
    outcome: CallOutcome
    detail: str
    arrived_ms: int
    ended_ms: int
    waited_ms: int
    talked_ms: int
    agent_id: str | None
    offers: int
    priority: int
    number: str
    name: str
    customer: str
    switch: str | None
    leg_uuid: str | None
    after: str = ""
    language: str = ""
    number_believed: bool = True
    evidence: Evidence = Evidence.SAW_END
    epoch: int = 0
    resumes: str = ""  # the abandoned call whose place it got
    customer_id: int = 0  # the customer in the database whom the caller was known as; 0: none
    contact_id: str = ""


@fact
class VisitEnded:
    """A call's stay in one queue is over: one row of history for each stay, so that no queue is left without a trace.

    `visit` is what it was when it began. `to` is where the caller went: "queue sales", "extension 100 default", "hangup
    USER_BUSY", or empty: nowhere, or out of sight. `waited_ms` is joined → answered, or ended; the others concern the
    answer, and are None without one. A visit whose end was reported, and whose call has come back, goes on: it has
    another record then, with the same number. `evidence` and `epoch` are as in `CallEnded`.
    """

    call_id: str
    visit: Visit
    ended_ms: int
    outcome: VisitOutcome
    detail: str
    to: str
    waited_ms: int
    offers: int  # made in this visit
    agent_id: str | None = None
    offer_id: str | None = None
    answered_ms: int | None = None
    connected_ms: int | None = None
    evidence: Evidence = Evidence.SAW_END
    epoch: int = 0
    contact_id: str = ""


@fact
class OfferClosed:
    """A finished offer. `reason`: talk, refused, busy, no_answer, unreachable, caller_gone, lost_race, bridge_window.

    An agent who answered and got no talk has the reason bridge_window or lost_race.
    """

    offer_id: str
    call_id: str
    queue: str
    agent_id: str
    attempt: int
    outcome: OfferOutcome
    reason: str
    started_ms: int
    answered_ms: int | None
    connected_ms: int | None
    ended_ms: int
    evidence: Evidence = Evidence.SAW_END
    epoch: int = 0
    contact_id: str = ""


class TalkEnd(StrEnum):
    """The closed list of who ended a talk."""

    CALLER = "caller"
    AGENT = "agent"
    TRANSFER = "transfer"  # the agent handed the caller over
    OPERATOR = "operator"  # somebody put the caller back into a queue, or hung the call up
    LOST = "lost"  # the switch restarted, or nobody saw who did
    CONNECTION_LOST = "connection_lost"  # nobody: the agent's phone fell silent, and the switch ended its leg


class TransferKind(StrEnum):
    """The closed list of how an agent has given a caller away. A record without one: nobody did, or an older fsacd."""

    NONE = ""
    BLIND = "blind"  # without a word to whoever is next
    ATTENDED = "attended"  # after a consultation
    CONFERENCE = "conference"  # the agent left two others who talked with the caller


@fact
class TalkEnded:
    """One agent's part in a call, keyed by its offer. `started_ms`: when caller and agent were bridged first.

    Of the time from `started_ms` to `ended_ms` the caller was on hold for `held_ms`, in `holds` times. `consults` is
    how often a colleague was rung; `visit` is the call's visit. `kind` is how the caller was given away, `to` where to:
    an agent's id, "queue sales", or "a number", for talks hold nobody's number. Empty: nobody has said.
    """

    offer_id: str
    call_id: str
    visit: int
    queue: str
    agent_id: str
    started_ms: int
    ended_ms: int
    held_ms: int
    holds: int
    consults: int
    ended_by: TalkEnd
    to: str
    evidence: Evidence
    epoch: int
    contact_id: str
    kind: TransferKind = TransferKind.NONE


@fact
class LegMeasured:
    """What the switch measured of the sound that came from a phone, told by a link when the leg has ended.

    `who`: agent (then `offer_id` is the talk) or caller. `mos_hundredths`: 450 is the best. `flaws`: packets lost or
    late. `jitter_ms`: None: not known.
    """

    leg: str
    who: str
    offer_id: str
    call_id: str
    at_ms: int
    mos_hundredths: int
    packets: int
    flaws: int
    jitter_ms: int | None


@fact
class AgentStateEnded:
    """An interval in which one state was the first of what an agent was and did: for whoever counts one state alone."""

    agent_id: str
    state: str
    reason: str
    started_ms: int
    ended_ms: int
    by: str = ""


@fact
class AgentPresence:
    """A presence of an agent: told when it begins, with `ended_ms` None, and again when it has ended.

    `presence`: logged_out, not_ready or ready. The presences of one agent touch, whatever the agent does meanwhile.
    """

    agent_id: str
    presence: str
    reason: str
    started_ms: int
    ended_ms: int | None = None
    by: str = ""  # who asked for it; empty: nobody, it followed


@fact
class AgentWorkEnded:
    """An interval in which something kept an agent from being offered more; those of one agent may overlap.

    `state`: offered, talking and wrapping_up of one offer, with its call, queue, channel and weight (in hundredths of
    the agent); held_back (`reason` says why) and busy (a call that is not ours) of none.
    """

    agent_id: str
    state: str
    reason: str
    started_ms: int
    ended_ms: int
    by: str = ""  # who ended it; empty: nobody, it followed
    offer_id: str = ""
    call_id: str = ""
    queue: str = ""
    channel: str = ""
    weight: int = 0


@fact
class WrapUpEnded:
    """What an agent has said of a talk, when its wrap-up has ended (or the talk, where none follows).

    It is told again, with `changes` one higher, whenever codes or note are changed after that; the highest is true.
    Where no codes are configured, it is told only of talks of which something was said.
    """

    offer_id: str
    agent_id: str
    call_id: str
    queue: str
    contact_id: str
    started_ms: int  # the talk's end
    ended_ms: int
    codes: tuple[str, ...] = ()
    note: str = ""
    by: str = ""  # who has set codes and note; empty: nobody
    number: str = ""  # the caller's, as in `CallEnded`: it finds the note when the caller is erased
    changes: int = 0


# The closed list of what is counted as an anomaly.
AnomalyKind = Literal["bridge_timeout", "call_refused", "foreign_leg", "offer_unconfirmed", "switch_gone", "talk_step"]


@fact
class Anomaly:
    """Something that should not have happened, and was dealt with: counted by kind, logged in one sentence."""

    kind: str
    text: str
    at_ms: int


@fact
class DecisionMade:
    """An agent was chosen for a call. `Engine.explain` tells why, for as long as it remembers."""

    number: int
    call_id: str
    queue: str
    agent_id: str
    offer_id: str
    at_ms: int
    contact_id: str = ""


@fact
class ChangeMade:
    """Somebody changed something by hand. `subject` is a call, an agent or a queue; `detail` says what was changed."""

    kind: str  # call_priority, call_skills, call_head_start, call_promoted, call_moved, call_sent, call_ended, …
    subject: str
    detail: str
    by: str
    at_ms: int


@fact
class StrategyFailed:
    """A plugin raised, stalled or answered nonsense; longest_idle, or the usual order, does its work from now on.

    `calls` is how many calls had been made into it since it was put into service, the failing one included: where a
    replay makes it fail (ARCHITECTURE.md, "A plugin's failure, replayed").
    `again_ms` is when it is tried again; None: in a record of an older fsacd, which never did.
    """

    queue: str
    plugin: str
    why: str
    calls: int
    at_ms: int
    again_ms: int | None = None


@fact
class StrategyReturned:
    """A plugin that had failed `failures` times in a row does its work again."""

    queue: str
    plugin: str
    failures: int
    at_ms: int


Record = (
    CallJoined
    | CallConnected
    | CallMoved
    | CallEnded
    | VisitEnded
    | OfferClosed
    | TalkEnded
    | LegMeasured
    | AgentStateEnded
    | AgentPresence
    | LogIn
    | AgentWorkEnded
    | WrapUpEnded
    | DecisionMade
    | ChangeMade
    | StrategyFailed
    | StrategyReturned
    | StandingLegLost
    | Anomaly
)
