"""What can break, each as a way to break it and a way to mend it. How long it stays broken follows from the seed."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import gevent

from fsacd.store.embedded import EmbeddedPostgres
from tests.chaos.real.proxy import Proxy
from tests.chaos.real.site import Site
from tests.e2e.rig.daemon import Daemon

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
_HOUR_S = 3_600
_DISK = "4m"
# So long after the switch is back, whoever was recovered has been asked for anew.
_RECOVERED_S = 3.0
# A journal that could not be written is tried again every three seconds, and begins anew with a snapshot.
_JOURNALS_AGAIN_S = 5.0


@dataclass
class Stage:
    """All that faults are done to, and what the judge has to know of them."""

    site: Site
    chance: Random
    postgres: EmbeddedPostgres | None = None
    clock: Path | None = None  # what libfaketime reads, if the daemons run with it
    disk_is_full: Callable[[bool], object] | None = None
    # Times of crashes of the switch (Unix, s): their unrecovered callers are lost.
    crashes: list[float] = field(default_factory=list)
    unwritten_until_s: float = 0.0  # until then journals lack what happened (Unix, s)
    forgot: bool = False  # a daemon was killed whose journal could not be written

    def some(self) -> str:
        """One of the daemons."""
        return self.chance.choice(list(self.site.daemons))


@dataclass(frozen=True)
class Fault:
    """`breaks` says in words what it has done and gives what mends it.

    `blind`: daemon and switch part meanwhile. `late`: all is heard, but on a busy machine seconds later.
    """

    name: str
    breaks: Callable[[Stage], tuple[str, Callable[[], object]]]
    for_s: tuple[float, float]
    blind: bool = True
    late: bool = False


# --- the daemon --------------------------------------------------------------------------------------------------


def _kill(stage: Stage) -> tuple[str, Callable[[], object]]:
    name = stage.some()
    daemon = stage.site.daemons[name]
    daemon.kill()
    stage.forgot |= time.time() < stage.unwritten_until_s
    return f"{name} is killed", daemon.launch


def _stop(stage: Stage) -> tuple[str, Callable[[], object]]:
    name = stage.some()
    daemon = stage.site.daemons[name]
    daemon.signal(signal.SIGSTOP)
    return f"{name} stands still", lambda: daemon.signal(signal.SIGCONT)


def _step_clock(stage: Stage) -> tuple[str, Callable[[], object]]:
    assert stage.clock is not None
    clock, hours = stage.clock, stage.chance.choice((1, -1))
    set_clock(clock, hours * _HOUR_S)
    return f"the daemons' wall clock goes by {hours:+} h", lambda: set_clock(clock, 0)


def with_clock(clock: Path) -> dict[str, str]:
    """The environment of a process whose wall clock goes by this file; its monotonic clock is the machine's."""
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(clock: Path, offset_s: int) -> None:
    """Let processes that read this file believe that it is so much later."""
    draft = clock.with_suffix(".draft")
    draft.write_text(f"{offset_s:+}s\n", encoding="ascii")
    draft.rename(clock)


def _fill_disk(stage: Stage) -> tuple[str, Callable[[], object]]:
    assert stage.disk_is_full is not None
    fill = stage.disk_is_full
    fill(True)
    stage.unwritten_until_s = math.inf

    def empty() -> None:
        fill(False)
        stage.unwritten_until_s = time.time() + _JOURNALS_AGAIN_S

    return "the journals' disk is full", empty


# --- the wire ----------------------------------------------------------------------------------------------------


def _on_wire(words: str, breaks: Callable[[Proxy, Stage], object]) -> Callable[[Stage], tuple[str, Callable[[], None]]]:
    def do(stage: Stage) -> tuple[str, Callable[[], None]]:
        name = stage.some()
        wire = stage.site.wires[name]
        breaks(wire, stage)
        return f"{name}'s link {words}", wire.mend

    return do


# --- the switch and the database ---------------------------------------------------------------------------------


def _crash(stage: Stage) -> tuple[str, Callable[[], object]]:
    site = stage.site
    site.switch.kill()
    stage.crashes.append(time.time())
    site.phones.switch_died()

    def recover() -> None:
        began_s = time.time()
        site.switch.start()
        site.switch.recover()
        gevent.sleep(_RECOVERED_S)
        site.phones.forget_unheard(began_s)
        stage.crashes.append(time.time())

    return "the switch is killed, and recovers its calls", recover


def _postgres_stop(stage: Stage) -> tuple[str, Callable[[], object]]:
    assert stage.postgres is not None
    stage.postgres.stop()
    return "PostgreSQL is stopped", stage.postgres.start


def _postgres_kill(stage: Stage) -> tuple[str, Callable[[], object]]:
    postgres = stage.postgres
    assert postgres is not None and postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)

    def again() -> None:
        postgres.stop()
        postgres.start()

    return "PostgreSQL is killed", again


def _postgres_stands_still(stage: Stage) -> tuple[str, Callable[[], object]]:
    assert stage.postgres is not None and stage.postgres.pid is not None
    family = [stage.postgres.pid, *_children(stage.postgres.pid)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return "PostgreSQL stands still", go_on


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in found.split()]


# --- a small disk ------------------------------------------------------------------------------------------------


class SmallDisk:
    """A disk of some megabytes at `place`, to be filled to its last byte: a tmpfs, for which one must be root."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._filler = place / "filler"

    def mount(self) -> bool:
        """False where that is not allowed."""
        self._place.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", f"size={_DISK},mode=0700", "tmpfs", str(self._place)]
        return os.geteuid() == 0 and subprocess.run(words, capture_output=True, check=False).returncode == 0

    def unmount(self) -> None:
        """Take it away, whoever still looks at it."""
        subprocess.run(["umount", "-l", str(self._place)], capture_output=True, check=False)

    def full(self, is_full: bool) -> None:
        """Fill it up, or make room again."""
        if not is_full:
            self._filler.unlink(missing_ok=True)
            return
        with self._filler.open("ab", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4_096))


def files_limited(daemons: Mapping[str, Daemon], is_full: bool) -> None:
    """Where no disk can be mounted: no daemon may write to any file, the journal among them (EFBIG)."""
    limit = "0" if is_full else "unlimited"
    for daemon in daemons.values():
        if daemon.pid:
            words = ["prlimit", "--pid", str(daemon.pid), f"--fsize={limit}:unlimited"]
            subprocess.run(words, capture_output=True, check=False)


# --- all of them -------------------------------------------------------------------------------------------------

DAEMON = (
    Fault("kill", _kill, (0.5, 8)),
    Fault("stop", _stop, (0.5, 12)),
    Fault("long stop", _stop, (12, 30)),
)
WIRE = (
    Fault("cut", _on_wire("is cut", lambda wire, _: wire.cut()), (0.2, 10)),
    Fault("reset", _on_wire("is reset", lambda wire, _: wire.reset()), (0.1, 0.5)),
    Fault("black hole", _on_wire("is a black hole", lambda wire, _: wire.blackhole()), (0.5, 12)),
    Fault("slow", _on_wire("is slow", lambda wire, s: wire.delay(s.chance.uniform(0.1, 1.5))), (1, 8)),
    Fault("torn", _on_wire("tears all bytes apart", lambda wire, _: wire.tear()), (2, 8), blind=False, late=True),
)
SWITCH = (Fault("crash", _crash, (0.2, 3)),)
DATABASE = (
    Fault("database stopped", _postgres_stop, (2, 10), blind=False),
    Fault("database killed", _postgres_kill, (1, 5), blind=False),
    Fault("database stands still", _postgres_stands_still, (2, 15), blind=False),
)
CLOCK = (Fault("clock", _step_clock, (2, 10), blind=False),)
DISK = (Fault("disk full", _fill_disk, (1, 8), blind=False),)
