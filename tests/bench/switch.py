"""How fast a call finds its agent on a real FreeSWITCH, from SIP packets: `python -m tests.bench.switch`.

fsacd, mod_callcenter and a bare FIFO client (the floor) distribute in turn, each on a FreeSWITCH of its own that
differs in nothing else, with the same callers, agents and music. Two figures:

- offer latency: a caller's ACK -> the INVITE to the agent for that call, with 1,100 ready agents and 20 calls/s;
- idle gap: an agent's BYE -> their next INVITE, with 50 agents who answer after 300 ms and talk 2 s, and 600 callers
  at 50/s.

The runs are interleaved, because a machine is not the same from minute to minute. Runs in which the host took the
processors away (steal) count only where there is no calmer one; there is one more try for these if time allows.
Where it may, the bench runs everything before the machine's other programs (SCHED_RR, as a FreeSWITCH does by itself
that is started as root), so that only the host is left as a disturbance.

It measures and judges, but asserts nothing: exit code 1 only when a run failed, 0 otherwise.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.bench import wire
from tests.bench.distributors import BareClient, CallCenter, Distributor, Fsacd
from tests.bench.load import Load, Result, run
from tests.bench.wire import CaptureError, percentile
from tests.e2e.rig.phones import find_sipp
from tests.e2e.rig.switch import find_freeswitch

_TO_FLOOR: Final = 1.5
_OFFER_TO_CALLCENTER: Final = 1 / 10
_GAP_TO_CALLCENTER: Final = 1 / 12
_CPU_TO_CALLCENTER: Final = 0.85
_CPU_TO_FLOOR: Final = 1.08
# A run from which the host took more than this is done again.
_CALM: Final = 0.03
_BUDGET_S: Final = 345.0

_KINDS: Final[tuple[Callable[[], Distributor], ...]] = (BareClient, Fsacd, CallCenter)


@dataclass(frozen=True)
class Scenario:
    """What is measured, under which load, in how many rounds."""

    name: str
    meaning: str
    load: Load
    rounds: int
    duration_s: float
    samples: Callable[[Result], list[float]]


def scenarios(*, short: bool) -> tuple[Scenario, Scenario]:
    """The two; short ones for a first look."""
    return (
        Scenario(
            "offer latency",
            "caller's ACK -> INVITE to the agent",
            Load(agents=1100, callers=100 if short else 300, rate=20, deadline_s=60),
            1 if short else 2,
            15 if short else 25,
            lambda result: result.offer_ms,
        ),
        Scenario(
            "idle gap",
            "agent's BYE -> their next INVITE",
            Load(agents=50, callers=200 if short else 600, rate=50, deadline_s=90),
            1,
            18 if short else 38,
            lambda result: result.gap_ms,
        ),
    )


@dataclass
class Series:
    """All runs of one distributor in one scenario."""

    runs: list[Result] = field(default_factory=list)

    @property
    def is_calm(self) -> bool:
        return any(result.stolen <= _CALM for result in self.runs)

    @property
    def counted(self) -> list[Result]:
        """The calm runs, or the calmest."""
        calm = [result for result in self.runs if result.stolen <= _CALM]
        return calm or sorted(self.runs, key=lambda result: result.stolen)[:1]

    def milliseconds(self, scenario: Scenario, share: float) -> float:
        return percentile([value for result in self.counted for value in scenario.samples(result)], share)

    def cpu_s(self) -> float:
        """FreeSWITCH and distributor, per run."""
        return sum(result.switch_cpu_s + result.distributor_cpu_s for result in self.counted) / len(self.counted)


Table = dict[tuple[str, str], Series]


def measure(plan: Sequence[Scenario], names: Sequence[str], until: float) -> tuple[Table, list[str]]:
    """Run everything, then the disturbed runs once more while there is time; the failures, each in a sentence."""
    kinds = {kind().name: kind for kind in _KINDS}
    pairs = [(scenario, name) for scenario in plan for name in names]
    table: Table = {(scenario.name, name): Series() for scenario, name in pairs}
    rounds = range(max(scenario.rounds for scenario in plan))
    todo = deque(pair for number in rounds for pair in pairs if number < pair[0].rounds)
    planned = len(todo)
    todo.extend(pairs)
    failures: list[str] = []
    for number, (scenario, name) in enumerate(todo, 1):
        series = table[scenario.name, name]
        if number > planned and (series.is_calm or time.monotonic() + scenario.duration_s > until):
            continue
        try:
            result = run(kinds[name](), scenario.load)
        except (AssertionError, CaptureError, OSError) as error:
            failures.append(f"{scenario.name}, {name}: {error}")
            continue
        series.runs.append(result)
        _report(scenario, name, result)
        if result.served < scenario.load.callers:
            failures.append(f"{scenario.name}, {name}: {scenario.load.callers - result.served} callers were not served")
    return table, failures


def _report(scenario: Scenario, name: str, result: Result) -> None:
    p50, p99 = (percentile(scenario.samples(result), share) for share in (0.5, 0.99))
    figures = f"p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   stolen {result.stolen:4.0%}"
    print(f"  run: {scenario.name:14} {name:15} {figures}", flush=True)


# --- what is printed -----------------------------------------------------------------------------------------------


def print_scenario(scenario: Scenario, table: Table, names: Sequence[str]) -> None:
    load = scenario.load
    print(f"\n{scenario.name}: {scenario.meaning}")
    print(f"  {load.agents:,} agents, {load.callers} callers a run at {load.rate:g}/s")
    heads = ("p50 ms", "p99 ms", "max ms", "served", "again", "within", "CPU switch", "CPU distr.", "stolen")
    print(f"  {'':16}" + "".join(f"{head:>11}" for head in heads))
    for name in names:
        series = table[scenario.name, name]
        if not series.runs:
            print(f"  {name:16}  no run succeeded")
            continue
        figures = [f"{series.milliseconds(scenario, share):.1f}" for share in (0.5, 0.99, 1.0)]
        last = series.counted
        mean = len(last)
        figures += [
            f"{sum(result.served for result in last)}/{load.callers * mean}",
            str(sum(result.again for result in last)),
            f"{sum(result.span_s for result in last) / mean:.1f} s",
            f"{sum(result.switch_cpu_s for result in last) / mean:.1f} s",
            f"{sum(result.distributor_cpu_s for result in last) / mean:.1f} s" if name != "mod_callcenter" else "-",
            " ".join(f"{result.stolen:.0%}" for result in series.runs),
        ]
        print(f"  {name:16}" + "".join(f"{figure:>11}" for figure in figures))


def print_bars(plan: Sequence[Scenario], table: Table) -> None:
    """Each ratio, its bar, and whether it is met."""
    print("\nratios")
    offer, gap = plan
    for scenario, bar in ((offer, _OFFER_TO_CALLCENTER), (gap, _GAP_TO_CALLCENTER)):
        for other, limit in (("floor", _TO_FLOOR), ("mod_callcenter", bar)):
            for share, label in ((0.5, "p50"), (0.99, "p99")):
                ours, theirs = table[scenario.name, "fsacd"], table[scenario.name, other]
                if ours.runs and theirs.runs:
                    ratio = ours.milliseconds(scenario, share) / theirs.milliseconds(scenario, share)
                    _judge(f"{scenario.name} {label}: fsacd / {other}", ratio, limit)
    for other, whose, limit in (
        ("floor", "FreeSWITCH + floor", _CPU_TO_FLOOR),
        ("mod_callcenter", "FreeSWITCH with mod_callcenter", _CPU_TO_CALLCENTER),
    ):
        ours, theirs = table[gap.name, "fsacd"], table[gap.name, other]
        if ours.runs and theirs.runs:
            what = f"CPU for {gap.load.callers} calls: FreeSWITCH + fsacd / {whose}"
            _judge(what, ours.cpu_s() / theirs.cpu_s(), limit)


def _judge(what: str, ratio: float, bar: float) -> None:
    print(f"  {what:80} {ratio:6.3f}   at most {bar:.3f}   {'met' if ratio <= bar else 'MISSED'}")


def why_not() -> str | None:
    """What is missing for a measurement, in one sentence."""
    if find_freeswitch() is None:
        return "no FreeSWITCH on PATH or in FREESWITCH_PREFIX"
    if find_sipp() is None:
        return "no SIPp on PATH"
    try:
        wire.open_capture(1).close()
    except CaptureError as error:
        return str(error)
    return None


def take_precedence() -> bool:
    """From here on this process and all that it starts run before ordinary programs; whether that is allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        return False
    return True


def main() -> None:
    started = time.monotonic()
    names = [kind().name for kind in _KINDS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer calls: about two minutes instead of five")
    parser.add_argument("--ordinary", action="store_true", help="no precedence over the machine's other programs")
    parser.add_argument("--only", metavar="NAME", choices=names, action="append", help="one of " + ", ".join(names))
    arguments = parser.parse_args()
    missing = why_not()
    if missing is not None:
        print(f"The comparison on a real FreeSWITCH is left out: {missing}.")
        return
    # Ended from outside it tidies up as ever.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = arguments.only or names
    plan = scenarios(short=arguments.short)
    first = not arguments.ordinary and take_precedence()
    print("fsacd and the floor: processes of their own, events woken every 2 ms; fsacd without a store.")
    print("mod_callcenter: longest-idle-agent, its database in memory. No wrap-up anywhere; local_stream music.")
    print("Everything ran " + ("before" if first else "among") + " the machine's other programs.")
    print("CPU: user + system seconds from the first call to the last one's end, SIPp not counted.")
    table, failures = measure(plan, chosen, started + _BUDGET_S)
    for scenario in plan:
        print_scenario(scenario, table, chosen)
    if arguments.only is None:
        print_bars(plan, table)
    for failure in failures:
        print(f"failed: {failure}")
    print(f"\n{time.monotonic() - started:.0f} s in all")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
