"""Other rules, told as what differs from those in force: a reload that changes three agents tells of three agents.

`amended` undoes what `differing` does. Both keep what is the same: a queue or an agent that has not changed is the very
object that it was.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from fsacd.core.events import RulesAmended
from fsacd.core.rules import Rules

T = TypeVar("T")

# So many are compared in one part, which takes less than a millisecond.
_PART = 256


def differing(
    old: Rules, new: Rules, edition: int, anew: Iterable[str] = ()
) -> Generator[None, None, RulesAmended | None]:
    """What makes `new` of `old`, which are of this edition; None when they are the same and nothing begins anew.

    In parts: others may have their turn between them. `anew` are queues whose plugins begin anew in any case.
    """
    queues = yield from _changed(old.queues, new.queues)
    agents = yield from _changed(old.agents, new.agents)
    told = RulesAmended(
        edition,
        new.limits,
        new.fallback,
        new.back,
        new.when_queue_removed,
        queues,
        agents,
        _gone(old.queues, new.queues),
        _gone(old.agents, new.agents),
        _order(old.queues, new.queues),
        _order(old.agents, new.agents),
        tuple(sorted(name for name in anew if name in new.queues)),
        new.wrap_up_codes,
        new.not_ready_reasons,
    )
    nothing = RulesAmended(
        edition,
        old.limits,
        old.fallback,
        old.back,
        old.when_queue_removed,
        wrap_up_codes=old.wrap_up_codes,
        not_ready_reasons=old.not_ready_reasons,
    )
    return None if told == nothing else told


def amended(old: Rules, retired: Collection[str], event: RulesAmended) -> Rules:
    """The rules after the event. `retired` are queues of `old` that were gone from the configuration before."""
    return Rules(
        queues=_merged(old.queues, {*event.gone_queues, *retired}, event.queues, event.order_of_queues),
        agents=_merged(old.agents, set(event.gone_agents), event.agents, event.order_of_agents),
        limits=event.limits,
        fallback=event.fallback,
        when_queue_removed=event.when_queue_removed,
        back=event.back,
        wrap_up_codes=event.wrap_up_codes,
        not_ready_reasons=event.not_ready_reasons,
    )


def _changed(old: Mapping[str, T], new: Mapping[str, T]) -> Generator[None, None, dict[str, T]]:
    changed = {}
    for number, (name, rules) in enumerate(new.items(), 1):
        known = old.get(name)
        if known is not rules and known != rules:
            changed[name] = rules
        if number % _PART == 0:
            yield
    return changed


def _gone(old: Mapping[str, T], new: Mapping[str, T]) -> tuple[str, ...]:
    return tuple(sorted(old.keys() - new.keys()))


def _order(old: Mapping[str, T], new: Mapping[str, T]) -> tuple[str, ...] | None:
    """The order of the new ones; None if those of before stand as they stood, and the others behind them."""
    usual = [name for name in old if name in new]
    if len(usual) < len(new):
        usual += [name for name in new if name not in old]
    names = list(new)
    return None if usual == names else tuple(names)


def _merged(
    old: Mapping[str, T], gone: Collection[str], changed: Mapping[str, T], order: tuple[str, ...] | None
) -> Mapping[str, T]:
    merged = {name: rules for name, rules in old.items() if name not in gone} if gone else dict(old)
    merged.update(changed)
    if order is not None:
        merged = {name: merged[name] for name in order if name in merged}
    return MappingProxyType(merged)
