"""Agents' outside calls (which fsacd did not connect) on one switch, told to the engine from a leg's start to its end.

If a leg is missed here, an agent is rung who talks already. If a leg is kept after its end, its agent gets no calls. So
each leg that a lost event could have hidden is asked for, after a reconnect and whenever engine and switch are
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from fsacd.core.events import Event, Leg, OutsideCallEnded, OutsideCallStarted
from fsacd.core.offer import is_leg_of
from fsacd.esl import differences, encoder
from fsacd.esl.announced import is_recovered
from fsacd.esl.codec import Kind, Message
from fsacd.esl.phones import Phone, Phones, far_end, rung_for
from fsacd.esl.wire import Outcome

log = structlog.get_logger(__name__)

# The events needed beyond those of the calls: the creation of every outgoing leg, and of every incoming one whose
# caller is a user of the directory. Their ends are among the calls' events.
EVENTS = ("CHANNEL_CREATE",)
FILTERS = (("Call-Direction", "outbound"), ("variable_user_name", "/^./"), ("variable_verto_user", "/^./"))

# The most legs at agents' phones at once; a further leg is ignored, and its agent is not protected from a ring.
_MOST_LEGS = 50_000
# A leg's name is a UUID, or the Call-ID that a phone has chosen.
_LONGEST_NAME = 256
# How many legs one sweep asks for in detail, beginning with those that look like an agent's.
_MOST_ASKED = 1_000


@dataclass(slots=True)
class _Open:
    """A leg at an agent's phone. `rung_for`: the agent whom we ring on it; to them it is no outside call."""

    phone: Phone
    rung_for: str
    told: set[str] = field(default_factory=set)


class OutsideCalls:
    """Follows the legs at agents' phones on one switch.

    `post` takes the facts and must not block. `is_offer` says whether the engine knows an offer with this leg.
    """

    def __init__(
        self, switch: str, phones: Phones, post: Callable[[Event], None], is_offer: Callable[[str], bool]
    ) -> None:
        self._switch = switch
        self._phones = phones
        self._post = post
        self._is_offer = is_offer
        self._open: dict[str, _Open] = {}
        self._full = False
        # Legs whose end was heard while a sweep runs: the sweep's answers about them are out of date.
        self._ended: set[str] | None = None
        # Legs that a sweep has asked for and found to be at no agent's phone: the next one need not ask again.
        self._no_agents: set[str] = set()
        # Legs that only the engine knows, from the daemon before this one.
        self._remembered: dict[str, set[str]] = {}
        # Legs that cannot be asked for, and that the last list did not show.
        self._unlisted: set[str] = set()
        # How many facts were told.
        self._told = 0
        # The switch's own domain, in which agents' phones are unless something says otherwise.
        self._home = ""
        phones.watch(self.reconsider)

    def remember(self, legs: Iterable[tuple[str, Leg]]) -> None:
        """Take the (agent, leg) pairs that the daemon before this one told the engine. The next sweep checks them."""
        for agent_id, leg in legs:
            self._remembered.setdefault(leg.uuid, set()).add(agent_id)

    def hear(self, message: Message) -> None:
        """Take a channel's event."""
        leg = message.get("Unique-ID")
        if len(leg) > _LONGEST_NAME:
            return  # a phone may have chosen this name; many names are kept, and no command could carry this one
        if message.name == "CHANNEL_HANGUP" or message.get("Answer-State") == "hangup":
            # A leg that is killed at birth tells of its end first and of its beginning afterwards.
            self._end(leg)
        elif leg not in self._open:
            self._begin(leg, message, "" if self._is_lost_talk(leg, message) else rung_for(message))

    def _is_lost_talk(self, leg: str, message: Message) -> bool:
        """Whether a crash of the switch has ended this talk for us, and the switch has brought it back since."""
        return is_recovered(message) and is_leg_of(leg, message.get("variable_fsacd_offer")) and not self._is_offer(leg)

    def reconsider(self) -> None:
        """Agents have moved to other phones: tell the engine whose outside calls the open legs are now."""
        self._no_agents.clear()
        for leg in list(self._open):
            self._tell(leg)

    def forget(self) -> None:
        """Another daemon has the switch: the engine knows of no leg any more, and is told anew of what is left."""
        self._open.clear()
        self._remembered.clear()

    def recall(self, known: Iterable[tuple[str, Leg]]) -> None:
        """The link was away: `known` is all that the engine still knows. The next sweep tells what it has given up.

        It forgets legs on a switch that is away when it gives the switch up, or when their agent logs in.
        """
        pairs = {(agent_id, leg.uuid) for agent_id, leg in known}
        for leg, there in self._open.items():
            there.told = {agent_id for agent_id in there.told if (agent_id, leg) in pairs}

    def _begin(self, leg: str, message: Message, whom: str) -> None:
        phone = far_end(message, self._home)
        if phone is None or not self._phones.knows(phone):
            return
        if len(self._open) >= _MOST_LEGS:
            if not self._full:
                log.warning("too many legs at agents' phones; further ones are ignored", limit=_MOST_LEGS)
            self._full = True
            return
        self._open[leg] = _Open(phone, whom, self._remembered.pop(leg, set()))
        self._tell(leg)

    def _tell(self, leg: str) -> None:
        known = self._open[leg]
        there = self._phones.at(known.phone) - {known.rung_for}
        where = Leg(self._switch, leg)
        gone, come = sorted(known.told - there), sorted(there - known.told)
        known.told = there
        self._told += len(gone) + len(come)
        for agent_id in gone:
            self._post(OutsideCallEnded(agent_id, where))
        for agent_id in come:
            self._post(OutsideCallStarted(agent_id, where))

    def _end(self, leg: str) -> None:
        if self._ended is not None:
            self._ended.add(leg)
        known = self._open.pop(leg, None)
        told = known.told if known is not None else self._remembered.pop(leg, set())
        self._told += len(told)
        for agent_id in sorted(told):
            self._post(OutsideCallEnded(agent_id, Leg(self._switch, leg)))

    # --- asking the switch: these block for as long as `ask` does ---

    def sweep(
        self,
        ask: differences.Ask,
        offers: Iterable[str],
        *,
        adopt: bool = False,
        rows: Mapping[str, differences.Row] | None = None,
    ) -> int:
        """Learn of every leg that is there, and of the end of those that are not; gives how many legs that were.

        `offers` are the legs that we ring. With `adopt` any other leg that was rung by fsacd is a call of its agent's:
        they talk with a caller of whom a daemon before this one knew. `rows` is the switch's list, if already read.
        """
        self._find_home(ask)
        self._ended = set()
        known, before = set(offers), self._told
        try:
            rows = differences.channels(ask) if rows is None else rows
            if rows is None:
                return 0
            self._no_agents &= rows.keys()
            unknown = [leg for leg in rows.keys() - self._open.keys() - self._no_agents if len(leg) <= _LONGEST_NAME]
            unknown.sort(key=lambda leg: (leg not in self._remembered, not self._may_be_an_agents(rows[leg]), leg))
            for leg in unknown[:_MOST_ASKED]:
                dump = Message(Kind.EVENT, differences.dump(leg, ask))
                if dump.get("Unique-ID") == leg and leg not in self._ended and leg not in self._open:
                    orphan = adopt and is_leg_of(leg, dump.get("variable_fsacd_offer")) and leg not in known
                    self._begin(leg, dump, "" if orphan else rung_for(dump))
                    if leg not in self._open:
                        self._no_agents.add(leg)
        finally:
            self._ended = None
        self._verify([leg for leg in self._open if leg not in rows], ask)
        for leg in list(self._open):
            self._tell(leg)
        self._verify_remembered(ask)
        self._verify_by_list(rows)
        return self._told - before

    def _find_home(self, ask: differences.Ask) -> None:
        reply = ask(encoder.global_getvar("domain"))
        if reply.outcome is Outcome.OK and not reply.text.startswith("-ERR"):
            self._home = reply.text.strip()

    def _verify(self, legs: Iterable[str], ask: differences.Ask) -> None:
        for leg in legs:
            if leg in self._open and differences.has_ended(leg, ask):
                self._end(leg)

    def _verify_remembered(self, ask: differences.Ask) -> None:
        """End the remembered legs that are gone, or that are at no agent's phone any more."""
        for leg in list(self._remembered):
            if leg in self._no_agents or differences.has_ended(leg, ask):
                self._end(leg)

    def _verify_by_list(self, rows: Mapping[str, differences.Row]) -> None:
        """End the legs that cannot be asked for and that two lists in a row do not show: one list alone may lag."""
        known = (*self._open, *self._remembered)
        unlisted = {leg for leg in known if leg not in rows and not differences.can_be_asked_for(leg)}
        for leg in unlisted & self._unlisted:
            self._end(leg)
        self._unlisted = unlisted

    def _may_be_an_agents(self, row: dict[str, Any]) -> bool:
        # The list has an incoming leg's own claims about itself: good enough to choose which legs to ask for first.
        name = str(row.get("name", "")).rpartition("/")[2]
        presence = str(row.get("presence_id", ""))
        words = (name, name.partition("@")[0], presence.partition("@")[0], str(row.get("cid_num", "")))
        return any(self._phones.knows_name(word) for word in words)
