"""`fsacd reload`: it waits for the end, and its exit code says whether the file is in force."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fsacd.cli import reload as cli
from fsacd.cli.main import main
from fsacd.http.api import ReloadStatus
from fsacd.process import reload_outcome
from fsacd.process.reload_outcome import Outcome
from tests.http.rig import NOON_MS, FakeDaemon, Rig, daemon_status, serve


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FSACD_URL", "FSACD_TOKEN", "FSACD_TOKEN_FILE", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cli, "_PAUSE_S", 0.01)


def run(rig: Rig, *args: str) -> int:
    return main(["reload", *args, "--url", rig.server.url, "--token", "secret-of-admin"])


def test_a_reload_that_takes_long_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Longer than any answer may take."""
    with serve(FakeDaemon(takes_long=True)) as rig:
        assert run(rig) == 0
        assert rig.daemon.looks == 2
    assert capsys.readouterr().out == "The configuration was reloaded: 2 queues, 2 agents.\n"


def test_one_that_never_ends_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon gives each up after two minutes; if it does not, the command says so."""
    monkeypatch.setattr(cli, "_LONGEST_S", 0.0)
    with serve(FakeDaemon(takes_long=True)) as rig:
        assert run(rig) == 3  # as for a daemon that is not reached
        assert rig.daemon.looks == 0
    assert "has not ended reload 7 within 0 s" in capsys.readouterr().err


def test_one_that_is_refused_at_last_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    """With all that is wrong with the file."""
    daemon = FakeDaemon(takes_long=True)
    daemon.refuse("the configuration has errors; the old one stays in force", "a.yaml:1:1: x")
    with serve(daemon) as rig:
        assert run(rig) == 1
        assert capsys.readouterr().err.splitlines() == [
            "fsacd: The configuration has errors; the old one stays in force.",
            "  a.yaml:1:1: x",
        ]
        assert run(rig, "--json") == 1
    assert json.loads(capsys.readouterr().out)["result"] == "refused"


def test_what_is_asked_for_is_handed_on() -> None:
    """A look, and whether callers may lose their place."""
    with serve() as rig:
        assert run(rig, "--dry-run", "--even-so") == 0
        assert rig.daemon.asked_to_reload == (True, True)


def test_the_status_says_that_the_last_one_was_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has reloaded by a signal may not look into the log."""
    last = ReloadStatus(3, "signal", NOON_MS, result="refused", message="the configuration has errors")
    with serve(FakeDaemon(state=daemon_status(last_reload=last))) as rig:
        assert main(["status", "--url", rig.server.url, "--token", "secret-of-admin"]) == 0
    said = "The last reload, by signal, was not put in force: The configuration has errors."
    assert f"12:00:00 {said}" in capsys.readouterr().out.splitlines()


# --- by a signal -----------------------------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process that tells each SIGHUP, and the directory that systemd gives the service."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    tell = "import signal,sys\nsignal.signal(signal.SIGHUP, lambda *_: print('HUP', flush=True))\nprint(flush=True)\n"
    told = [sys.executable, "-c", f"{tell}while True: signal.pause()"]
    with subprocess.Popen(told, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # from here on the signal does not end it
        yield process
        process.kill()


def answers(service: subprocess.Popen[bytes], directory: Path, result: str, message: str, *problems: str) -> None:
    """Leave word when the signal has come: first of a reload that had begun before it, then of its own."""
    stdout = service.stdout
    assert stdout is not None
    reload_outcome.write(directory, Outcome(time.monotonic_ns(), "in_force", "of before"))

    def answer() -> None:
        stdout.readline()
        reload_outcome.write(directory, Outcome(time.monotonic_ns(), result, message, problems))

    threading.Thread(target=answer, daemon=True).start()


def test_a_signal_is_answered(
    service: subprocess.Popen[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the file that the daemon leaves, and not by what it had left before."""
    answers(service, tmp_path, "in_force", "The new configuration is in force.")
    assert main(["reload", "--signal", str(service.pid)]) == 0
    assert capsys.readouterr().out == "The new configuration is in force.\n"


def test_a_signal_whose_file_is_refused_is_exit_code_1(
    service: subprocess.Popen[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that `systemctl reload` fails, and its journal says why."""
    answers(service, tmp_path, "refused", "The configuration has errors; the old one stays in force.", "a.yaml:1:1: x")
    assert main(["reload", "--signal", str(service.pid)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "fsacd: The configuration has errors; the old one stays in force.",
        "  a.yaml:1:1: x",
    ]


def test_a_service_that_ends_meanwhile_is_exit_code_3(
    service: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits for a daemon that is gone."""
    service.kill()
    service.wait()
    assert main(["reload", "--signal", str(service.pid)]) == 3
    assert f"no process has the number {service.pid}" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["--dry-run"], ["--even-so"]])
def test_a_signal_says_nothing_but_its_name(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is sent that would do something else than what was asked for."""
    assert main(["reload", *args, "--signal", str(os.getpid())]) == 2
    assert "goes with neither" in capsys.readouterr().err


def test_a_signal_without_the_services_directory_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There would be no answer."""
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("it was sent"))
    assert main(["reload", "--signal", str(os.getpid())]) == 2
    assert "RUNTIME_DIRECTORY" in capsys.readouterr().err


def test_what_nobody_can_read_is_no_word(tmp_path: Path) -> None:
    """Neither half a file nor one of another kind."""
    assert reload_outcome.read(tmp_path) is None
    for text in (b"{", b"[]", b'{"began_ns": "x"}', b"null", b"\xff"):
        (tmp_path / "reload.json").write_bytes(text)
        (tmp_path / "reload.json").chmod(0o600)
        assert reload_outcome.read(tmp_path) is None
