"""What concerns more than one setting: names that must exist, overflows that must end, and what is not safe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from fsacd.config.centre import QueueSettings, TargetSettings
from fsacd.config.forms import contact_for, contact_is_safe, is_loopback
from fsacd.config.model import Config, SwitchSettings
from fsacd.config.problems import Complaint, Loc, did_you_mean, shown

DEFAULT_PASSWORD: Final = "ClueCon"  # noqa: S105 - the password to refuse
STRATEGIES: Final = frozenset({"longest_idle"})


@dataclass(frozen=True, slots=True)
class Names:
    """The names that the file gives, those of broken blocks too: a queue with a bad setting is still there.

    None is for names that cannot be told, because what should hold them is something else.
    """

    switches: AbstractSet[str] | None
    queues: AbstractSet[str] | None
    strategies: AbstractSet[str]


def _unknown(kind: str, name: str | None, known: AbstractSet[str] | None) -> str | None:
    if name is None or known is None or name in known:
        return None
    return f"unknown {kind} {shown(name)}{did_you_mean(name, known)}"


def check_config(config: Config, names: Names) -> Iterator[Complaint]:
    """Complain of everything that no setting by itself can know."""
    if names.switches is not None and not names.switches:
        yield Complaint(
            ("switches",), "missing; at least one switch is needed, like {fs1: {password_file: switch.password}}"
        )
    for name, switch in config.switches.items():
        yield from _switch(("switches", name), switch)
    yield from _api(config)
    if config.store is not None:
        yield from _store(config)
    yield from _queue(("defaults",), config.defaults, config.defaults, config, names)
    for name, queue in config.queues.items():
        yield from _queue(("queues", name), queue, config.queue(name), config, names)
    yield from _circles(config)
    for agent_id in config.agents:
        yield from _agent(config, names, agent_id)


def _switch(loc: Loc, switch: SwitchSettings) -> Iterator[Complaint]:
    if not switch.allow_remote and not is_loopback(switch.host):
        yield Complaint(
            (*loc, "host"),
            f"{shown(switch.host)} is not this machine, and Event Socket is full control over FreeSWITCH without "
            "encryption; bring it here by a tunnel (WireGuard, stunnel), or set allow_remote: true",
        )
    password = switch.password.get_secret_value() if switch.password is not None else ""
    if password == DEFAULT_PASSWORD and not switch.allow_default_password:
        yield Complaint(
            (*loc, "password"),
            "the default password, which everybody knows, is full control over FreeSWITCH; choose another one here and "
            "in event_socket.conf.xml, or set allow_default_password: true",
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
    seen: dict[str, int] = {}
    digests: dict[str, int] = {}
    for index, token in enumerate(api.tokens):
        if not token.name:
            yield Complaint(("api", "tokens", index, "name"), "missing; say whose token it is")
        elif seen.setdefault(token.name, index) != index:
            yield Complaint(("api", "tokens", index, "name"), f"{shown(token.name)} has a token already")
        digest = token.digest()
        if digest is not None and (first := digests.setdefault(digest, index)) != index:
            yield Complaint(("api", "tokens", index), f"the same token as that of {shown(api.tokens[first].name)}")


def _store(config: Config) -> Iterator[Complaint]:
    store = config.store
    if store is None:
        return
    yield from _ordered(("store",), "retry_min", store.retry_min_ms, "retry_max", store.retry_max_ms)
    if store.dsn is not None and not _is_dsn(store.dsn.get_secret_value()):
        yield Complaint(
            ("store", "dsn"),
            "not a PostgreSQL connection string; write postgresql://USER@HOST/DATABASE or host=HOST dbname=DATABASE",
        )


def _is_dsn(text: str) -> bool:
    # Loaded only when there is a store: `fsacd check` should not wait for a database library it does not need.
    from psycopg import ProgrammingError  # noqa: PLC0415 - see above
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - see above

    try:
        return bool(conninfo_to_dict(text))
    except ProgrammingError:  # its words may quote the password
        return False


def _queue(loc: Loc, own: QueueSettings, merged: QueueSettings, config: Config, names: Names) -> Iterator[Complaint]:
    """Check what one block of queue settings says itself; `merged` has the defaults filled in."""
    if own.strategy not in names.strategies:
        known = f"; there is {', '.join(sorted(names.strategies))}"
        hint = did_you_mean(own.strategy, names.strategies) or known
        yield Complaint((*loc, "strategy"), f"unknown strategy {shown(own.strategy)}{hint}")
    yield from _skills((*loc, "required_skills"), own.required_skills, config)
    for setting, target in (("when_full", own.when_full), ("when_max_wait", own.when_max_wait)):
        yield from _target((*loc, setting), target, names)
    if own.after_talk.context is not None and own.after_talk.extension is None:
        yield Complaint((*loc, "after_talk", "context"), "an extension is missing beside it")
    if loc[0] == "queues" and "when_max_wait" in own.model_fields_set and merged.max_wait_ms is None:
        yield Complaint((*loc, "when_max_wait"), "never happens: max_wait is not set")


def _skills(loc: Loc, skills: Iterable[str], config: Config) -> Iterator[Complaint]:
    known = frozenset(config.skills) or None
    for skill in skills:
        unknown = _unknown("skill", skill, known)
        if unknown is not None:
            yield Complaint((*loc, skill), unknown, at_key=True)


def _target(loc: Loc, target: TargetSettings, names: Names) -> Iterator[Complaint]:
    given = target.given()
    if len(given) != 1:
        what = f"got {' and '.join(given)} together" if given else "got none of them"
        yield Complaint(loc, f"expected {TargetSettings.EXPECTS}, {what}", of_whole=not given)
    elif target.context is not None and target.extension is None:
        yield Complaint((*loc, "context"), "goes with an extension only", at_key=True)
    unknown = _unknown("queue", target.queue, names.queues)
    if unknown is not None:
        yield Complaint((*loc, "queue"), unknown)


def _circles(config: Config) -> Iterator[Complaint]:
    """Complain of overflows that lead back to where they began, once for each circle."""
    ways: dict[str, list[tuple[str, str]]] = {}
    for name in config.queues:
        queue = config.queue(name)
        targets = [("when_full", queue.when_full.queue)]
        if queue.max_wait_ms is not None:
            targets.append(("when_max_wait", queue.when_max_wait.queue))
        ways[name] = [(setting, target) for setting, target in targets if target in config.queues]
    done: set[str] = set()
    for start, onward in ways.items():
        # An own stack: a chain of queues may be longer than Python's calls may be deep.
        path: list[str] = [start]
        rest = [list(onward)]
        while path:
            if path[-1] in done or not rest[-1]:
                done.add(path.pop())
                rest.pop()
                continue
            setting, target = rest[-1].pop(0)
            if target in path:
                circle = " → ".join([*path[path.index(target) :], target])
                why = "" if setting in config.queues[path[-1]].model_fields_set else f" (by defaults.{setting})"
                yield Complaint(("queues", path[-1], setting), f"overflow goes round in a circle: {circle}{why}")
            else:
                path.append(target)
                rest.append(list(ways[target]))


def _agent(config: Config, names: Names, agent_id: str) -> Iterator[Complaint]:
    agent = config.agents[agent_id]
    loc: Loc = ("agents", agent_id)
    for queue in agent.queues:
        unknown = _unknown("queue", queue, names.queues)
        if unknown is not None:
            yield Complaint((*loc, "queues", queue), unknown, at_key=True)
    yield from _skills((*loc, "skills"), agent.skills, config)
    unknown = _unknown("switch", agent.switch, names.switches)
    if unknown is not None:
        yield Complaint((*loc, "switch"), unknown)
    elif agent.switch is None and names.switches is not None and len(names.switches) > 1:
        yield Complaint((*loc, "switch"), f"missing; there are several switches: {', '.join(sorted(names.switches))}")
    if agent.contact is None and not contact_is_safe(contact_for(config.agent_contact, agent_id)):
        yield Complaint((*loc, "contact"), f"agent_contact gives no usable contact for {shown(agent_id)}; set one")
