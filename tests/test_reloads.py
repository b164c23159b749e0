"""A reload of the whole daemon: every part works by the new file from then on, or none does. No switch, no database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
import yaml
from gevent.lock import Semaphore

from fsacd.config.problems import ConfigErrors
from fsacd.core import events as e
from fsacd.core.views import CallView, QueueView
from fsacd.daemon.main import Daemon
from fsacd.daemon.plugging import Reading, read
from fsacd.daemon.reload import read_beside
from fsacd.desk.rights import BY_SIGNAL, Principal, Role
from fsacd.errors import Forbidden, Refused, Unavailable
from fsacd.esl.codec import Kind, Message

CONFIG: dict[str, Any] = {
    "switches": {"fs1": {"password": "fine"}},
    "queues": {"support": {}, "sales": {}},
    "agents": {"1001": {"queues": ["support"]}},
}
BY = "api:x"
ADMIN = Principal(BY, Role.ADMIN.verbs)
PLUGIN = """\
from fsacd.strategy import BaseKeyStrategy

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    def key(self, agent, service, required):
        return (agent.agent_id,)
"""


def _shut(queue: str, **settings: str) -> dict[str, Any]:
    """A queue with hours that have been over for years."""
    hours = {"past": {"zone": "UTC", "open_on": {"2001-01-01": "08:00-12:00"}}}
    return {"hours": hours, "queues": {queue: {"hours": "past", **settings}, "sales": {}}}


class Reloaded:
    """A daemon that has not been started, and its file."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "fsacd.yaml"
        self.write()
        self.daemon = Daemon(self.file, read(self.file))

    def write(self, **changes: Any) -> None:
        self.file.write_text(yaml.safe_dump(CONFIG | changes), encoding="utf-8")

    def reload(self, *, dry_run: bool = False, even_so: bool = False, **changes: Any) -> str:
        self.write(**changes)
        return self.daemon.reload(BY_SIGNAL, dry_run=dry_run, even_so=even_so)

    def queues(self) -> dict[str, QueueView]:
        return {queue.name: queue for queue in self.daemon.runtime.snapshot().queues}

    def calls(self, call_id: str = "anna", queue: str = "support", **settings: Any) -> CallView | None:
        leg = e.Leg("fs1", f"leg-{call_id}")
        self.daemon.runtime.post(e.CallQueued(call_id, queue, self.daemon.runtime.snapshot().now_ms, leg, **settings))
        return next((call for call in self.daemon.runtime.snapshot().calls if call.call_id == call_id), None)


def until(holds: Callable[[], bool]) -> None:
    """Let the others run until this holds."""
    with gevent.Timeout(60):
        while not holds():
            gevent.sleep(0.001)


@pytest.fixture
def one(tmp_path: Path) -> Reloaded:
    return Reloaded(tmp_path)


# --- all or nothing --------------------------------------------------------------------------------------------------


def test_callers_without_a_place_keep_theirs(one: Reloaded) -> None:
    """The file would throw them out: it is refused, and nothing of it holds."""
    one.calls()
    with pytest.raises(Refused, match="callers would lose their place"):
        one.reload(queues={"sales": {}, "night": {}}, agents={})
    assert set(one.queues()) == {"support", "sales"}
    assert [call.queue for call in one.daemon.runtime.snapshot().calls] == ["support"]


def test_whoever_wants_it_even_so_gets_it(one: Reloaded) -> None:
    """The callers take the fallback, and the answer says so."""
    one.calls()
    said = one.reload(even_so=True, queues={"sales": {}}, agents={})
    assert said.split("; ") == [
        "the new configuration is in force",
        "queue support is gone: 1 caller waits in it and takes the dialplan's fallback",
    ]
    assert set(one.queues()) == {"sales"}
    assert one.daemon.runtime.snapshot().calls == ()


def test_a_look_changes_nothing(one: Reloaded) -> None:
    """It says what would be, of callers without a place, too."""
    one.calls()
    said = one.reload(dry_run=True, queues={"sales": {}, "night": {}}, agents={})
    assert said.startswith("nothing was changed; a reload would do this; ")
    assert "queue support is gone, and 1 caller waits in it" in said
    assert one.reload(dry_run=True).endswith("nothing to anybody here")
    assert set(one.queues()) == {"support", "sales"}


def test_a_file_with_mistakes_changes_nothing(one: Reloaded) -> None:
    """Whatever else stands in it."""
    with pytest.raises(Refused, match="the configuration has errors"):
        one.reload(queues={"night": {}, "support": {"ring_timeuot": "5s"}}, agents={})
    assert set(one.queues()) == {"support", "sales"}


# --- one after the other ---------------------------------------------------------------------------------------------


class Gate:
    """Stands in for the reading of the file: each reading begins, and ends when it is let through."""

    def __init__(self, file: Path) -> None:
        self.began = 0
        self._file = file
        self._open = Semaphore(0)

    def let_through(self, readings: int = 1) -> None:
        for _ in range(readings):
            self._open.release()

    def read(self) -> Reading | ConfigErrors:
        found = read_beside(self._file)
        self.began += 1
        assert self._open.acquire(timeout=60)
        return found


@pytest.fixture
def gate(one: Reloaded, monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate(one.file)
    monkeypatch.setattr(one.daemon._reloads, "_read", gate.read)
    return gate


def test_of_two_at_once_the_newer_file_is_in_force(one: Reloaded, gate: Gate) -> None:
    """The one that begins later reads when the first has ended, however long that took."""
    one.write(queues={"first": {}}, agents={})
    first = gevent.spawn(one.daemon.reload, ADMIN)
    until(lambda: gate.began == 1)
    one.write(queues={"second": {}}, agents={})
    second = gevent.spawn(one.daemon.reload, BY_SIGNAL)
    gevent.sleep(0)
    assert gate.began == 1, "it waits for its turn"
    gate.let_through(2)
    gevent.joinall([first, second], timeout=60, raise_error=True)
    assert set(one.queues()) == {"second"}


def test_a_signal_during_a_reload_is_one_more_reload(one: Reloaded, gate: Gate) -> None:
    """It may have come after the file was read. Many are one, and it is none of somebody else's."""
    one.daemon.reload_on_signal()
    until(lambda: gate.began == 1)
    one.write(queues={"second": {}}, agents={})
    for _ in range(20):
        one.daemon.reload_on_signal()
    gate.let_through(2)
    until(lambda: set(one.queues()) == {"second"})
    assert gate.began == 2


def test_reloads_beyond_a_limit_are_turned_away(one: Reloaded, gate: Gate) -> None:
    """Each that waits holds a connection; those that wait have their turn."""
    asked = [one.daemon._reloads.begin("api:0")]
    until(lambda: gate.began == 1)
    asked += [one.daemon._reloads.begin(f"api:{number}") for number in range(1, 9)]
    with pytest.raises(Unavailable, match="8 reloads wait for their turn"):
        one.daemon._reloads.begin("api:9")
    gate.let_through(len(asked))
    assert {gevent.spawn(reload.wait).get(timeout=60) for reload in asked} == {"the new configuration is in force"}


def test_a_reading_that_never_ends_is_given_up(one: Reloaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system has gone away, perhaps: the next reload has its turn."""
    never = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr("fsacd.daemon.reload.read_beside", lambda _path: never.wait(60))
        patched.setattr("fsacd.daemon.reload._LONGEST_S", 0.01)
        with pytest.raises(Unavailable, match="nothing was changed"):
            one.reload()
    never.set()
    assert one.reload() == "the new configuration is in force"


def test_who_waits_when_the_daemon_stops_is_told(one: Reloaded, gate: Gate) -> None:
    """Nothing is changed any more, by those that wait for their turn neither."""
    asked = [one.daemon._reloads.begin(BY), one.daemon._reloads.begin("signal")]
    until(lambda: gate.began == 1)
    one.daemon._reloads.stop()
    for reload in asked:
        with pytest.raises(Unavailable, match="fsacd is stopping"):
            gevent.spawn(reload.wait).get(timeout=60)
    with pytest.raises(Unavailable):
        one.daemon.reload(ADMIN)


def test_the_status_has_what_came_of_the_last(one: Reloaded, gate: Gate) -> None:
    """Whoever it was that asked; a dry run is none."""
    assert one.daemon.status().last_reload is None
    one.daemon.reload_on_signal()
    until(lambda: gate.began == 1)
    running = one.daemon.status().last_reload
    assert running is not None
    assert (running.by, running.result, running.message, running.ended_ms) == ("signal", "running", "", None)
    gate.let_through(3)
    until(lambda: one.daemon.status().last_reload != running)
    first = one.daemon.status().last_reload
    assert first is not None and first.ended_ms is not None
    assert (first.result, first.message) == ("in_force", "the new configuration is in force")
    one.daemon.reload(ADMIN, dry_run=True)
    assert one.daemon.status().last_reload == first
    one.file.write_text("queues: 7", encoding="utf-8")
    with pytest.raises(Refused):
        one.daemon.reload(ADMIN)
    last = one.daemon.status().last_reload
    assert last is not None
    assert (last.by, last.result) == (ADMIN.subject, "refused")
    assert "the old one stays in force" in last.message


# --- what systemd is told --------------------------------------------------------------------------------------------


@pytest.fixture
def told(one: Reloaded, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the daemon tells systemd."""
    said: list[str] = []
    notifier = one.daemon._notifier
    monkeypatch.setattr(notifier, "reloading", lambda: said.append("reloading"))
    monkeypatch.setattr(notifier, "ready", said.append)
    return said


def test_systemd_is_told_that_a_refused_file_has_changed_nothing(one: Reloaded, told: list[str]) -> None:
    """Only then is it known; and a look at what would be is no reload."""
    with pytest.raises(Refused):
        one.reload(queues={"night": {"ring_timeuot": "5s"}})
    one.reload(dry_run=True)
    one.reload()
    refused = "serving with the configuration as it was: the configuration has errors; the old one stays in force"
    assert told == ["reloading", refused, "reloading", "serving"]


def fails(*_: object) -> None:
    raise RuntimeError("what nobody thought of")


@pytest.mark.parametrize("part", ["read_beside", "effects_on", "needs_restart"])
def test_systemd_is_told_the_end_of_a_reload_whatever_goes_wrong(
    one: Reloaded, told: list[str], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """A plugin may raise what nobody thought of, when some parts are changed; systemd would end a silent daemon."""
    module = "fsacd.daemon.main" if part == "needs_restart" else "fsacd.daemon.reload"
    with monkeypatch.context() as patched:
        patched.setattr(f"{module}.{part}", fails)
        with pytest.raises(RuntimeError):
            one.reload()
    assert told == ["reloading", "serving; a reload has failed, and the log says why"]
    assert one.reload() == "the new configuration is in force", "the next one has its turn"


# --- each part -------------------------------------------------------------------------------------------------------


def test_a_plugin_of_the_new_file_is_found(one: Reloaded, tmp_path: Path) -> None:
    """One that was not there at the start orders a queue's agents at once."""
    plugins = tmp_path / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "by_number.py").write_text(PLUGIN, encoding="utf-8")
    (plugins / "by_number.py").chmod(0o644)
    one.reload(strategy_path=[str(plugins)], queues={"support": {"strategy": "by_number"}, "sales": {}})
    assert one.queues()["support"].strategy == "by_number"
    assert one.queues()["support"].substituted == ()


def test_the_metrics_count_for_the_new_queues(one: Reloaded) -> None:
    """From nought, before their first call; those of a queue that is gone are gone."""
    one.reload(queues={"night": {}}, agents={})
    text = one.daemon.metrics.exposition()[0].decode()
    assert 'queue="night"' in text
    assert 'queue="sales"' not in text


def test_hours_hold_at_once(one: Reloaded) -> None:
    """A queue that gets hours closes if they are not now, and opens when they are taken away."""
    one.reload(**_shut("support"))
    assert not one.queues()["support"].is_open
    one.reload()
    assert one.queues()["support"].is_open


def test_a_renamed_queue_keeps_its_hours(one: Reloaded) -> None:
    """Somebody has opened it by hand: it was told of under its old name that it is closed, and is not told again."""
    one.reload(**_shut("support"))
    one.daemon.ask(e.QueueSetOpen("support", True, BY), ADMIN)
    one.reload(**_shut("help", was="support"), agents={})
    assert one.queues()["help"].is_open


def test_who_may_do_what_holds_at_once(one: Reloaded) -> None:
    """An agent is rung where the new file lets them be rung."""
    with pytest.raises(Forbidden):
        one.daemon.ask(e.AgentLoggedIn("1001", BY, "user/desk7"), ADMIN)
    one.reload(allowed_contacts=["user/desk*"])
    one.daemon.ask(e.AgentLoggedIn("1001", BY, "user/desk7"), ADMIN)


def test_whose_number_is_believed_holds_at_once(one: Reloaded) -> None:
    """Of a caller of whom the dialplan says nothing."""
    call = one.calls(number="4930123456")
    assert call is not None
    assert call.number_believed
    one.reload(believe_numbers="when_marked")
    call = one.calls("bert", number="4930123456")
    assert call is not None
    assert not call.number_believed


def test_customers_are_recognised_at_once(one: Reloaded) -> None:
    """Those of the new file."""
    one.reload(customers={"4930123456": {"name": "Acme"}})
    call = one.calls(number="4930123456")
    assert call is not None
    assert call.customer == "Acme"


def test_who_may_see_hidden_numbers_holds_at_once(one: Reloaded) -> None:
    """Whose number the queue's agents may see is known there as the customer that they are, from the next call on."""
    customers = {"4930123456": {"name": "Acme"}}
    one.reload(customers=customers)
    one.calls(number="4930123456", hidden=True)
    one.reload(customers=customers, queues={"support": {"show_withheld": True}, "sales": {}})
    one.calls("bert", number="4930123456", hidden=True)
    assert {call.call_id: call.customer for call in one.daemon.runtime.snapshot().calls} == {"anna": "", "bert": "Acme"}


def test_variables_are_read_from_the_next_call_on(one: Reloaded) -> None:
    """Those that a queue of the new file names."""
    leg = Message(Kind.EVENT, {"variable_ticket": "17"})
    assert one.daemon._carried.of(leg) == ()
    one.reload(queues={"support": {"agent_variables": ["ticket"]}, "sales": {}})
    assert [variable.value for variable in one.daemon._carried.of(leg)] == ["17"]


def test_how_many_customers_are_kept_holds_at_once(one: Reloaded) -> None:
    """The limit is that of the new file."""
    one.reload(limits={"customers": 1_234})
    assert one.daemon._recognition.limit == 1_234


def test_when_it_was_configured_is_told(one: Reloaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status says since when the file holds."""
    monkeypatch.setattr("fsacd.daemon.main._wall_ms", lambda: 1_234)
    one.reload()
    assert one.daemon.status().configured_ms == 1_234


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"lease": "2m"}, "lease_ms"),
        ({"instance": "another"}, "instance"),
        ({"switches": {"fs1": {"password": "other"}}}, "switches"),
        ({"api": {"listen": "127.0.0.1:1"}}, "api"),
        ({"log": {"level": "debug"}}, "log"),
        ({"number_plan": {"country": "DE"}}, "number_plan"),
    ],
)
def test_what_needs_a_restart_is_named(one: Reloaded, changes: dict[str, Any], part: str) -> None:
    """What was built at the start stays as it was, and nobody shall think otherwise."""
    told = f"queues, agents and tokens are in force; changes in {part} need a restart"
    assert one.reload(**changes) == told
    assert one.reload(**changes) == told, "it still does"
    assert one.reload() == "the new configuration is in force", "as it was at the start"


def test_tokens_need_no_restart(one: Reloaded) -> None:
    """They come and go by a reload, though they stand under api."""
    tokens = [{"name": "x", "token": "0123456789abcdef0123456789abcdef", "role": "admin"}]
    assert one.reload(api={"tokens": tokens}) == "the new configuration is in force"
