from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import Event
from structlog.testing import capture_logs

from fsacd.daemon.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A stand-in for systemd's socket, and its address as NOTIFY_SOCKET says it."""
    abstract = request.param == "abstract"
    address = f"@fsacd-{secrets.token_hex(8)}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + address[1:] if abstract else address)
        listener.settimeout(5)
        yield listener, address


def heard(listener: socket.socket) -> list[str]:
    return listener.recv(4_096).decode().split("\n")


def test_says_its_states(systemd: tuple[socket.socket, str]) -> None:
    """Ready, status, reload and end arrive as systemd's words, on a path and in the abstract namespace."""
    listener, address = systemd
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready("2 switches, 3 queues")
    assert heard(listener) == ["READY=1", "STATUS=2 switches, 3 queues"]
    notifier.status("5 calls")
    assert heard(listener) == ["STATUS=5 calls"]
    before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
    notifier.reloading()
    state, stamp = heard(listener)
    assert state == "RELOADING=1"
    assert before_us <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(1) // 1_000
    notifier.stopping()
    assert heard(listener) == ["STOPPING=1"]
    notifier.close()


def test_status_is_one_line(systemd: tuple[socket.socket, str]) -> None:
    """A line break in a status cannot smuggle in another assignment."""
    listener, address = systemd
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.status("a\nREADY=1\nb")
    assert heard(listener) == ["STATUS=a READY=1 b"]
    notifier.close()


def test_sign_of_life_only_while_healthy(systemd: tuple[socket.socket, str]) -> None:
    """The watchdog is fed again and again, not while the daemon is unwell, and again afterwards."""
    listener, address = systemd
    asked = iter([True, True, False, False, True])
    over = Event()

    def healthy() -> bool:
        is_healthy = next(asked, None)
        if is_healthy is None:  # there is nothing left to ask
            over.set()
            gevent.sleep(60)
        return bool(is_healthy)

    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"})
    with capture_logs() as logs:
        greenlet = notifier.start_watchdog(healthy)
        assert greenlet is not None
        assert over.wait(5)
        greenlet.kill()
    listener.setblocking(False)
    signs = []
    while True:
        try:
            signs.append(heard(listener))
        except BlockingIOError:
            break
    assert signs == [["WATCHDOG=1"]] * 3
    assert [line["log_level"] for line in logs] == ["critical"]
    notifier.close()


@pytest.mark.parametrize(
    ("environment", "is_watched"),
    [
        ({"WATCHDOG_USEC": "20000000"}, True),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, True),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, False),
        ({"WATCHDOG_USEC": "0"}, False),
        ({"WATCHDOG_USEC": "soon"}, False),
        ({}, False),
    ],
)
def test_watchdog_from_the_environment(environment: dict[str, str], is_watched: bool) -> None:
    """The watchdog is ours only when systemd means this process."""
    notifier = Notifier(environment | {"NOTIFY_SOCKET": "/nowhere"})
    greenlet = notifier.start_watchdog(lambda: False)
    assert (greenlet is not None) == is_watched
    if greenlet is not None:
        greenlet.kill()
    notifier.close()


def test_without_systemd() -> None:
    """Started by hand it says nothing and complains about nothing."""
    with capture_logs() as logs:
        notifier = Notifier({"WATCHDOG_USEC": "1000"})
        notifier.ready("here")
        assert notifier.start_watchdog(lambda: True) is None
    assert logs == []


def test_socket_gone(tmp_path: Path) -> None:
    """A systemd that does not listen costs one line in the log and never an exception."""
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "absent")})
    with capture_logs() as logs:
        notifier.ready()
        notifier.status("still here")
    assert [line["log_level"] for line in logs] == ["warning"]
    notifier.close()


def test_socket_full(tmp_path: Path) -> None:
    """A systemd that does not read holds nobody up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        with capture_logs() as logs, gevent.Timeout(10):
            for _ in range(10_000):
                notifier.status("x" * 200)
                if logs:
                    break
        assert [line["log_level"] for line in logs] == ["warning"]
        notifier.close()


def test_unit_file() -> None:
    """The unit waits for our READY, feeds on our watchdog, and lives on when the switch restarts."""
    unit = Path(__file__).parent.parent / "config" / "systemd" / "fsacd.service"
    lines = set(unit.read_text(encoding="utf-8").splitlines())
    assert "ExecReload=/opt/fsacd/bin/fsacd reload --signal $MAINPID" in lines, "it fails when the file was refused"
    wanted = {"Type=notify", "KillMode=mixed", "WatchdogSec=20", "Restart=always", "NoNewPrivileges=yes"}
    assert wanted - lines == set()
    limits = {"LimitCORE=0", "MemoryMax=1G", "UMask=0077", "StateDirectoryMode=0700"}
    assert limits - lines == set(), "nobody else reads what it holds, and it takes no machine with it"
    readme = (unit.parents[2] / "README.md").read_text(encoding="utf-8")
    (program,) = {
        line.split("=", 1)[1].split()[0] for line in lines if line.startswith(("ExecStart=", "ExecStartPre="))
    }
    assert f"python3 -m venv {program.removesuffix('/bin/fsacd')}\n" in readme, "it runs what README installs"
    assert not any(line.startswith(("Requires=", "BindsTo=", "PartOf=")) for line in lines)
