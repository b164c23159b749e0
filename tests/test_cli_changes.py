"""Live changes from the command line, and the explanation of a call."""

from __future__ import annotations

import json

import pytest

from fsacd.cli import output
from fsacd.cli.explain import ELIGIBLE_COLUMNS
from fsacd.cli.main import main
from fsacd.core import events as e
from fsacd.core.rules import Service
from fsacd.core.views import RankedAgent, Rejected, WhyNot
from fsacd.desk.rights import Role
from tests.http.rig import NOW_MS, FakeDaemon, Rig, agent_view, call_view, explanation, serve, snapshot

CALL = "c0ffee00-0000-4000-8000-000000000001"
BY = "cli:supervisor"


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FSACD_URL", "FSACD_TOKEN", "FSACD_TOKEN_FILE", "FSACD_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def run(rig: Rig, *args: str, role: Role = Role.SUPERVISOR) -> int:
    """Run a client command against the rig."""
    return main([*args, "--url", rig.server.url, "--token", f"secret-of-{role.value}"])


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("call move c0ffee00 sales", e.CallRequeueAsked(CALL, BY, "sales")),
        ("call promote c0ffee00", e.CallPromoteAsked(CALL, BY)),
        ("call change c0ffee00 --priority -3", e.CallChangeAsked(CALL, BY, priority=-3)),
        ("call change c0ffee00 --priority 0", e.CallChangeAsked(CALL, BY, priority=0)),
        ("call change c0ffee00 --head-start 1m30s", e.CallChangeAsked(CALL, BY, head_start_ms=90_000)),
        ("call change c0ffee00 --head-start 0", e.CallChangeAsked(CALL, BY, head_start_ms=0)),
        ("call change c0ffee00 --no-skills", e.CallChangeAsked(CALL, BY, required=())),
        ("call change c0ffee00 --skill german=10", e.CallChangeAsked(CALL, BY, required=(("german", 10),))),
        ("call send c0ffee00 1002", e.CallSendAsked(CALL, "1002", BY, 60_000)),
        ("call send c0ffee00 1002 --for 5m", e.CallSendAsked(CALL, "1002", BY, 300_000)),
        ("call drop c0ffee00", e.CallHangupAsked(CALL, BY)),
        ("agent skills 1001 french=5", e.AgentChangeAsked("1001", BY, (("french", 5), ("german", 8)))),
        ("agent skills 1001 french=5 --only", e.AgentChangeAsked("1001", BY, (("french", 5),))),
        ("agent skills 1001 french=5 --remove german", e.AgentChangeAsked("1001", BY, (("french", 5),))),
        ("agent skills 1001 --only", e.AgentChangeAsked("1001", BY, ())),
        (
            "agent queues 1001 sales",
            e.AgentChangeAsked("1001", BY, None, {"support": Service(2, 20_000), "sales": Service()}),
        ),
        (
            "agent queues 1001 sales support --rank 3 --delay 500ms --backup --weight 9",
            e.AgentChangeAsked(
                "1001", BY, None, dict.fromkeys(("support", "sales"), Service(3, 500, backup=True, weight=9))
            ),
        ),
        (
            "agent queues 1001 support --no-backup",
            e.AgentChangeAsked("1001", BY, None, {"support": Service(2, 20_000)}),
        ),
        ("agent queues 1001 sales --remove support", e.AgentChangeAsked("1001", BY, None, {"sales": Service()})),
        ("agent queues 1001 sales --only", e.AgentChangeAsked("1001", BY, None, {"sales": Service()})),
        ("agent queues 1001 --only", e.AgentChangeAsked("1001", BY, None, {})),
        ("queue open sales", e.QueueSetOpen("sales", open=True, by=BY)),
        ("queue close sales", e.QueueSetOpen("sales", open=False, by=BY)),
    ],
)
def test_a_command_asks_for_exactly_one_change(args: str, expected: e.Event) -> None:
    """Each command is one fact for the engine, told to come from the CLI."""
    with serve() as rig:
        assert run(rig, *args.split()) == 0
        assert rig.daemon.asked == [expected]


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ("call change c0ffee00", "Say what to change: --priority, --head-start, --skill or --no-skills."),
        ("call change c0ffee00 --skill german=1 --no-skills", "--skill and --no-skills exclude each other."),
        ("call change c0ffee00 --skill german=1 --skill german=2", "the skill 'german' is named twice."),
        ("call change c0ffee00 --skill german", "'german' is not a skill with a level from 1 to 10, like french=5."),
        ("call change c0ffee00 --skill german=11", "'german=11' is not a skill with a level from 1 to 10"),
        ("call change c0ffee00 --skill =1", "'=1' is not a skill with a level from 1 to 10"),
        ("call change c0ffee00 --skill german=²", "'german=²' is not a skill with a level from 1 to 10"),
        ("call change c0ffee00 --priority 101", "101 is not in the range -100<=x<=100"),
        ("call change c0ffee00 --head-start soon", "'soon' is not a duration like 20s or 1m30s."),
        ("call send c0ffee00", "Missing argument 'AGENT'"),
        ("call move c0ffee00", "Missing argument 'QUEUE'"),
        ("agent skills 1001 german=1 --remove german", "A skill is named twice."),
        ("agent queues 1001 sales --remove sales", "A queue is named twice."),
        ("agent queues 1001 --rank 2", "Name the queues that --rank, --delay, --backup and --weight are for."),
        ("agent queues 1001 sales --rank 0", "0 is not in the range 1<=x<=1000"),
        ("explain c0ffee00 --limit 0", "0 is not in the range 1<=x<=50"),
    ],
)
def test_wrong_use_asks_for_nothing(args: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, with one sentence on standard error, and the daemon hears nothing."""
    with serve() as rig:
        assert run(rig, *args.split()) == 2
        assert rig.daemon.asked == []
    assert complaint in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ("call promote deadbeef", "fsacd: There is no call 'deadbeef'.\n"),
        ("call send c0ffee00 1003", "fsacd: There is no agent '1003'; did you mean '1002'?\n"),
        ("call send c0ffee00 1002 --for 2h", "fsacd: The body was refused: for_seconds: should be less than or equal"),
        ("agent skills 1001 --remove germna", "fsacd: Agent 1001 has no skill 'germna'; did you mean 'german'?\n"),
        ("queue close sale", "fsacd: There is no queue 'sale'; did you mean 'sales'?\n"),
        ("explain deadbeef", "fsacd: There is no call 'deadbeef'.\n"),
    ],
)
def test_a_refused_change_is_exit_code_1(args: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon's sentence goes to standard error, nothing to standard output."""
    with serve() as rig:
        assert run(rig, *args.split()) == 1
        assert rig.daemon.asked == []
    shown = capsys.readouterr()
    assert (shown.out, shown.err[: len(complaint)]) == ("", complaint)


def test_changes_need_a_supervisor(capsys: pytest.CaptureFixture[str]) -> None:
    """A token below that is told what it would need."""
    with serve() as rig:
        assert run(rig, "call", "promote", "c0ffee00", role=Role.AGENT) == 1
    assert "that takes the role supervisor or one above it" in capsys.readouterr().err


def test_skills_are_shown_when_none_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a skill to set, `agent skills` only looks."""
    agent = agent_view("1001", skills=(("french", 10), ("german", 8)))
    with serve(FakeDaemon(snapshot(agents=(agent,)))) as rig:
        assert run(rig, "agent", "skills", "1001", role=Role.READ) == 0
        assert rig.daemon.asked == []
    assert capsys.readouterr().out.splitlines() == ["SKILL   LEVEL", "french     10", "german      8"]


def test_queues_are_shown_when_none_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a queue to set, `agent queues` only looks."""
    services = (("sales", Service()), ("support", Service(2, 20_000, backup=True, weight=30)))
    agent = agent_view("1001", queues=services, not_ready_for=(("sales", "mail"),), caller="Miller Ltd")
    with serve(FakeDaemon(snapshot(agents=(agent,)))) as rig:
        assert run(rig, "agent", "queues", "1001", role=Role.READ) == 0
        assert run(rig, "agent", "show", "1001", role=Role.READ) == 0
        assert run(rig, "agent", "list", role=Role.READ) == 0
        assert rig.daemon.asked == []
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == [
        "QUEUE    RANK  AFTER  BACKUP  WEIGHT  NOT READY",
        "sales       1                      1  mail",
        "support     2    20s  backup      30",
    ]
    assert "Miller Ltd, not ready for sales" in "".join(shown), "the list, as the board of status --watch and demo"
    assert "caller   Miller Ltd" in shown
    assert "queues   sales (rank 1, not ready: mail), support (rank 2, after 20s, backup, weight 30)" in shown


def test_json_is_the_apis_document(capsys: pytest.CaptureFixture[str]) -> None:
    """`-o json` gives what the API answered, whole, for changes and explanations."""
    with serve() as rig:
        paths = {
            ("agent", "skills", "1001"): "agents/1001",
            ("agent", "queues", "1001", "support", "--rank", "1"): "agents/1001",
            ("explain", CALL): f"calls/{CALL}/explain",
        }
        for command, path in paths.items():
            assert run(rig, *command, "-o", "json") == 0
            assert json.loads(capsys.readouterr().out) == rig.get(f"/api/v1/{path}").json


def test_a_queue_that_was_closed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """`queue open` and `queue close` answer with the queue's line."""
    with serve() as rig:
        assert run(rig, "queue", "close", "sales") == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert (heading.split()[0], line.split()[0]) == ("QUEUE", "sales")


def test_a_call_that_waits_for_one_agent_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """In the list where the agents stand, and as a field of its own."""
    call = call_view(CALL, reserved_for="1002", head_start_ms=60_000, language="de")
    with serve(FakeDaemon(snapshot(calls=(call,)))) as rig:
        assert run(rig, "call", "list") == 0
        assert run(rig, "call", "show", CALL) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].endswith("c-1   waits for 1002")
    assert [line for line in shown if line.startswith(("head start", "language", "waits for"))] == [
        "head start  1m00s",
        "language    de",
        "waits for   1002",
    ]


def test_a_decision_reads_as_a_paragraph(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence, the call at that moment, the eligible with their keys, the others with the reason why not."""
    waits = explanation(
        None, at_ms=NOW_MS, waited_ms=12_500, eligible=(), rejected=(Rejected("1001", WhyNot.HELD_BACK, "refused"),),
        sentence="Nobody is eligible.", required=(), strategy="ring_all",
    )  # fmt: skip
    call = call_view(CALL, offers=2)
    with serve(FakeDaemon(snapshot(calls=(call,)), explanations=(explanation(), waits))) as rig:
        assert run(rig, "explain", "c0ffee00", role=Role.READ) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"call {CALL} (times are UTC)",
        "",
        "1. 11:59:55 1001 was chosen of 2: they have not missed the call.",
        "   queue support, strategy longest_idle, priority 2, waited 7s, needs german 3, decision 812",
        "   ELIGIBLE  MISSED  RANK  LEVEL  KEY",
        "   1001           0     1      8  940000",
        "   1004           1     1      8  900000 -infinity",
        "   NOT RUNG  WHY      DETAIL",
        "   1002      talking  c0ffee11",
        "   1003      skill    german 2, needs 3",
        "",
        "Now, 12:00:00 Nobody is eligible.",
        "   queue support, strategy ring_all, priority 2, waited 12s",
        "   NOT RUNG  WHY        DETAIL",
        "   1001      held back  refused",
        "",
        "Older decisions may be missing, because there is no database.",
    ]


def test_a_decision_of_the_daemon_of_before_is_read() -> None:
    """The command line is of the new version as soon as it is installed, the daemon when it is started anew."""
    row = {"agent": "1001", "let_pass": 3, "rank": 1, "level": 8, "key": [1]}
    _, line = output.table_lines(ELIGIBLE_COLUMNS, [row])
    assert line.split() == ["1001", "3", "1", "8", "1"]


def test_long_lists_are_cut_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """`--agents` and `--limit` bound what is shown; the reasons of all are counted."""
    eligible = tuple(RankedAgent(f"e{n}", 0, 1, 0, ()) for n in range(5))
    rejected = (*(Rejected(f"r{n}", WhyNot.LOGGED_OUT) for n in range(7)), Rejected("s", WhyNot.SKILL, "no german"))
    told = tuple(explanation(n, eligible=eligible, rejected=rejected) for n in (1, 2))
    with serve(FakeDaemon(snapshot(calls=(call_view(CALL, offers=2),)), explanations=told)) as rig:
        assert run(rig, "explain", CALL, "--agents", "2", "--limit", "1") == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if "decision" in line] == [
        "   queue support, strategy longest_idle, priority 2, waited 7s, needs german 3, decision 2"
    ]
    assert [line for line in shown if "…" in line or "in all" in line] == [
        "   … and 3 more eligible",
        "   … and 6 more not rung",
        "   not rung in all: 1 skill, 7 logged out",
    ]


def test_nothing_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A call that has just come has no decisions."""
    with serve(FakeDaemon(explanations=())) as rig:
        assert run(rig, "explain", CALL) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"call {CALL} (times are UTC)", "", "No decision about it is known."
    ]  # fmt: skip


def test_an_explanation_cannot_play_with_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A reason that an agent gave is text, whatever it holds."""
    rejected = (Rejected("1002", WhyNot.NOT_READY, "\x1b[2J\u202e"),)
    told = explanation(rejected=rejected, sentence="\x1b]0;owned\x07")
    with serve(FakeDaemon(explanations=(told,))) as rig:
        assert run(rig, "explain", CALL) == 0
    assert [char for char in capsys.readouterr().out if not (char.isprintable() or char == "\n")] == []
