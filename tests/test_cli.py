from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fsacd.cli.main import main
from fsacd.core import events as e
from fsacd.desk.rights import Role
from tests.http.rig import NOW_MS, FakeDaemon, Rig, agent_view, call_view, daemon_status, queue_view, serve, snapshot

CALL = "c0ffee00-0000-4000-8000-000000000001"


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FSACD_URL", "FSACD_TOKEN", "FSACD_TOKEN_FILE", "FSACD_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def run(rig: Rig, *args: str, role: Role = Role.ADMIN) -> int:
    """Run a client command against the rig."""
    return main([*args, "--url", rig.server.url, "--token", f"secret-of-{role.value}"])


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["agent", "login", "1001"], e.AgentLoggedIn("1001", "cli:admin", None, ready=True)),
        (
            ["agent", "login", "1001", "--contact", "user/1002", "--not-ready"],
            e.AgentLoggedIn("1001", "cli:admin", "user/1002", ready=False),
        ),
        (["agent", "logout", "1001"], e.AgentLoggedOut("1001", "cli:admin")),
        (["agent", "ready", "1001"], e.AgentSetReady("1001", "cli:admin")),
        (
            ["agent", "not-ready", "1001", "--queue", "support", "--reason", "mail"],
            e.AgentSetNotReadyFor("1001", "cli:admin", "support", "mail"),
        ),
        (["agent", "ready", "1001", "--queue", "support"], e.AgentSetReadyFor("1001", "cli:admin", "support")),
        (["agent", "not-ready", "1001", "--reason", "lunch"], e.AgentSetNotReady("1001", "cli:admin", "lunch")),
        (["agent", "end-wrap-up", "1001"], e.AgentEndedWrapUp("1001", "cli:admin")),
        (
            ["agent", "wrap-up", "1001", "sale/new", "2", "--note", "calls back", "--talk", "o1"],
            e.AgentCodedWrapUp("1001", "cli:admin", ("sale/new", "2"), "calls back", "o1"),
        ),
        (["agent", "wrap-up", "1001", "--no-codes"], e.AgentCodedWrapUp("1001", "cli:admin", ())),
        (["agent", "wrap-up", "1001", "--note", ""], e.AgentCodedWrapUp("1001", "cli:admin", None, "")),
        (["call", "requeue", "c0ffee00"], e.CallRequeueAsked(CALL, "cli:admin", None)),
        (["call", "requeue", "c0ffee00", "--queue", "sales"], e.CallRequeueAsked(CALL, "cli:admin", "sales")),
        (["call", "hangup", "c0ffee00"], e.CallHangupAsked(CALL, "cli:admin")),
    ],
)
def test_a_command_asks_for_exactly_one_thing(args: list[str], expected: e.Event) -> None:
    """Each command is one fact for the engine, told to come from the CLI."""
    with serve() as rig:
        assert run(rig, *args) == 0
        assert rig.daemon.asked == [expected]


def test_the_list_of_agents_is_plain_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are aligned by spaces, without frames, colours or cut-off text."""
    away = agent_view("1003", name="Čapek 林", state="not_ready", reason="lunch", skills=(), queues=())
    with serve(FakeDaemon(snapshot(agents=(agent_view("1001"), away)))) as rig:
        assert run(rig, "agent", "list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "AGENT  NAME      STATE        FOR  DETAIL  QUEUES   SKILLS",
        "1001   Anna      ready      1m00s          support  german 8",
        "1003   Čapek 林  not_ready  1m00s  lunch",
    ]


def test_the_list_of_queues(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each queue, figures to the right."""
    closed = queue_view("sales", waiting=0, oldest_wait_ms=None, is_open=False, estimated_wait_ms=None)
    with serve(FakeDaemon(snapshot(queues=(queue_view("support"), closed)))) as rig:
        assert run(rig, "queue", "list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "QUEUE    STATE   WAITING  OLDEST    EWT  OFFERED  TALKING  ANSWERED  ABANDONED  READY  LOGGED IN",
        "sales    closed        0                       0        0         7          3      1          2",
        "support  open          1     12s  1m30s        0        0         7          3      1          2",
    ]


def test_the_list_of_calls(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each call, the first to arrive first; a role below supervisor sees four digits."""
    with serve() as rig:
        assert run(rig, "call", "list", "--queue", "support", role=Role.READ) == 0
    assert capsys.readouterr().out.splitlines() == [
        "CALL                                  QUEUE    STATE    POS  PRIO  WAITED  TALKED  NUMBER   NAME  AGENTS",
        f"{CALL}  support  waiting    1     2     12s          ***5678  c-1",
    ]


def test_one_call_field_by_field(capsys: pytest.CaptureFixture[str]) -> None:
    """A prefix of the id is enough; empty fields are left out."""
    with serve() as rig:
        assert run(rig, "call", "show", "c0ffee00") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"call      {CALL}",
        "queue     support",
        "state     waiting",
        "position  1",
        "priority  2",
        "number    +493012345678",
        "name      Bob",
        "customer  c-1",
        "arrived   2026-03-01T11:59:47.500Z",
        "waited    12s",
        "needs     german 3",
        "offers    0",
        "leg       aaaaaaaa-0000-4000-8000-000000000001 on fs1",
    ]


def test_one_agent_field_by_field(capsys: pytest.CaptureFixture[str]) -> None:
    """An action answers with the agent, as `show` does."""
    agent = agent_view("1001", state="wrapping_up", until_ms=NOW_MS + 5_000, then="logged_out")
    with serve(FakeDaemon(snapshot(agents=(agent,)))) as rig:
        assert run(rig, "agent", "show", "1001") == 0
        shown = capsys.readouterr().out
        assert run(rig, "agent", "end-wrap-up", "1001") == 0
    assert shown == capsys.readouterr().out
    assert shown.splitlines() == [
        "agent    1001",
        "name     Anna",
        "state    wrapping_up for 1m00s",
        "until    2026-03-01T12:00:05.000Z",
        "then     logged_out",
        "contact  user/1001",
        "queues   support (rank 2, after 20s)",
        "skills   german 8",
    ]


def test_a_queue_shows_its_calls_and_agents(capsys: pytest.CaptureFixture[str]) -> None:
    """Three tables: the queue, the calls in it, the agents who serve it."""
    with serve() as rig:
        assert run(rig, "queue", "show", "sales") == 0
    parts = capsys.readouterr().out.split("\n\n")
    assert [part.split()[0] for part in parts] == ["QUEUE", "CALL", "AGENT"]
    assert ["sales" in parts[0], "c0ffee11" in parts[1], "1002" in parts[2]] == [True] * 3


def test_the_status_in_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for the daemon, one for each queue, one for the agents' states."""
    sales = queue_view("sales", waiting=0, oldest_wait_ms=None, estimated_wait_ms=0)
    with serve(FakeDaemon(snapshot(queues=(queue_view("support"), sales)))) as rig:
        assert run(rig, "status") == 0
    assert capsys.readouterr().out.splitlines() == [
        "12:00:00 fsacd 1.2.3 main · ready · switch fs1 up · database up · up 1h00m",
        "12:00:00 sales    waiting 0, offered 0, talking 0, answered 7, abandoned 3, agents ready 1 of 2",
        (
            "12:00:00 support  waiting 1, offered 0 (oldest 12s), talking 0, answered 7, abandoned 3, "
            "agents ready 1 of 2, estimated wait 1m30s"
        ),
        "12:00:00 agents: talking 1, ready 1",
    ]


@pytest.mark.parametrize("command", [["agent", "list"], ["call", "show", CALL], ["queue", "show", "sales"], ["status"]])
def test_json_and_yaml_are_the_apis_document(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`-o json`, its short form `--json` and `-o yaml` give the same document, whole."""
    with serve() as rig:
        assert run(rig, *command, "-o", "json") == 0
        written = capsys.readouterr().out
        assert run(rig, *command, "--json") == 0
        assert capsys.readouterr().out == written
        as_json = json.loads(written)
        assert run(rig, *command, "-o", "yaml") == 0
        as_yaml = yaml.safe_load(capsys.readouterr().out)
        paths = {"agent": "agents", "call": f"calls/{CALL}", "queue": "queues/sales", "status": "status"}
        assert as_json == as_yaml == rig.get(f"/api/v1/{paths[command[0]]}").json


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
@pytest.mark.parametrize("name", ["\x1b]0;owned\x07", "a\r\nb", "\x9b2J", "\u202egnp.exe", "\u2028", "\ue000", "\x00"])
def test_a_callers_name_cannot_play_with_the_terminal(
    name: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No control character, escape sequence or direction mark of a caller's reaches the terminal, in any format."""
    with serve(FakeDaemon(snapshot(calls=(call_view(CALL, name=name, number=name, customer=name),)))) as rig:
        assert run(rig, "call", "list", "-o", output) == 0
        assert run(rig, "call", "show", CALL, "-o", output) == 0
    shown = capsys.readouterr().out
    assert [char for char in shown if not (char.isprintable() or char == "\n")] == []
    if output == "table":
        assert len(shown.splitlines()) == 2 + 13


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["agent", "ready", "1003"], "fsacd: There is no agent '1003'; did you mean '1002'?\n"),
        (["call", "hangup", "deadbeef"], "fsacd: There is no call 'deadbeef'.\n"),
        (["queue", "show", "suport"], "fsacd: There is no queue 'suport'; did you mean 'support'?\n"),
        (["agent", "show", "../status"], "fsacd: There is nothing at '/api/v1/agents/../status'; "),
    ],
)
def test_what_the_daemon_refuses_is_exit_code_1(
    args: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon's sentence goes to standard error, nothing to standard output."""
    with serve() as rig:
        assert run(rig, *args) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err[: len(sentence)]) == ("", sentence)


def test_a_wrong_token_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon is there and says no."""
    with serve() as rig:
        assert main(["status", "--url", rig.server.url, "--token", "wrong"]) == 1
    assert capsys.readouterr().err == "fsacd: The Authorization header holds no token that is known here.\n"


def test_a_refused_reload_shows_every_problem(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each problem, with its place."""
    daemon = FakeDaemon()
    daemon.refuse("the configuration has errors; the old one stays in force", "a.yaml:1:1: x", "a.yaml:2:1: y")
    with serve(daemon) as rig:
        assert run(rig, "reload") == 1
    assert capsys.readouterr().err.splitlines() == [
        "fsacd: The configuration has errors; the old one stays in force.",
        "  a.yaml:1:1: x",
        "  a.yaml:2:1: y",
    ]


def test_a_reload_tells_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon's sentence is shown as it is."""
    with serve() as rig:
        assert run(rig, "reload") == 0
    assert capsys.readouterr().out == "The configuration was reloaded: 2 queues, 2 agents.\n"


def test_a_resync_tells_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon's sentence is shown; a daemon that serves no switch says so."""
    daemon = FakeDaemon()
    with serve(daemon) as rig:
        assert run(rig, "resync") == 0
        daemon.refuse("this daemon serves no switch now")
        assert run(rig, "resync") == 1
    assert capsys.readouterr() == ("Comparing with fs1.\n", "fsacd: This daemon serves no switch now.\n")


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["agnet"], "No such command 'agnet'"),
        (["agent", "show"], "Missing argument 'AGENT'"),
        (["status", "-o", "xml"], "'xml' is not one of 'table', 'json', 'yaml'"),
        (["status", "--watch=0"], "0.0 is not in the range 0.2<=x<=3600"),
        (["status", "--url", "ftp://x"], "'ftp://x' is not an address like http://127.0.0.1:8090."),
        (["status", "--url", "http://x:99999"], "has a port that is not a number up to 65535."),
        (["status", "--token", "a\nb"], "The token holds a character that no token can hold; is it the right file?"),
        (["status", "--token-file", "/nowhere/token"], "The token file '/nowhere/token' cannot be read: No such file"),
    ],
)
def test_wrong_use_is_exit_code_2(args: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, options and values that cannot be are said on standard error."""
    assert main(args) == 2
    assert complaint in " ".join(capsys.readouterr().err.split())


def test_settings_come_from_the_environment_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """FSACD_URL with FSACD_TOKEN or FSACD_TOKEN_FILE; a token given directly wins."""
    file = tmp_path / "token"
    file.write_text("secret-of-read\n")
    file.chmod(0o600)
    with serve() as rig:
        monkeypatch.setenv("FSACD_URL", rig.server.url)
        monkeypatch.setenv("FSACD_TOKEN_FILE", str(file))
        assert main(["reload"]) == 1
        assert "cli:read may not reload the configuration" in capsys.readouterr().err
        monkeypatch.setenv("FSACD_TOKEN", "secret-of-admin")
        assert main(["reload"]) == 0


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["agent", "--help"], ["run", "--help"], ["--version"]])
def test_help_is_exit_code_0(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Asking for help is not an error."""
    assert main(args) == 0
    assert "fsacd" in capsys.readouterr().out


def test_a_client_command_imports_nothing_heavy() -> None:
    """Help and client commands start without gevent, rich, pydantic, falcon and the engine."""
    heavy = ("gevent", "rich", "pydantic", "falcon", "yaml", "fsacd.core", "fsacd.config", "structlog")
    code = (
        "import sys; from fsacd.cli.main import main; main(['status', '--url', 'http://127.0.0.1:1']);"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"


def test_a_configuration_that_is_not_there_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fsacd check` says what is wrong on standard error."""
    assert main(["check", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_a_daemon_that_is_not_ready_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """The status shows what is missing in capitals."""
    down = daemon_status(switches=())
    with serve(FakeDaemon(state=down)) as rig:
        assert run(rig, "status") == 0
    assert "NOT READY" in capsys.readouterr().out.splitlines()[0]
