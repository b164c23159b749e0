"""What the journal costs: µs per entry beside the engine's own, the pause for a snapshot, and the way back.

    python -m tests.bench.journal [directory [agents ...]]

The directory (default: a temporary one) decides which disk is measured. Nothing is asserted.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402 - patching comes before anything else is imported
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from fsacd.core import events as e  # noqa: E402
from fsacd.core.engine import Engine  # noqa: E402
from fsacd.core.rules import Limits, Rules, Service  # noqa: E402
from fsacd.journal.journal import Journal  # noqa: E402
from fsacd.journal.settings import JournalSettings  # noqa: E402
from fsacd.runtime.loop import Runtime  # noqa: E402
from fsacd.runtime.memory import settle_memory  # noqa: E402
from fsacd.testing import PLUGINS, agent, queue, queued, rules_of  # noqa: E402

CALLS = 3_000
QUEUES = 20
DEADLINE_S = 120.0


def call_centre(agents: int) -> Rules:
    """Agents who serve two queues each."""
    queues = [queue(f"q{number}", max_length=1_000_000) for number in range(QUEUES)]
    made = [
        agent(f"a{number}", (f"q{number % QUEUES}", Service()), (f"q{(number + 1) % QUEUES}", Service(2)))
        for number in range(agents)
    ]
    return rules_of(*queues, *made, limits=Limits(calls=1_000_000))


def calls(agents: int) -> list[e.Event]:
    """Callers who queue and go again, so that each step is a small one."""
    told: list[e.Event] = []
    for number in range(CALLS):
        call_id = f"11111111-2222-4333-8444-{number:012d}"
        told.append(queued(call_id, f"q{number % QUEUES}", 1, number="+4930123456", name="Anna"))
        told.append(e.CallerGone(call_id, "ORIGINATOR_CANCEL", leg=e.Leg("fs1", f"leg-{call_id}")))
    assert agents
    return told


def timed(runtime: Runtime, facts: list[e.Event]) -> list[int]:
    """What each took, in ns, sorted; the loop runs now and then, as it does in the daemon."""
    taken = []
    for place, fact in enumerate(facts):
        if place % 50 == 0:
            gevent.sleep(0.002)
        begin = time.perf_counter_ns()
        runtime.post(fact)
        taken.append(time.perf_counter_ns() - begin)
    return sorted(taken)


def row(what: str, taken: list[int]) -> None:
    """One line of the table."""
    at = (0.5, 0.9, 0.99, 0.999)
    shown = "".join(f"{taken[int(len(taken) * part)] / 1_000:9.1f}" for part in at)
    print(f"  {what:28}{shown}{taken[-1] / 1_000:9.1f}")


def entries(directory: Path) -> None:
    """The same facts without and with a journal, turn by turn."""
    rules = call_centre(100)
    print(f"  {'µs per fact':28}{'p50':>9}{'p90':>9}{'p99':>9}{'p99.9':>9}{'max':>9}")
    for turn in range(3):
        for journaled in (False, True):
            journal = Journal(JournalSettings(directory / f"entries{turn}")) if journaled else None
            engine = Engine(rules, PLUGINS, time.monotonic_ns() // 1_000_000)
            if journal is not None:
                journal.begin(engine)
            runtime = Runtime(engine, journal=journal)
            runtime.set_sender(lambda _: None)
            runtime.post(e.SwitchConnected("fs1"))
            settle_memory()
            row("with a journal" if journaled else "without", timed(runtime, calls(100)))
            if journal is not None:
                state = journal.state()
                lag_ms = state.longest_sync_lag_s * 1_000
                print(f"    {state.bytes / state.entries:.0f} bytes an entry, longest way to the disk {lag_ms:.0f} ms")
                journal.close()


def snapshots(directory: Path, agents: int) -> None:
    """As many calls wait as there are agents: the pause, the copy's work, and a restart."""
    journal = Journal(JournalSettings(directory / f"snapshots{agents}"))
    engine = Engine(call_centre(agents), PLUGINS, journal.clock())
    journal.begin(engine)
    runtime = Runtime(engine, clock=journal.clock, journal=journal)
    runtime.set_sender(lambda _: None)
    runtime.post(e.SwitchConnected("fs1"))
    for number in range(agents):
        runtime.post(queued(f"11111111-2222-4333-8444-{number:012d}", f"q{number % QUEUES}", 1, number="+4930123456"))
    settle_memory()
    pause_ms = _ms(journal.snapshot)
    with gevent.Timeout(DEADLINE_S):
        while journal.state().snapshots < 2:
            gevent.sleep(0.01)
    copy_ms = journal.state().snapshot_s * 1_000
    journal.close()
    again = Journal(JournalSettings(directory / f"snapshots{agents}"))
    back_ms = _ms(lambda: again.recover(PLUGINS))
    again.close()
    size_mb = max(path.stat().st_size for path in (directory / f"snapshots{agents}").glob("snapshot-*")) / 1e6
    print(f"  {agents:6} {size_mb:9.1f} {pause_ms:9.1f} {copy_ms:9.0f} {back_ms:9.0f}")


def replay(directory: Path) -> None:
    """How fast a restart goes through the entries since the last snapshot."""
    journal = Journal(JournalSettings(directory / "replay"))
    engine = Engine(call_centre(100), PLUGINS, journal.clock())
    journal.begin(engine)
    runtime = Runtime(engine, clock=journal.clock, journal=journal)
    runtime.set_sender(lambda _: None)
    for fact in calls(100):
        runtime.post(fact)
    journal.close()
    again = Journal(JournalSettings(directory / "replay"))
    took_ms = _ms(lambda: again.recover(PLUGINS))
    again.close()
    print(f"  {2 * CALLS / took_ms * 1_000:,.0f} entries a second")


def _ms(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return (time.perf_counter() - begin) * 1_000


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        where = Path(sys.argv[1] if len(sys.argv) > 1 else made)
        print("entries")
        entries(where)
        print("replay")
        replay(where)
        print(f"snapshots\n  {'agents':>6} {'MB':>9} {'pause ms':>9} {'copy ms':>9} {'back ms':>9}")
        for size in [int(word) for word in sys.argv[2:]] or [100, 1_000, 10_000]:
            snapshots(where, size)
