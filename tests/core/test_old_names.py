"""What was written under names of before is read for one version: no field takes its default because of its name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fsacd.core import events as e
from fsacd.core import old_names
from fsacd.core.call import Call
from fsacd.core.commands import RingAgent
from fsacd.core.engine import Engine
from fsacd.core.plain import Unreadable, from_plain, to_plain
from fsacd.core.rules import Service
from fsacd.core.show.memory import EndedMemory
from fsacd.http.models import Eligible
from fsacd.journal import lines
from fsacd.testing import PLUGINS, Driver, agent, queue, queued, rules_of

ROOT = Path(__file__).parents[2]

# In a dump: the list, its things' field, what that was called, what it holds where nothing has happened. Written out
# here again, so that a name that the readers' table lacks is not lacking here, too.
OF_DUMPS: tuple[tuple[str, str, str, Any], ...] = (
    ("calls", "not_taken", "let_pass", {}),
    ("calls", "only_rank_and_level", "bound", None),
    ("calls", "talks_on_another_leg", "replaced", False),
    ("ended", "final_command", "farewell", None),
)
# In a fact of the journal: its field, and what that was called.
OF_FACTS = {"OfferEnded": (("phone_told", "told"),)}
# The classes that the table names. What history has of `Eligible` is read in tests/http/test_explain.py.
CLASSES = (Call, EndedMemory, e.OfferEnded, Eligible)
_LISTS = {"calls": Call, "ended": EndedMemory}
PROVED = {
    *((_LISTS[where].__name__, name, before) for where, name, before, _ in OF_DUMPS),
    *((kind, name, before) for kind, names in OF_FACTS.items() for name, before in names),
    ("Eligible", "missed", "let_pass"),
}


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class whose second field was called `slow` once. A new one each time: a class's reader is made once."""

    @dataclass
    class Renamed:
        name: str
        late: bool = True

    monkeypatch.setattr(old_names, "OLD_NAMES", {"Renamed": {"late": "slow"}})
    return Renamed


@pytest.mark.parametrize(
    ("plain", "late"),
    [({"slow": False}, False), ({"late": False}, False), ({"late": False, "slow": True}, False), ({}, True)],
)
def test_a_field_is_found_under_its_old_name(renamed: Any, plain: dict[str, Any], late: bool) -> None:
    """Where only the old name is there, it counts; where both are, the new one; where none is, the default."""
    assert from_plain({"name": "a", **plain}, renamed) == renamed("a", late)
    assert to_plain(renamed("a", late), renamed) == {"name": "a", "late": late}


def test_what_does_not_fit_is_said_as_it_was_written(renamed: Any) -> None:
    """Who looks into the file finds the name that the sentence has."""
    with pytest.raises(Unreadable, match=r"Renamed\.slow: bool was expected, not 5"):
        from_plain({"name": "a", "slow": 5}, renamed)


def test_names_are_forgotten_in_time() -> None:
    """They are read for one version: the one that forgets them empties the table, and says so in the CHANGELOG."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    version = tuple(int(part) for part in setup["metadata"]["version"].split(".")[:2])
    assert version < old_names.UNTIL


def eventful() -> Driver:
    """An engine in which each renamed field holds something, of one call at least."""
    rules = rules_of(
        queue("support"), agent("a", "support"), agent("b", "support"),
        queue("all", strategy="ring_all"), agent("c", ("all", Service(rank=2))),
        queue("sales"), agent("d", "sales"),
        queue("desk"), agent("e", "desk"),
    )  # fmt: skip
    driver = Driver(rules)
    driver.tell(e.SwitchConnected("fs1"))
    for agent_id in rules.agents:
        driver.tell(e.AgentLoggedIn(agent_id, "test"))
    driver.tell(queued("refused", "support"))
    driver.tell(e.OfferEnded(driver.commands_of(RingAgent)[-1].offer_id, e.OfferEnd.REFUSED))
    driver.tell(queued("rings", "all"))
    driver.tell(queued("talks", "sales"))
    offer_id = driver.commands_of(RingAgent)[-1].offer_id
    for fact in (e.OfferAnswered(offer_id), e.OfferConnected(offer_id), e.CallerGone("talks", transferred=True)):
        driver.tell(fact)
    driver.tell(queued("gone", "desk"))
    offer_id = driver.commands_of(RingAgent)[-1].offer_id
    driver.tell(e.CallerGone("gone"))
    driver.tell(e.OfferEnded(offer_id, e.OfferEnd.CANCELLED, phone_told=False))
    driver.tell(queued("sent_on", "nowhere"))
    driver.tell(queued("hung_up", "support"))
    driver.tell(e.CallHangupAsked("hung_up", "test"))
    return driver


def through_json(plain: Mapping[str, Any]) -> dict[str, Any]:
    """As it comes out of a file."""
    read: dict[str, Any] = json.loads(json.dumps(plain))
    return read


def as_before(dump: Mapping[str, Any]) -> dict[str, Any]:
    """The same dump, as the version before has written it."""
    old = through_json(dump)
    for where, name, before, _ in OF_DUMPS:
        for thing in old[where]:
            thing[before] = thing.pop(name)
    return old


def test_a_dump_of_before_is_read_whole() -> None:
    """Restored and dumped again, it equals the same with the names of today, field by field."""
    new = through_json(eventful().engine.dump())
    old = as_before(new)
    for where, name, before, nothing in OF_DUMPS:
        assert any(thing[name] != nothing for thing in new[where]), f"nothing is proved of {name}"
        assert all(before in thing and name not in thing for thing in old[where])
    again = Engine.restore(old, PLUGINS)
    again.check()
    assert through_json(again.dump()) == new


def journal_as_before(driver: Driver) -> Iterator[lines.Entered]:
    """What has entered the engine, out of the lines that the version before would have written of it."""
    for now_ms, event in driver.journal:
        content = lines.opened(lines.of_entry(now_ms, event)[:-1])
        for name, before in OF_FACTS.get(content.get("f", ""), ()):
            content["d"][before] = content["d"].pop(name)
        entry = lines.read(lines.of_object(content)[:-1])
        assert isinstance(entry, lines.Entered)
        yield entry


def test_a_journal_of_before_is_read_whole() -> None:
    """Each fact is what it was, and the engine that is made of them knows the same, field by field."""
    driver = eventful()
    assert any(isinstance(event, e.OfferEnded) and not event.phone_told for _, event in driver.journal)
    engine = Engine(driver.rules, PLUGINS)
    for entry, (now_ms, event) in zip(journal_as_before(driver), driver.journal, strict=True):
        assert entry == lines.Entered(now_ms, event)
        assert entry.event is not None
        engine.handle(entry.event, entry.at_ms)
    assert engine.dump() == driver.engine.dump()


@pytest.mark.parametrize("name", [name for _, name, _, _ in OF_DUMPS])
def test_without_the_table_it_would_be_lost(name: str) -> None:
    """The proof above notices each name that the table lacks: no other field of the same value stands in for it."""
    new = through_json(eventful().engine.dump())
    where, _, before, nothing = next(row for row in OF_DUMPS if row[1] == name)
    old = as_before(new)
    for thing in old[where]:
        thing["forgotten"] = thing.pop(before)
    again = through_json(Engine.restore(old, PLUGINS).dump())
    assert again != new
    assert all(thing[name] == nothing for thing in again[where])


def test_the_table_names_what_there_is() -> None:
    """Each row of it is proved; its class is there, has the new field, and has no other of the old name."""
    table = old_names.OLD_NAMES
    assert {(kind, name, before) for kind, names in table.items() for name, before in names.items()} == PROVED
    for cls in CLASSES:
        for name, before in table[cls.__name__].items():
            assert name in cls.__annotations__
            assert before not in cls.__annotations__
