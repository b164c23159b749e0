"""What looking on costs: `python -m tests.bench.looks`.

Requests go through the whole application, without a socket, at 100, 1,000 and 10,000 agents with 2,000 calls. All
figures are CPU of the hub's thread: that of an answer, the least of several, and the longest stretch without a rest.
Exit code 1 when a bar is missed.
"""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

import structlog
from falcon.testing import TestClient

from fsacd.core.engine import Engine
from fsacd.core.events import AgentLoggedIn, SwitchConnected
from fsacd.core.show.feed import Feed
from fsacd.core.show.look import Look
from fsacd.core.views import Explanation
from fsacd.desk.rights import Principal, Wish
from fsacd.http.app import make_app
from fsacd.metrics.exposition import Metrics
from fsacd.runtime import pace
from fsacd.runtime.loop import Runtime
from fsacd.runtime.memory import settle_memory
from fsacd.runtime.pace import Pace
from fsacd.testing import agent, queue, queued, rules_of
from tests.core.plugins import TestPlugins
from tests.http.rig import SETTINGS, FakeDaemon

_SIZES: Final = (100, 1_000, 10_000)
_CALLS: Final = 2_000
_QUEUES: Final = 20
_TRIES: Final = 7
_SLICE_BAR_MS: Final = 5.0
_GROWTH_BAR: Final = 1.5
# (what is asked, whether it shows one thing, so that its cost may not grow with the centre)
_ASKED: Final = (
    ("GET", "/api/v1/agents/a00007", True),
    ("POST", "/api/v1/agents/a00007/ready", True),
    ("GET", "/api/v1/calls?limit=50", False),
    ("GET", "/api/v1/calls?limit=1000", False),
    ("GET", "/api/v1/agents?limit=1000", False),
    ("GET", "/api/v1/queues", False),
    ("GET", "/metrics", False),
    ("GET", "/api/v1/calls/call-000999/explain", False),
)


def centre(agents: int) -> Runtime:
    """Callers of twenty queues wait for a skill that their agents do not have; a third of the agents is ready."""
    names = [f"q{n}" for n in range(_QUEUES)]
    queues = [queue(name, required=(("welsh", 1),)) for name in names]
    crowd = [agent(f"a{n:05}", names[n % _QUEUES], skills={"german": n % 10 + 1}) for n in range(agents)]
    engine = Engine(rules_of(*queues, *crowd), TestPlugins())
    runtime = Runtime(engine)
    runtime.set_sender(lambda _: None)
    runtime.post(SwitchConnected("fs1"))
    for n in range(0, agents, 3):
        runtime.post(AgentLoggedIn(f"a{n:05}", "bench", None, True))
    runtime.post(AgentLoggedIn("a00007", "bench"))
    for n in range(_CALLS):
        runtime.post(queued(f"call-{n:06}", names[n % _QUEUES], engine.now_ms))
    return runtime


@dataclass
class EngineDaemon(FakeDaemon):
    """The daemon that the application sees, without its parts beside the engine."""

    runtime: Runtime = field(default_factory=lambda: centre(1))

    def ask(self, wish: Wish, principal: Principal) -> None:
        self.runtime.ask(wish)

    def look(self) -> Look:
        return self.runtime.look()

    def changes(self) -> Feed:
        return self.runtime.changes

    def explain(self, call_id: str) -> tuple[Explanation, ...]:
        return self.runtime.explain(call_id)


@dataclass
class Slices:
    """The stretches of work between rests, in seconds of CPU."""

    longest_s: float = 0.0
    began_s: float = 0.0

    def begin(self) -> None:
        self.began_s = time.thread_time()

    def end(self) -> None:
        self.longest_s = max(self.longest_s, time.thread_time() - self.began_s)


@contextmanager
def watched() -> Iterator[Slices]:
    """Let each rest end a slice, and take no time."""
    slices = Slices()

    def rest(_pace: Pace, _rest_s: float) -> None:
        slices.end()
        slices.begin()

    with patch.object(pace.Pace, "_rest", rest):
        yield slices


def measure(ask: Callable[[], Any]) -> tuple[float, float]:
    """CPU of the cheapest of several answers, and the longest slice of that one; both in ms."""
    costs = []
    for _ in range(_TRIES):
        gc.collect()
        with watched() as slices:
            began = time.thread_time()
            slices.begin()
            ask()
            slices.end()
            costs.append((time.thread_time() - began, slices.longest_s))
    cost_s, longest_s = min(costs)
    return cost_s * 1000, longest_s * 1000


def at_size(agents: int) -> dict[str, tuple[float, float]]:
    """What every request costs with so many agents."""
    runtime = centre(agents)
    metrics = Metrics(clock=iter(range(0, 10**9, 60)).__next__)
    metrics.watch_engine(runtime.look)
    app = make_app(EngineDaemon(runtime=runtime), SETTINGS, metrics.exposition)
    client = TestClient(app, headers={"Authorization": "Bearer secret-of-admin", "Host": "localhost"})
    settle_memory()

    def asking(method: str, path: str) -> Callable[[], Any]:
        def ask() -> None:
            answer = client.simulate_request(method, path)
            assert answer.status_code == 200, answer.text

        return ask

    asking("GET", "/metrics")()
    return {f"{method} {path}": measure(asking(method, path)) for method, path, _ in _ASKED}


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    tables = [at_size(agents) for agents in _SIZES]
    missed = 0
    for method, path, alone in _ASKED:
        name = f"{method} {path}"
        costs = [table[name] for table in tables]
        growth, longest = costs[-1][0] / costs[0][0], max(slice_ms for _, slice_ms in costs)
        bad = (alone and growth > _GROWTH_BAR) or longest > _SLICE_BAR_MS
        missed += bad
        shown = "  ".join(f"{cost:8.2f}" for cost, _ in costs)
        bar = f" of {_GROWTH_BAR}" if alone else ""
        print(f"{name:40} {shown} ms  grows {growth:5.2f}{bar}  slice {longest:5.2f} of {_SLICE_BAR_MS:g} ms"
              + ("  MISSED" if bad else ""))  # fmt: skip
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
