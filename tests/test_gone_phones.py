"""Phones come and go for years: what a daemon keeps of those that are gone has an end."""

from __future__ import annotations

import gc
from collections import deque
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
import yaml

from fsacd.core import events as e
from fsacd.core.life import decisions
from fsacd.daemon.main import Daemon
from fsacd.daemon.plugging import read
from fsacd.desk.rights import Principal, Role

# A hundred thousand were tried by hand: as flat as these.
LOG_INS = 5_000
# The past of agents, for explanations, is remembered with a bound: so many moments here, which are ten times as many
# otherwise. It is full when the counting begins.
_MOMENTS = 2_000
_WARM = 2_500
# Entries that come and go anyway: a heap of deadlines between two clearings, a memo, a cache.
_SLACK = 1_000
BY = Principal("api:desk", Role.ADMIN.verbs)


def entries(*roots: object) -> int:
    """How many entries all containers hold that can be reached from here; modules, classes and functions left out."""
    seen: set[int] = set()
    left: list[Any] = list(roots)
    count = 0
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, ModuleType | type | FunctionType):
            continue
        seen.add(id(one))
        if isinstance(one, dict | list | set | tuple | frozenset | deque):
            count += len(one)
        left.extend(gc.get_referents(one))
    return count


@pytest.mark.timeout(300)
def test_log_ins_at_phones_that_are_gone_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent logs in at another phone each time, and the phone is never seen again."""
    monkeypatch.setattr(decisions, "_MOMENTS", _MOMENTS)
    config = {
        "switches": {"fs1": {"password": "hunter2"}},
        "queues": {"support": {}},
        "agents": {"1001": {"queues": ["support"]}},
        "allowed_contacts": ["user/desk*", "sofia/lan/*@192.0.2.1"],
    }
    file = tmp_path / "fsacd.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    daemon = Daemon(file, read(file))

    def log_in(first: int, last: int) -> None:
        for number in range(first, last):
            contact = f"user/desk{number}" if number % 2 else f"sofia/lan/phone{number}@192.0.2.1"
            daemon.ask(e.AgentLoggedIn("1001", BY.subject, contact), BY)
            daemon.ask(e.AgentSetNotReadyFor("1001", BY.subject, "support"), BY)
            daemon.ask(e.AgentLoggedOut("1001", BY.subject), BY)

    log_in(0, _WARM)
    before = entries(daemon)
    log_in(_WARM, _WARM + LOG_INS)
    after = entries(daemon)
    assert after - before < _SLACK, f"{after - before} entries more"
    assert not daemon._desk.phones.knows_name(f"desk{_WARM + 1}")
