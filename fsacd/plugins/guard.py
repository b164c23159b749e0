"""The guard around a plugin's instance: whatever the plugin does wrong becomes PluginFailed, one sentence.

A user's plugin is guarded in full. fsacd's own are tested with the contract kit: their keys go to the engine as they
are, for they are on its shortest path, and only what they rank is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NoReturn, TypeVar

from gevent import GreenletExit

from fsacd.core.match.plugins import PluginFailed
from fsacd.plugins.source import line_of, said
from fsacd.plugins.time_limit import TookTooLong, WaitedTooLong, within
from fsacd.strategy import (
    AgentFacts,
    CallFacts,
    CallOrder,
    Candidate,
    Chance,
    Key,
    KeyStrategy,
    RankStrategy,
    Ring,
    ServiceFacts,
    SkillLevels,
    Start,
)

LONGEST_KEY: Final = 8
_SHOWN_CHARACTERS: Final = 60
_Answer = TypeVar("_Answer")


class Guard:
    """Calls into one instance of a plugin, and says what went wrong."""

    __slots__ = ("_file", "_key_length", "_limit_s", "calls")

    def __init__(self, file: str, limit_s: float | None) -> None:
        self._file = file
        self._limit_s = limit_s
        self._key_length = 0
        self.calls = 0

    def call(self, name: str, function: Callable[..., _Answer], *arguments: object) -> _Answer:
        """Call into the plugin. Raises PluginFailed for whatever it raises, and when it takes too long."""
        self.calls += 1
        try:
            if self._limit_s is None:
                return function(*arguments)
            return within(self._limit_s, function, *arguments)
        except WaitedTooLong as error:
            raise self.failed(f"{name}() waited instead of computing, and was interrupted") from error
        except TookTooLong as error:
            limit_ms = (self._limit_s or 0) * 1_000
            raise self.failed(
                f"{name}() took longer than {limit_ms:g} ms of processor time and was interrupted"
            ) from error
        except (KeyboardInterrupt, GreenletExit):
            raise  # meant for us, not for the plugin
        except BaseException as error:
            line = line_of(error.__traceback__, self._file)
            raise self.failed(f"{name}() raised {said(error, f' in line {line}' if line else '')}") from error

    def key(self, name: str, key: object) -> Key:
        """What the plugin returned, if it is a key as long as those before. Raises PluginFailed if not."""
        if type(key) is not tuple:
            self.fail(f"{name}() returned {shown_answer(key)}; a tuple of numbers was expected")
        for part in key:
            if type(part) is not int and type(part) is not float:
                self.fail(f"{name}() returned {shown_answer(key)}; a tuple of numbers was expected")
            if part != part:  # noqa: PLR0124 - NaN alone differs from itself
                self.fail(f"{name}() returned {shown_answer(key)}; NaN has no place in an order")
        if not key or len(key) != self._key_length:
            if not 1 <= len(key) <= LONGEST_KEY:
                self.fail(f"{name}() returned {len(key)} numbers; 1 to {LONGEST_KEY} were expected")
            if self._key_length:
                self.fail(f"{name}() returned {len(key)} numbers, and {self._key_length} before; all keys are alike")
            self._key_length = len(key)
        return key

    def ranking(self, ranked: object, candidates: Sequence[Candidate]) -> Sequence[str]:
        """What the plugin returned, if it is each candidate once. Raises PluginFailed if not."""
        if not isinstance(ranked, list | tuple):
            self.fail(f"rank() returned {shown_answer(ranked)}; the ids of all candidates were expected")
        known = {candidate.agent.agent_id for candidate in candidates}
        for agent_id in ranked:
            if type(agent_id) is not str:
                self.fail(f"rank() returned {shown_answer(agent_id)} among the ids; a text was expected")
        if len(ranked) != len(known) or known.symmetric_difference(ranked):
            self.fail(f"rank() {_difference(ranked, known)}")
        return ranked

    def failed(self, what: str) -> PluginFailed:
        """The exception that says what the plugin did."""
        return PluginFailed(f"{self._file}: {what}", self.calls)

    def fail(self, what: str) -> NoReturn:
        """Say what the plugin did. Always raises PluginFailed."""
        raise self.failed(what)


class GuardedKeyStrategy:
    """A key strategy that cannot do harm."""

    __slots__ = ("_guard", "_key", "_start", "by_skill", "by_sum", "goes_round", "ring")

    def __init__(self, strategy: KeyStrategy, guard: Guard) -> None:
        self._guard = guard
        self._key = strategy.key
        self._start = strategy.start
        self.ring = strategy.ring
        self.by_skill = strategy.by_skill
        self.by_sum = getattr(strategy, "by_sum", False)  # a plugin of before has none, if it derives from nothing
        self.goes_round = strategy.goes_round

    @property
    def calls(self) -> int:
        """How often the plugin was called."""
        return self._guard.calls

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The plugin's key. Raises PluginFailed."""
        return self._guard.key("key", self._guard.call("key", self._key, agent, service, required))

    def start(self, start: Start) -> Key | None:
        """The plugin's start. Raises PluginFailed."""
        key = self._guard.call("start", self._start, start)
        return None if key is None else self._guard.key("start", key)


class GuardedRankStrategy:
    """A rank strategy that cannot do harm."""

    __slots__ = ("_guard", "_rank", "ring")

    def __init__(self, strategy: RankStrategy, guard: Guard) -> None:
        self._guard = guard
        self._rank = strategy.rank
        self.ring = strategy.ring

    @property
    def calls(self) -> int:
        """How often the plugin was called."""
        return self._guard.calls

    def rank(self, call: CallFacts, candidates: Sequence[Candidate], chance: Chance) -> Sequence[str]:
        """The plugin's ranking. Raises PluginFailed."""
        # The plugin gets a sequence that it cannot change under the engine's hands.
        candidates = tuple(candidates)
        return self._guard.ranking(self._guard.call("rank", self._rank, call, candidates, chance), candidates)


class GuardedCallOrder:
    """A call order that cannot do harm."""

    __slots__ = ("_guard", "_key")

    def __init__(self, order: CallOrder, guard: Guard) -> None:
        self._guard = guard
        self._key = order.key

    @property
    def calls(self) -> int:
        """How often the plugin was called."""
        return self._guard.calls

    def key(self, call: CallFacts) -> Key:
        """The plugin's key. Raises PluginFailed."""
        return self._guard.key("key", self._guard.call("key", self._key, call))


def _difference(ranked: Sequence[str], known: AbstractSet[str]) -> str:
    """Why these are not the known ids, each once: the first that is wrong."""
    seen: set[str] = set()
    for agent_id in ranked:
        if agent_id not in known:
            return f"returned {shown_answer(agent_id)}, who is no candidate"
        if agent_id in seen:
            return f"returned {shown_answer(agent_id)} twice"
        seen.add(agent_id)
    return f"left out {shown_answer(min(known - seen))}; all candidates were expected"


def why_not_ring(ring: object) -> str:
    """What is wrong with a strategy's `ring`, or an empty text."""
    if type(ring) is not Ring:
        return f"ring is {shown_answer(ring)}; a Ring was expected"
    fields: dict[str, object] = ring._asdict()
    for name in ("at_once", "one_more_every_ms"):
        value = fields[name]
        if type(value) is not int or value < 0:
            return f"ring.{name} is {shown_answer(value)}; a whole number, 0 or more, was expected"
    if type(fields["beyond_best"]) is not bool:
        return f"ring.beyond_best is {shown_answer(fields['beyond_best'])}; True or False was expected"
    return ""


def shown_answer(value: object) -> str:
    """A value for a sentence, short, and without calling code of its own."""
    if value is None:
        return "nothing"
    if type(value) is str:
        return repr(value) if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]!r}…"
    if type(value) is bool or type(value) is float:
        return repr(value)
    if type(value) is int:
        return str(value) if value.bit_length() <= _SHOWN_CHARACTERS else "a very large number"
    if type(value) is tuple and len(value) <= LONGEST_KEY:
        parts = ", ".join(shown_answer(part) if type(part) is not tuple else "(…)" for part in value)
        return f"({parts},)" if len(value) == 1 else f"({parts})"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
