"""A daemon with two switches, one of which turns hostile: `python -m tests.prove.hostile_switch --seconds 20`.

For each kind of malformed speech: the daemon's memory stays below the bar, the other switch stays in sync and its
callers are answered, /readyz names the bad one where its link does not hold, and it is served again soon after its end.
Exit code 1 when a bar is missed. A trouble is told for a minute, so that what the kind before has left there may stand
for this one: a sentence counts only if the daemon has also counted something new against the switch.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import yaml

from fsacd.sim.workload import configuration
from tests import nursery
from tests.esl.hostile import ANSWERS, GREETINGS, KINDS, Outcome
from tests.prove._relay import SOUND
from tests.test_daemon import AGENT, PASSWORD, SUPPORT, TOKEN, Sim

ALL: Final = (*KINDS, *GREETINGS, *ANSWERS)
MEMORY_MB: Final = 200.0
BACK_S: Final = 5.0
_AT_ALL_S: Final = 60.0
LINES_A_MINUTE: Final = 200
_START_S: Final = 60.0
_LOOK_S: Final = 0.25
_ENDLESS: Final = 1 << 60
_ANSWER_S: Final = 10.0
# What is counted of a switch that does not speak as one.
_AGAINST: Final = ("link_nonsense", "link_messages_left_out")


@dataclass
class Seen:
    """What was seen while the bad switch was hostile. Memory in MB, times in seconds."""

    memory_mb: float = 0.0
    good_out_of_sync: int = 0
    answered: int = 0
    looks: int = 0
    told: list[str] = field(default_factory=list)
    back_s: float = 0.0
    log_lines: int = 0
    log_bytes: int = 0

    def told_out_of_sync(self) -> list[str]:
        """What was told of the link itself, which holds at this moment and not for a minute."""
        return [sentence for sentence in self.told if "is not in sync" in sentence]


class Site:
    """The two switches, the relay in front of the bad one, and the daemon."""

    def __init__(self, directory: Path) -> None:
        self.good, self._bad = Sim(), Sim()
        command = [sys.executable, "-m", "tests.prove._relay", "--upstream", str(self._bad.port)]
        self._relay = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._relay.stdout is not None
        port = int(self._relay.stdout.readline())
        switches = {
            name: {"port": at, "password": PASSWORD, "reconcile_interval": "1s"}
            for name, at in (("good", self.good.port), ("bad", port))
        }
        document: dict[str, Any] = dict(configuration())
        agents: dict[str, dict[str, str]] = dict(document["agents"])
        for number, agent in enumerate(agents.values()):
            agent["switch"] = "good" if number % 2 else "bad"
        document["defaults"] = {**document["defaults"], "wrap_up": "100ms"}
        document |= {
            "switches": switches,
            "api": {"listen": "127.0.0.1:0", "tokens": [{"name": "test", "role": "admin", "token": TOKEN}]},
            "journal": {"directory": str(directory / "journal")},
            "log": {"format": "json", "level": "info"},
        }
        file = directory / "fsacd.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self.daemon = nursery.start("fsacd", "run", "--config", str(file), output=log)
        _await(lambda: self._said("fsacd is up"), f"the daemon starts:\n{self.log.read_text()[-2000:]}", _START_S)
        self.url = str(self._said("fsacd is up")[0]["api"])
        _await(lambda: self.in_sync("good") and self.in_sync("bad"), "both switches are in sync", _START_S)
        self.good.tell(phone={"user": AGENT, "answers_ms": 50, "talks_ms": 1_200})
        self.good.dial("*31", user=AGENT)
        _await(lambda: self.get(f"api/v1/agents/{AGENT}")["state"] == "ready", "an agent is ready", _START_S)

    def stop(self) -> None:
        for process in (self.daemon, self._relay):
            process.kill()
            process.wait()
        for pipe in (self._relay.stdin, self._relay.stdout):
            assert pipe is not None
            pipe.close()
        for sim in (self.good, self._bad):
            sim.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def turn(self, kind: str, most_bytes: int = _ENDLESS, most_connections: int = _ENDLESS) -> None:
        """Let the bad switch speak by this kind."""
        assert self._relay.stdin is not None
        self._relay.stdin.write(f"{kind}\t{most_bytes}\t{most_connections}\n")
        self._relay.stdin.flush()

    def is_spent(self) -> bool:
        """Whether the bad switch has said all that it was to say."""
        assert self._relay.stdout is not None
        said, _, _ = select.select([self._relay.stdout], [], [], 0)
        return bool(said) and self._relay.stdout.readline() == "spent\n"

    def get(self, path: str) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}/{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                document: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                document = json.load(error)
        return document

    def told(self) -> list[str]:
        """What /readyz says to be wrong."""
        state = self.get("readyz")
        return [*state["reasons"], *state["degraded"]]

    def in_sync(self, switch: str) -> bool:
        return not any(sentence.startswith(f"Switch {switch} is not in sync") for sentence in self.told())

    def memory_mb(self) -> float:
        for line in Path(f"/proc/{self.daemon.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise LookupError("VmHWM")

    def forget_memory(self) -> None:
        """The most that it has taken is counted from now on."""
        Path(f"/proc/{self.daemon.pid}/clear_refs").write_text("5", encoding="ascii")

    def _said(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def counted(self, *names: str) -> int:
        """The sum of these counters; of those that are by switch, what is counted against the bad one."""
        request = urllib.request.Request(f"{self.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            lines = [line.rpartition(" ") for line in response.read().decode().splitlines()]
        wanted = tuple(f"fsacd_{name}_total" for name in names)
        found = (float(value) for name, _, value in lines if name.startswith(wanted) and 'switch="good"' not in name)
        return int(sum(found))

    def look(self, kind: str, goes_on: Callable[[], bool]) -> Seen:
        """Look at the daemon while the bad switch speaks so, for as long as `goes_on`, and until it is served again."""
        seen, before = Seen(), self.log.stat().st_size
        held_against, answered = self.counted(*_AGAINST), self.counted("calls_answered")
        self.forget_memory()
        self.good.dial(SUPPORT, number="4930000001")
        while goes_on():
            self._look_once(seen)
            time.sleep(_LOOK_S)
        with suppress(AssertionError):
            if must_be_told(kind) and not seen.told_out_of_sync():
                # It is counted a moment after it was read.
                _await(lambda: self.counted(*_AGAINST) > held_against, "it is held against the switch", _ANSWER_S)
                self._look_once(seen)
        if self.counted(*_AGAINST) == held_against:
            seen.told = seen.told_out_of_sync()
        with suppress(AssertionError):
            _await(lambda: self.counted("calls_answered") > answered, "the caller is answered", _ANSWER_S)
            seen.answered = 1
        ended = time.monotonic()
        self.turn(SOUND)
        # The sound switch has another connection from here on.
        _await(lambda: self.is_served_again(ended), f"{kind}: the switch is served again", 60)
        seen.back_s = time.monotonic() - ended
        seen.memory_mb = self.memory_mb()
        with self.log.open("rb") as log:
            log.seek(before)
            written = log.read()
        seen.log_bytes, seen.log_lines = len(written), written.count(b"\n")
        return seen

    def _look_once(self, seen: Seen) -> None:
        sentences = self.told()
        seen.looks += 1
        seen.good_out_of_sync += any("Switch good" in sentence for sentence in sentences)
        seen.told += [sentence for sentence in sentences if _tells(sentence) and sentence not in seen.told]

    def is_served_again(self, since: float) -> bool:
        """Whether the bad switch is in sync, by a link that was made since then."""
        status = self.get("api/v1/status")
        bad = next(switch for switch in status["switches"] if switch["name"] == "bad")
        since_wall = time.time() - (time.monotonic() - since)
        return bool(bad["connected"]) and _unix(bad["since_at"]) >= since_wall


def _tells(sentence: str) -> bool:
    """Whether it tells of the bad switch, other than that the relay has ended its connections between two kinds."""
    ended = ("FreeSWITCH closed the connection", "Broken pipe", "Connection reset by peer")
    return "Switch bad" in sentence and not sentence.rstrip(".").endswith(ended)


def _for(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() < until


def _unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _await(condition: Callable[[], object], what: str, deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {deadline_s:g} s"
        time.sleep(0.1)


def must_be_told(kind: str) -> bool:
    """Whether the link does not hold while this is said, so that it must be told."""
    return kind in GREETINGS or (kind in KINDS and KINDS[kind].outcome is not Outcome.TAKEN)


@contextmanager
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="fsacd-hostile-") as directory, Site(Path(directory)) as made:
        yield made


def prove(kinds: tuple[str, ...], seconds: float, back_s: float = BACK_S) -> int:
    """Let each kind be said for so long; print what was seen, and return how many bars were missed."""
    missed = 0
    print(f"{seconds:g} s of each kind; memory below {MEMORY_MB:g} MB, back within {back_s:g} s")
    with site() as at:
        print(f"  before: {at.memory_mb():.0f} MB")
        for kind in kinds:
            at.turn(kind)
            seen = at.look(kind, _for(seconds))
            wrong = [
                what
                for what, is_wrong in (
                    ("memory", seen.memory_mb >= MEMORY_MB),
                    ("the good switch", seen.good_out_of_sync > 0),
                    ("its caller", not seen.answered),
                    ("not told", must_be_told(kind) and not seen.told),
                    ("not back in time", seen.back_s > back_s),
                    ("log", seen.log_lines > LINES_A_MINUTE),
                )
                if is_wrong
            ]
            missed += bool(wrong)
            print(
                f"  {kind:<44} {seen.memory_mb:>5.0f} MB, back in {seen.back_s:.1f} s, {seen.log_lines} lines of log, "
                f"{seen.looks} looks: {'MISSED: ' + ', '.join(wrong) if wrong else 'ok'}",
                flush=True,
            )
            for sentence in seen.told[:3]:
                print(f"      {sentence}")
    return missed


def main(n: int | None) -> int:
    """Every kind for 20 s; or for `n` s, when nothing is said of how soon the daemon is back."""
    return 1 if (prove(ALL, 20.0) if n is None else prove(ALL, float(n), _AT_ALL_S)) else 0


def command() -> int:
    """The same by hand, of some kinds alone."""
    parser = argparse.ArgumentParser(description="Let a switch be hostile to a daemon.")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each kind")
    parser.add_argument("--kind", action="append", choices=ALL, help="this kind alone; may be given again")
    chosen = parser.parse_args()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    return 1 if prove(tuple(chosen.kind or ALL), chosen.seconds) else 0


if __name__ == "__main__":
    sys.exit(command())
