"""Who may do what, decided here and nowhere else: for tokens, for phones, for a signal; for people, when they come.

- Nobody may do what is not given to them.
- A principal is a subject (what history writes down), the verbs that it has, and the scope in which it has them.
- A verb is one kind of right. Each route of the API and each wish to the engine names the one that it needs.
- A scope bounds acting. What only looks is given whole or not at all.
- Where a scope is bounded (by agents, by queues), the target must be named and lie inside it.
- Time is an argument; a principal whose time is over may do nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, assert_never

from fsacd.core.events import (
    AgentChangeAsked,
    AgentCodedWrapUp,
    AgentEndedWrapUp,
    AgentEvent,
    AgentLoggedIn,
    AgentLoggedOut,
    AgentSetNotReady,
    AgentSetNotReadyFor,
    AgentSetReady,
    AgentSetReadyFor,
    CallChangeAsked,
    CallHangupAsked,
    CallPromoteAsked,
    CallRequeueAsked,
    CallSendAsked,
    CallWish,
    QueueSetOpen,
    TalkChangeAsked,
    TalkConsultAsked,
    TalkDigitsAsked,
    TalkTransferAsked,
    TalkWish,
)

# What somebody may ask of the engine. All other facts come from switches, clocks and files.
Wish = CallWish | AgentEvent | QueueSetOpen | TalkWish


class Verb(StrEnum):
    """A kind of right; together, all that anybody may do."""

    SEE_HEALTH = "see_health"
    SEE_METRICS = "see_metrics"
    SEE_STATUS = "see_status"
    SEE_NUMBERS = "see_numbers"
    EXPLAIN = "explain"
    ACT_AS_AGENT = "act_as_agent"
    CHOOSE_CONTACT = "choose_contact"
    HANDLE_TALKS = "handle_talks"
    CHANGE_AGENTS = "change_agents"
    MOVE_CALLS = "move_calls"
    CHANGE_CALLS = "change_calls"
    END_CALLS = "end_calls"
    OPEN_QUEUES = "open_queues"
    SEE_CUSTOMERS = "see_customers"
    CHANGE_CUSTOMERS = "change_customers"
    RELOAD = "reload"
    RESYNC = "resync"

    @property
    def says(self) -> str:
        """What the verb lets somebody do, to stand after "may"."""
        return _SAYS[self]


_SAYS: Final[Mapping[Verb, str]] = {
    Verb.SEE_HEALTH: "see whether the daemon lives and is ready",
    Verb.SEE_METRICS: "see the metrics",
    Verb.SEE_STATUS: "look at the status, queues, agents and calls",
    Verb.SEE_NUMBERS: "see callers' numbers and agents' contacts in full",
    Verb.EXPLAIN: "see why a call went where it went",
    Verb.ACT_AS_AGENT: "log an agent in and out, make them ready or not (for one of their queues, too), end their "
    "wrap-up, and say what came of a talk",
    Verb.CHOOSE_CONTACT: "choose at login where an agent is rung, of the contacts that are allowed",
    Verb.HANDLE_TALKS: "hold, mute or end an agent's talk, send digits, consult a colleague, and hand the caller over",
    Verb.CHANGE_AGENTS: "change agents' skills and queues",
    Verb.MOVE_CALLS: "put calls into a queue or send them to an agent",
    Verb.CHANGE_CALLS: "promote calls and change their priority, head start and required skills",
    Verb.END_CALLS: "hang calls up",
    Verb.OPEN_QUEUES: "open and close queues",
    Verb.SEE_CUSTOMERS: "look at customers, with their numbers and own fields",
    Verb.CHANGE_CUSTOMERS: "create, change, merge, import and delete customers",
    Verb.RELOAD: "reload the configuration",
    Verb.RESYNC: "compare with the switches at once",
}

# These only look.
_LOOKING: Final = frozenset(
    (Verb.SEE_HEALTH, Verb.SEE_METRICS, Verb.SEE_STATUS, Verb.SEE_NUMBERS, Verb.SEE_CUSTOMERS, Verb.EXPLAIN)
)


class Role(StrEnum):
    """The named sets of verbs in the configuration; each role has all verbs of the roles before it."""

    READ = "read"
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"

    @property
    def verbs(self) -> frozenset[Verb]:
        """All verbs of the role."""
        return _VERBS[self]

    @property
    def own(self) -> tuple[Verb, ...]:
        """The verbs that it adds to those of the roles before it."""
        return _OWN[self]


_OWN: Final[Mapping[Role, tuple[Verb, ...]]] = {
    Role.READ: (Verb.SEE_HEALTH, Verb.SEE_METRICS, Verb.SEE_STATUS, Verb.EXPLAIN),
    Role.AGENT: (Verb.ACT_AS_AGENT, Verb.CHOOSE_CONTACT, Verb.HANDLE_TALKS),
    Role.SUPERVISOR: (
        Verb.SEE_NUMBERS,
        Verb.CHANGE_AGENTS,
        Verb.MOVE_CALLS,
        Verb.CHANGE_CALLS,
        Verb.END_CALLS,
        Verb.OPEN_QUEUES,
        Verb.SEE_CUSTOMERS,
        Verb.CHANGE_CUSTOMERS,
    ),
    Role.ADMIN: (Verb.RELOAD, Verb.RESYNC),
}
_ROLES: Final = tuple(Role)
_VERBS: Final[Mapping[Role, frozenset[Verb]]] = {
    role: frozenset(verb for each in _ROLES[: number + 1] for verb in _OWN[each]) for number, role in enumerate(_ROLES)
}


def roles_with(verb: Verb) -> tuple[Role, ...]:
    """The roles that have this verb, the least of them first."""
    return tuple(role for role in _ROLES if verb in role.verbs)


@dataclass(frozen=True, slots=True)
class Scope:
    """The agents and queues that somebody may act on; None: all."""

    agents: frozenset[str] | None = None
    queues: frozenset[str] | None = None


EVERYWHERE: Final = Scope()


@dataclass(frozen=True, slots=True)
class Target:
    """What somebody wants to act on; nothing at all stands for the whole daemon."""

    agents: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()


WHOLE: Final = Target()


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who wants something. `subject` is who they are to logs and history: "api:wallboard", "phone:1001".

    `expires_s` is Unix time in seconds; from then on they may do nothing. None: it never expires.
    """

    subject: str
    verbs: frozenset[Verb] = frozenset()
    scope: Scope = EVERYWHERE
    expires_s: float | None = None

    def expired(self, now_s: float) -> bool:
        """Whether its time is over."""
        return self.expires_s is not None and now_s >= self.expires_s


def stranger(*, open_metrics: bool) -> Principal:
    """The principal of a request without a known token."""
    verbs = {Verb.SEE_HEALTH, Verb.SEE_METRICS} if open_metrics else {Verb.SEE_HEALTH}
    return Principal("", frozenset(verbs))


def at_phone(subject: str, agents: Iterable[str]) -> Principal:
    """The principal of a feature code dialled at a phone, who may act for these agents."""
    return Principal(subject, frozenset((Verb.ACT_AS_AGENT, Verb.CHOOSE_CONTACT)), Scope(agents=frozenset(agents)))


# Who may send this process a signal could also end it.
BY_SIGNAL: Final = Principal("signal", frozenset((Verb.RELOAD,)))


def may(principal: Principal, verb: Verb, target: Target, now_s: float) -> str | None:
    """Whether this principal has the verb for the target now: None, or one sentence why not. `now_s` is Unix time."""
    who = principal.subject or "whoever shows no token"
    if principal.expired(now_s):
        return f"the token of {who} has expired."
    if verb not in principal.verbs:
        return f"{who} may not {verb.says}; that takes the role {roles_with(verb)[0]} or one above it."
    if verb in _LOOKING:
        return None
    for what, allowed, wanted in (
        ("agents", principal.scope.agents, target.agents),
        ("queues", principal.scope.queues, target.queues),
    ):
        if allowed is None:
            continue
        outside = [name for name in wanted if name not in allowed]
        if outside or not wanted:
            return f"{who} may act for the {what} {_listed(allowed)} alone, not for {_listed(outside) or 'all'}."
    return None


def _listed(names: Iterable[str], most: int = 5) -> str:
    ordered = [name[:64] for name in sorted(names)]
    return ", ".join(ordered[:most]) + (", …" if len(ordered) > most else "")


# --- wishes --------------------------------------------------------------------------------------------------------

# What each wish to the engine needs. A login elsewhere than at the agent's own contact needs CHOOSE_CONTACT, too.
WISHES: Final[Mapping[type[Wish], Verb]] = MappingProxyType(
    {
        AgentLoggedIn: Verb.ACT_AS_AGENT,
        AgentLoggedOut: Verb.ACT_AS_AGENT,
        AgentSetReady: Verb.ACT_AS_AGENT,
        AgentSetNotReady: Verb.ACT_AS_AGENT,
        AgentSetReadyFor: Verb.ACT_AS_AGENT,
        AgentSetNotReadyFor: Verb.ACT_AS_AGENT,
        AgentEndedWrapUp: Verb.ACT_AS_AGENT,
        AgentCodedWrapUp: Verb.ACT_AS_AGENT,
        TalkChangeAsked: Verb.HANDLE_TALKS,
        TalkConsultAsked: Verb.HANDLE_TALKS,
        TalkDigitsAsked: Verb.HANDLE_TALKS,
        TalkTransferAsked: Verb.HANDLE_TALKS,
        AgentChangeAsked: Verb.CHANGE_AGENTS,
        CallRequeueAsked: Verb.MOVE_CALLS,
        CallSendAsked: Verb.MOVE_CALLS,
        CallPromoteAsked: Verb.CHANGE_CALLS,
        CallChangeAsked: Verb.CHANGE_CALLS,
        CallHangupAsked: Verb.END_CALLS,
        QueueSetOpen: Verb.OPEN_QUEUES,
    }
)


def target_of(wish: Wish, queue_of: Callable[[str], str]) -> Target:
    """The target of a wish. `queue_of` gives the queue of a call, or the empty text for an unknown call."""
    match wish:
        case CallSendAsked():
            return Target((wish.agent_id,), (queue_of(wish.call_id),))
        case CallRequeueAsked():
            queues = (queue_of(wish.call_id), *(() if wish.queue is None else (wish.queue,)))
            return Target(queues=queues)
        case CallHangupAsked() | CallChangeAsked() | CallPromoteAsked():
            return Target(queues=(queue_of(wish.call_id),))
        case AgentChangeAsked():
            return Target((wish.agent_id,), tuple(wish.queues or ()))
        case (
            AgentLoggedIn()
            | AgentLoggedOut()
            | AgentSetReady()
            | AgentSetNotReady()
            | AgentEndedWrapUp()
            | AgentCodedWrapUp()
        ):
            return Target((wish.agent_id,))
        case TalkChangeAsked() | TalkConsultAsked() | TalkTransferAsked() | TalkDigitsAsked():
            return Target((wish.agent_id,))
        case AgentSetReadyFor() | AgentSetNotReadyFor():
            return Target((wish.agent_id,), (wish.queue,))
        case QueueSetOpen():
            return Target(queues=(wish.queue,))
        case _:
            assert_never(wish)


def may_ask(
    principal: Principal, wish: Wish, places: Places, queue_of: Callable[[str], str], now_s: float
) -> str | None:
    """Whether this principal may have this wish: None, or in one sentence why not.

    The one thing in a wish that a switch dials, the contact of a login, is checked here. All other places to which
    calls go stand in the configuration.
    """
    if wish.by != principal.subject:
        return f"{principal.subject} may not ask in the name of {wish.by[:64]}."
    verb = WISHES.get(type(wish))
    if verb is None:
        return f"{principal.subject} may not ask for this."
    target = target_of(wish, queue_of)
    refusal = may(principal, verb, target, now_s)
    if refusal is not None or not isinstance(wish, AgentLoggedIn) or wish.contact is None:
        return refusal
    if wish.contact == places.contacts.get(wish.agent_id):
        return None
    return may(principal, Verb.CHOOSE_CONTACT, target, now_s) or places.refusal(wish.agent_id, wish.contact)


# --- places --------------------------------------------------------------------------------------------------------

# What a star in an allowed contact stands for: a part of a name, without "@" and "/", which would lead elsewhere, and
# without "+", with which an outside number begins.
_ANY: Final = "[A-Za-z0-9_.-]*"


@dataclass(frozen=True, slots=True)
class Places:
    """Where agents may be rung: at any configured agent's own contact, and where the configuration allows it besides.

    `contacts` are the agents' own. `allowed` holds the patterns for all agents, `allowed_for` those for one: contacts
    in which `*` stands for letters, digits, '_', '.', '-', and `{agent}` for the agent's id.
    """

    contacts: Mapping[str, str] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    allowed_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def refusal(self, agent_id: str, contact: str) -> str | None:
        """Why this agent may not be rung there; None when they may."""
        # Nearly everybody is at their own; to look at all is long where there are thousands.
        if self.contacts.get(agent_id) == contact or contact in self.contacts.values():
            return None
        for pattern in (*self.allowed, *self.allowed_for.get(agent_id, ())):
            parts = map(re.escape, pattern.replace("{agent}", agent_id).split("*"))
            if re.fullmatch(_ANY.join(parts), contact):
                return None
        return (
            f"Agent {agent_id} may not be rung at {contact[:64]}: it is no configured agent's contact, and stands "
            "neither in allowed_contacts nor in those of the agent."
        )
