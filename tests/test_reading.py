"""The file is read in a copy of the process, which sends what differs; whatever happens to it, nothing is changed."""

from __future__ import annotations

import os
import signal
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gevent
import pytest
from gevent import monkey

from fsacd.config.model import Config
from fsacd.config.problems import ConfigErrors
from fsacd.daemon import reading
from fsacd.daemon.difference import Collected, messages, pickled
from fsacd.daemon.in_force import InForce, in_force
from fsacd.daemon.plugging import read
from fsacd.daemon.reading import Current, Origin, read_beside
from fsacd.errors import Unavailable
from fsacd.process.child import Child
from tests.reloaded import Reloaded

CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "agents": {"agents": {"1002": {"queues": {"sales": {"rank": 2, "delay": "5s"}}, "skills": {"german": 3}}}},
    "order": {"agents": {"0999": {"queues": ["support"]}, "1001": {"queues": ["support"]}}},
    "queues": {"queues": {"support": {"ring_timeout": "7s"}, "night": {}}},
    "hours": {
        "hours": {"day": {"zone": "Europe/Berlin", "open_on": {"2030-01-01": "08:00-12:00"}}},
        "queues": {"support": {"hours": "day"}, "sales": {}},
    },
    "pins": {"agents": {"1001": {"queues": ["support"], "pin": "4711"}}},
    "tokens": {"api": {"tokens": [{"name": "x", "token": "0123456789abcdef0123456789abcdef", "role": "admin"}]}},
    "customers": {"customers": {"4930123456": {"name": "Acme", "skills": {"german": 1}}}},
    "places": {"allowed_contacts": ["user/desk*"]},
    "limits": {"limits": {"customers": 1_234, "plugin_call": "33ms"}},
    "start": {"lease": "2m", "believe_numbers": "when_marked"},
}


@pytest.fixture
def one(tmp_path: Path) -> Reloaded:
    return Reloaded(tmp_path)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were started to read."""
    pids: list[int] = []
    start = Child.start

    def started(*given: Any, **more: Any) -> Child:
        child = start(*given, **more)
        pids.append(child.pid)
        return child

    monkeypatch.setattr("fsacd.daemon.reading.Child.start", started)
    return pids


def origin_of(one: Reloaded) -> Origin:
    return one.daemon._reloads._origin


def meaning_of(one: Reloaded) -> InForce:
    """What the file means, read here."""
    origin = origin_of(one)
    return in_force(read(one.file).config, origin.started_with, origin.plan)


@pytest.mark.parametrize("kind", CHANGES)
def test_what_differs_makes_what_the_file_means(one: Reloaded, kind: str) -> None:
    """Of every part, in order; and what is the same is the very object that it was."""
    before = one.daemon._parts.current.config
    one.write(**CHANGES[kind])
    expected = meaning_of(one)
    found = read_beside(origin_of(one), one.daemon._parts.current)
    assert isinstance(found, Current)
    assert found.config == expected
    assert list(found.config.rules.agents) == list(expected.rules.agents)
    assert list(found.config.rules.queues) == list(expected.rules.queues)
    for part in fields(InForce):
        was, now = getattr(before, part.name), getattr(found.config, part.name)
        assert was is now or was != now or list(was) != list(now), part.name
    assert (found.config is before) == (kind == "nothing")


def test_what_has_not_changed_is_not_sent(one: Reloaded) -> None:
    """A file of a thousand agents of whom one has changed is a message or two."""
    before = one.daemon._parts.current.config
    many = {f"{n}": rules for n, rules in enumerate([before.rules.agents["1001"]] * 1_000)}
    old = replace(before, rules=replace(before.rules, agents=MappingProxyType(many)))
    new = replace(old, rules=replace(old.rules, agents=MappingProxyType({**many, "7": replace(many["7"], name="x")})))
    told = list(messages(old, new))
    assert [message.path for message in told] == [("rules", "agents")]
    assert list(told[0].entries) == ["7"]
    assert len(pickled(told[0])) < 2_000
    collected = Collected()
    collected.add(told[0])
    made = collected.made_of(old)
    assert made == new
    assert made.rules.agents["8"] is many["8"]
    assert made.members is old.members


def test_mistakes_come_with_their_places(one: Reloaded) -> None:
    """As if the file had been read here."""
    one.write(queues={"support": {"ring_timeuot": "5s"}, "sales": {"max_length": "many"}})
    found = read_beside(origin_of(one), one.daemon._parts.current)
    assert isinstance(found, ConfigErrors)
    with pytest.raises(ConfigErrors) as here:
        read(one.file)
    assert found.problems == here.value.problems


# --- when there is no answer -----------------------------------------------------------------------------------------


def hangs(*_: object) -> Any:
    monkey.get_original("time", "sleep")(600)


def dies(*_: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def devours(*_: object) -> Any:
    return bytearray(2 * reading._MORE_BYTES)  # far beyond the limit: it is refused, and no page of it is touched


def fails(*_: object) -> Any:
    raise RuntimeError("what nobody thought of")


def cannot(*_: object, **__: object) -> Any:
    raise BlockingIOError(11, "Resource temporarily unavailable")


@pytest.mark.parametrize(
    ("place", "does", "sentence"),
    [
        ("read", hangs, "reading the configuration took longer than 0.5 s; nothing was changed"),
        ("read", dies, "the process that reads the configuration was ended; nothing was changed"),
        ("in_force", devours, "reading the configuration took more than .* MiB; nothing was changed"),
        ("Child.start", cannot, "cannot be read beside the calls: Resource temporarily unavailable; nothing was ch"),
    ],
)
def test_a_copy_that_gives_no_answer_changes_nothing(
    one: Reloaded, monkeypatch: pytest.MonkeyPatch, copies: list[int], place: str, does: Any, sentence: str
) -> None:
    """The file system has gone away, or the kernel has ended it: one sentence, and the next reload has its turn."""
    with monkeypatch.context() as patched:
        patched.setattr(f"fsacd.daemon.reading.{place}", does)
        if does is hangs:
            patched.setattr("fsacd.daemon.reading.LONGEST_S", 0.5)
        with pytest.raises(Unavailable, match=sentence):
            one.reload(queues={"night": {}}, agents={})
    assert set(one.queues()) == {"support", "sales"}
    assert one.reload() == "the new configuration is in force"
    assert copies
    for pid in copies:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_a_fault_of_ours_in_the_copy_is_told_as_one(one: Reloaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its place there."""
    monkeypatch.setattr("fsacd.daemon.reading.in_force", fails)
    with pytest.raises(RuntimeError, match="what nobody thought of"):
        read_beside(origin_of(one), one.daemon._parts.current)


def test_a_daemon_that_stops_ends_the_copy(one: Reloaded, monkeypatch: pytest.MonkeyPatch, copies: list[int]) -> None:
    """Nobody waits for its answer any more."""
    monkeypatch.setattr("fsacd.daemon.reading.read", hangs)
    asked = one.daemon._reloads.begin("api:x")
    with gevent.Timeout(60):
        while not copies:
            gevent.sleep(0.01)
        one.daemon._reloads.stop()
        with pytest.raises(Unavailable, match="fsacd is stopping"):
            asked.wait()
    with pytest.raises(ProcessLookupError):
        os.kill(copies[0], 0)


def test_no_secret_of_the_start_is_in_what_differs(one: Reloaded) -> None:
    """Passwords of switches and the database are taken at the start alone: that they changed is told by name."""
    one.write(switches={"fs1": {"password": "another-secret"}})
    told = list(messages(one.daemon._parts.current.config, meaning_of(one)))
    assert [message.path for message in told] == [("at_next_start",)]
    assert b"another-secret" not in pickled(told)


def test_the_start_keeps_no_second_copy_of_the_agents(one: Reloaded) -> None:
    """Ten thousand agents' settings are of no use beside their rules."""
    assert isinstance(origin_of(one).started_with, Config)
    assert not origin_of(one).started_with.agents
