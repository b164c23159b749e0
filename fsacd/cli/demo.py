"""`make run`: the real daemon, against a simulated FreeSWITCH in a process of its own, with a real PostgreSQL.

Three processes beside this one: the simulated switch, the daemon, the database. Ctrl-C ends them in the right order
within five seconds; if this process is killed, they end by themselves.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import gevent
import yaml
from gevent.event import Event

from fsacd.cli import board as terminal
from fsacd.cli.client import Client
from fsacd.errors import FsacdError
from fsacd.sim.workload import configuration
from fsacd.store.embedded import EmbeddedPostgres

_API_PORT = 8090
_START_S = 30.0
_END_S = 3.0
_TABLE_S = 1.0
_LINES_S = 3.0
_PR_SET_PDEATHSIG = 1


def run_demo(seed: int = 1) -> int:
    """Run the demonstration until Ctrl-C. Returns the exit code."""
    done = Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        gevent.signal_handler(number, done.set)
    directory = Path(tempfile.mkdtemp(prefix="fsacd-demo-"))
    try:
        _show(directory, seed, done)
    except FsacdError as error:
        print(f"fsacd: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def _show(directory: Path, seed: int, done: Event) -> None:
    print("This is a demonstration: the FreeSWITCH is simulated, and so are callers and agents.")
    print("The daemon, its API and its database are the real ones.", flush=True)
    token = secrets.token_hex(16)
    password = secrets.token_hex(16)
    with (
        _api_port() as port,
        EmbeddedPostgres(directory / "postgres", durable=False) as database,
        _child(
            directory, "sim", "sim", "--port", "0", "--seed", str(seed), env={"FSACD_SIM_PASSWORD": password}
        ) as sim,
    ):
        config = {
            "instance": "demo",
            "switches": {"simulated": {"port": _port_of(sim), "password": password}},
            "api": {"listen": f"127.0.0.1:{port}", "tokens": [{"name": "demo", "role": "admin", "token": token}]},
            "store": {"dsn": database.dsn},
            "journal": {"directory": str(directory / "journal")},
            **configuration(),
        }
        file = directory / "fsacd.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        file.chmod(0o600)
        with _child(directory, "daemon", "run", "--config", str(file)) as daemon:
            base = f"http://127.0.0.1:{port}"
            print(f"API:     {base}/api/v1  (FSACD_URL={base} FSACD_TOKEN={token} fsacd status)")
            print(f"Metrics: {base}/metrics")
            print("Ctrl-C ends it.", flush=True)
            _draw(Client(base, token), done, {"the simulated switch": sim, "the daemon": daemon}, directory)


def _draw(client: Client, done: Event, children: dict[str, subprocess.Popen[str]], directory: Path) -> None:
    """Draw the board until the end is asked for. Raises FsacdError when a child ends by itself."""
    every_s = _TABLE_S if sys.stdout.isatty() else _LINES_S
    started = time.monotonic()
    seen = False
    with terminal.screen(sys.stdout) as screen:
        while not done.is_set():
            for name, child in children.items():
                if child.poll() is not None:
                    raise FsacdError(f"{name} ended by itself (exit code {child.returncode}): {_last_words(directory)}")
            try:
                board = terminal.Board(
                    client.get("status"), client.get("queues")["queues"], client.get("agents")["agents"]
                )
            except FsacdError:
                # The daemon is starting, or very busy for a moment; if it has ended, the loop notices.
                if not seen and time.monotonic() - started > _START_S:
                    raise
                done.wait(0.1)
                continue
            seen = True
            screen.draw(board)
            done.wait(every_s)


@contextmanager
def _child(
    directory: Path, name: str, *words: str, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """One fsacd process of ours; ended when the block ends, and by the kernel if we are killed."""
    with (directory / f"{name}.log").open("w", encoding="utf-8") as log:
        child = subprocess.Popen(  # noqa: S603 - our own program with our own words
            [sys.executable, "-m", "fsacd", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # Ctrl-C is for us; we end them in the right order
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - the demo has no threads but the hub's idle pool
        )
    try:
        yield child
    finally:
        _end(child)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(_END_S)
    if child.stdout is not None:
        child.stdout.close()


def _port_of(sim: subprocess.Popen[str]) -> int:
    """The port in the simulated switch's first line."""
    assert sim.stdout is not None
    line = _first_line(sim.stdout)
    if not line.startswith("listening on "):
        raise FsacdError(f"the simulated switch did not start: {line.strip() or 'it said nothing'}")
    return int(line.rsplit(":", 1)[1])


def _first_line(stream: IO[str]) -> str:
    reader = gevent.spawn(stream.readline)
    reader.join(_START_S)
    return reader.value or ""


def _last_words(directory: Path) -> str:
    words = [path.read_text(encoding="utf-8", errors="replace")[-400:] for path in directory.glob("*.log")]
    return " | ".join(" ".join(text.split()) for text in words if text.strip()) or "it said nothing"


@contextmanager
def _api_port() -> Iterator[int]:
    """The API's usual port; if it is taken, another port, which a printed line names.

    The port stays free until the daemon binds it, so demonstrations that start together must agree on who gets it. They
    use a name that the kernel gives to one process, and takes back however that process ends.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as claim:
        port = _free_port(_API_PORT) if _bound(claim, f"\0fsacd-demo-{_API_PORT}") else None
        if port is None:
            port = _free_port(0)
            if port is None:
                raise FsacdError("no TCP port is free on 127.0.0.1")
            print(f"Port {_API_PORT} is taken, so the API has port {port}.", flush=True)
        yield port


def _free_port(port: int) -> int | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return int(probe.getsockname()[1]) if _bound(probe, ("127.0.0.1", port)) else None


def _bound(probe: socket.socket, address: str | tuple[str, int]) -> bool:
    try:
        probe.bind(address)
    except OSError:
        return False
    return True
