"""The desk that serves feature codes: who may do what for whom, from which phone."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from fsacd.core.events import (
    AgentEndedWrapUp,
    AgentEvent,
    AgentLoggedIn,
    AgentLoggedOut,
    AgentSetNotReady,
    AgentSetReady,
)
from fsacd.errors import FsacdError
from fsacd.esl.phones import Phones
from fsacd.esl.translate import Feature
from fsacd.logs import seldom

log = structlog.get_logger(__name__)

# Four digits are soon tried through: after this many wrong PINs none is taken from the phone for a while. The limit for
# all phones together is higher, or one phone could keep everybody from acting for an agent.
_TRIES_OF_PHONE = 5
_TRIES_FOR_AGENT = 20
_LOCK_MS = 300_000
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Member:
    """What the desk knows of a configured agent. A pin of None: nobody may act for him."""

    agent_id: str
    contact: str
    pin: str | None


class _WrongPins:
    """How many wrong PINs came lately, by phone or by agent. A right one in between does not make them undone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._wrong: dict[str, tuple[int, int]] = {}  # count, when the last one came; in the order of the last ones

    def too_many(self, whose: str, now_ms: int) -> bool:
        count, last_ms = self._wrong.get(whose, (0, 0))
        if count and now_ms - last_ms >= _LOCK_MS:
            del self._wrong[whose]
            return False
        return count >= self._limit

    def one_more(self, whose: str, now_ms: int) -> None:
        count, _ = self._wrong.pop(whose, (0, 0))
        self._wrong[whose] = (count + 1, now_ms)
        if len(self._wrong) > _REMEMBERED:
            del self._wrong[next(iter(self._wrong))]


class Desk:
    """Turns feature codes into facts, and knows who sits at which phone."""

    def __init__(self, ask: Callable[[AgentEvent], None], clock: Callable[[], int]) -> None:
        self._ask = ask
        self._clock = clock
        self._by_phone = _WrongPins(_TRIES_OF_PHONE)
        self._for_agent = _WrongPins(_TRIES_FOR_AGENT)
        self._members: dict[str, Member] = {}
        self.phones = Phones()
        self.may_act_for_others = True

    @property
    def members(self) -> dict[str, Member]:
        """The configured agents; to be replaced whole."""
        return self._members

    @members.setter
    def members(self, members: dict[str, Member]) -> None:
        self._members = members
        self.phones.configure({agent_id: member.contact for agent_id, member in members.items()})

    def serve(self, feature: Feature) -> bool:
        """Do what was dialled. False, with one line in the log, if it was refused."""
        agent_id = feature.agent or feature.user
        said = {"what": feature.what[:64], "agent": agent_id[:64], "phone": feature.user[:64]}
        refused = self._forbidden(feature, agent_id)
        if refused is None:
            refused = self._do(feature, agent_id)
        if refused is None:
            seldom(log.info, feature.what, "feature code", group=agent_id, **said)
            return True
        seldom(log.warning, refused, "feature code refused", **said, why=refused)
        return False

    def _forbidden(self, feature: Feature, agent_id: str) -> str | None:
        if not feature.user:
            return "the phone did not authenticate"
        member = self.members.get(agent_id)
        if member is None:
            return "no such agent is configured"
        if agent_id == feature.user:
            return None
        if not self.may_act_for_others or member.pin is None:
            return "nobody may act for this agent"
        return self._wrong_pin(feature, agent_id, member.pin)

    def _wrong_pin(self, feature: Feature, agent_id: str, pin: str) -> str | None:
        now_ms = self._clock()
        if self._by_phone.too_many(feature.user, now_ms):
            return "too many wrong PINs from this phone; wait five minutes"
        if self._for_agent.too_many(agent_id, now_ms):
            return "too many wrong PINs for this agent; wait five minutes"
        if hmac.compare_digest(pin.encode(), feature.pin.encode("utf-8", "replace")):
            return None
        self._by_phone.one_more(feature.user, now_ms)
        self._for_agent.one_more(agent_id, now_ms)
        return "the PIN is wrong"

    def _do(self, feature: Feature, agent_id: str) -> str | None:
        fact = self._fact(feature, agent_id)
        if fact is None:
            return "no such feature"
        try:
            self._ask(fact)
        except FsacdError as error:
            return str(error)
        return None

    def _fact(self, feature: Feature, agent_id: str) -> AgentEvent | None:
        by = f"phone:{feature.user}"
        match feature.what:
            case "login":
                # Whoever logs in at another's phone is rung there: the phone's own agent lends his contact.
                at = self.members.get(feature.user)
                return AgentLoggedIn(agent_id, by, contact=at.contact if at is not None else None)
            case "logout":
                return AgentLoggedOut(agent_id, by)
            case "ready":
                return AgentSetReady(agent_id, by)
            case "not_ready":
                return AgentSetNotReady(agent_id, by, feature.reason[:16])
            case "end_wrap_up":
                return AgentEndedWrapUp(agent_id, by)
        return None
