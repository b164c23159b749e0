"""The rules of a story: its lines `queue`, `step`, `agent`, `limits` and `without`, as `story` explains them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from fsacd.core.choices import Choice, Choices
from fsacd.core.events import AgentCodedWrapUp
from fsacd.core.rules import (
    AgentRules,
    Cause,
    HoldBack,
    Limits,
    Overflow,
    OwnPauses,
    Parameters,
    QueueRules,
    Rules,
    Service,
    SkillLevels,
    Step,
    Sticky,
    StickyAgent,
    Target,
    ToExtension,
    ToHangup,
    ToQueue,
    WrapUp,
)
from fsacd.core.visit import HowIn


class StoryError(Exception):
    """A line that the language does not know."""


@dataclass
class Book:
    """The rules as they stand in the story so far."""

    queues: dict[str, QueueRules]
    agents: dict[str, AgentRules]
    limits: Limits
    when_queue_removed: Target | None = None
    codes: Choices = ()
    reasons: Choices = ()

    def rules(self) -> Rules:
        """Frozen, as the engine takes them."""
        queues, agents = MappingProxyType(dict(self.queues)), MappingProxyType(dict(self.agents))
        return Rules(
            queues,
            agents,
            self.limits,
            when_queue_removed=self.when_queue_removed,
            wrap_up_codes=self.codes,
            not_ready_reasons=self.reasons,
        )

    def take(self, words: list[str]) -> None:
        """One line of rules. StoryError for a line that is none."""
        match words:
            case ["queue", name, *settings]:
                self.queues[name] = _queue(self.queues.get(name, QueueRules(name)), settings)
            case ["step", name, after, *settings]:
                rules = self.queues[name]
                steps = sorted((*rules.steps, _step(after, settings)), key=lambda step: step.after_ms)
                self.queues[name] = replace(rules, steps=tuple(steps))
            case ["agent", agent_id, *entries]:
                skills, queues = agent_entries(entries)
                self.agents[agent_id] = AgentRules(
                    agent_id,
                    contact=f"user/{agent_id}",
                    queues=MappingProxyType(queues or {}),
                    skills=skills or (),
                )
            case ["phone", agent_id, *settings]:
                given = pairs(settings)
                agent = self.agents[agent_id]
                switches = tuple(given["at"].split(",")) if "at" in given else agent.switches
                contact = given.get("contact", agent.contact)
                silent_ms = milliseconds(given["silent_for"]) if "silent_for" in given else 0
                phone = replace(agent.phone, media_timeout_ms=silent_ms)
                on, stands = given.get("standing", agent.switch), given.get("standing", "none") != "none"
                self.agents[agent_id] = replace(
                    agent, contact=contact, switches=switches, phone=phone, switch=on, standing_leg=stands
                )
            case ["own", agent_id, *settings]:
                self.agents[agent_id] = replace(self.agents[agent_id], own=_own(settings))
            case ["limits", *settings]:
                self.limits = _limits(self.limits, settings)
            case [("codes" | "reasons") as what, *entries]:
                setattr(self, what, _choices(entries))
            case ["queue_removed", target]:
                self.when_queue_removed = _target(target)
            case ["without", "steps", name]:
                self.queues[name] = replace(self.queues[name], steps=())
            case ["without", "queue", name]:
                del self.queues[name]
                self.agents = {i: _without(agent, name) for i, agent in self.agents.items()}
            case ["without", "agent", agent_id]:
                del self.agents[agent_id]
            case _:
                raise StoryError(f"no rule: {' '.join(words)}")


def _choices(entries: list[str]) -> Choices:
    """`sale/new:11 complaint`: each with the digits by which a phone chooses it."""
    return tuple(Choice(one, digits=digits) for one, _, digits in (entry.partition(":") for entry in entries))


def said(agent_id: str, by: str, words: list[str], id_of: Callable[[str], str]) -> AgentCodedWrapUp:
    """`codes=sale/new,2 note=calls_back of=anna/1`: what an agent says of a talk; `codes=` takes them away."""
    given = pairs(words)
    codes = tuple(code for code in given["codes"].split(",") if code) if "codes" in given else None
    note = given["note"].replace("_", " ") if "note" in given else None
    return AgentCodedWrapUp(agent_id, by, codes, note, id_of(given["of"]) if "of" in given else "")


def agent_entries(entries: list[str]) -> tuple[SkillLevels | None, dict[str, Service] | None]:
    """An agent's skills and queues; None for what is not spoken of. `no_skills` and `no_queues` speak of none."""
    queues: dict[str, Service] = {}
    skills: dict[str, int] = {}
    for entry in entries:
        if entry in ("no_skills", "no_queues"):
            continue
        if "=" in entry:
            skill, _, level = entry.partition("=")
            skills[skill] = int(level)
        else:
            name, _, service = entry.partition(":")
            queues[name] = _service(service)
    return (
        tuple(sorted(skills.items())) if skills or "no_skills" in entries else None,
        queues if queues or "no_queues" in entries else None,
    )


def noted_visit(text: str) -> dict[str, Any]:
    """`2/overflow`: the fields of an announcement whose leg says that it is the call's second visit, by overflow."""
    number, _, how_in = text.partition("/")
    return {"visit": int(number), "how_in": HowIn(how_in)} if text else {}


def _service(text: str) -> Service:
    """`2+20s,backup,x3`: rank 2, a delay of 20 s, only as backup, with a weight of 3."""
    service = Service()
    for part in text.split(","):
        if part == "backup":
            service = replace(service, backup=True)
        elif part.startswith("x"):
            service = replace(service, weight=int(part[1:]))
        elif part:
            rank, _, delay = part.partition("+")
            service = replace(service, rank=int(rank or 1), delay_ms=milliseconds(delay or "0"))
    return service


def _queue(rules: QueueRules, settings: list[str]) -> QueueRules:
    changes: dict[str, object] = {}
    for name, value in pairs(settings).items():
        if name in _PLUGINS:
            plugin, _, parameters = value.partition("(")
            changes[name] = None if plugin == "none" else plugin
            changes[f"{name}_parameters"] = _parameters(parameters.removesuffix(")"))
        elif name == "wrap_up":
            changes |= _wrap_up(value)
        elif name == "not_ready_after":
            limits = _causes(value)
            changes[name] = limits.pop(Cause.NO_ANSWER, 0)
            changes["not_ready_after_others"] = MappingProxyType(limits)
        elif name in _QUEUE_SETTINGS:
            changes[name] = _QUEUE_SETTINGS[name](value)
        elif f"{name}_ms" in _QUEUE_FIELDS:
            changes[f"{name}_ms"] = milliseconds(value)
        elif f"{name}_ms" in _HOLD_BACK_FIELDS:
            times = changes.get("hold_back", rules.hold_back)
            assert isinstance(times, HoldBack)
            changes["hold_back"] = replace(times, **{f"{name}_ms": milliseconds(value)})
        else:
            raise StoryError(f"a queue has no {name}")
    return replace(rules, **changes)  # type: ignore[arg-type] # each value was made for its field


def _parameters(text: str) -> Parameters:
    """`every=10s,scope=all`, as a plugin gets them: durations in milliseconds."""
    return tuple(sorted((name, _parameter(value)) for name, value in pairs(text.split(",") if text else []).items()))


def _parameter(text: str) -> int | float | str | bool:
    if text in ("yes", "no"):
        return text == "yes"
    if text[0].isdigit() and text.endswith("s"):
        return milliseconds(text)
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _wrap_up(text: str) -> dict[str, object]:
    """`10s`, `fixed:10s`, `until_ready`."""
    changes: dict[str, object] = {}
    for part in text.split(":"):
        if part in frozenset(WrapUp):
            changes["wrap_up"] = WrapUp(part)
        else:
            changes["wrap_up_ms"] = milliseconds(part)
    return changes


def _causes(text: str) -> dict[Cause, int]:
    """`3` (not answered), `no_answer:3,refused:5`."""
    if text.isdecimal():
        return {Cause.NO_ANSWER: int(text)}
    return {Cause(name): int(limit) for name, _, limit in (part.partition(":") for part in text.split(","))}


def _own(settings: list[str]) -> OwnPauses:
    """`wrap_up=fixed:5s refused=9s not_ready_after=refused:2`."""
    changes: dict[str, object] = {}
    hold_back: dict[Cause, int] = {}
    for name, value in pairs(settings).items():
        if name == "wrap_up":
            changes |= _wrap_up(value)
        elif name == "not_ready_after":
            changes[name] = MappingProxyType(_causes(value))
        elif name in frozenset(Cause):
            hold_back[Cause(name)] = milliseconds(value)
        else:
            raise StoryError(f"an agent has no {name} of their own")
    return OwnPauses(**changes, hold_back_ms=MappingProxyType(hold_back))  # type: ignore[arg-type] # each fits its field


def _target(text: str) -> Target:
    match text.partition(":"):
        case ["queue", _, where]:
            return ToQueue(where)
        case ["extension", _, where]:
            return ToExtension(where)
        case ["hangup", _, where]:
            return ToHangup(where)
    raise StoryError(f"not a target: {text}")


def _overflow(text: str) -> Overflow | None:
    """`queue:sales`, `queue:sales@joining` (only those who come), `queue:sales@waiting,after:30s`."""
    if text == "none":
        return None
    target, _, options = text.partition("@")
    overflow = Overflow(_target(target))
    for option in options.split(",") if options else ():
        match option.partition(":"):
            case ["joining", _, ""]:
                overflow = replace(overflow, waiting=False)
            case ["waiting", _, ""]:
                overflow = replace(overflow, joining=False)
            case ["after", _, time]:
                overflow = replace(overflow, after_ms=milliseconds(time))
            case _:
                raise StoryError(f"no way to overflow: {option}")
    return overflow


def _sticky(text: str) -> Sticky | None:
    """`last:20s`, `named_or_last:20s:wait:any_queue`."""
    if text == "none":
        return None
    agent, *options = text.split(":")
    sticky = Sticky(StickyAgent(agent))
    for option in options:
        if option in ("wait", "any_queue"):
            sticky = replace(sticky, wait=sticky.wait or option == "wait")
            sticky = replace(sticky, any_queue=sticky.any_queue or option == "any_queue")
        else:
            sticky = replace(sticky, for_ms=milliseconds(option))
    return sticky


def _step(after: str, settings: list[str]) -> Step:
    changes: dict[str, object] = {}
    for name, value in pairs(settings).items():
        match name:
            case "lower":
                changes[name] = levels(value)
            case "drop":
                changes[name] = tuple(value.split(","))
            case "backup":
                changes[name] = value == "yes"
            case "ring_at_once" | "raise_by":
                changes[name] = int(value)
            case "overflow":
                changes[name] = _target(value)
            case _:
                raise StoryError(f"a step has no {name}")
    return replace(Step(milliseconds(after)), **changes)  # type: ignore[arg-type] # each value was made for its field


def _limits(limits: Limits, settings: list[str]) -> Limits:
    changes: dict[str, int] = {}
    for name, value in pairs(settings).items():
        if name in _LIMITS_FIELDS:
            changes[name] = int(value)
        elif f"{name}_ms" in _LIMITS_FIELDS:
            changes[f"{name}_ms"] = milliseconds(value)
        else:
            raise StoryError(f"there is no limit {name}")
    return replace(limits, **changes)


def _without(agent: AgentRules, queue: str) -> AgentRules:
    return replace(agent, queues=MappingProxyType({name: s for name, s in agent.queues.items() if name != queue}))


def levels(text: str) -> SkillLevels:
    """`german:5,english:1`; `none` for no skill."""
    found = (one.partition(":") for one in text.split(",") if one and one != "none")
    return tuple(sorted((skill, int(level)) for skill, _, level in found))


def pairs(words: list[str]) -> dict[str, str]:
    """`name=value` each."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise StoryError(f"not name=value: {word}")
        found[name] = value
    return found


def milliseconds(text: str) -> int:
    """Seconds as a story writes them."""
    return round(float(text.removesuffix("s")) * 1000)


_PLUGINS = ("strategy", "call_order")
_QUEUE_FIELDS = frozenset(field.name for field in fields(QueueRules))
_HOLD_BACK_FIELDS = frozenset(field.name for field in fields(HoldBack))
_LIMITS_FIELDS = frozenset(field.name for field in fields(Limits))
_QUEUE_SETTINGS: dict[str, Callable[[str], object]] = {
    "was": lambda text: tuple(text.split(",")),
    "priority": int,
    "max_length": int,
    "ring_at_once": int,
    "channel": str,
    "wrap_up_codes": lambda text: tuple(text.split(",")),
    "wrap_up_code_required": lambda text: text == "yes",
    "weight": int,
    "agent_variables": lambda text: tuple(text.split(",")) if text != "none" else (),
    "no_agent_no_delay": lambda text: text == "yes",
    "level_first": lambda text: text == "yes",
    "required": levels,
    "when_full": _target,
    "max_per_number": int,
    "when_max_per_number": _target,
    "max_per_source": int,
    "when_max_per_source": _target,
    "when_max_wait": _target,
    "when_nobody_logged_in": _overflow,
    "when_nobody_ready": _overflow,
    "when_estimated_wait": _overflow,
    "when_closed": _overflow,
    "sticky": _sticky,
    "show_withheld": lambda text: text == "yes",
    "after_talk": _target,
}
