"""What a changed configuration would do to present calls and agents, told before it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fsacd.core.rules import Rules, Target, ToExtension, ToHangup, ToQueue

# States of a call that stands in its queue, and of an agent who is at work; as the engine shows them.
_TALKING: Final = "talking"
_AT_HOME: Final = "logged_out"
_WITH_A_CALLER: Final = ("offered", "talking")
_NAMED: Final = 8


@dataclass(frozen=True, slots=True)
class Effects:
    """Sentences about queues and agents.

    `throws_out` are those about callers who would have nowhere to go, with what to write for them; `thrown_out` say
    what becomes of the same callers when it is done all the same.
    """

    told: tuple[str, ...] = ()
    throws_out: tuple[str, ...] = ()
    thrown_out: tuple[str, ...] = ()


def effects(rules: Rules, calls: Iterable[tuple[str, str]], agents: Mapping[str, str]) -> Effects:
    """What these rules would do to calls (queue and state of each) and to agents (state by id)."""
    waiting, talking = Counter[str](), Counter[str]()
    for queue, state in calls:
        (talking if state == _TALKING else waiting)[queue] += 1
    renamed = rules.renamed()
    told, throws_out, thrown_out = [], [], []
    for queue in sorted({*waiting, *talking} - set(rules.queues)):
        here = _count(waiting[queue], "caller waits", "callers wait")
        if queue in renamed:
            with_agents = _count(talking[queue], "talk", "talks")
            told.append(f"queue {queue} is queue {renamed[queue]} now, and goes on: {here} in it, {with_agents}")
        elif not waiting[queue]:
            told.append(f"queue {queue} is gone: {_count(talking[queue], 'talk goes', 'talks go')} on")
        elif rules.when_queue_removed is not None:
            told.append(f"queue {queue} is gone: {here} in it and {_goes(waiting[queue], rules.when_queue_removed)}")
        else:
            throws_out.append(
                f"queue {queue} is gone, and {here} in it: write was: {queue} under the queue that takes its place, or "
                "say in when_queue_removed where such callers go"
            )
            takes = "takes" if waiting[queue] == 1 else "take"
            thrown_out.append(f"queue {queue} is gone: {here} in it and {takes} the dialplan's fallback")
    told += _agents(rules, agents)
    return Effects(tuple(told), tuple(throws_out), tuple(thrown_out))


def _agents(rules: Rules, agents: Mapping[str, str]) -> Iterable[str]:
    gone = {agent_id: state for agent_id, state in agents.items() if agent_id not in rules.agents}
    at_once = [one for one, state in gone.items() if state != _AT_HOME and state not in _WITH_A_CALLER]
    later = [one for one, state in gone.items() if state in _WITH_A_CALLER]
    if at_once:
        yield f"removed agents, logged out at once: {_some(at_once)}"
    if later:
        yield f"removed agents, logged out when their callers are served: {_some(later)}"


def _goes(count: int, target: Target) -> str:
    verb = "goes" if count == 1 else "go"
    match target:
        case ToQueue(queue):
            return f"{verb} to queue {queue}"
        case ToExtension(extension, context):
            return f"{verb} to extension {extension} in {context}"
        case ToHangup(cause):
            return f"{'is' if count == 1 else 'are'} hung up ({cause})"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
