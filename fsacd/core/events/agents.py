"""Facts about agents: what they ask for, what others ask for them, and calls at their phones that are not ours."""

from __future__ import annotations

from collections.abc import Mapping

from fsacd.core.events.legs import By, Leg
from fsacd.core.fact import fact
from fsacd.core.rules import Service, SkillLevels


@fact
class AgentLoggedIn:
    """The agent is at work, reachable at their contact; `contact` overrides the configured one until they log out."""

    agent_id: str
    by: By
    contact: str | None = None
    ready: bool = True


@fact
class AgentLoggedOut:
    """The agent logs out. During a call it takes effect after the call."""

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

    It takes effect at once: a phone that rings for such a call stops. It ends when they are ready for it, or log out.
    """

    agent_id: str
    by: By
    queue: str
    reason: str = ""


@fact
class AgentEndedWrapUp:
    """The agent has finished their after-call work before its time."""

    agent_id: str
    by: By


@fact
class AgentCodedWrapUp:
    """The agent says what came of a talk: codes by their ids or digits, and a note. A field of None changes nothing.

    It may be said while they talk, while they wrap up, and for a while after. `offer_id` names the talk; empty: the one
    that goes on, else the one that is wrapped up, else the last one.
    """

    agent_id: str
    by: By
    codes: tuple[str, ...] | None = None
    note: str | None = None
    offer_id: str = ""


@fact
class AgentChangeAsked:
    """An operator changes what an agent can do or serves, until the configuration says something new of the agent.

    A field of None changes nothing.
    """

    agent_id: str
    by: By
    skills: SkillLevels | None = None
    queues: Mapping[str, Service] | None = None


@fact
class OutsideCallStarted:
    """The agent's phone is in a call that is not ours: it rings, is answered, or the agent dials out."""

    agent_id: str
    leg: Leg


@fact
class OutsideCallEnded:
    """The agent's leg of such a call has ended."""

    agent_id: str
    leg: Leg


@fact
class StandingLegUp:
    """The agent's standing leg is answered and waits for an offer; told again every ten seconds.

    `back`: it has just come there, when it was answered or from a talk.
    """

    agent_id: str
    leg: Leg
    back: bool = False


@fact
class StandingLegEnded:
    """A standing leg has ended, or was never made.

    `silent`: its phone has sent nothing for its `media_timeout`. `sent`: False if the order to ring it never left.
    """

    leg: Leg
    cause: str
    silent: bool = False
    sent: bool = True


QueueBreakEvent = AgentSetReadyFor | AgentSetNotReadyFor


AgentStateEvent = AgentLoggedIn | AgentLoggedOut | AgentSetReady | AgentSetNotReady | AgentEndedWrapUp


AgentEvent = AgentStateEvent | QueueBreakEvent | AgentCodedWrapUp | AgentChangeAsked


OutsideEvent = OutsideCallStarted | OutsideCallEnded


StandingEvent = StandingLegUp | StandingLegEnded
