"""Checks of more than one setting: names must exist, overflows must end, and the whole must be safe."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from fsacd.config.agents import AgentSettings
from fsacd.config.centre import QueueSettings
from fsacd.config.choices import check_choices, check_names
from fsacd.config.customers import check_numbers
from fsacd.config.forms import contact_for, contact_is_usable, is_loopback
from fsacd.config.hours import check_hours
from fsacd.config.installed import KNOWN_PASSWORDS
from fsacd.config.model import Config
from fsacd.config.number_plan import check_number_plan
from fsacd.config.own_fields import check_own_fields
from fsacd.config.problems import Complaint, Loc
from fsacd.config.queue_checks import QueueChecks, check_circles, unknown, unknown_skills
from fsacd.config.settings import SwitchSettings
from fsacd.core.contact import endpoints
from fsacd.desk.rights import Role
from fsacd.process.quoting import shown

FENCE_RENEWALS: Final = 3
_KNOWN_DIGESTS: Final = frozenset(hashlib.sha256(known.encode()).hexdigest() for known in KNOWN_PASSWORDS)


@dataclass(frozen=True, slots=True)
class Names:
    """The names that the file gives, also those of broken blocks: a queue with a bad setting still exists.

    None stands for names that are unknown, because the block that should hold them has the wrong shape.
    """

    switches: AbstractSet[str] | None
    queues: AbstractSet[str] | None
    hours: AbstractSet[str] | None
    agents: AbstractSet[str] | None


def check_config(config: Config, names: Names) -> Iterator[Complaint]:
    """Complain of everything that concerns more than one setting."""
    if names.switches is not None and not names.switches:
        yield Complaint(
            ("switches",), "missing; at least one switch is needed, like {fs1: {password_file: switch.password}}"
        )
    for name, switch in config.switches.items():
        yield from _switch(("switches", name), switch)
    yield from _api(config)
    yield from _tokens(config, names)
    if config.journal.directory is not None and not config.journal.directory.startswith("/"):
        yield Complaint(
            ("journal", "directory"), "not an absolute path; write it from the root, like /var/lib/fsacd/journal"
        )
    yield from _media_timeout(("agent_media_timeout",), config.agent_media_timeout_ms)
    yield from check_number_plan(config.number_plan, ("number_plan",))
    if config.store is not None:
        yield from _store(config)
    for name, hours in config.hours.items():
        yield from check_hours(("hours", name), hours)
    yield from check_choices(config.wrap_up_codes, ("wrap_up_codes",))
    yield from check_choices(config.not_ready_reasons, ("not_ready_reasons",))
    queues = QueueChecks(frozenset(config.skills), names.queues, names.hours)
    yield from queues.block(("defaults",), config.defaults, config.defaults)
    if config.when_queue_removed is not None:
        yield from queues.target(("when_queue_removed",), config.when_queue_removed)
    yield from _former_names(config, names)
    yield from _codes(config, ("defaults",), config.defaults)
    for name, queue in config.queues.items():
        yield from queues.block(("queues", name), queue, config.queue(name))
        yield from _codes(config, ("queues", name), queue)
    yield from check_circles({name: (queue, config.queue(name)) for name, queue in config.queues.items()})
    for agent_id in config.agents:
        yield from _agent(config, names, agent_id)
    yield from _shared_phones(config)
    yield from _customers(config, names)


def _codes(config: Config, loc: Loc, queue: QueueSettings) -> Iterator[Complaint]:
    """Complain of a block's wrap-up codes that nobody has configured."""
    codes = queue.wrap_up_codes
    yield from check_names(codes.codes, config.wrap_up_codes, (*loc, "wrap_up_codes", "codes"))
    if codes.required and not config.wrap_up_codes:
        yield Complaint((*loc, "wrap_up_codes"), "there are no codes; write some under wrap_up_codes, at the top")


def _former_names(config: Config, names: Names) -> Iterator[Complaint]:
    """Complain of former names of queues: only one queue may take over from a queue, and only from a removed one."""
    if config.defaults.was:
        yield Complaint(("defaults", "was"), "each queue has names of its own; write it under the queue", at_key=True)
    seen: dict[str, str] = {}
    for name, queue in config.queues.items():
        for place, old in enumerate(queue.was):
            loc: Loc = ("queues", name, "was", place) if len(queue.was) > 1 else ("queues", name, "was")
            if names.queues is not None and old in names.queues:
                yield Complaint(loc, f"queue {shown(old)} is still there; take one of the two out")
            elif seen.setdefault(old, name) != name:
                yield Complaint(loc, f"queue {shown(seen[old])} has been {shown(old)} already")


def _switch(loc: Loc, switch: SwitchSettings) -> Iterator[Complaint]:
    if 0 < switch.fence_term_ms < FENCE_RENEWALS * switch.fence_renewal_ms:
        yield Complaint(
            (*loc, "fence_term"),
            f"must be at least {FENCE_RENEWALS} times fence_renewal, so that one may be lost; or 0s for no fence",
        )
    if not switch.allow_remote and not is_loopback(switch.host):
        yield Complaint(
            (*loc, "host"),
            f"{shown(switch.host)} is not this machine, and Event Socket is full control over FreeSWITCH without "
            "encryption; bring it here by a tunnel (WireGuard, stunnel), or set allow_remote: true",
        )
    password = switch.password.get_secret_value() if switch.password is not None else ""
    if password in KNOWN_PASSWORDS and not switch.allow_default_password:
        yield Complaint(
            (*loc, "password"),
            "the default password, which everybody knows, is full control over FreeSWITCH; choose another one here and "
            "in event_socket.conf.xml or directory/fsacd_link.xml, or set allow_default_password: true",
        )
    yield from _ordered(loc, "reconnect_min", switch.reconnect_min_ms, "reconnect_max", switch.reconnect_max_ms)


def _ordered(loc: Loc, low: str, low_ms: int, high: str, high_ms: int) -> Iterator[Complaint]:
    if low_ms > high_ms:
        yield Complaint((*loc, low), f"longer than {high}")


def _api(config: Config) -> Iterator[Complaint]:
    api = config.api
    if not api.allow_remote and not is_loopback(api.listen.host):
        yield Complaint(
            ("api", "listen"),
            f"others can reach {shown(api.listen)}, and the API is plain HTTP; listen on 127.0.0.1 behind a proxy "
            "with TLS, or set allow_remote: true",
        )


def _tokens(config: Config, names: Names) -> Iterator[Complaint]:
    api = config.api
    seen: dict[str, int] = {}
    digests: dict[str, int] = {}
    for index, token in enumerate(api.tokens):
        if not token.name:
            yield Complaint(("api", "tokens", index, "name"), "missing; say whose token it is")
        elif seen.setdefault(token.name, index) != index:
            yield Complaint(("api", "tokens", index, "name"), f"{shown(token.name)} has a token already")
        digest = token.digest()
        if digest in _KNOWN_DIGESTS:
            yield Complaint(("api", "tokens", index), "everybody knows this token; make one: openssl rand -hex 24")
        if digest is not None and (first := digests.setdefault(digest, index)) != index:
            yield Complaint(("api", "tokens", index), f"the same token as that of {shown(api.tokens[first].name)}")
        loc: Loc = ("api", "tokens", index)
        if token.role == Role.AGENT and not token.agent:
            yield Complaint(
                (*loc, "role"),
                'a token of the role agent acts for agents that are named beside it; write agent: "1001", or '
                'agent: ["1001", "1002"], or give it the role supervisor',
            )
        elif token.agent and token.role != Role.AGENT:
            yield Complaint((*loc, "agent"), f"only for the role agent; the role {token.role} is for all agents")
        for number, agent_id in enumerate(token.agent):
            yield from unknown((*loc, "agent", number), "agent", agent_id, names.agents)


def _store(config: Config) -> Iterator[Complaint]:
    store = config.store
    if store is None:
        return
    yield from _ordered(("store",), "retry_min", store.retry_min_ms, "retry_max", store.retry_max_ms)
    if store.spool.directory is not None and not store.spool.directory.startswith("/"):
        yield Complaint(
            ("store", "spool", "directory"), "not an absolute path; write it from the root, like /var/spool/fsacd"
        )
    if store.dsn is not None and any(known in store.dsn.get_secret_value() for known in KNOWN_PASSWORDS):
        yield Complaint(("store", "dsn"), "everybody knows this password; choose another one")
    if store.dsn is not None and not _is_dsn(store.dsn.get_secret_value()):
        yield Complaint(
            ("store", "dsn"),
            "not a PostgreSQL connection string; write postgresql://USER@HOST/DATABASE or host=HOST dbname=DATABASE "
            "(in a URL, %40 for an @ in the password and %2F for a /)",
        )


def _is_dsn(text: str) -> bool:
    # The database library is loaded only when there is a store, so that `fsacd check` need not wait for it.
    from psycopg import ProgrammingError  # noqa: PLC0415 - see above
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - see above

    try:
        parts = conninfo_to_dict(text)
    except ProgrammingError:  # the library's message may quote the password
        return False
    # Where a password in a URL has an '@' or a '/' in it, a piece of it is taken for the host or the port.
    host, ports = str(parts.get("host", "")), str(parts.get("port", ""))
    return bool(parts) and "@" not in host and re.fullmatch(r"[0-9]*(,[0-9]*)*", ports) is not None


def _agent(config: Config, names: Names, agent_id: str) -> Iterator[Complaint]:
    agent = config.agents[agent_id]
    loc: Loc = ("agents", agent_id)
    for queue in agent.queues:
        yield from unknown((*loc, "queues", queue), "queue", queue, names.queues, at_key=True)
    yield from unknown_skills((*loc, "skills"), agent.skills, config.skills)
    for place, switch in enumerate(agent.switch):
        where: Loc = (*loc, "switch", place) if len(agent.switch) > 1 else (*loc, "switch")
        yield from unknown(where, "switch", switch, names.switches)
    if not agent.switch and names.switches is not None and len(names.switches) > 1:
        yield Complaint((*loc, "switch"), f"missing; there are several switches: {', '.join(sorted(names.switches))}")
    yield from _media_timeout((*loc, "media_timeout"), agent.media_timeout_ms)
    made = contact_for(config.agent_contact, agent_id)
    if agent.standing_leg:
        yield from _standing_leg(loc, agent, agent.contact or made)
    if agent.contact is None and not contact_is_usable(made):
        yield Complaint((*loc, "contact"), f"agent_contact gives no usable contact for {shown(agent_id)}; set one")


def _standing_leg(loc: Loc, agent: AgentSettings, where: str) -> Iterator[Complaint]:
    """Complain of a leg that would not know at which phone, or on which switch, to stand."""
    if len(endpoints(where)) > 1:
        yield Complaint((*loc, "standing_leg"), f"a standing leg is at one phone, and the contact names {shown(where)}")
    if len(agent.switch) > 1:
        yield Complaint((*loc, "standing_leg"), "a standing leg is on one switch, and switch names several")


def _media_timeout(loc: Loc, silent_ms: int | None) -> Iterator[Complaint]:
    if silent_ms and silent_ms < _SHORTEST_SILENCE_MS:
        yield Complaint(loc, "shorter than 1s, and sound has pauses; write 0s for off, or a duration from 1s to 1h")


# A network that is busy drops sound for some tenths of a second.
_SHORTEST_SILENCE_MS: Final = 1_000


def _shared_phones(config: Config) -> Iterator[Complaint]:
    """Complain of two agents at one phone: 1001 and 1001@DOMAIN are the same where DOMAIN is the default domain."""
    seen: dict[tuple[str, str], str] = {}
    for agent_id in config.agents:
        user, _, domain = agent_id.partition("@")
        first = seen.setdefault((user, (domain or config.agent_domain or "").lower()), agent_id)
        if first != agent_id:
            yield Complaint(
                ("agents", agent_id), f"the phone with this SIP user is that of agent {shown(first)}", at_key=True
            )


def _customers(config: Config, names: Names) -> Iterator[Complaint]:
    yield from check_own_fields(config.customer_fields, ("customer_fields",))
    yield from check_numbers(config.customers, ("customers",), config.number_plan.plan())
    for number, customer in config.customers.items():
        loc: Loc = ("customers", number)
        yield from unknown_skills((*loc, "skills"), customer.skills, config.skills)
        yield from unknown((*loc, "agent"), "agent", customer.agent, names.agents)
