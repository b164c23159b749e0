"""What reloads leave behind: nothing in memory, and no half of them when the daemon is killed."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fsacd.plugins import source
from tests.prove import reloads
from tests.reloaded import Reloaded


@pytest.fixture
def one(tmp_path: Path) -> Reloaded:
    plugins = tmp_path / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "by_id.py").write_text(reloads.PLUGIN, encoding="utf-8")
    (plugins / "by_id.py").chmod(0o644)
    return Reloaded(tmp_path)


def changes(one: Reloaded, version: int = 0) -> dict[str, Any]:
    return {
        "strategy_path": [str(one.file.parent / "plugins")],
        "queues": {"support": {"strategy": "by_id"}, "sales": {}},
        "agents": {f"{n}": {"queues": ["support"], "name": f"{version}"} for n in range(50)},
    }


def test_a_plugin_is_run_anew_only_when_its_file_is_another(one: Reloaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run leaves a module, which nobody would free: it is exempt from garbage collection."""
    ran: list[str] = []
    run_text = source.run_text

    def run(text: str, file: str, name: str) -> Any:
        ran.append(name)
        return run_text(text, file, name)

    monkeypatch.setattr("fsacd.plugins.catalogue.run_text", run)
    one.reload(**changes(one))
    assert ran == ["by_id"], "fsacd's own are there already"
    ordering = one.daemon._continuation.engine._world.orderings["support"]
    one.reload(**changes(one))
    one.reload(**changes(one, 1))
    assert ran == ["by_id"]
    assert one.daemon._continuation.engine._world.orderings["support"] is ordering
    (one.file.parent / "plugins" / "by_id.py").write_text(reloads.PLUGIN + "\n# another one\n", encoding="utf-8")
    one.reload(**changes(one, 1))
    assert ran == ["by_id", "by_id"]
    assert one.daemon._continuation.engine._world.orderings["support"] is not ordering


def test_reloads_leave_nothing_behind(one: Reloaded) -> None:
    """Whatever they change, and also those that are refused: so much memory is in use as before them."""

    def some(number: int) -> None:
        one.reload(**changes(one, number))
        one.reload(**changes(one, number))
        one.write(queues={"support": {"ring_timeuot": "1s"}})
        one.daemon._reloads.begin("api:x").within(60)

    # Of so many it is remembered what came of them.
    for number in range(20):
        some(number)
    gc.collect()
    before = sys.getallocatedblocks()
    for number in range(20):
        some(number)
    gc.collect()  # to write YAML leaves circles
    assert sys.getallocatedblocks() - before < 1_000


def test_a_daemon_that_is_killed_in_a_reload_has_the_old_or_the_new_rules(tmp_path: Path) -> None:
    """The series has more of them."""
    found = reloads.killed(tmp_path, 3, Random(1))
    assert sum(found.values()) == 3
    assert found["new"] >= 1, "the first one was let end"
