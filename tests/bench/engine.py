"""What the engine costs: µs per event at 100, 1,000 and 10,000 agents, memory, and calls per second end to end.

    python -m tests.bench.engine [agents ...]

200 queues, 50 skills, each agent in five queues with four requirement sets each, half of the agents not eligible.
One half of the queues has ready agents and nobody waiting, the other as many waiting calls as agents and nobody ready.
Nothing is asserted: what is acceptable is for the reader to say.
"""

from __future__ import annotations

import gc
import random
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core.engine import Engine
from fsacd.core.rules import Limits, Rules, Service, SkillLevels
from fsacd.runtime import settle_memory
from fsacd.testing import PLUGINS, agent, queue, queued, rules_of

QUEUES = 200
SKILLS = 50
QUEUES_PER_AGENT = 5
SETS_PER_QUEUE = 4
ROUNDS = 4_000
END_TO_END_AGENTS = 1_000
END_TO_END_CALLS = 10_000


class Bench:
    """One engine with its clock and the time each kind of event has taken."""

    def __init__(self, rules: Rules) -> None:
        self.engine = Engine(rules, PLUGINS)
        self.now_ms = 0
        self.taken_ns: dict[str, list[int]] = defaultdict(list)
        self.calls: dict[str, e.CallQueued] = {}

    def tell(self, kind: str, event: e.Event) -> tuple[k.Command, ...]:
        """One fact a millisecond later, timed."""
        self.now_ms += 1
        if isinstance(event, e.CallQueued):
            self.calls[event.call_id] = event
        begin_ns = time.perf_counter_ns()
        step = self.engine.handle(event, self.now_ms)
        self.taken_ns[kind].append(time.perf_counter_ns() - begin_ns)
        return step.commands


def call_centre(agents: int) -> Rules:
    """Half of the agents serve the queues where calls wait, half those where agents do."""
    dice = random.Random(agents)
    queues = [queue(f"q{number}", wrap_up_ms=0, max_length=1_000_000) for number in range(QUEUES)]
    half = QUEUES // 2
    made = []
    for number in range(agents):
        first = 0 if number % 2 else half
        serves = dice.sample(range(first, first + half), QUEUES_PER_AGENT)
        services = [(f"q{place}", Service(rank=dice.choice((1, 1, 2)))) for place in serves]
        skills = {f"s{skill}": dice.randint(1, 10) for skill in dice.sample(range(SKILLS), SKILLS // 2)}
        made.append(agent(f"a{number}", *services, skills=skills))
    return rules_of(*queues, *made, limits=Limits(calls=1_000_000))


def requirement(queue_number: int, which: int) -> SkillLevels:
    """One of the queue's four requirement sets: a skill that half of the agents have."""
    return ((f"s{(queue_number * SETS_PER_QUEUE + which) % SKILLS}", 1),)


def callers(dice: random.Random, first: int) -> Iterator[e.CallQueued]:
    """Calls for one half of the queues."""
    for number in count():
        place = first + dice.randrange(QUEUES // 2)
        which = dice.randrange(SETS_PER_QUEUE)
        yield queued(
            f"c{first}-{number}", f"q{place}", required=requirement(place, which), priority=dice.choice((0, 0, 1))
        )


def measure(agents: int) -> None:
    """Fill a call centre, and time events that change one thing each."""
    gc.collect()
    gc.unfreeze()
    rss_before = _rss_mb()
    bench = Bench(call_centre(agents))
    dice = random.Random(1)
    busy_side, ready_side = callers(dice, 0), callers(dice, QUEUES // 2)
    bench.tell("", e.SwitchConnected("fs1"))
    talking: list[tuple[str, str]] = []
    for number in range(agents):
        bench.tell("", e.AgentLoggedIn(f"a{number}", "bench"))
    # The last few agents may have no skill that anybody asks for.
    while len(talking) < agents // 2 and bench.now_ms < 20 * agents:
        _talk(bench, talking, bench.tell("", next(busy_side)))
    while (waiting := _waiting(bench)) < agents:
        for _ in range(agents - waiting):
            _talk(bench, talking, bench.tell("", next(busy_side)))
    bench.now_ms += 3_600_000
    settle_memory()
    rss = _rss_mb() - rss_before
    bench.taken_ns.clear()
    for _ in range(ROUNDS):
        _ready_side_round(bench, next(ready_side))
        _busy_side_round(bench, dice, talking)
    print(f"\n{agents} agents, {waiting} calls waiting, {rss:.0f} MB")
    print(f"  {'µs per event':42}{'p50':>8}{'p99':>8}{'max':>9}")
    for kind, taken in bench.taken_ns.items():
        print(_row(kind, taken))
    print(_row("all that cause a decision", [ns for kind, t in bench.taken_ns.items() if kind[0] == "*" for ns in t]))


def _ready_side_round(bench: Bench, event: e.CallQueued) -> None:
    for ring in _rings(bench.tell("* call queued, agents ready", event)):
        bench.tell("caller gone while it rings", e.CallerGone(event.call_id))
        bench.tell("* agent free, nobody waits", e.OfferEnded(ring.offer_id, e.OfferEnd.CANCELLED))


def _busy_side_round(bench: Bench, dice: random.Random, talking: list[tuple[str, str]]) -> None:
    place = dice.randrange(len(talking))
    offer_id, call_id = talking[place]
    talking[place] = talking[-1]
    talking.pop()
    bench.now_ms += 2_000  # or the talks would be too short to be ones
    commands = bench.tell("* talk over, calls wait", e.OfferEnded(offer_id, e.OfferEnd.HUNG_UP))
    bench.tell("caller gone after the talk", e.CallerGone(call_id))
    _talk(bench, talking, commands)
    for ring in _rings(commands):
        # Another like the one who got the agent, so that as many wait as before.
        again = replace(bench.calls.pop(ring.call_id), call_id=f"again-{bench.now_ms}", arrived_ms=bench.now_ms)
        bench.tell("* call queued, nobody ready", again)


def _talk(bench: Bench, talking: list[tuple[str, str]], commands: tuple[k.Command, ...]) -> None:
    for ring in _rings(commands):
        talking.append((ring.offer_id, ring.call_id))
        bench.tell("agent answers", e.OfferAnswered(ring.offer_id))
        bench.tell("bridged", e.OfferConnected(ring.offer_id))


def _waiting(bench: Bench) -> int:
    return sum(view.waiting for view in bench.engine.snapshot(bench.now_ms).queues)


def end_to_end() -> None:
    """Calls per second, each queued, offered, answered, talked and ended, by one engine on one core."""
    bench = Bench(call_centre(END_TO_END_AGENTS))
    bench.tell("", e.SwitchConnected("fs1"))
    for number in range(END_TO_END_AGENTS):
        bench.tell("", e.AgentLoggedIn(f"a{number}", "bench"))
    coming = list(islice(callers(random.Random(2), 0), END_TO_END_CALLS))
    settle_memory()
    answered = 0
    begin = time.perf_counter()
    for event in coming:
        for ring in _rings(bench.tell("", event)):
            answered += 1
            bench.tell("", e.OfferAnswered(ring.offer_id))
            bench.tell("", e.OfferConnected(ring.offer_id))
            bench.tell("", e.CallerGone(ring.call_id))
            bench.tell("", e.OfferEnded(ring.offer_id, e.OfferEnd.HUNG_UP))
    took = time.perf_counter() - begin
    print(f"\nend to end, {END_TO_END_AGENTS} agents: {answered / took:,.0f} calls per second ({answered} answered)")


def _rings(commands: tuple[k.Command, ...]) -> list[k.RingAgent]:
    return [command for command in commands if isinstance(command, k.RingAgent)]


def _row(kind: str, taken_ns: list[int]) -> str:
    ordered = sorted(taken_ns)
    at = [ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1]]
    return f"  {kind:42}{at[0] / 1000:8.1f}{at[1] / 1000:8.1f}{at[2] / 1000:9.1f}"


def _rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    for size in [int(word) for word in sys.argv[1:]] or [100, 1_000, 10_000]:
        measure(size)
    end_to_end()
