"""`fsacd check` against a running daemon: what a reload would do to whom is said beforehand, or why it is not known."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from fsacd.cli.main import main
from fsacd.desk.rights import EVERYWHERE, Role
from fsacd.http.access import Token
from tests.http.rig import FakeDaemon, Rig, agent_view, call_view, serve, snapshot

READ = "0123456789abcdef-read"
TOKENS = (Token.of("reader", Role.READ, READ, EVERYWHERE),)
CALL = "c0ffee00-0000-4000-8000-00000000000{}"


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's own environment says nothing of a daemon."""
    for name in ("FSACD_URL", "FSACD_TOKEN", "FSACD_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


def written(place: Path, port: int, **settings: Any) -> str:
    """A configuration whose API listens there."""
    config = {
        "switches": {"fs1": {"password": "hunter2"}},
        "api": {
            "listen": f"0.0.0.0:{port}",
            "allow_remote": True,
            "tokens": [
                {"name": "old", "token": "x" * 32, "expires": "2020-01-01"},
                {"name": "reader", "token": READ},
            ],
        },
        "queues": {"sales": {}},
        "agents": {"1001": {"queues": ["sales"]}},
        **settings,
    }
    file = place / "fsacd.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    file.chmod(0o600)
    return str(file)


def port_of(rig: Rig) -> int:
    return int(rig.server.url.rpartition(":")[2])


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if "note:" not in line][1:]


def test_what_a_reload_would_do_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Callers who would lose their place, queues with another name, agents who are none any more; with read alone."""
    calls = tuple(call_view(CALL.format(number), queue="support") for number in range(3))
    agents = (agent_view("1001"), agent_view("1002", state="talking"), agent_view("1003"))
    with serve(FakeDaemon(snapshot(calls=calls, agents=agents)), tokens=TOKENS) as rig:
        port = port_of(rig)
        assert main(["check", written(tmp_path, port)]) == 0
        refused = lines(capsys)
        assert main(["check", written(tmp_path, port, queues={"help": {"was": "support"}, "sales": {}})]) == 0
        renamed = lines(capsys)
        assert rig.daemon.asked == []
    url = f"http://127.0.0.1:{port}"
    assert refused[0].endswith(
        f"the daemon at {url} would refuse a reload: queue support is gone, and 3 callers wait in it: write was: "
        "support under the queue that takes its place, or say in when_queue_removed where such callers go"
    )
    assert [line.partition("would do this: ")[2] for line in refused[1:]] == [
        "removed agents, logged out at once: 1003",
        "removed agents, logged out when their callers are served: 1002",
    ]
    assert "queue support is queue help now, and goes on: 3 callers wait in it, 0 talks" in renamed[0]


def test_nothing_to_anybody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is said, too."""
    with serve(FakeDaemon(snapshot(calls=(), agents=(agent_view("1001"),))), tokens=TOKENS) as rig:
        file = written(tmp_path, port_of(rig))
        assert main(["check", file]) == 0
        assert lines(capsys) == [
            f"{file}: a reload of the daemon at http://127.0.0.1:{port_of(rig)} would take nothing from anybody there"
        ]


def test_thousands_are_asked_for_page_by_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever stands behind the first page is counted as well."""
    calls = tuple(call_view(f"{number:08x}-0000-4000-8000-000000000001", queue="support") for number in range(5_001))
    with serve(FakeDaemon(snapshot(calls=calls, agents=())), tokens=TOKENS) as rig:
        assert main(["check", written(tmp_path, port_of(rig))]) == 0
    assert "5001 callers wait in it" in lines(capsys)[0]


def test_no_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there, hangs, has no token for us or is not to be asked: one sentence, and no error."""
    monkeypatch.setattr("fsacd.cli.check.DEADLINE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        free = socket.create_server(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
        free.close()
        assert main(["check", written(tmp_path, port)]) == 0
        (absent,) = lines(capsys)
        assert "what a reload would do is not known: fsacd is not reachable at" in absent
        assert absent.endswith("nothing listens there")
        assert main(["check", written(tmp_path, int(silent.getsockname()[1]))]) == 0
        (hanging,) = lines(capsys)
        assert "no answer within" in hanging
    file = written(tmp_path, port, api={"listen": f"127.0.0.1:{port}"})
    assert main(["check", file]) == 0
    why = f"the daemon at http://127.0.0.1:{port} tells nobody without a token"
    assert lines(capsys) == [f"{file}: what a reload would do is not known: {why}"]
    assert main(["check", "--no-daemon", file]) == 0
    assert lines(capsys) == []


def test_the_environment_says_where_as_for_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FSACD_URL and FSACD_TOKEN go before the file; a token that the daemon does not know is told."""
    with serve(FakeDaemon(snapshot(calls=(), agents=())), tokens=TOKENS) as rig:
        monkeypatch.setenv("FSACD_URL", f"http://127.0.0.1:{port_of(rig)}")
        monkeypatch.setenv("FSACD_TOKEN", READ)
        file = written(tmp_path, 1, api={"listen": "127.0.0.1:1"})
        assert main(["check", file]) == 0
        assert "would take nothing from anybody there" in lines(capsys)[0]
        monkeypatch.setenv("FSACD_TOKEN", "unknown-unknown-unknown")
        assert main(["check", file]) == 0
        assert "what a reload would do is not known: " in lines(capsys)[0]
