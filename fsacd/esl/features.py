"""The desk that serves feature codes: who may do what for whom, from which phone."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import structlog

from fsacd.core.events import (
    AgentCodedWrapUp,
    AgentEndedWrapUp,
    AgentEvent,
    AgentLoggedIn,
    AgentLoggedOut,
    AgentSetNotReady,
    AgentSetReady,
)
from fsacd.core.show.parts import InParts, whole
from fsacd.desk.rights import Principal, at_phone
from fsacd.errors import FsacdError
from fsacd.esl.phones import Phones
from fsacd.esl.pins import WrongPins
from fsacd.esl.translate import Feature
from fsacd.log.setup import seldom
from fsacd.process.trouble import Trouble

log = structlog.get_logger(__name__)

# The limit for all phones together is higher, or one phone could keep everybody from acting for an agent.
_TRIES_OF_PHONE = 5
_TRIES_FOR_AGENT = 20
# A trouble names at most so many agents.
_NAMED = 5


class Refusal(StrEnum):
    """The kind of reason that the phone hears: each has a tone of its own (dialplan, fsacd_no)."""

    AGENT = "agent"  # the phone is no agent's, or may not act for this one
    PIN = "pin"
    NOW = "now"  # the agent's state does not allow it


@dataclass(frozen=True, slots=True)
class Member:
    """What the desk knows of a configured agent. With a `pin` of None nobody else may act for them.

    `domain` is the domain in which their phone authenticates, if their id or the configuration says so. `implied` is
    the domain in their contact. Empty means the switch's own domain.
    """

    agent_id: str
    contact: str
    pin: str | None = field(repr=False)
    domain: str = ""
    implied: str = ""

    def is_in(self, feature: Feature) -> bool:
        """Whether the phone belongs to the agent's domain."""
        return (self.domain or self.implied or feature.home).lower() == feature.domain.lower()


class Desk:
    """Turns feature codes into wishes, and knows who sits at which phone. `clock` gives milliseconds."""

    def __init__(self, ask: Callable[[AgentEvent, Principal], None], clock: Callable[[], int]) -> None:
        self._ask = ask
        self._clock = clock
        self._by_phone = WrongPins(_TRIES_OF_PHONE)
        self._for_agent = WrongPins(_TRIES_FOR_AGENT)
        # For each locked phone, the agent whose PIN it has tried last.
        self._tried_at: dict[str, str] = {}
        self._members: Mapping[str, Member] = {}
        self._ids: dict[str, str] = {}
        # Switches whose dialplan does not say in which domain a phone authenticated.
        self._silent: set[str] = set()
        self.locks = 0
        self.phones = Phones()
        self.may_act_for_others = True

    @property
    def members(self) -> Mapping[str, Member]:
        """The configured agents; to be replaced whole."""
        return self._members

    @members.setter
    def members(self, members: Mapping[str, Member]) -> None:
        self.take(members, whole(self.phones_of(members)))

    def phones_of(self, members: Mapping[str, Member]) -> InParts[Phones | None]:
        """Where these would sit, in parts, for `take`; None if that is as it is now."""
        before = self._members
        if before and before.keys() == members.keys() and all(map(_sits_as_before, before.values(), members.values())):
            return None
        yield
        return (
            yield from self.phones.with_others(
                {agent_id: member.contact for agent_id, member in members.items()},
                {agent_id: member.domain or member.implied for agent_id, member in members.items()},
            )
        )

    def take(self, members: Mapping[str, Member], phones: Phones | None) -> None:
        """Have these configured agents, who sit at these phones; None: where they sat."""
        if members.keys() != self._members.keys():
            self._ids = {_key(agent_id): agent_id for agent_id in members}
        self._members = members
        if phones is not None:
            self.phones.take(phones)

    def serve(self, feature: Feature) -> Refusal | None:
        """Do what the feature code asks. Returns None, or the kind of reason for a refusal, which is also logged."""
        phone = _phone(feature)
        agent_id = self._agent(feature)
        said = {"what": feature.what[:64], "agent": agent_id[:128], "phone": phone[:128]}
        kind, refused = Refusal.AGENT, self._forbidden(feature, agent_id)
        if refused is None:
            kind, refused = Refusal.PIN, self._wrong_pin(feature, agent_id)
        if refused is None:
            kind, refused = Refusal.NOW, self._do(feature, agent_id)
        if refused is None:
            seldom(log.info, feature.what, "feature code", group=agent_id, **said)
            return None
        seldom(log.warning, refused, "feature code refused", **said, why=refused)
        return kind

    def troubles(self) -> Iterator[Trouble]:
        """What works less well than it should."""
        if self._silent:
            so = "are refused" if self._knows_domains() else "are served, whatever the domain is"
            yield Trouble(
                "The dialplan of a switch is older than this daemon: it does not say in which domain a phone "
                "authenticated.",
                f"feature codes {so}; install dialplan/fsacd.xml of this version on {', '.join(sorted(self._silent))}",
            )
        guessed = self.locked()
        if guessed:
            more = ", …" if len(guessed) > _NAMED else ""
            yield Trouble(
                "Somebody guesses agents' PINs; for a while fsacd takes none of these agents'.",
                f"for agent {', '.join(guessed[:_NAMED])}{more}",
            )

    def locked(self) -> list[str]:
        """The agents for whom no PIN is taken now, from one phone or from any, because too many wrong ones came."""
        now_ms = self._clock()
        phones = set(self._by_phone.locked(now_ms))
        self._tried_at = {phone: agent_id for phone, agent_id in self._tried_at.items() if phone in phones}
        return sorted({*self._for_agent.locked(now_ms), *self._tried_at.values()})

    # --- who and for whom ---

    def _agent(self, feature: Feature) -> str:
        """The id of the agent whom the code is for: of the phone's domain, if there is one of that name."""
        name = feature.agent or feature.user
        if feature.domain and (here := self._ids.get(_key(f"{name}@{feature.domain}"))) is not None:
            return here
        return self._ids.get(_key(name), name)

    def _knows_domains(self) -> bool:
        return any(member.domain for member in self._members.values())

    def _forbidden(self, feature: Feature, agent_id: str) -> str | None:
        if not feature.user:
            return "the phone did not authenticate"
        if feature.domain:
            self._silent.discard(feature.leg.switch)
        else:
            self._silent.add(feature.leg.switch)
            if self._knows_domains():
                return "the dialplan does not say in which domain the phone authenticated; install the new one"
        member = self._members.get(agent_id)
        if member is None:
            return "no such agent is configured"
        if feature.domain and not member.is_in(feature):
            return (
                f"the phone authenticated in the domain {feature.domain[:64]}, which is not the agent's; "
                "an agent's id may be USER@DOMAIN, and agent_domain says which it is for all others"
            )
        if not self._is_own(agent_id, feature) and (not self.may_act_for_others or member.pin is None):
            return "nobody may act for this agent"
        return None

    def _is_own(self, agent_id: str, feature: Feature) -> bool:
        """Whether the phone is this agent's own; the caller has checked the domain."""
        return agent_id.partition("@")[0] == feature.user

    def _own(self, feature: Feature) -> str:
        """The agent whose own phone this is; empty if it is nobody's."""
        agent_id = self._agent(replace(feature, agent=""))
        member = self._members.get(agent_id)
        return agent_id if member is not None and (not feature.domain or member.is_in(feature)) else ""

    def _wrong_pin(self, feature: Feature, agent_id: str) -> str | None:
        pin = self._members[agent_id].pin
        if self._is_own(agent_id, feature) or pin is None:
            return None  # an agent who acts for themselves needs no PIN
        now_ms, phone = self._clock(), _phone(feature)
        if (left_ms := self._by_phone.locked_ms(phone, now_ms)) > 0:
            return f"too many wrong PINs from this phone; none is taken for {left_ms // 1_000 + 1} s"
        if (left_ms := self._for_agent.locked_ms(agent_id, now_ms)) > 0:
            return f"too many wrong PINs for this agent; none is taken for {left_ms // 1_000 + 1} s"
        if hmac.compare_digest(pin.encode(), feature.pin.encode("utf-8", "replace")):
            return None
        for locked_ms, at in (
            (self._by_phone.one_more(phone, now_ms), "this phone"),
            (self._for_agent.one_more(agent_id, now_ms), "any phone"),
        ):
            if locked_ms:
                self.locks += 1
                log.error("somebody tries PINs", agent=agent_id, phone=phone[:128], at=at, locked_s=locked_ms // 1_000)
                self._tried_at[phone] = agent_id
        return "the PIN is wrong"

    # --- what ---

    def _do(self, feature: Feature, agent_id: str) -> str | None:
        fact = self._fact(feature, agent_id)
        if fact is None:
            return "no such feature"
        # A PIN allows this one wish for the other agent, nothing more.
        principal = at_phone(fact.by, (self._own(feature), agent_id))
        try:
            self._ask(fact, principal)
        except FsacdError as error:
            return str(error)
        return None

    def _fact(self, feature: Feature, agent_id: str) -> AgentEvent | None:
        by = f"phone:{_phone(feature)}"
        match feature.what:
            case "login":
                # An agent who logs in at another agent's phone is rung there, at that agent's contact.
                at = self._members.get(self._own(feature))
                return AgentLoggedIn(agent_id, by, contact=at.contact if at is not None else None)
            case "logout":
                return AgentLoggedOut(agent_id, by)
            case "ready":
                return AgentSetReady(agent_id, by)
            case "not_ready":
                return AgentSetNotReady(agent_id, by, feature.reason[:16])
            case "end_wrap_up":
                return AgentEndedWrapUp(agent_id, by)
            case "wrap_up_code":
                return AgentCodedWrapUp(agent_id, by, (feature.code[:16],))
        return None


def _phone(feature: Feature) -> str:
    """Who authenticated, as logs and history show it."""
    return f"{feature.user}@{feature.domain}" if feature.domain else feature.user


def _sits_as_before(before: Member, now: Member) -> bool:
    return before is now or (
        (before.agent_id, before.contact, before.domain, before.implied)
        == (now.agent_id, now.contact, now.domain, now.implied)
    )


def _key(name: str) -> str:
    """An agent's id for comparing: the case of a domain's letters means nothing."""
    user, at, domain = name.partition("@")
    return user + at + domain.lower()
