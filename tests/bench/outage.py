"""What a database that is away costs the calls, on a real FreeSWITCH: `python -m tests.bench.outage`.

20 calls/s for 1,100 ready agents, history in a PostgreSQL of the bench's own, which forces everything to the disk. A
minute with the database; a minute in which it is stopped in order, frozen by a signal with its connections open, or
killed; then it is there again, for longer than the daemon's pause between two tries. Offer latency (a caller's ACK ->
the INVITE to the agent for that call) is read from SIP packets, minute by minute, by the moment of the ACK.

Afterwards every call that SIPp placed must have exactly one row, and each must say that it was answered.

It measures and judges, but asserts no time: exit code 1 only when a run failed or a row is missing or doubled.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import psycopg

from fsacd.errors import FsacdError
from fsacd.store.embedded import EmbeddedPostgres
from tests.bench import wire
from tests.bench.distributors import Fsacd
from tests.bench.load import Beside, Load, Result, run
from tests.bench.switch import take_precedence, why_not
from tests.bench.wire import CaptureError, percentile
from tests.postgres import take_away

_RATE: Final = 20
_TIMES: Final = 1.1
_MORE_MS: Final = 2.0
_SETTLE_S: Final = 60.0
# A run from which the host took more than this says little.
_CALM: Final = 0.03
_MANNERS: Final = {
    "stop": "stopped in order",
    "freeze": "frozen",
    "kill": "killed",
    "slow": "10 s a statement",
    "full": "on a full disk",
}
_USUAL: Final = ("stop", "freeze", "kill")


@dataclass(frozen=True)
class Plan:
    """Seconds: until the first is counted, with the database, without it, with it again."""

    warm: float
    before: float
    away: float
    after: float

    @property
    def load(self) -> Load:
        """All of it."""
        seconds = self.warm + self.before + self.away + self.after
        return Load(agents=1100, callers=int(seconds * _RATE), rate=_RATE, deadline_s=seconds + 30)


@dataclass
class Outage:
    """Takes the database away in the middle of the calls and brings it back; notes when, in Unix nanoseconds."""

    plan: Plan
    manner: str
    server: EmbeddedPostgres
    distributor: Fsacd
    away_ns: int = 0
    back_ns: int = 0
    told: list[str] = field(default_factory=list)
    _bring_back: Callable[[], None] | None = None
    _asked: bool = False

    def look(self, seconds: float) -> None:
        """So many seconds have passed since the first call."""
        gone_s = self.plan.warm + self.plan.before
        if not self.away_ns and seconds >= gone_s:
            self._bring_back = take_away(self.server, self.manner)
            self.away_ns = time.time_ns()
        elif self.away_ns and not self._asked and seconds >= gone_s + self.plan.away - 1:
            self._asked = True
            self.told.append(self._status())
        elif self._bring_back is not None and seconds >= gone_s + self.plan.away:
            self.back_ns = time.time_ns()
            self._bring_back()
            self._bring_back = None

    def _status(self) -> str:
        daemon = self.distributor.daemon
        store, metrics = daemon.get("status")["store"], daemon.metrics()
        spooled = f"{metrics['fsacd_store_spool_bytes'] / 1e6:.1f} MB on disk"
        return (
            f"connected: {store['connected']}, {store['queued']} rows wait, {spooled}; {store['detail'] or 'no error'}"
        )

    def bring_back(self) -> None:
        """Whatever has happened, a frozen server must not stay so."""
        if self._bring_back is not None:
            self._bring_back()
            self._bring_back = None


@dataclass(frozen=True)
class Minute:
    """Offer latencies of the calls whose ACK came within it."""

    name: str
    offer_ms: list[float]

    @property
    def p99(self) -> float:
        return percentile(self.offer_ms, 0.99)

    def __str__(self) -> str:
        p50 = percentile(self.offer_ms, 0.5)
        return f"{self.name:27} {len(self.offer_ms):5} calls   p50 {p50:6.1f} ms   p99 {self.p99:6.1f} ms"


@dataclass(frozen=True)
class Run:
    """One run: its minutes, and what is wrong with the rows, in sentences."""

    before: Minute
    away: Minute
    after: Minute
    faults: list[str]
    stolen: float

    @property
    def bar_ms(self) -> float:
        """What p99 may be while the database is away."""
        return bar(self.before.p99)


def bar(before_ms: float) -> float:
    """1.1 times, or 2 ms more, whichever is larger."""
    return max(before_ms * _TIMES, before_ms + _MORE_MS)


def measure(plan: Plan, manner: str) -> Run:
    """One run. AssertionError, CaptureError, FsacdError or OSError when the run itself failed."""
    with database() as server:
        # Its address outlives it, and the server itself gives none while it is away.
        dsn = server.dsn
        with tempfile.TemporaryDirectory(prefix="fsacd-out-") as place:
            distributor = Fsacd(
                extra={
                    "store": {"dsn": dsn, "spool": {"directory": f"{place}/spool"}},
                    "journal": {"directory": f"{place}/journal"},
                }
            )
            outage = Outage(plan, manner, server, distributor)
            faults: list[str] = []
            beside = Beside(outage.look, lambda: faults.extend(missing_rows(dsn, plan.load.callers)))
            try:
                result = run(distributor, plan.load, beside)
            finally:
                outage.bring_back()
    for told in outage.told:
        print(f"    a second before the database is back: {told}")
    return Run(*minutes(result, outage), faults, result.stolen)


@contextmanager
def database() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that forces everything to the disk."""
    with tempfile.TemporaryDirectory(prefix="fsacd-pg-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        with EmbeddedPostgres(Path(place) / "pg") as server:
            yield server


def minutes(result: Result, outage: Outage) -> tuple[Minute, Minute, Minute]:
    begin_ns = outage.away_ns - int(outage.plan.before * 1e9)
    spans = (
        Minute("with the database", []),
        Minute(f"database {_MANNERS[outage.manner]}", []),
        Minute("database back", []),
    )
    for at_ns, latency_ms in wire.offer_moments(result.packets, result.ports):
        if at_ns >= begin_ns:
            spans[(at_ns >= outage.away_ns) + (at_ns >= outage.back_ns)].offer_ms.append(latency_ms)
    return spans


def missing_rows(dsn: str, callers: int) -> list[str]:
    """What is wrong with the rows of these calls, when the database has had its time to get them."""
    expected = {f"4930{number:05}" for number in range(callers)}
    end = time.monotonic() + _SETTLE_S
    while True:
        with psycopg.connect(dsn) as connection:
            found = connection.execute("SELECT number, outcome FROM calls").fetchall()
        if len(found) >= callers or time.monotonic() > end:
            break
        time.sleep(0.5)
    counted = Counter(number for number, _ in found)
    faults = {
        "calls without a row": len(expected - counted.keys()),
        "calls with several rows": sum(count > 1 for count in counted.values()),
        "rows of no call": len(counted.keys() - expected),
        "calls that were not answered": sum(outcome != "answered" for _, outcome in found),
    }
    return [f"{what}: {count}" for what, count in faults.items() if count]


def report(runs: list[Run]) -> None:
    """The medians and the bar."""
    before, away, after = (
        median(p99s) for p99s in zip(*((r.before.p99, r.away.p99, r.after.p99) for r in runs), strict=True)
    )
    limit = bar(before)
    print(
        f"\nmedian p99 of {len(runs)}: with the database {before:.1f} ms, without {away:.1f} ms, after {after:.1f} ms"
    )
    print(f"  at most {limit:.1f} ms   {'met' if away <= limit else 'MISSED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a third of the time")
    parser.add_argument("--ordinary", action="store_true", help="no precedence over the machine's other programs")
    parser.add_argument("--runs", type=int, default=3, help="how many; 3 by default: stop, freeze and kill in turn")
    parser.add_argument("--manner", choices=sorted(_MANNERS), help="all runs in this one")
    arguments = parser.parse_args()
    why = why_not()
    if why is not None:
        print(f"The outage on a real FreeSWITCH is left out: {why}.")
        return
    # Ended from outside it tidies up as ever.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    plan = Plan(3, 20, 20, 8) if arguments.short else Plan(5, 60, 60, 40)
    first = not arguments.ordinary and take_precedence()
    print(f"{plan.load.agents:,} agents, {plan.load.rate:g} calls/s; a durable database, a spool and a journal.")
    print("Everything ran " + ("before" if first else "among") + " the machine's other programs.")
    runs, failed = [], False
    for number in range(arguments.runs):
        manner = arguments.manner or _USUAL[number % len(_USUAL)]
        print(f"\nrun {number + 1}: the database is {_MANNERS[manner]}", flush=True)
        try:
            made = measure(plan, manner)
        except (AssertionError, CaptureError, FsacdError, OSError) as error:
            print(f"  failed: {error}")
            failed = True
            continue
        runs.append(made)
        for minute in (made.before, made.away, made.after):
            print(f"  {minute}")
        calm = " (not calm)" if made.stolen > _CALM else ""
        print(f"  at most {made.bar_ms:.1f} ms; stolen by the host {made.stolen:.0%}{calm}")
        print(f"  rows: {'; '.join(made.faults) or f'each of {plan.load.callers} calls once'}", flush=True)
        failed = failed or bool(made.faults)
    if runs:
        report(runs)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
