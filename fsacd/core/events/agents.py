"""What is told of agents: what they ask for, or others for them, and the calls of their own."""

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
    """The agent has finished their after-call work before its time."""

    agent_id: str
    by: By


@fact
class AgentChangeAsked:
    """An operator changes what an agent can do or serves, until the configuration says something new of the agent.

    None leaves as it is.
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
    """That call's leg on the agent's side is over."""

    agent_id: str
    leg: Leg


QueueBreakEvent = AgentSetReadyFor | AgentSetNotReadyFor


AgentStateEvent = AgentLoggedIn | AgentLoggedOut | AgentSetReady | AgentSetNotReady | AgentEndedWrapUp


AgentEvent = AgentStateEvent | QueueBreakEvent | AgentChangeAsked


OutsideEvent = OutsideCallStarted | OutsideCallEnded
