"""Checks of more than one setting of a queue: names must exist, and overflows must end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from fsacd.config.centre import QueueSettings
from fsacd.config.problems import Complaint, Loc
from fsacd.config.routing import StepSettings
from fsacd.config.targets import OverflowSettings, TargetSettings
from fsacd.process.quoting import did_you_mean, shown

# The overflows on a condition; each is optional.
_CONDITIONS = ("when_closed", "when_nobody_logged_in", "when_nobody_ready", "when_estimated_wait")


def unknown(
    loc: Loc, kind: str, name: str | None, known: AbstractSet[str] | None, *, at_key: bool = False
) -> Iterator[Complaint]:
    """Complain of an unknown name, unless `name` or `known` is None."""
    if name is not None and known is not None and name not in known:
        yield Complaint(loc, f"unknown {kind} {shown(name)}{did_you_mean(name, known)}", at_key=at_key)


def unknown_skills(loc: Loc, skills: Iterable[str], known: Collection[str]) -> Iterator[Complaint]:
    """Complain of skills that are not in the list of skills, if there is one."""
    if known:
        for skill in skills:
            yield from unknown((*loc, skill), "skill", skill, frozenset(known), at_key=True)


@dataclass(frozen=True, slots=True)
class QueueChecks:
    """Checks one block of queue settings after the other against the names that the file gives."""

    skills: AbstractSet[str]
    queues: AbstractSet[str] | None
    hours: AbstractSet[str] | None

    def block(self, loc: Loc, own: QueueSettings, merged: QueueSettings) -> Iterator[Complaint]:
        """Complain of the block's own settings; `merged` has the defaults filled in."""
        yield from unknown_skills((*loc, "required_skills"), own.required_skills, self.skills)
        yield from unknown((*loc, "hours"), "hours", own.hours, self.hours)
        for setting, target in _targets(own):
            yield from self.target((*loc, *setting), target)
        if own.after_talk.context is not None and own.after_talk.extension is None:
            yield Complaint((*loc, "after_talk", "context"), "an extension is missing beside it")
        estimated = own.when_estimated_wait
        if estimated is not None and estimated.above_ms is None:
            yield Complaint((*loc, "when_estimated_wait", "above"), "missing; say how long the wait may be, like 5m")
        if own.wrap_up.ends == "by_agent" and "time_ms" in own.wrap_up.model_fields_set:
            yield Complaint((*loc, "wrap_up", "time"), "wrap-up that only the agent ends has no time", at_key=True)
        yield from self._steps((*loc, "steps"), own.steps)
        if loc[0] == "queues":
            yield from _never(loc, own, merged)

    def target(self, loc: Loc, target: TargetSettings) -> Iterator[Complaint]:
        """Complain of a target with no or several ways given, or of a queue that does not exist."""
        given = target.given()
        if len(given) != 1:
            what = f"got {' and '.join(given)} together" if given else "got none of them"
            yield Complaint(loc, f"expected {TargetSettings.EXPECTS}, {what}", of_whole=not given)
        elif target.context is not None and target.extension is None:
            yield Complaint((*loc, "context"), "goes with an extension only", at_key=True)
        yield from unknown((*loc, "queue"), "queue", target.queue, self.queues)
        if isinstance(target, OverflowSettings) and not target.joining and not target.waiting:
            yield Complaint((*loc, "waiting"), "neither joining nor waiting calls would go there; drop one of the two")

    def _steps(self, loc: Loc, steps: tuple[StepSettings, ...]) -> Iterator[Complaint]:
        before: int | None = None
        for index, step in enumerate(steps):
            at: Loc = (*loc, index)
            if step.after_ms is None:
                yield Complaint((*at, "after"), "missing; say when the step is taken, like 20s")
            elif before is not None and step.after_ms <= before:
                yield Complaint((*at, "after"), "not later than the step before; write the steps in their order")
            before = step.after_ms if step.after_ms is not None else before
            if not step.changes():
                yield Complaint(
                    at, "changes nothing; give one of lower, drop, backup, ring_at_once, raise_class and overflow",
                    of_whole=True,
                )  # fmt: skip
            yield from unknown_skills((*at, "lower"), step.lower, self.skills)
            yield from unknown_skills((*at, "drop"), step.drop, self.skills)
            for skill in sorted(step.lower.keys() & frozenset(step.drop)):
                yield Complaint((*at, "lower", skill), "dropped by the same step", at_key=True)


def _never(loc: Loc, own: QueueSettings, merged: QueueSettings) -> Iterator[Complaint]:
    """Complain of a queue's own settings that can never take effect."""
    for limit in ("max_per_number", "max_per_source"):
        if f"when_{limit}" in own.model_fields_set and getattr(merged, limit) == 0:
            yield Complaint((*loc, f"when_{limit}"), f"never happens: {limit} is 0")
    if "when_max_wait" in own.model_fields_set and merged.max_wait_ms is None:
        yield Complaint((*loc, "when_max_wait"), "never happens: max_wait is not set")
    if merged.max_wait_ms is None:
        return
    for index, step in enumerate(own.steps):
        if step.after_ms is not None and step.after_ms >= merged.max_wait_ms:
            yield Complaint((*loc, "steps", index, "after"), "never happens: no call waits so long (max_wait)")


def _targets(queue: QueueSettings) -> Iterator[tuple[Loc, TargetSettings]]:
    """Give every target that a queue can have, with the path to it."""
    yield ("when_full",), queue.when_full
    yield ("when_max_per_number",), queue.when_max_per_number
    yield ("when_max_per_source",), queue.when_max_per_source
    yield ("when_max_wait",), queue.when_max_wait
    for name in _CONDITIONS:
        overflow: TargetSettings | None = getattr(queue, name)
        if overflow is not None:
            yield (name,), overflow
    for index, step in enumerate(queue.steps):
        if step.overflow is not None:
            yield ("steps", index, "overflow"), step.overflow


def check_circles(queues: Mapping[str, tuple[QueueSettings, QueueSettings]]) -> Iterator[Complaint]:
    """Complain of overflows that lead back to where they began, once for each circle.

    `queues` has each queue's own settings and those with the defaults filled in.
    """
    ways = {name: list(_ways(merged, queues)) for name, (_, merged) in queues.items()}
    done: set[str] = set()
    for start, onward in ways.items():
        # A stack instead of recursion: a chain of queues may be longer than Python's recursion limit.
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
                own, _ = queues[path[-1]]
                why = "" if setting[0] in own.model_fields_set else f" (by defaults.{setting[0]})"
                yield Complaint(("queues", path[-1], *setting), f"overflow goes round in a circle: {circle}{why}")
            else:
                path.append(target)
                rest.append(list(ways[target]))


def _ways(merged: QueueSettings, known: Collection[str]) -> Iterator[tuple[Loc, str]]:
    for setting, target in _targets(merged):
        if _happens(str(setting[0]), merged) and target.queue is not None and target.queue in known:
            yield setting, target.queue


def _happens(setting: str, merged: QueueSettings) -> bool:
    """Whether calls are ever sent where this setting says."""
    match setting:
        case "when_max_wait":
            return merged.max_wait_ms is not None
        case "when_max_per_number":
            return merged.max_per_number > 0
        case "when_max_per_source":
            return merged.max_per_source > 0
        case _:
            return True
