"""One run: a fresh FreeSWITCH, one distributor, agents' phones and callers by SIPp, and the packets between them."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import wire
from tests.bench.distributors import Agents, Distributor, write_conf
from tests.bench.wire import Packet, Ports
from tests.e2e.rig import phones
from tests.e2e.rig.phones import Caller
from tests.e2e.rig.switch import RealSwitch

ANSWER_MS: Final = 300
TALK_MS: Final = 2000
_QUIET_S: Final = 1.0
_LOOK_S: Final = 0.1


@dataclass(frozen=True)
class Load:
    """So many agents, so many callers, so many of these a second."""

    agents: int
    callers: int
    rate: float
    deadline_s: float


@dataclass(frozen=True)
class Beside:
    """What goes on beside the calls.

    `during` is told again and again how many seconds they have lasted by now; `after` runs when all are over and the
    distributor still works.
    """

    during: Callable[[float], None] = lambda _: None
    after: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Result:
    """What one run showed. CPU in seconds of user and system time, from the first call to the last one's end."""

    offer_ms: list[float]
    gap_ms: list[float]
    served: int
    again: int  # offers beyond the first for a call
    span_s: float
    switch_cpu_s: float
    distributor_cpu_s: float
    stolen: float  # the share of the processors' time that the host gave to others
    elsewhere: float  # the share that programs took which are none of ours
    packets: list[Packet]
    ports: Ports


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Ticks:
    """What the processors have done so far, in ticks: for the host's others, for all programs, for ours, altogether."""

    stolen: int
    programs: int
    ours: int
    altogether: int

    def shares_since(self, before: Ticks) -> tuple[float, float]:
        """What the host took since then, and what programs took that are none of ours; shares of all processors."""
        passed = max(1, self.altogether - before.altogether)
        others = (self.programs - before.programs) - (self.ours - before.ours)
        return (self.stolen - before.stolen) / passed, max(0, others) / passed


def read_ticks(stat: str, processes: Iterable[str], root: int) -> Ticks:
    """From the texts of /proc/stat and of each process's stat; ours are `root` and all that stem from it.

    What a process has waited for (its ended children) is its own.
    """
    words = [int(word) for word in stat.split("\n", 1)[0].split()[1:9]]
    used: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for text in processes:
        head, _, tail = text.rpartition(")")
        process, fields = int(head.split()[0]), tail.split()
        used[process] = sum(map(int, fields[11:15]))
        children.setdefault(int(fields[1]), []).append(process)
    family, todo = set[int](), [root]
    while todo:
        one = todo.pop()
        if one not in family:
            family.add(one)
            todo += children.get(one, [])
    # Work of the kernel for nobody in particular (interrupts) is neither ours nor others'.
    return Ticks(words[7], sum(words[:3]), sum(used.get(one, 0) for one in family), sum(words))


def ticks_now() -> Ticks:
    """The same as it is now."""
    texts = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            texts.append(path.read_text(encoding="utf-8", errors="replace"))
    return read_ticks(Path("/proc/stat").read_text(encoding="ascii"), texts, os.getpid())


@contextmanager
def deaf_port() -> Iterator[int]:
    """A UDP port that takes every sound and reads none: a closed one would cost the switch an error each packet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def run(distributor: Distributor, load: Load, beside: Beside = Beside()) -> Result:
    """Measure once. CaptureError or AssertionError when the run itself failed."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fsacd-bench-")))
        fast = _in_memory(stack, place)
        sound = stack.enter_context(deaf_port())
        answering = phones.run_punctual_agents(place / "agents", ANSWER_MS, TALK_MS, sound)
        stack.callback(answering.stop)
        agents = Agents(load.agents, answering.port)
        conf = place / "conf"
        write_conf(conf, distributor.tree)
        distributor.configure(conf, agents, fast)
        switch = RealSwitch(place / "switch", (), conf=conf, dialplan=distributor.tree / "freeswitch" / "dialplan")
        stack.callback(switch.stop)
        switch.start()
        stack.callback(distributor.stop)
        distributor.start(switch, agents, place)
        time.sleep(_QUIET_S)  # what starting up has stirred up settles
        return _measure(distributor, load, switch, agents, sound, place, stack, beside)


def _measure(
    distributor: Distributor,
    load: Load,
    switch: RealSwitch,
    agents: Agents,
    sound: int,
    place: Path,
    stack: ExitStack,
    beside: Beside,
) -> Result:
    assert switch._process is not None
    pids = (switch._process.pid, distributor.pid())
    capture = wire.Capture(switch.trunk_port)
    capture.start()
    ticks = ticks_now()
    before = [cpu_s(pid) if pid else 0.0 for pid in pids]
    callers = phones.run_callers(
        place / "callers",
        [Caller(f"4930{number:05}", distributor.dials, sound) for number in range(load.callers)],
        switch.trunk_port,
        load.rate,
    )
    stack.callback(callers.stop)
    began = time.monotonic()
    while callers.process.poll() is None and time.monotonic() < began + load.deadline_s:
        time.sleep(_LOOK_S)
        beside.during(time.monotonic() - began)
    after = [cpu_s(pid) if pid else 0.0 for pid in pids]
    stolen, elsewhere = ticks_now().shares_since(ticks)
    packets = capture.stop()
    beside.after()
    ports = Ports(callers.port, agents.port, switch.trunk_port)
    rung = [caller for _, caller in wire.offers(packets, ports)]
    return Result(
        offer_ms=wire.offer_latencies(packets, ports),
        gap_ms=wire.idle_gaps(packets, ports),
        served=len(wire.served(packets, ports)),
        again=len(rung) - len(set(rung)),
        span_s=wire.span_s(packets, ports),
        switch_cpu_s=after[0] - before[0],
        distributor_cpu_s=after[1] - before[1],
        stolen=stolen,
        elsewhere=elsewhere,
        packets=packets,
        ports=ports,
    )


def _in_memory(stack: ExitStack, place: Path) -> Path:
    memory = Path("/dev/shm")
    if not memory.is_dir():
        return place
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fsacd-bench-", dir=memory)))
