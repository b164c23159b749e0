"""The contract kit: checks of a strategy or call order for its author's own tests. It is part of the package.

Example:
    PLUGIN = Path(__file__).with_name("by_region.py")

    def test_it_keeps_the_contract() -> None:
        assert check_strategy(PLUGIN) == []

    def test_the_longest_idle_agent_rings_first() -> None:
        agents = [candidate("anna", idle_since_ms=2_000), candidate("ben", idle_since_ms=1_000)]
        assert ring_order(PLUGIN, agents) == ["ben", "anna"]

A plugin is given as its file or as its class. `parameters` are written as in the configuration: {"every": "5s"}.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple

from fsacd.core.match.plugins import PluginFailed
from fsacd.core.rules import Parameters
from fsacd.plugins.catalogue import LIMIT_MS, PluginProblem, load_file
from fsacd.plugins.guard import Guard, GuardedCallOrder, GuardedKeyStrategy, GuardedRankStrategy
from fsacd.plugins.parameters import ParameterProblem, read_parameters
from fsacd.plugins.plugin import BadValue, Plugin, checked
from fsacd.plugins.source import Unfit
from fsacd.strategy import AgentFacts, BaseKeyStrategy, CallFacts, Candidate, Chance, ServiceFacts, SkillLevels, Start

_DECISIONS: Final = 300
_POOLS: Final = (1, 2, 3, 5, 8, 13, 40, 200)
_NEVER_MS: Final = -(10**12)
# The longest that the fastest of several calls into a plugin may compute; a step asks for many agents' keys.
_KEY_S: Final = 0.001
_RANK_S: Final = 0.010
_AGAIN_TIMEOUT_S: Final = 120

Answer = tuple[object, ...]


# --- facts ---


def candidate(
    agent_id: str,
    *,
    idle_since_ms: int = 0,
    last_offered_ms: int = _NEVER_MS,
    recent_calls: float = -inf,
    recent_talk: float = -inf,
    recent_work: float = -inf,
    skills: Mapping[str, int] | None = None,
    place: int = 0,
    rank: int = 1,
    weight: int = 1,
    level: int = 0,
) -> Candidate:
    """A ready agent, by default one who has done nothing yet."""
    known = tuple(sorted((skills or {}).items()))
    agent = AgentFacts(agent_id, idle_since_ms, last_offered_ms, recent_calls, recent_talk, recent_work, known)
    return Candidate(agent, ServiceFacts(place, rank, weight), level)


def call(
    call_id: str = "call",
    *,
    queue: str = "support",
    priority: int = 0,
    arrived_ms: int = 0,
    head_start_ms: int = 0,
    required: Mapping[str, int] | None = None,
    number: str = "",
    customer: str = "",
    language: str = "",
    offers: int = 0,
    last_place: int | None = None,
) -> CallFacts:
    """A waiting call, by default one of which nothing is known."""
    skills = tuple(sorted((required or {}).items()))
    return CallFacts(
        call_id=call_id,
        queue=queue,
        priority=priority,
        arrived_ms=arrived_ms,
        head_start_ms=head_start_ms,
        required=skills,
        number=number,
        customer=customer,
        language=language,
        offers=offers,
        last_place=last_place,
    )


# --- questions ---


def ring_order(
    what: Path | type,
    candidates: Sequence[Candidate],
    *,
    waiting: CallFacts | None = None,
    queue_last_place: int | None = None,
    chance: Chance | int = 0,
    parameters: Mapping[str, object] | None = None,
) -> list[str]:
    """The ids of these agents, all of one rank and level, in the order in which a call would ring them.

    Args:
        what: The strategy.
        candidates: Eligible ready agents.
        waiting: The call; by default one of which nothing is known.
        queue_last_place: The place of the agent whom the queue rang last, for a strategy that goes round.
        chance: The die for a strategy that draws, or the seed of one.
        parameters: The strategy's parameters.

    Raises:
        ValueError: `what` is no plugin, or its parameters are wrong.
        TypeError: `what` is a call order.
        PluginFailed: The plugin raised, took too long or returned nonsense.
    """
    strategy = _guarded(_plugin(what), parameters or {})
    waiting = waiting or call()
    if isinstance(strategy, GuardedRankStrategy):
        die = random.Random(chance) if isinstance(chance, int) else chance  # noqa: S311 - a die, not a secret
        return list(strategy.rank(waiting, candidates, die))
    if not isinstance(strategy, GuardedKeyStrategy):
        raise TypeError("this is a call order; ask call_order for what it says")
    required = waiting.required if strategy.by_skill else ()
    start = strategy.start(Start(queue_last_place, waiting.last_place)) if strategy.goes_round else None
    keyed = [(strategy.key(one.agent, one.service, required), one.agent.agent_id) for one in candidates]
    return [agent_id for _, agent_id in sorted(keyed, key=lambda one: (start is not None and one[0] <= start, *one))]


def call_order(
    what: Path | type, calls: Sequence[CallFacts], *, parameters: Mapping[str, object] | None = None
) -> list[str]:
    """The ids of these calls of one queue, in the order in which they would be served.

    Raises:
        ValueError: `what` is no plugin, or its parameters are wrong.
        TypeError: `what` is a strategy.
        PluginFailed: The plugin raised, took too long or returned nonsense.
    """
    order = _guarded(_plugin(what), parameters or {})
    if not isinstance(order, GuardedCallOrder):
        raise TypeError("this is a strategy; ask ring_order for what it says")
    return [call_id for _, call_id in sorted((order.key(one), one.call_id) for one in calls)]


def check_strategy(
    what: Path | type, parameters: Mapping[str, object] | None = None, *, elsewhere: bool = True
) -> list[str]:
    """How a strategy or call order breaks the contract, in sentences; empty if it keeps the contract.

    It is loaded as by the daemon, except that nobody looks at who owns the file. Then it is asked for a few hundred
    decisions, always the same ones: several times, in several orders, and (a file, if `elsewhere`) in another process.
    """
    try:
        plugin = _plugin(what)
        path = what if elsewhere and isinstance(what, Path) else None
        return _Trial(plugin, parameters or {}, path).complaints()
    except (PluginFailed, ValueError) as error:
        return [str(error)]


def _plugin(what: Path | type) -> Plugin:
    """Load a file, or take a class that is called Strategy or CallOrder in it. Raises ValueError if it is no plugin."""
    try:
        if isinstance(what, Path):
            return load_file(what)
        kind: Final = "call order" if what.__name__.endswith("CallOrder") else "strategy"
        return checked(what, kind, what.__name__, _file_of(what), text=what.__doc__ or "")
    except Unfit as unfit:
        raise ValueError(str(PluginProblem(_file_of(what), unfit.line, unfit.text))) from unfit


def _file_of(what: Path | type) -> str:
    return str(what) if isinstance(what, Path) else sys.modules[what.__module__].__file__ or what.__qualname__


def _guarded(plugin: Plugin, raw: Mapping[str, object]) -> GuardedKeyStrategy | GuardedRankStrategy | GuardedCallOrder:
    """A new instance of the plugin, guarded. Raises ValueError for wrong parameters."""
    try:
        parameters: Parameters = read_parameters(plugin.name, plugin.parameters, raw)
        instance = plugin.make(parameters)
    except (ParameterProblem, BadValue, Unfit) as error:
        raise ValueError(f"{plugin.file}: {error}") from error
    guard = Guard(plugin.file, LIMIT_MS / 1_000)
    if plugin.kind == "call order":
        return GuardedCallOrder(instance, guard)
    return GuardedRankStrategy(instance, guard) if plugin.ranks else GuardedKeyStrategy(instance, guard)


# --- the trial ---


class _Decision(NamedTuple):
    waiting: CallFacts
    candidates: tuple[Candidate, ...]
    start: Start
    seed: int


class _Trial:
    """Asks one plugin again and again, and compares."""

    def __init__(self, plugin: Plugin, raw: Mapping[str, object], path: Path | None) -> None:
        self._plugin = plugin
        self._raw = raw
        self._path = path
        self._decisions = list(_decisions())

    def complaints(self) -> list[str]:
        """All that is wrong. Raises PluginFailed at a failure for which the daemon takes a plugin out of service."""
        instance = self._new()
        first = self._answers(instance)
        found = []
        if self._answers(instance, backwards=True) != first:
            found.append("it answers differently when it is asked again; an answer must depend on the arguments alone")
        elif self._answers(self._new(), backwards=True) != first:
            found.append("a new instance answers differently; an answer must depend on the arguments alone")
        elif self._path is not None and (why := self._why_other_elsewhere(_digest(first))):
            found.append(why)
        else:
            found += self._about_attributes()
        found += self._about_time()
        return [f"{self._plugin.file}: {complaint}" for complaint in found]

    def digest(self) -> str:
        """The digest of all answers."""
        return _digest(self._answers(self._new()))

    def _new(self) -> Any:
        return _guarded(self._plugin, self._raw)

    def _answers(self, instance: Any, *, backwards: bool = False) -> list[Answer]:
        decisions = self._decisions[::-1] if backwards else self._decisions
        answers = [_answer(instance, decision) for decision in decisions]
        return answers[::-1] if backwards else answers

    def _about_attributes(self) -> list[str]:
        instance = self._new()
        if not isinstance(instance, GuardedKeyStrategy):
            return []
        found = []
        if not instance.goes_round and getattr(self._plugin.made_of, "start", None) is not BaseKeyStrategy.start:
            found.append("start() is never asked, because goes_round is False")
        asked = [(one, decision.waiting.required) for decision in self._decisions for one in decision.candidates[:3]]
        keys = [(instance.key(one.agent, one.service, required), one, required) for one, required in asked]
        if not instance.by_skill and any(key != instance.key(one.agent, one.service, ()) for key, one, _ in keys):
            found.append("key() looks at what is required, but without by_skill = True it is asked with nothing there")
        if instance.by_sum and any(key != _by_sum(instance, one, required) for key, one, required in keys):
            found.append("by_sum is True, but key() does not begin with the negated sum of levels, or goes on by them")
        return found

    def _about_time(self) -> list[str]:
        instance = self._new()
        decision = max(self._decisions, key=lambda one: len(one.candidates))
        name, limit_s, ask = _longest_question(instance, decision)
        fastest_s = min(_seconds(ask) for _ in range(5))
        if fastest_s <= limit_s:
            return []
        return [
            f"{name}() takes {fastest_s * 1_000:.1f} ms for {_many(decision, name)}; {limit_s * 1_000:g} ms is the most"
        ]

    def _why_other_elsewhere(self, digest: str) -> str:
        """Why a new interpreter answers differently, if it does: there, sets of strings have another order."""
        seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
        command = [sys.executable, "-m", "fsacd.contract", json.dumps(dict(self._raw), default=str), str(self._path)]
        try:
            done = subprocess.run(  # noqa: S603 - this very module, with the file that is checked
                command,
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                timeout=_AGAIN_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it did not answer in another process within {_AGAIN_TIMEOUT_S} s"
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
            return f"it cannot be asked in another process: {last}"
        if done.stdout.strip() != digest:
            return "it answers differently in another process; perhaps it goes through a set, whose order is chance"
        return ""


def _answer(instance: Any, decision: _Decision) -> Answer:
    if isinstance(instance, GuardedCallOrder):
        return instance.key(decision.waiting)
    if isinstance(instance, GuardedRankStrategy):
        die = random.Random(decision.seed)  # noqa: S311 - a die, not a secret
        return (*instance.rank(decision.waiting, decision.candidates, die), instance.ring)
    assert isinstance(instance, GuardedKeyStrategy), "there is no fourth kind of plugin"
    required: SkillLevels = decision.waiting.required if instance.by_skill else ()
    keys = [instance.key(one.agent, one.service, required) for one in decision.candidates]
    return (*keys, instance.start(decision.start) if instance.goes_round else None, instance.ring)


def _by_sum(instance: GuardedKeyStrategy, one: Candidate, required: SkillLevels) -> Answer:
    """The key that `by_sum` promises."""
    asked = dict(required or one.agent.skills)
    known = sum(level for skill, level in one.agent.skills if skill in asked)
    return (-known, *instance.key(one.agent, one.service, ())[1:])


def _longest_question(instance: Any, decision: _Decision) -> tuple[str, float, Callable[[], object]]:
    if isinstance(instance, GuardedRankStrategy):
        return "rank", _RANK_S, lambda: _answer(instance, decision)
    if isinstance(instance, GuardedCallOrder):
        return "key", _KEY_S, lambda: instance.key(decision.waiting)
    required = decision.waiting.required if instance.by_skill else ()
    one = decision.candidates[0]
    return "key", _KEY_S, lambda: instance.key(one.agent, one.service, required)


def _many(decision: _Decision, name: str) -> str:
    return f"{len(decision.candidates)} candidates" if name == "rank" else "one answer"


def _seconds(ask: Callable[[], object]) -> float:
    """Seconds of processor time; wall time would depend on how busy the machine is."""
    started_s = time.thread_time()
    ask()
    return time.thread_time() - started_s


def _digest(answers: list[Answer]) -> str:
    return hashlib.sha256(repr(answers).encode()).hexdigest()


def _decisions() -> Iterator[_Decision]:
    """Always the same decisions: ordinary ones, and some with all agents alike, none rung yet, or nothing required."""
    die = random.Random(1)  # noqa: S311 - a die, not a secret
    for number in range(_DECISIONS):
        pool = _POOLS[-1] if number == 1 else _POOLS[min(int(die.expovariate(0.6)), len(_POOLS) - 1)]
        skills = tuple(sorted(die.sample(("english", "french", "german", "billing", "vip"), die.randint(0, 3))))
        required = {skill: die.randint(1, 10) for skill in skills}
        waiting = call(
            f"call-{number:04}-é",
            priority=die.randint(-2, 2),
            arrived_ms=die.randint(0, 10**9),
            head_start_ms=die.choice((0, 0, 30_000)),
            required=required,
            number=die.choice(("", "+491511234567")),
            customer=die.choice(("", "acme")),
            language=die.choice(("", "de")),
            offers=die.randint(0, 3),
            last_place=die.choice((None, die.randint(0, pool))),
        )
        alike = number % 10 == 0
        candidates = [_candidate(die, f"agent-{place:04}", place, required, alike=alike) for place in range(pool)]
        # The contract says: longest idle first.
        candidates.sort(key=lambda one: (one.agent.idle_since_ms, one.agent.agent_id))
        start = Start(die.choice((None, die.randint(0, pool))), waiting.last_place)
        yield _Decision(waiting, tuple(candidates), start, die.getrandbits(32))


def _candidate(die: random.Random, agent_id: str, place: int, required: Mapping[str, int], *, alike: bool) -> Candidate:
    if alike:
        return candidate(agent_id, place=place, skills=dict.fromkeys(required, 10), level=10 if required else 0)
    skills = {**{skill: die.randint(level, 10) for skill, level in required.items()}, "coffee": die.randint(1, 10)}
    return candidate(
        agent_id,
        idle_since_ms=die.randint(0, 10**9),
        last_offered_ms=die.choice((_NEVER_MS, die.randint(0, 10**9))),
        recent_calls=die.choice((-inf, die.uniform(-10, 10))),
        recent_talk=die.choice((-inf, die.uniform(-10, 20))),
        recent_work=die.choice((-inf, die.uniform(-10, 20))),
        skills=skills,
        place=place,
        weight=die.randint(1, 100),
        level=min((skills[skill] for skill in required), default=0),
    )


def _main(raw: str, *files: str) -> None:
    """Print the digest of each file's answers, a line each."""
    for file in files:
        sys.stdout.write(_Trial(load_file(Path(file)), json.loads(raw), None).digest() + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
