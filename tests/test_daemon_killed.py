"""The daemon is killed with calls waiting, ringing and talking; the next one goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fsacd.journal import lines
from fsacd.sim.workload import configuration
from tests.store.rig import execute, rows
from tests.test_daemon import AGENT, COLLEAGUE, SUPPORT, Daemon, Sim, await_true

RESTING = "1006"  # serves support, too
WAITING = 4


@pytest.fixture
def sim() -> Iterator[Sim]:
    sim = Sim()
    yield sim
    sim.stop()


@pytest.fixture
def daemon(tmp_path: Path, sim: Sim, database: str) -> Iterator[Daemon]:
    journal = {"directory": str(tmp_path / "journal")}
    # No ring ends by itself, and no caller leaves, before a busy machine has let the next daemon start.
    document: dict[str, Any] = dict(configuration())
    queues = {name: {**settings, "ring_timeout": "5m"} for name, settings in document["queues"].items()}
    daemon = Daemon(tmp_path, sim, database, journal=journal, queues=queues, lease="1h")
    yield daemon
    daemon.process.kill()
    daemon.process.wait(10)


def calls(daemon: Daemon) -> list[dict[str, Any]]:
    """Every call as the API shows it, but for what changes as time goes by."""
    # A moment is told by the wall clock, which each daemon has looked at for itself.
    passing = {"waited_seconds", "talked_seconds", "arrived_at", "waiting_since_at", "talking_since_at"}
    shown = [{k: v for k, v in call.items() if k not in passing} for call in daemon.get("api/v1/calls")["calls"]]
    for call in shown:
        if call["talk"] is not None:
            del call["talk"]["shape_since_at"]
    return sorted(shown, key=lambda call: str(call["id"]))


def states(daemon: Daemon) -> dict[str, tuple[str, str]]:
    agents = daemon.get("api/v1/agents")["agents"]
    return {agent["id"]: (agent["state"], agent["reason"]) for agent in agents}


def waits(daemon: Daemon) -> tuple[dict[str, float], float, float]:
    """How long each has waited, and between which two moments that was so."""
    asked_s = time.monotonic()
    waited = {call["id"]: call["waited_seconds"] for call in daemon.get("api/v1/calls")["calls"]}
    return waited, asked_s, time.monotonic()


def at_work(sim: Sim, daemon: Daemon) -> None:
    """One agent talks, the phone of one rings, one has a break, and callers wait."""
    sim.tell(phone={"user": AGENT, "answers_ms": 100, "talks_ms": 600_000})
    sim.tell(phone={"user": COLLEAGUE, "answers_ms": 600_000})
    sim.dial("*31", user=AGENT)
    await_true(lambda: daemon.agent() == "ready", "an agent is logged in")
    sim.dial(SUPPORT, number="4930000001")
    await_true(lambda: daemon.agent() == "talking", "they talk")
    sim.tell(phone={"user": RESTING, "answers_ms": 600_000})
    sim.dial("*31", user=RESTING)
    await_true(lambda: daemon.agent(RESTING) == "ready", "another is logged in")
    sim.dial("*341", user=RESTING)
    await_true(lambda: daemon.agent(RESTING) == "not_ready", "that agent has a break")
    sim.dial("*31", user=COLLEAGUE)
    await_true(lambda: daemon.agent(COLLEAGUE) == "ready", "a third is logged in")
    sim.dial(SUPPORT, number="4930000002")
    await_true(lambda: daemon.agent(COLLEAGUE) == "offered", "the third agent's phone rings")
    for number in range(WAITING):
        sim.dial(SUPPORT, number=f"493000001{number}")
        expected = number + 3
        await_true(lambda: len(calls(daemon)) == expected, "one more waits")  # noqa: B023 - awaited at once


def test_nothing_is_lost(sim: Sim, daemon: Daemon) -> None:
    """Places, waits, offers, talks and agents' states are after the kill what they were before it."""
    at_work(sim, daemon)
    time.sleep(1.2)  # the talk has lasted: its leg is told that it talks
    legs = sim.tell(fault="none")["legs"]
    before, agents = calls(daemon), states(daemon)
    waited, asked_s, told_s = waits(daemon)
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(10)
    daemon.start()
    assert before == calls(daemon)
    assert agents == states(daemon)
    assert legs == sim.tell(fault="none")["legs"]
    waits_now, asked_again_s, told_again_s = waits(daemon)
    for call_id, now_s in waits_now.items():
        least_s, most_s = asked_again_s - told_s, told_again_s - asked_s
        more_s = now_s - waited[call_id]
        # Each answer is of some moment between question and answer, and may be a twentieth of a second old.
        assert least_s - 0.1 < more_s < most_s + 0.1 or more_s == 0, call_id
    assert not [line for line in daemon.lines() if line["event"] in ("anomaly", "the journal is damaged")]


def test_it_goes_on_serving(sim: Sim, daemon: Daemon) -> None:
    """What happens after the kill is understood: the ring is answered, the talk ends, the next in line is rung."""
    at_work(sim, daemon)
    first, second = ([call["id"] for call in calls(daemon) if call["position"] == place] for place in (1, 2))
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(10)
    daemon.start()
    ringing = next(call for call in calls(daemon) if call["state"] == "offered")
    assert [ringing["id"]] == first
    sim.dial("*33", user=RESTING)
    await_true(lambda: daemon.agent(RESTING) == "offered", "the agent who comes back from a break is rung")
    offered = [call["id"] for call in calls(daemon) if RESTING in call["agents"]]
    assert offered == second


def test_what_happened_meanwhile_is_found_out(sim: Sim, daemon: Daemon) -> None:
    """An agent who answers while nobody listens, is connected by the next daemon; a caller who hangs up is gone."""
    sim.tell(phone={"user": AGENT, "answers_ms": 1_500, "talks_ms": 600_000})
    sim.dial("*31", user=AGENT)
    await_true(lambda: daemon.agent() == "ready", "an agent is logged in")
    sim.dial(SUPPORT, number="4930000001")
    await_true(lambda: daemon.agent() == "offered", "the agent's phone rings")
    sim.dial(SUPPORT, number="4930000002", hangs_up_ms=500)
    await_true(lambda: len(calls(daemon)) == 2, "another waits")
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(10)
    await_true(lambda: sim.tell(fault="none")["legs"] == 2, "the other has hung up")
    time.sleep(1.5)  # the agent answers, and hears nobody
    daemon.start()
    await_true(lambda: daemon.agent() == "talking", "they talk")
    assert [call["state"] for call in calls(daemon)] == ["talking"]


def test_a_first_start_says_that_nothing_is_kept(sim: Sim, tmp_path: Path, database: str) -> None:
    """Without a directory a restart forgets, and the log says so."""
    daemon = Daemon(tmp_path, sim, database)
    warned = [line for line in daemon.lines() if line["event"].startswith("there is no journal")]
    assert [line["level"] for line in warned] == ["warning"]
    daemon.process.kill()
    daemon.process.wait(10)


def test_a_row_that_died_with_the_daemon_is_written(sim: Sim, daemon: Daemon, database: str) -> None:
    """Who was killed between a call's end and its row has left the end in the journal: the next one writes the row."""
    await_true(lambda: daemon.said("connected to the database"), "there are tables")
    for number in (1, 2):
        sim.dial(SUPPORT, number=f"493000000{number}", hangs_up_ms=1_000)
    await_true(lambda: len(rows(database, "SELECT FROM calls")) == 2, "both calls have a row")
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(10)
    execute(database, "DELETE FROM calls WHERE number = '4930000001'")  # as if it had never been written
    daemon.start()
    await_true(lambda: len(rows(database, "SELECT FROM calls")) == 2, "both calls have a row again")
    assert rows(database, "SELECT number, outcome FROM calls ORDER BY number") == [
        ("4930000001", "abandoned"),
        ("4930000002", "abandoned"),
    ]


def test_nonsense_beside_the_journal_costs_nobody_anything(sim: Sim, daemon: Daemon, tmp_path: Path) -> None:
    """A whole line of two thousand nested lists, and a pipe as newest snapshot: told, shown, and everybody is there."""
    at_work(sim, daemon)
    before = calls(daemon)
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(10)
    (segment,) = (tmp_path / "journal").glob("journal-*.log")
    offset = segment.stat().st_size
    with segment.open("ab") as file:
        file.write(lines.sealed(b"[" * 2_000 + b"]" * 2_000))
    os.mkfifo(tmp_path / "journal" / "snapshot-00000099.json")
    daemon.start()
    assert before == calls(daemon)
    told = [line["what"] for line in daemon.lines() if line["event"] == "the journal is damaged"]
    assert len(told) == 2
    # The log shows no more than four digits of what might be a number.
    assert "/journal/snapshot-***0099.json cannot be read: it is not a regular file" in told[0]
    assert f"/journal/journal-***0001.log at byte {offset}: " in told[1]
    (shown,) = daemon.get("readyz")["degraded"]
    assert "set aside" in shown
    for path in (tmp_path / "journal" / "set-aside").iterdir():
        path.unlink()
    await_true(lambda: not daemon.get("readyz")["degraded"], "who has looked at it removes it")


def test_a_journal_that_others_can_write_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    """The next daemon does not start: whoever can write there could have forged calls. It says what to do."""
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(10)
    (tmp_path / "journal").chmod(0o777)
    command = [sys.executable, "-m", "fsacd", "run", "--config", str(daemon.file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"fsacd: the journal's directory {tmp_path}/journal cannot be used: it can be written by everybody; it must be "
        "writable by its owner alone (chmod go-w)"
    )
