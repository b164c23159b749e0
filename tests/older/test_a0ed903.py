"""What an older fsacd has left is read on: journal, snapshot, spool and database of commit a0ed903.

The data beside this file is that of its own `make run`, with seed 1. An agent was logged out by hand so that all eight
states of an agent are there at once, the database was stopped, and a good ten seconds later the daemon was killed: 42
calls were alive then. `taken` is the snapshot that its own code makes of what it reads from that journal.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fsacd.core.engine import Engine
from fsacd.core.old_names import OLD_NAMES
from fsacd.http import models
from fsacd.journal.files import Directory
from fsacd.journal.recovery import recover
from fsacd.store.backlog import Backlog
from fsacd.store.migrate import available, migrate
from fsacd.store.moving import Moving
from fsacd.store.postgres import Store
from fsacd.store.reading import History
from fsacd.store.settings import StoreSettings
from fsacd.testing import PLUGINS
from tests.older.then import snapshot_of
from tests.store.rig import await_true, quick, rows

_ROWS = "SELECT count(*) FROM {}"
_TABLES = ("agent_states", "calls", "decisions", "offers")
_UNMOVED = """SELECT (SELECT count(*) FROM calls_before) + (SELECT count(*) FROM decisions_before)
    + (SELECT count(*) FROM offers_before)"""


# What stands in these lists of a dump.
_KINDS = {"calls": "Call", "ended": "EndedMemory"}


def in_words_of_today(dump: Mapping[str, Any]) -> dict[str, Any]:
    """The same dump, its fields called as they are now, and one order where it has several."""
    renamed = dict(dump)
    for where, kind in _KINDS.items():
        today = {old: new for new, old in OLD_NAMES.get(kind, {}).items()}
        renamed[where] = [{today.get(name, name): value for name, value in thing.items()} for thing in dump[where]]
    # It kept agents in order for each requirement. Today one order does for all, unless the strategy's keys depend on
    # what is required, so all that counts is whether there was one.
    renamed["orders"] = [{**order, "sorted_for": [[]] if order["sorted_for"] else []} for order in dump["orders"]]
    return renamed


def differences(old: object, new: object, where: str = "") -> list[str]:
    """What the new dump says otherwise, or says no more. What it has besides is its own."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = [f"{where}/{key} is gone" for key in old.keys() - new.keys()]
        return found + [
            one for key in old.keys() & new.keys() for one in differences(old[key], new[key], f"{where}/{key}")
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [one for place, (was, now) in pairs for one in differences(was, now, f"{where}[{place}]")]
    return [] if old == new else [f"{where}: {old!r} is {new!r}"]


def states(things: list[Mapping[str, Any]]) -> Counter[str]:
    """How many are in each state."""
    return Counter(thing["state"]["is"] for thing in things)


def test_a_snapshot_is_read_whole(left: Path) -> None:
    """No field takes its default in silence: whatever the old one has written is there, and means the same."""
    old = snapshot_of(left / "taken")
    new = json.loads(json.dumps(Engine.restore(old, PLUGINS).dump()))
    assert {rules["strategy"] for rules in old["rules"]["queues"].values()} == {"longest_idle"}
    assert sum(len(order["sorted_for"]) > 1 for order in old["orders"]) == 2
    assert differences(in_words_of_today(old), new) == []
    assert states(old["calls"]).keys() == {"Waiting", "Ringing", "Connecting", "Talking"}
    assert len(states(old["agents"])) == 8


def test_a_journal_is_read_to_its_end(left: Path, tmp_path: Path) -> None:
    """Nobody is lost by an update: each call that was alive is, though some may have got another agent by newer rules.

    What becomes of talks by that is in test_update.py.
    """
    shutil.copytree(left / "journal", tmp_path / "journal")
    recovered = recover(Directory(tmp_path / "journal"), PLUGINS, "the hours")
    assert recovered is not None
    assert (recovered.damage, recovered.entries) == ((), 1904)
    old, new = snapshot_of(left / "taken"), recovered.engine.dump()
    alive = {call["call_id"] for call in new["calls"]}
    assert {call["call_id"] for call in old["calls"]} == alive
    assert {agent["agent_id"] for agent in new["agents"]} == {agent["agent_id"] for agent in old["agents"]}


def test_a_spool_is_read_to_its_end(left: Path, tmp_path: Path) -> None:
    """Each row that no database has confirmed is there, and fits the tables of today."""
    shutil.copytree(left / "spool", tmp_path / "spool")
    backlog = Backlog(StoreSettings("", spool=tmp_path / "spool"), Counter())
    backlog.mend()
    found = []
    while batch := backlog.first(100):
        found += batch
        backlog.leave(len(batch))
    (segment,) = (left / "spool").glob("0000*")
    confirmed = int((left / "spool" / "done").read_text().split()[1])
    assert len(found) == segment.read_bytes()[confirmed:].count(b"\n") > 100
    # States have a table of their own by now, and the view with the name of before shows them.
    assert {row.table.name.removesuffix("_before") for row in found} == set(_TABLES)


@pytest.mark.postgres
def test_a_database_is_read_on(left: Path, database: str, tmp_path: Path) -> None:
    """Migrations leave its rows as they are, and the rows of the spool join them, each once; all go into months."""
    with psycopg.connect(database, autocommit=True) as connection:
        text = (left / "history.sql").read_text()
        # These two are for psql alone.
        commands = [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
        connection.execute("\n".join(commands).encode())
    before = count(database)
    assert min(before.values()) > 10
    with psycopg.connect(database) as connection:
        missing = migrate(connection)
    assert missing == [migration.name for migration in available()][-len(missing) :] != []
    assert count(database) == before
    shutil.copytree(left / "spool", tmp_path / "spool")
    store = Store(replace(quick(database), spool=tmp_path / "spool"), lambda ms: ms)
    store.start()
    await_true(lambda: store.state().written > 0 and store.state().queued == 0)
    assert store.stop() == 0
    after = count(database)
    assert all(after[table] > before[table] for table in _TABLES)
    moving = Moving(quick(database), first_s=0.0)
    moving.start()
    await_true(lambda: rows(database, _UNMOVED) == [(0,)])
    moving.stop()
    assert count(database) == after
    for call_id, agent_id in rows(
        database, "SELECT DISTINCT ON (call_id) call_id, agent_id FROM decisions ORDER BY call_id, at DESC"
    ):
        (told,) = History(quick(database)).explanations(call_id, 1)
        read = models.Explanation.model_validate(told)
        assert read.chosen == agent_id
        assert [one.missed for one in read.eligible] == [one["let_pass"] for one in told["eligible"]]


def count(dsn: str) -> dict[str, int]:
    """How many rows each table has."""
    return {table: rows(dsn, _ROWS.format(f"public.{table}"))[0][0] for table in _TABLES}
