from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fsacd.cli.board import Board, clean, duration, headline, lines, screen, table, width


def status(**changes: Any) -> dict[str, Any]:
    """What /status says of a healthy daemon."""
    return {
        "version": "1.2.3",
        "instance": "main",
        "ready": True,
        "at": "2026-03-01T12:00:00.000Z",
        "uptime_seconds": 3_725.4,
        "switches": [{"name": "fs1", "connected": True}],
        "store": {"configured": False, "connected": False},
        **changes,
    }


def queue(name: str, **changes: Any) -> dict[str, Any]:
    """A queue without callers."""
    return {
        "name": name, "waiting": 0, "offered": 0, "talking": 0, "oldest_wait_seconds": None,
        "agents_ready": 1, "agents_logged_in": 2, "answered": 4, "abandoned": 1, "open": True,
        "estimated_wait_seconds": 0.0, **changes,
    }  # fmt: skip


def agent(agent_id: str, state: str, **changes: Any) -> dict[str, Any]:
    """An agent who serves two queues."""
    return {
        "id": agent_id, "name": f"Agent {agent_id}", "state": state, "state_seconds": 61.0, "reason": "", "then": "",
        "call_id": None, "queues": [{"queue": "sales"}, {"queue": "support"}], **changes,
    }  # fmt: skip


BOARD = Board(
    status(),
    [queue("sales"), queue("support", waiting=2, oldest_wait_seconds=75.0, offered=1, estimated_wait_seconds=200.0)],
    [
        agent("1001", "logged_out"),
        agent("1002", "ready"),
        agent("1003", "talking", call_id="c0ffee00-1", then="not_ready"),
        agent("1004", "not_ready", reason="lunch"),
    ],
)


def drawn(board: Board, columns: int, height: int | None = None) -> list[str]:
    """The table as a terminal of this width shows it, without colours."""
    out = io.StringIO()
    Console(file=out, width=columns, force_terminal=True, color_system=None).print(table(board, height=height))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, ""), (0.0, "0s"), (59.99, "59s"), (60.0, "1m00s"), (3_599.0, "59m59s"), (3_725.0, "1h02m"),
     (86_400.0, "1d00h"), (900_000.0, "10d10h")],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds: float | None, expected: str) -> None:
    """Two units at most, cut and not rounded."""
    assert expected == duration(seconds)


@given(st.text())
def test_clean_text_can_be_printed(text: str) -> None:
    """Whatever goes in, only printable characters come out, and no more than the limit."""
    cleaned = clean(text, 20)
    assert len(cleaned) <= 20
    # The one space that Python does not call printable is not harmful; categories are what counts.
    assert [char for char in cleaned if not char.isprintable() and not char.isspace()] == []
    assert [char for char in cleaned if char in "\x00\x07\x08\t\n\x0b\r\x1b\x7f\x85\x9b\u2028\u2029\u202e"] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("Čapek 林", "Čapek 林"),
        ("a\x1b[2Jb", "a?[2Jb"),
        ("a\u202eb", "a?b"),
        ("x" * 81, "x" * 79 + "…"),
    ],
)
def test_clean_keeps_what_people_write(text: str, expected: str) -> None:
    """Letters of any script stay; controls become question marks; long text is cut visibly."""
    assert expected == clean(text)


def test_width_counts_columns() -> None:
    """Chinese characters take two columns, combining marks none."""
    assert [width("abc"), width("林"), width("e\u0301")] == [3, 2, 1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "fsacd 1.2.3 main · ready · switch fs1 up · up 1h02m"),
        (
            {"ready": False, "switches": [{"name": "fs1", "connected": False}]},
            "fsacd 1.2.3 main · NOT READY · switch fs1 DOWN · up 1h02m",
        ),
        (
            {"store": {"configured": True, "connected": False, "queued": 0, "dropped": 0}},
            "fsacd 1.2.3 main · ready · switch fs1 up · database DOWN · up 1h02m",
        ),
        (
            {"store": {"configured": True, "connected": False, "queued": 1234, "dropped": 5}},
            "fsacd 1.2.3 main · ready · switch fs1 up · database DOWN, 1234 rows wait, 5 rows LOST · up 1h02m",
        ),
        (
            {"store": {"configured": True, "connected": True, "queued": 3, "dropped": 0}},
            "fsacd 1.2.3 main · ready · switch fs1 up · database up · up 1h02m",
        ),
    ],
)
def test_the_headline_shouts_what_is_wrong(changes: dict[str, Any], expected: str) -> None:
    """What is missing is in capitals."""
    assert expected == headline(Board(status(**changes)))


def test_plain_lines() -> None:
    """Each line begins with the time of day, so that a log of them can be read."""
    assert lines(BOARD) == [
        "12:00:00 fsacd 1.2.3 main · ready · switch fs1 up · up 1h02m",
        "12:00:00 sales    waiting 0, offered 0, talking 0, answered 4, abandoned 1, agents ready 1 of 2",
        (
            "12:00:00 support  waiting 2, offered 1 (oldest 1m15s), talking 0, answered 4, abandoned 1, "
            "agents ready 1 of 2, estimated wait 3m20s"
        ),
        "12:00:00 agents: talking 1, ready 1, not_ready 1, logged_out 1",
    ]


def test_a_note_stands_above() -> None:
    """What the table's own data cannot say is its first line, made safe."""
    board = Board(status(), note="not reachable\x1b[2J")
    assert lines(board)[0] == "12:00:00 not reachable?[2J"
    assert "not reachable?[2J" in drawn(board, 100)


def test_the_table_shows_queues_and_agents() -> None:
    """Queues first, then the agents, the busy ones on top."""
    shown = drawn(BOARD, 120)
    assert shown[0] == "fsacd 1.2.3 main · ready · switch fs1 up · up 1h02m"
    rows = [line.split() for line in shown if line]
    assert ["support", "2", "1m15s", "3m20s", "1", "0", "4", "1", "1", "2"] in rows
    assert [row[0] for row in rows if row[0].startswith("100")] == ["1003", "1002", "1004", "1001"]
    assert "call c0ffee00…, then not_ready" in "\n".join(shown)


def test_a_closed_queue_is_told_apart() -> None:
    """The table and the lines say that a queue is closed; nobody on duty means no estimate."""
    board = Board(status(), [queue("night", open=False, estimated_wait_seconds=None)])
    assert lines(board)[1].endswith("agents ready 1 of 2, closed")
    assert any(line.split()[:2] == ["night", "(closed)"] for line in drawn(board, 120))


def test_agents_in_calls_of_their_own_stand_by_the_busy_ones() -> None:
    """Busy comes before ready, in the table and in the counts."""
    board = Board(status(), (), [agent("1", "ready"), agent("2", "busy"), agent("3", "talking")])
    assert [each["id"] for each in board.by_state()] == ["3", "2", "1"]
    assert lines(board)[-1] == "12:00:00 agents: talking 1, busy 1, ready 1"


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    """A narrow terminal cuts cells, it never wraps rows."""
    assert max(map(len, drawn(BOARD, columns)[1:])) <= columns


@pytest.mark.parametrize("height", [10, 24, 50])
def test_the_table_fits_the_terminals_height(height: int) -> None:
    """With hundreds of queues and agents the first are shown, and how many more there are."""
    many = Board(status(), [queue(f"q{n:03}") for n in range(200)], [agent(f"{n}", "ready") for n in range(300)])
    shown = drawn(many, 100, height)
    assert len(shown) <= max(height, 15)
    rows = [line.strip() for line in shown]
    counts = [sum(row.startswith(start) for row in rows) for start in ("q0", "… ")]
    assert counts[1] == 2
    assert f"… {200 - counts[0]} more" in rows


def test_on_a_pipe_boards_follow_each_other() -> None:
    """Output that is no terminal gets plain lines and nothing else."""
    out = io.StringIO()
    with screen(out) as place:
        place.draw(BOARD)
        place.draw(BOARD)
    assert out.getvalue() == "".join(f"{line}\n" for line in lines(BOARD)) * 2


def test_troubles_stand_below_the_headline() -> None:
    """Each in a line of its own, with its detail; nothing in it can play with the terminal."""
    wrong = [
        {"words": "The database is not connected.", "detail": "nothing listens\x1b[2J there", "blocking": False},
        {"words": "The journal is not written.", "detail": "", "blocking": False},
    ]
    board = Board(status(troubles=wrong))
    assert [line.partition(" ")[2] for line in lines(board)[1:3]] == [
        "The database is not connected. (nothing listens?[2J there)",
        "The journal is not written.",
    ]
    assert "The journal is not written." in [line.strip() for line in drawn(board, 100)]
    many = Board(status(troubles=wrong * 50), BOARD.queues, BOARD.agents)
    assert len(drawn(many, 40, 30)) <= 30
