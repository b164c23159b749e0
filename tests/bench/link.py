"""How fast the link reads, beside greenswitch: `python -m tests.bench.link`.

Every part runs in a process of its own and reads from a sender in another one, over TCP on loopback. The events are one
recorded CHANNEL_PARK of 5 KB, in both of FreeSWITCH's formats with the same content. The bars are judged in CPU time of
the reading process, which a neighbour on the machine changes least; events per second and what stands in brackets are
wall-clock.
Exit code 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import gevent
import gevent.socket
from gevent.event import Event
from greenswitch import InboundESL

from fsacd.esl import codec
from fsacd.esl.client import EslClient
from fsacd.esl.codec import Message

_RECORDED: Final = Path(__file__).parents[1] / "esl" / "transcripts" / "talk.json.esl"
_EVENTS: Final = 20_000
# greenswitch queues everything before it handles anything: 20,000 events would take it 430 MB.
_EVENTS_GREENSWITCH: Final = 4_000
_ROUNDS: Final = 3
_DEADLINE_S: Final = 120
# What FreeSWITCH's own URL encoding leaves as it is, beside letters and digits.
_PLAIN: Final = "!$'()*,-./_~"
_RATIO_BAR: Final = 5.0
_STALL_BAR_MS: Final = 50.0
_MEMORY_BAR_MB: Final = 50.0
_SLOW_HANDLER_S: Final = 0.0001


# --- the sender ----------------------------------------------------------------------------------------------------


def recorded_event() -> dict[str, str]:
    """One real event of about 5 KB."""
    for line in _RECORDED.read_bytes().split(b"\n"):
        if line.startswith(b'{"Event-Name":"CHANNEL_PARK"'):
            event: dict[str, str] = json.loads(line[: line.index(b'"}') + 2])
            return event
    raise LookupError("the transcript has no CHANNEL_PARK")


def frame(event: dict[str, str], form: str) -> bytes:
    """The event as FreeSWITCH frames it in this form, `json` or `plain`."""
    if form == "json":
        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    else:
        lines = [f"{name}: {quote(value, safe=_PLAIN)}\n" for name, value in event.items()]
        body = ("".join(lines) + "\n").encode()
    return b"Content-Length: %d\nContent-Type: text/event-%s\n\n%s" % (len(body), form.encode(), body)


def send(form: str, count: int) -> None:
    """Serve one connection: log it in, wait for one command more, then send all events as fast as TCP takes them."""
    one = frame(recorded_event(), form)
    portion = one * 50
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_DEADLINE_S)
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
    with connection:
        connection.sendall(b"Content-Type: auth/request\n\n")
        for answer in (b"+OK accepted", b"+OK go"):
            heard = b""
            while not heard.endswith(b"\n\n"):
                heard += connection.recv(4096)
            connection.sendall(b"Content-Type: command/reply\nReply-Text: " + answer + b"\n\n")
        for _ in range(count // 50):
            connection.sendall(portion)
        connection.recv(4096)


class Sender:
    """The sender's process; ended with the block."""

    def __init__(self, form: str, count: int) -> None:
        command = [sys.executable, __file__, "--part", "send", "--form", form, "--count", str(count)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


# --- the readers, each in its own process --------------------------------------------------------------------------


class Meter:
    """Counts events and stops the clocks at the last one."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._count = count
        self._done = Event()
        self._wall = self._cpu = 0.0

    def start(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def handle(self, _event: object) -> None:
        self._left -= 1
        if not self._left:
            self._wall, self._cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
            self._done.set()

    def result(self) -> dict[str, float]:
        assert self._done.wait(_DEADLINE_S), f"{self._left} events are missing"
        return {"events_per_s": self._count / self._wall, "us": self._cpu / self._count * 1e6}


def read_greenswitch() -> dict[str, float]:
    """The greenswitch client as it comes: plain events up to a handler."""
    meter = Meter(_EVENTS_GREENSWITCH)
    with Sender("plain", _EVENTS_GREENSWITCH) as sender:
        client = InboundESL("127.0.0.1", sender.port, "secret")
        client.register_handle("*", meter.handle)
        client.connect()
        meter.start()
        client.send("go")
        return meter.result()


def read_ours() -> dict[str, float]:
    """Our client: JSON events up to a handler."""
    meter = Meter(_EVENTS)
    with Sender("json", _EVENTS) as sender:
        client = EslClient("127.0.0.1", sender.port, "secret")
        client.register_handle("*", meter.handle)
        client.connect()
        meter.start()
        client.send("go")
        return meter.result()


def read_framing() -> dict[str, float]:
    """Our codec without looking into the bodies."""
    # Everything but the JSON: what is left is the cost of cutting the stream.
    codec._read_json = lambda body: {}
    decoder = codec.Decoder()

    def count(data: bytes) -> int:
        return sum(message.kind is codec.Kind.EVENT for message in decoder.feed(data))

    return _read_socket(count)


def read_raw() -> dict[str, float]:
    """Nothing but recv."""
    size = len(frame(recorded_event(), "json"))
    read = 0

    def count(data: bytes) -> int:
        nonlocal read
        before, read = read // size, read + len(data)
        return read // size - before

    return _read_socket(count)


def _read_socket(count: Callable[[bytes], int]) -> dict[str, float]:
    meter = Meter(_EVENTS)
    with Sender("json", _EVENTS) as sender, gevent.socket.create_connection(("127.0.0.1", sender.port)) as sock:
        for command in (b"auth secret\n\n", b"go\n\n"):
            sock.recv(4096)
            sock.sendall(command)
        sock.recv(len(b"Content-Type: command/reply\nReply-Text: +OK go\n\n"))
        meter.start()
        left = _EVENTS
        while left:
            new = count(sock.recv(64 * 1024))
            left -= new
            for _ in range(new):
                meter.handle(None)
        return meter.result()


def read_burst(handler_s: float) -> dict[str, float]:
    """20,000 events at once: what another greenlet and the memory notice of it."""
    meter = Meter(_EVENTS)
    worst = worst_wall = 0.0

    def handle(message: Message) -> None:
        until = time.perf_counter() + handler_s
        while time.perf_counter() < until:
            pass
        meter.handle(message)

    def tick() -> None:
        nonlocal worst, worst_wall
        while True:
            wall, work = time.perf_counter(), time.thread_time()
            gevent.sleep(0.001)
            worst = max(worst, time.thread_time() - work)
            worst_wall = max(worst_wall, time.perf_counter() - wall - 0.001)

    with Sender("json", _EVENTS) as sender:
        client = EslClient("127.0.0.1", sender.port, "secret")
        client.register_handle("*", handle)
        client.connect()
        ticker = gevent.spawn(tick)
        gevent.sleep(0.05)
        worst, worst_wall, before_kb = 0.0, 0.0, _memory_kb("VmRSS")
        meter.start()
        client.send("go")
        result = meter.result()
        ticker.kill()
        growth_mb = (_memory_kb("VmHWM") - before_kb) / 1024
        return {**result, "stall_ms": worst * 1000, "stall_wall_ms": worst_wall * 1000, "growth_mb": growth_mb}


def _memory_kb(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise LookupError(field)


# --- the report ----------------------------------------------------------------------------------------------------

_READERS: Final[dict[str, tuple[str, Callable[[], dict[str, float]]]]] = {
    "greenswitch": ("greenswitch, plain events", read_greenswitch),
    "ours": ("fsacd, JSON events", read_ours),
    "framing": ("framing alone", read_framing),
    "raw": ("raw recv", read_raw),
}
_BURSTS: Final = {"burst": 0.0, "slow-burst": _SLOW_HANDLER_S}


def run_part(part: str) -> dict[str, float]:
    """One measurement in a fresh process."""
    done = subprocess.run(
        [sys.executable, __file__, "--part", part], stdout=subprocess.PIPE, text=True, check=True, timeout=_DEADLINE_S
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def report() -> int:
    """Measure everything, print it, return the exit code."""
    size = len(frame(recorded_event(), "json"))
    print(f"events of {size} bytes, sender in another process, best of {_ROUNDS} rounds")
    best: dict[str, dict[str, float]] = {}
    for _ in range(_ROUNDS):
        for part in _READERS:
            result = run_part(part)
            if part not in best or result["us"] < best[part]["us"]:
                best[part] = result
    for part, (title, _) in _READERS.items():
        print(f"  {title:<28}{best[part]['events_per_s']:>10,.0f} events/s {best[part]['us']:>9.1f} us CPU per event")
    ratio = best["greenswitch"]["us"] / best["ours"]["us"]
    missed = _judge("fsacd is faster than greenswitch", ratio, "times", ratio >= _RATIO_BAR, f"at least {_RATIO_BAR:g}")
    for part, handler_s in _BURSTS.items():
        burst = run_part(part)
        print(f"burst of {_EVENTS:,} events, {handler_s * 1e6:.0f} us of work in the handler")
        stall, growth = burst["stall_ms"], burst["growth_mb"]
        missed += _judge("longest stall of others", stall, "ms", stall <= _STALL_BAR_MS, f"at most {_STALL_BAR_MS:g}")
        print(f"  (with what the machine did meanwhile: {burst['stall_wall_ms']:.1f} ms)")
        missed += _judge("memory growth", growth, "MB", growth <= _MEMORY_BAR_MB, f"at most {_MEMORY_BAR_MB:g}")
    return 1 if missed else 0


def _judge(what: str, value: float, unit: str, good: bool, bar: str) -> int:
    print(f"  {what:<34}{value:>8.1f} {unit:<6} ({bar}): {'ok' if good else 'MISSED'}")
    return 0 if good else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the link.")
    parser.add_argument("--part", choices=["send", *_READERS, *_BURSTS])
    parser.add_argument("--form", choices=["json", "plain"], default="json")
    parser.add_argument("--count", type=int, default=_EVENTS)
    chosen = parser.parse_args()
    logging.disable()
    if chosen.part is None:
        return report()
    if chosen.part == "send":
        send(chosen.form, chosen.count)
        return 0
    if chosen.part in _BURSTS:
        print(json.dumps(read_burst(_BURSTS[chosen.part])))
    else:
        print(json.dumps(_READERS[chosen.part][1]()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
