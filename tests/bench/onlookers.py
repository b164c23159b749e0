"""What those who look on cost the calls: `python -m tests.bench.onlookers [seconds]`.

The real daemon with a thousand agents, and a simulated switch on which a thousand callers wait for agents who are not
there, while others are served. Between the two stands a wire that notes when a caller's announcement passes and when
the order to ring an agent comes back. Then, in turns:

    looked at  three tokens ask for long lists as fast as they get them, and a scrape comes each second
    busy       a loop takes as much of the processor as those clients and what the daemon did for them

Exit code 1 when the 99th percentile is more than 2 ms above that beside the busy loop.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.bench.switch import take_precedence
from tests.prove.doors import Site
from tests.test_daemon import await_true

_AGENTS: Final = 1_000
_WAITING: Final = 1_000
_SALES: Final = "7100"
_ROUNDS: Final = 3
_SECONDS: Final = 20.0
_ABOVE_MS: Final = 2.0
_TOKENS: Final = 3
_WAIT_S: Final = 120.0


def token(number: int) -> str:
    """The secret of one who looks on."""
    return f"onlooker-{number}-{'x' * 32}"


def settings() -> dict[str, Any]:
    """What the site has beside those who serve the calls that are measured."""
    return {
        "queues": {"sales": {"max_length": 2 * _WAITING}},
        "agents": {f"b{number:04}": {"queues": ["sales"], "contact": "user/2001"} for number in range(_AGENTS)},
        "tokens": [{"name": f"o{number}", "role": "read", "token": token(number)} for number in range(_TOKENS)],
    }


def p99(latencies: list[float]) -> float:
    """In ms."""
    return sorted(latencies)[int(len(latencies) * 0.99)] * 1_000


def let_wait(site: Site) -> None:
    """A thousand callers come to a queue where nobody is at work."""
    for number in range(_WAITING):
        site.sim.dial(_SALES, number=f"49302{number:06}")
        time.sleep(0.005)
    await_true(lambda: site.waiting("sales") >= _WAITING, "all callers wait", _WAIT_S)


def main(seconds: float = _SECONDS) -> int:
    """Measure and judge."""
    take_precedence()
    looked: list[float] = []
    beside: list[float] = []
    lookers = ["lookers", *(part for number in range(_TOKENS) for part in ("--looker", token(number)))]
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory), settings())
        try:
            let_wait(site)
            quiet = site.round("quiet", seconds / 2)
            print(quiet, flush=True)
            for _ in range(_ROUNDS):
                found = site.round("looked at", seconds, lookers)
                looked += site.wire.offered
                print(found, found.parts["lookers"]["found"], flush=True)
                share = found.crowd_share + max(0.0, found.daemon_share - quiet.daemon_share)
                print(busy := site.round("busy", seconds, ["busy", "--share", str(min(1.0, share))]), flush=True)
                beside += site.wire.offered
                assert busy.offers
        finally:
            site.stop()
    above = p99(looked) - p99(beside)
    print(
        f"announcement to ring, p99: {p99(looked):.2f} ms looked at, {p99(beside):.2f} ms beside the busy loop: "
        f"{above:.2f} ms above, at most {_ABOVE_MS:g}" + ("  MISSED" if above > _ABOVE_MS else "")
    )
    return int(above > _ABOVE_MS)


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:2])))
