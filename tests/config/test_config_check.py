"""`fsacd check`: what it prints and how it exits."""

from __future__ import annotations

from pathlib import Path

from fsacd.config.check import check
from tests.config.few_plugins import few_plugins


def test_a_wrong_file_exits_with_two_and_every_problem(tmp_path: Path) -> None:
    """Each problem is one line, and the last line counts them."""
    path = tmp_path / "f.yaml"
    path.write_text("switches: {fs1: {password: fine, prot: 1}}\nlease: 1\n", encoding="utf-8")
    code, text = check(path, plugins=few_plugins, environ={})
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
    code, text = check(str(path), plugins=few_plugins, environ={})
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


def test_phones_that_register_at_one_of_several_switches_are_noted(tmp_path: Path) -> None:
    """Only the operator knows whether the switches share their registrations: it is said what to write in each case."""
    path = tmp_path / "f.yaml"
    path.write_text(
        "switches: {fs1: {password: hunter2}, fs2: {password: hunter2, port: 8022}}\n"
        "api: {tokens: [{name: me, token: 0123456789abcdef}]}\n"
        "queues: {sales: }\n"
        "agents:\n"
        "  1001: {queues: [sales], switch: fs1}\n"
        "  1002: {queues: [sales], switch: [fs2, fs1]}\n"
        "  1003: {queues: [sales], switch: fs2, contact: sofia/gateway/pstn/4930}\n"
        "  1004: {queues: [sales], switch: [fs2]}\n",
        encoding="utf-8",
    )
    code, text = check(path, plugins=few_plugins, environ={})
    assert code == 0
    (note,) = text.splitlines()[1:]
    assert note == (
        f"{path}: note: calls on other switches than their own do not ring agents 1001, 1004: a switch looks up a "
        "contact like 'user/1001' among the phones that have registered there. If the switches share their "
        "registrations, write switch: [fs1, fs2]; else a contact that each of them can dial, like "
        "sofia/internal/1001@192.0.2.10 or sofia/gateway/NAME/NUMBER"
    )


def test_what_of_the_routing_is_seldom_meant_is_noted(tmp_path: Path) -> None:
    """Backup without a step, a step without backup, hours that nobody has or that never come, agents never first."""
    path = tmp_path / "f.yaml"
    path.write_text(
        "switches: {fs1: {password: fine}}\n"
        "api: {tokens: [{name: a, token: 0123456789abcdef}]}\n"
        "hours: {a: {zone: UTC}, b: {zone: UTC, open: {mon: 08:00-09:00}}}\n"
        "queues:\n"
        "  opened: {hours: a, steps: [{after: 20s, backup: true}]}\n"
        "  backed: {required_skills: {german: 5, french: 1}, steps: [{after: 1s, drop: [french]}]}\n"
        "agents: {1001: {queues: {opened: 1, backed: {backup: true}}, skills: {german: 5}}}\n"
        "customers: {1: {agent: 1001}}\n",
        encoding="utf-8",
    )
    code, text = check(path, plugins=few_plugins, environ={})
    assert code == 0
    assert text.splitlines()[1:] == [
        f"{path}: note: backup agents never help: no step opens queue backed to them",
        f"{path}: note: a step opens queue opened to backup agents, and there are none",
        f"{path}: note: no queue has the hours b",
        f"{path}: note: never open: the hours a",
        f"{path}: note: no queue has sticky: named or named_or_last, so a customer's own agent does not come first",
    ]


def test_a_journal_is_named_from_the_root(tmp_path: Path) -> None:
    """A relative directory would be another one for each way of starting the daemon, and a restart would forget."""
    path = tmp_path / "f.yaml"
    path.write_text("switches: {fs1: {password: hunter2}}\njournal: {directory: here}\n", encoding="utf-8")
    code, text = check(str(path), plugins=few_plugins, environ={})
    sentence = "journal.directory: not an absolute path; write it from the root, like /var/lib/fsacd/journal"
    assert (code, text.splitlines()[0]) == (2, f"{path}:2:22: {sentence}")


def test_a_standing_leg_is_at_one_phone_and_on_one_switch(tmp_path: Path) -> None:
    """Else nobody knows which of them is to stand."""
    path = tmp_path / "f.yaml"
    path.write_text(
        "switches: {fs1: {password: fine}, fs2: {password: fine}}\n"
        "agents:\n"
        "  1001: {switch: fs1, standing_leg: true, contact: sofia/gateway/pstn/+4930123}\n"
        "  1002: {switch: fs1, standing_leg: true, contact: 'user/1002,user/1003'}\n"
        "  1003: {switch: [fs1, fs2], standing_leg: true}\n",
        encoding="utf-8",
    )
    code, text = check(path, plugins=few_plugins, environ={})
    assert code == 2
    assert sorted(line.split(": ", 1)[1] for line in text.splitlines()[:-1]) == [
        "agents.1002.standing_leg: a standing leg is at one phone, and the contact names 'user/1002,user/1003'",
        "agents.1003.standing_leg: a standing leg is on one switch, and switch names several",
    ]


def test_a_silence_that_is_too_short_is_refused(tmp_path: Path) -> None:
    """For all agents and for one of them; 0s is off."""
    path = tmp_path / "f.yaml"
    path.write_text(
        "switches: {fs1: {password: fine}}\nagent_media_timeout: 20ms\n"
        "agents: {1001: {media_timeout: 999ms}, 1002: {media_timeout: 0s}, 1003: {media_timeout: 1s}}\n",
        encoding="utf-8",
    )
    code, text = check(path, plugins=few_plugins, environ={})
    said = "shorter than 1s, and sound has pauses; write 0s for off, or a duration from 1s to 1h"
    assert code == 2
    assert sorted(line.split(": ", 1)[1] for line in text.splitlines()[:-1]) == [
        f"agent_media_timeout: {said}",
        f"agents.1001.media_timeout: {said}",
    ]
