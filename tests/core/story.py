"""The language of the golden stories: rules, then lines of a time and a fact; below each, indented, what came of it.

    queue support ring_timeout=20s              any field of QueueRules; targets: queue:x, extension:x, hangup:CAUSE
    agent 1001 support sales:2+30s german=5     queues (rank 1, or :rank and +delay), then skills
    limits connect=1.5s                         any field of Limits

    0     switch fs1 connected                  or lost, restarted
    0     agent 1001 logs_in                    logs_out, ready, not_ready REASON, ends_wrap_up
    2     call anna queues support priority=1   gone, transferred, returned, left, lost, requeue, hangup
    3     offer anna/1 answered                 rang, connected, not_connected, ended END
    9     reload agent 1001 sales; without queue support
    9     show                                  the calls and agents as the engine shows them
    20    wait                                  nothing happens but time

Times are seconds. In the outcome `>` is a command, `.` a record, `!` a refusal, `=` a view; `@t` is the time of a
deadline that came due before the line's own time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from fsacd.core import events as e
from fsacd.core import offer
from fsacd.core.rules import (
    AgentRules,
    HoldBack,
    Limits,
    QueueRules,
    Rules,
    Service,
    Target,
    ToExtension,
    ToHangup,
    ToQueue,
)
from fsacd.testing import Driver
from tests.core.telling import Names, tell_snapshot, tell_step

OUTCOME_INDENT = "          "
BY = "test"


class StoryError(Exception):
    """A line that the language does not know."""


@dataclass
class _Book:
    """The rules as they stand in the story so far."""

    queues: dict[str, QueueRules]
    agents: dict[str, AgentRules]
    limits: Limits

    def rules(self) -> Rules:
        return Rules(MappingProxyType(dict(self.queues)), MappingProxyType(dict(self.agents)), self.limits)

    def take(self, words: list[str]) -> None:
        match words:
            case ["queue", name, *settings]:
                self.queues[name] = _queue(self.queues.get(name, QueueRules(name)), settings)
            case ["agent", agent_id, *entries]:
                self.agents[agent_id] = _agent(agent_id, entries)
            case ["limits", *settings]:
                self.limits = _limits(self.limits, settings)
            case ["without", "queue", name]:
                del self.queues[name]
                self.agents = {i: _without(agent, name) for i, agent in self.agents.items()}
            case ["without", "agent", agent_id]:
                del self.agents[agent_id]
            case _:
                raise StoryError(f"no rule: {' '.join(words)}")


def retell(text: str) -> str:
    """The same story with the outcome that the engine gives now."""
    book = _Book({}, {}, Limits())
    teller: _Teller | None = None
    told: list[str] = []
    for line in text.splitlines():
        if line.startswith(" "):
            continue  # an outcome, told anew
        told.append(line)
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0][0].isdigit():
            teller = teller or _Teller(book)
            told.extend(OUTCOME_INDENT + outcome for outcome in teller.tell(_ms(words[0]), words[1:]))
        else:
            book.take(words)
    return "\n".join(told) + "\n"


class _Teller:
    def __init__(self, book: _Book) -> None:
        self._book = book
        self._names = Names()
        self.driver = Driver(book.rules())

    def tell(self, at_ms: int, words: list[str]) -> Iterator[str]:
        for came_ms, step in self.driver.wait_until(at_ms):
            prefix = "" if came_ms == at_ms else f"@{came_ms / 1000:g} "
            yield from (prefix + line for line in tell_step(step, self._names))
        match words:
            case ["wait"]:
                pass
            case ["show"]:
                yield from tell_snapshot(self.driver.engine.snapshot(at_ms))
            case ["reload", *rest]:
                for part in " ".join(rest).split(";"):
                    if part.strip():
                        self._book.take(part.split())
                yield from tell_step(self.driver.tell(e.RulesChanged(self._book.rules())), self._names)
            case _:
                fact = _fact(at_ms, words)
                if isinstance(fact, e.CallQueued):
                    self._names.learn(fact.call_id)
                yield from tell_step(self.driver.tell(fact), self._names)


def _fact(at_ms: int, words: list[str]) -> e.Event:
    match words:
        case ["call", call_id, *rest]:
            return _call_fact(at_ms, call_id, rest)
        case ["offer", name, *rest]:
            return _offer_fact(name, rest)
        case ["agent", agent_id, *rest]:
            return _agent_fact(agent_id, rest)
        case ["switch", switch, "connected"]:
            return e.SwitchConnected(switch)
        case ["switch", switch, "lost"]:
            return e.SwitchLost(switch)
        case ["switch", switch, "restarted"]:
            return e.SwitchRestarted(switch)
    raise StoryError(f"no fact: {' '.join(words)}")


def _call_fact(at_ms: int, call_id: str, words: list[str]) -> e.Event:
    match words:
        case ["queues", queue, *settings]:
            given = _pairs(settings)
            return e.CallQueued(
                call_id,
                queue,
                arrived_ms=_ms(given["arrived"]) if "arrived" in given else at_ms,
                leg=e.Leg(given["switch"], f"leg-{call_id}") if given.setdefault("switch", "fs1") != "none" else None,
                priority=int(given["priority"]) if "priority" in given else None,
                head_start_ms=_ms(given.get("head_start", "0")),
                required=_levels(given.get("requires", "")),
                number=given.get("number", ""),
                name=given.get("name", ""),
                customer=given.get("customer", ""),
            )
        case ["gone", *cause]:
            return e.CallerGone(call_id, " ".join(cause) or "NORMAL_CLEARING")
        case ["transferred"]:
            return e.CallerGone(call_id, "ATTENDED_TRANSFER", transferred=True)
        case ["returned"]:
            return e.CallReturned(call_id)
        case ["left"]:
            return e.CallLeft(call_id)
        case ["lost", *cause]:
            return e.CallLost(call_id, " ".join(cause))
        case ["requeue"]:
            return e.CallRequeueAsked(call_id, BY)
        case ["requeue", queue]:
            return e.CallRequeueAsked(call_id, BY, queue)
        case ["hangup"]:
            return e.CallHangupAsked(call_id, BY)
    raise StoryError(f"no fact about a call: {' '.join(words)}")


def _offer_fact(name: str, words: list[str]) -> e.Event:
    call_id, _, attempt = name.partition("/")
    offer_id = offer.offer_id(call_id, int(attempt)) if attempt else name
    match words:
        case ["rang"]:
            return e.OfferRang(offer_id)
        case ["answered"]:
            return e.OfferAnswered(offer_id, "fs1")
        case ["connected"]:
            return e.OfferConnected(offer_id)
        case ["not_connected", *cause]:
            return e.ConnectFailed(offer_id, " ".join(cause))
        case ["ended", end, *cause]:
            return e.OfferEnded(offer_id, e.OfferEnd(end), " ".join(cause))
    raise StoryError(f"no fact about an offer: {' '.join(words)}")


def _agent_fact(agent_id: str, words: list[str]) -> e.Event:
    match words:
        case ["logs_in", *settings]:
            given = _pairs(settings)
            return e.AgentLoggedIn(agent_id, BY, given.get("contact"), given.get("ready", "yes") == "yes")
        case ["logs_out"]:
            return e.AgentLoggedOut(agent_id, BY)
        case ["ready"]:
            return e.AgentSetReady(agent_id, BY)
        case ["not_ready", *reason]:
            return e.AgentSetNotReady(agent_id, BY, " ".join(reason))
        case ["ends_wrap_up"]:
            return e.AgentEndedWrapUp(agent_id, BY)
    raise StoryError(f"no fact about an agent: {' '.join(words)}")


def _queue(rules: QueueRules, settings: list[str]) -> QueueRules:
    given = _pairs(settings)
    changes: dict[str, object] = {}
    for name, value in given.items():
        if name in _QUEUE_SETTINGS:
            changes[name] = _QUEUE_SETTINGS[name](value)
        elif f"{name}_ms" in _QUEUE_FIELDS:
            changes[f"{name}_ms"] = _ms(value)
        elif f"{name}_ms" in _HOLD_BACK_FIELDS:
            changes["hold_back"] = replace(changes.get("hold_back", rules.hold_back), **{f"{name}_ms": _ms(value)})  # type: ignore[type-var] # what this key holds is a HoldBack
        else:
            raise StoryError(f"a queue has no {name}")
    return replace(rules, **changes)  # type: ignore[arg-type] # each value was made for its field


def _limits(limits: Limits, settings: list[str]) -> Limits:
    given = {name: int(value) if name == "calls" else _ms(value) for name, value in _pairs(settings).items()}
    return replace(limits, **{name if name == "calls" else f"{name}_ms": value for name, value in given.items()})


def _target(text: str) -> Target:
    match text.partition(":"):
        case ["queue", _, where]:
            return ToQueue(where)
        case ["extension", _, where]:
            return ToExtension(where)
        case ["hangup", _, where]:
            return ToHangup(where)
    raise StoryError(f"not a target: {text}")


def _levels(text: str) -> tuple[tuple[str, int], ...]:
    """`german:5,english:1`."""
    pairs = (one.partition(":") for one in text.split(",") if one)
    return tuple(sorted((skill, int(level)) for skill, _, level in pairs))


_QUEUE_FIELDS = frozenset(field.name for field in fields(QueueRules))
_HOLD_BACK_FIELDS = frozenset(field.name for field in fields(HoldBack))
_QUEUE_SETTINGS: dict[str, Callable[[str], object]] = {
    "priority": int,
    "max_length": int,
    "required": _levels,
    "strategy": str,
    "when_full": _target,
    "when_max_wait": _target,
    "after_talk": _target,
}


def _agent(agent_id: str, entries: list[str]) -> AgentRules:
    queues: dict[str, Service] = {}
    skills: dict[str, int] = {}
    for entry in entries:
        if "=" in entry:
            skill, _, level = entry.partition("=")
            skills[skill] = int(level)
        else:
            name, _, service = entry.partition(":")
            rank, _, delay = service.partition("+")
            queues[name] = Service(int(rank or 1), _ms(delay or "0"))
    return AgentRules(
        agent_id,
        contact=f"user/{agent_id}",
        queues=MappingProxyType(queues),
        skills=tuple(sorted(skills.items())),
    )


def _without(agent: AgentRules, queue: str) -> AgentRules:
    return replace(agent, queues=MappingProxyType({name: s for name, s in agent.queues.items() if name != queue}))


def _pairs(words: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise StoryError(f"not name=value: {word}")
        pairs[name] = value
    return pairs


def _ms(text: str) -> int:
    return round(float(text.removesuffix("s")) * 1000)
