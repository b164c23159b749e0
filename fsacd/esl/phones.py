"""Whose phone is it? What FreeSWITCH vouches for about a leg's far end, and the agents who sit there now.

Only what the switch itself has established is believed: the user of the directory who authenticated (an incoming leg),
the user or the address that was dialled (an outgoing leg). A call's own claims, its caller id above all, are not
believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from fsacd.core import contact as contacts
from fsacd.core.events import AgentLoggedIn, Event
from fsacd.core.show.parts import InParts, whole
from fsacd.errors import FsacdError
from fsacd.esl.codec import Message

# So many agents are placed in one part, which takes some milliseconds at most.
_PART = 32
# A contact of more agents than this is no shared phone but a route (a trunk, say) to all their phones.
_SHARED = 8
_BRACKETED = re.compile(r"<([^>]*)>")
_SCHEME = re.compile(r"^sips?:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Phone:
    """The far end of a leg: a user of the directory, an address that was dialled, or both; never nothing.

    `domain` is the user's domain, `home` the switch's own, to which a user without a domain belongs; empty: not known.
    """

    user: str = ""
    address: str = ""
    domain: str = ""
    home: str = ""


def far_end(leg: Message, home: str = "") -> Phone | None:
    """The phone at the far end of this leg; None for a loopback, and if the switch has established nothing."""
    if leg.get("Call-Direction") == "inbound":
        return _who_calls(leg, home)
    user, domain = _called(leg)
    address = _dialled(leg)
    return Phone(user, address, domain.lower(), home.lower()) if user or address else None


def rung_for(leg: Message) -> str:
    """The agent for whom we ring this phone, on the leg that we made or on one behind it; empty if we ring nobody."""
    # An incoming leg has this variable when a feature code was dialled there.
    return leg.get("variable_fsacd_agent") if leg.get("Call-Direction") == "outbound" else ""


def _who_calls(leg: Message, home: str) -> Phone | None:
    if leg.get("Channel-Name").startswith("loopback/"):
        return None
    # Set from the directory, for a user who gave the right password, or whose address is on the operator's list (ACL).
    user, domain = leg.get("variable_user_name"), leg.get("variable_domain_name")
    if not user:
        user, _, domain = leg.get("variable_verto_user").partition("@")
    return Phone(user, "", domain.lower(), home.lower()) if user else None


def _called(leg: Message) -> tuple[str, str]:
    """The user who was called and their domain, as far as each is known."""
    if user := leg.get("variable_dialed_user"):
        return user, leg.get("variable_dialed_domain")
    if url := leg.get("variable_sip_local_url"):
        return url.partition("@")[0], ""  # behind the @ stands the profile's address
    user, _, domain = (leg.get("Channel-Presence-ID") or leg.get("variable_verto_user")).partition("@")
    return user, domain


def _dialled(leg: Message) -> str:
    url = leg.get("variable_sip_destination_url")
    if not url:
        return ""
    address = _bare(url)
    gateway = leg.get("variable_sip_gateway_name")
    return f"gateway/{gateway}/{address.partition('@')[0]}" if gateway else address


def _bare(url: str) -> str:
    """`"" <sip:1001@10.0.0.5:5060;ob>` → `1001@10.0.0.5:5060`."""
    found = _BRACKETED.search(url)
    return _SCHEME.sub("", found[1] if found else url).partition(";")[0]


def phones_of(contact: str) -> tuple[Phone, ...]:
    """The phones that a contact leads to, as `far_end` shows them."""
    found = contacts.read(contact)
    return tuple(phone_of(phone.endpoint) for phone in found.phones) if found else (Phone(),)


def phone_of(endpoint: str) -> Phone:
    """The phone that an endpoint leads to; an empty phone if no leg could be recognised as it."""
    kind, _, rest = endpoint.partition("/")
    match kind:
        case "user" | "verto.rtc":
            user, _, domain = rest.partition("@")
            return Phone(user=user, domain=domain.lower())
        case "sofia":
            profile, _, address = rest.partition("/")
            if profile == "gateway":
                gateway, _, number = address.partition("/")
                return Phone(address=f"gateway/{gateway}/{_bare(number)}")
            if "@" not in address:
                # `sofia/internal/1001%domain`: wherever this user has registered.
                user, _, domain = _bare(address).partition("%")
                return Phone(user=user, domain=domain.lower())
            return Phone(address=_bare(address))
    return Phone()


# A name that a phone is known by: user and domain, or an address.
_Name = tuple[str, str, str]


class Phones:
    """Which agents sit at which phone now: at their own, or at the one where they have logged in."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}
        self._moved: dict[str, str] = {}
        self._owners: dict[str, list[str]] = {}
        self._domains: dict[str, str] = {}
        # The agents at each phone, by user and domain; a known phone stays here while no agent is at it. The empty
        # domain stands for the switch's own.
        self._users: dict[str, dict[str, set[str]]] = {}
        self._addresses: dict[str, set[str]] = {}
        self._lasting: set[_Name] = set()
        self._listeners: list[Callable[[], object]] = []

    def watch(self, listener: Callable[[], object]) -> None:
        """Call `listener` whenever an agent has moved to another phone. It must neither block nor yield."""
        self._listeners.append(listener)

    def configure(self, contacts: Mapping[str, str], domains: Mapping[str, str] | None = None) -> None:
        """Take every agent's own contact and domain; where they have logged in meanwhile stays."""
        self.take(whole(self.with_others(contacts, domains or {})))

    def with_others(self, contacts: Mapping[str, str], domains: Mapping[str, str]) -> InParts[Phones]:
        """What `take` takes for these own contacts and domains, in parts: agents may move meanwhile."""
        fresh = Phones()
        fresh._own = dict(contacts)
        fresh._domains = {agent_id: domain.lower() for agent_id, domain in domains.items()}
        yield
        for agent_id, contact in fresh._own.items():
            fresh._owners.setdefault(contact, []).append(agent_id)
        yield
        fresh._moved = {agent_id: contact for agent_id, contact in self._moved.items() if agent_id in fresh._own}
        for number, (agent_id, contact) in enumerate(fresh._own.items(), 1):
            # Their own phone is known also while they sit at another one.
            names = list(fresh._names(agent_id, contact))
            fresh._lasting.update(names)
            for name in names:
                fresh._place(name)
            if number % _PART == 0:
                yield
        for number, agent_id in enumerate(fresh._own, 1):
            fresh._seat(agent_id)
            if number % _PART == 0:
                yield
        return fresh

    def take(self, fresh: Phones) -> None:
        """Take these own contacts and domains; who has moved since `with_others` began sits where they sit now."""
        for agent_id in fresh._own:
            now = self._moved.get(agent_id)
            if now != fresh._moved.get(agent_id):
                fresh._put(agent_id, now)
        self._own, self._domains, self._owners = fresh._own, fresh._domains, fresh._owners
        self._moved, self._users, self._addresses = fresh._moved, fresh._users, fresh._addresses
        self._lasting = fresh._lasting
        self._tell()

    def at(self, phone: Phone) -> set[str]:
        """The agents who sit at this phone now."""
        there = set(self._addresses.get(phone.address, ()))
        return there.union(*self._of_user(phone))

    def knows(self, phone: Phone) -> bool:
        """Whether the phone is, or may become, an agent's."""
        return phone.address in self._addresses or any(True for _ in self._of_user(phone))

    def _of_user(self, phone: Phone) -> Iterator[set[str]]:
        """The agents at the phones of this user; in every domain, if the user's is not known."""
        for domain, agents in self._users.get(phone.user, {}).items():
            expected = domain or phone.home
            if not (phone.domain and expected) or expected == phone.domain:
                yield agents

    def knows_name(self, name: str) -> bool:
        """Whether a phone has this name, as user or as address."""
        return name in self._users or name in self._addresses

    @contextmanager
    def moving(self, event: Event) -> Iterator[None]:
        """Around the asking for `event`: a log-in takes the agent to a phone, unless it is refused (FsacdError)."""
        if not isinstance(event, AgentLoggedIn) or event.agent_id not in self._own:
            yield
            return
        before = self._moved.get(event.agent_id)
        self._move(event.agent_id, event.contact)
        try:
            yield
        except FsacdError:
            self._move(event.agent_id, before)
            raise

    def sit(self, contacts: Mapping[str, str]) -> None:
        """Take where agents sit who logged in before this daemon started; agents who are not configured are ignored."""
        for agent_id, contact in contacts.items():
            if contact != self._own.get(agent_id, contact):
                self._move(agent_id, contact)

    def _move(self, agent_id: str, contact: str | None) -> None:
        self._put(agent_id, contact)
        self._tell()

    def _put(self, agent_id: str, contact: str | None) -> None:
        self._leave(agent_id)
        if contact is None:
            self._moved.pop(agent_id, None)
        else:
            self._moved[agent_id] = contact
        self._seat(agent_id)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _contact(self, agent_id: str) -> str:
        return self._moved.get(agent_id, self._own[agent_id])

    def _seat(self, agent_id: str) -> None:
        for name in self._names(agent_id, self._contact(agent_id)):
            self._place(name).add(agent_id)

    def _leave(self, agent_id: str) -> None:
        """The agent has left this phone; a phone that is no agent's own is forgotten when the last agent leaves."""
        for name in self._names(agent_id, self._contact(agent_id)):
            place = self._place(name)
            place.discard(agent_id)
            if not place and name not in self._lasting:
                self._forget(name)

    def _place(self, name: _Name) -> set[str]:
        user, domain, address = name
        if address:
            return self._addresses.setdefault(address, set())
        return self._users.setdefault(user, {}).setdefault(domain, set())

    def _forget(self, name: _Name) -> None:
        user, domain, address = name
        if address:
            del self._addresses[address]
        else:
            del self._users[user][domain]
            if not self._users[user]:
                del self._users[user]

    def _names(self, agent_id: str, contact: str) -> Iterator[_Name]:
        """The names under which the phones of this contact are known, the users of the agents who own it included."""
        phones = phones_of(contact)
        owners = self._owners.get(contact, [])
        users = {(phone.user, phone.domain) for phone in phones}
        # Their id is the user as whom their phone authenticates, whatever its contact looks like.
        users |= {self._user(owner) for owner in (owners if len(owners) <= _SHARED else ())}
        if contact == self._own[agent_id]:
            users.add(self._user(agent_id))
        for user, domain in users:
            if user:
                yield user, domain, ""
        for phone in phones:
            if phone.address:
                yield "", "", phone.address

    def _user(self, agent_id: str) -> tuple[str, str]:
        return agent_id.partition("@")[0], self._domains.get(agent_id, "")
