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
from fsacd.esl.translate import Feature

log = structlog.get_logger(__name__)

# After this many wrong PINs for an agent, no PIN is taken for him for a while: four digits are soon tried through.
_PIN_TRIES = 5
_PIN_LOCK_MS = 300_000


@dataclass(frozen=True, slots=True)
class Member:
    """What the desk knows of a configured agent. A pin of None: nobody may act for him."""

    agent_id: str
    contact: str
    pin: str | None


@dataclass(slots=True)
class _Tries:
    failed: int = 0
    since_ms: int = 0


class Desk:
    """Turns feature codes into facts. `members` may be swapped whole by a reload."""

    def __init__(self, ask: Callable[[AgentEvent], None], clock: Callable[[], int]) -> None:
        self._ask = ask
        self._clock = clock
        self._tries: dict[str, _Tries] = {}
        self.members: dict[str, Member] = {}
        self.may_act_for_others = True

    def serve(self, feature: Feature) -> bool:
        """Do what was dialled. False, with one line in the log, if it was refused."""
        agent_id = feature.agent or feature.user
        refused = self._forbidden(feature, agent_id)
        if refused is None:
            refused = self._do(feature, agent_id)
        if refused is None:
            log.info("feature code", what=feature.what, agent=agent_id, phone=feature.user)
            return True
        log.warning("feature code refused", what=feature.what, agent=agent_id[:64], phone=feature.user, why=refused)
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
        return self._wrong_pin(member.pin, feature.pin, agent_id)

    def _wrong_pin(self, pin: str, given: str, agent_id: str) -> str | None:
        now_ms = self._clock()
        tries = self._tries.get(agent_id)
        if tries is not None and now_ms - tries.since_ms >= _PIN_LOCK_MS:
            tries = None
        if tries is not None and tries.failed >= _PIN_TRIES:
            return "too many wrong PINs; wait five minutes"
        if hmac.compare_digest(pin.encode(), given.encode()):
            self._tries.pop(agent_id, None)
            return None
        self._tries[agent_id] = tries = tries or _Tries(since_ms=now_ms)
        tries.failed += 1
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
