"""`fsacd check`: what it prints and how it exits."""

from __future__ import annotations

from pathlib import Path

from fsacd.config.check import check


def test_a_wrong_file_exits_with_two_and_every_problem(tmp_path: Path) -> None:
    """Each problem is one line, and the last line counts them."""
    path = tmp_path / "f.yaml"
    path.write_text("switches: {fs1: {password: fine, prot: 1}}\nlease: 1\n", encoding="utf-8")
    code, text = check(path, environ={})
    assert code == 2
    assert text.splitlines() == [
        f"{path}:1:34: switches.fs1.prot: unknown setting; did you mean 'port'?",
        f"{path}:2:8: lease: expected a duration like 15s or 2m, got '1': write the unit (s, m, h or ms)",
        f"{path}: 2 problems",
    ]


def test_a_good_file_exits_with_zero_a_summary_and_notes(tmp_path: Path) -> None:
    """A good file is summed up without a secret, and what is seldom meant is noted."""
    path = tmp_path / "f.yaml"
    path.write_text(
        "switches: {fs1: {password: hunter2}}\n"
        "queues: {sales: , german: {required_skills: {german: 5}}, empty: }\n"
        "agents: {1001: {queues: [sales, german], skills: {german: 4}}, 1002: }\n",
        encoding="utf-8",
    )
    code, text = check(str(path), environ={})
    assert code == 0
    assert text.splitlines() == [
        (
            f"{path}: good. 1 switch (fs1 at 127.0.0.1:8021), 3 queues, 2 agents. "
            "The API listens on 127.0.0.1:8090 with 0 tokens; no history is kept."
        ),
        f"{path}: note: no agent serves queue empty",
        f"{path}: note: no queue is served by agent 1002",
        f"{path}: note: no agent has the skills that are required by queue german",
        f"{path}: note: without a token in api.tokens nobody can use the API or the fsacd commands that need it",
    ]
