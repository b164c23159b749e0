"""The one way by which requests reach the engine: every request's rights are checked here, once more.

The API has checked them already, so that a refusal comes early and costs little. But a route may forget the check, and
feature codes do not come by the API. No request gets past this check.
"""

from __future__ import annotations

import time

import structlog

from fsacd.core.events import AgentLoggedIn, AgentLoggedOut
from fsacd.core.show.look import Look
from fsacd.core.show.parts import InParts
from fsacd.daemon.in_force import InForce
from fsacd.desk.rights import WHOLE, Places, Principal, Verb, Wish, may, may_ask
from fsacd.errors import Forbidden
from fsacd.esl.features import Desk
from fsacd.esl.phones import Phones
from fsacd.http.access import Access
from fsacd.process.trouble import Trouble
from fsacd.runtime.loop import Runtime

log = structlog.get_logger(__name__)

# A trouble names at most so many agents.
_NAMED = 5
# So many agents are looked at in one part.
_PART = 16


class Guard:
    """Knows tokens, phones and places by the configuration in force."""

    def __init__(self, runtime: Runtime, desk: Desk, access: Access) -> None:
        self._runtime = runtime
        self._desk = desk
        self._access = access
        self._places = Places()
        # Agents who are logged in at a contact that the configuration in force does not allow.
        self._misplaced: set[str] = set()

    def configure(self, config: InForce, phones: Phones | None) -> None:
        """Take this configuration's tokens and places, and its agents at these phones (`Desk.phones_of`).

        Tokens that it does not have are refused from now on.
        """
        self._places = config.places
        self._desk.take(config.members, phones)
        self._desk.may_act_for_others = config.may_act_for_others
        self._access.replace(config.tokens)

    def look_around(self) -> InParts[None]:
        """Find, in parts, who is rung where the configuration does not allow it: after a start or a reload."""
        look = self._runtime.look()
        contacts = yield from look.contacts()
        misplaced = {}
        for number, (agent_id, contact) in enumerate(contacts.items(), 1):
            if self._places.refusal(agent_id, contact) is not None:
                misplaced[agent_id] = contact
            if number % _PART == 0:
                yield
        self._misplaced = {agent_id for agent_id, contact in misplaced.items() if _is_at(look, agent_id, contact)}
        if self._misplaced:
            log.warning("agents are rung where allowed_contacts does not allow it", agents=self._named())

    def ask(self, wish: Wish, principal: Principal) -> None:
        """Check a wish and hand it to the engine. Raises Forbidden, Refused or Unavailable."""
        refusal = may_ask(principal, wish, self._places, self._queue_of, time.time())
        if refusal is not None:
            log.warning("not allowed", by=principal.subject, what=type(wish).__name__, why=refusal)
            raise Forbidden(refusal)
        with self._desk.phones.moving(wish):
            self._runtime.ask(wish)
        if isinstance(wish, AgentLoggedIn | AgentLoggedOut):
            self._misplaced.discard(wish.agent_id)

    def demand(self, principal: Principal, verb: Verb) -> None:
        """Check a request that does not go to the engine. Raises Forbidden."""
        refusal = may(principal, verb, WHOLE, time.time())
        if refusal is not None:
            log.warning("not allowed", by=principal.subject, what=str(verb), why=refusal)
            raise Forbidden(refusal)

    def troubles(self) -> tuple[Trouble, ...]:
        """What works less well than it should."""
        if not self._misplaced:
            return ()
        words = "Agents are logged in where the configuration does not allow them to be rung; log them out."
        return (Trouble(words, ", ".join(self._named())),)

    def _named(self) -> list[str]:
        named = sorted(self._misplaced)
        return [*named[:_NAMED], *(["…"] if len(named) > _NAMED else [])]

    def _queue_of(self, call_id: str) -> str:
        return self._runtime.look().queue_of(call_id)


def _is_at(look: Look, agent_id: str, contact: str) -> bool:
    agent = look.agent(agent_id)
    return agent is not None and agent.state != "logged_out" and agent.contact == contact
