"""Every long-lived greenlet and thread is watched: whatever part dies is known, told, counted and mended.

How the watch itself does so is told in tests/test_watch_over_parts.py.
"""

from __future__ import annotations

import ast
import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from structlog.testing import capture_logs

import fsacd
from fsacd.caller.recognition import Recognition
from fsacd.caller.timetable import Timetable
from fsacd.config.model import Config
from fsacd.core.engine import Engine
from fsacd.core.rules import QueueRules, Rules
from fsacd.daemon import resume as continuing
from fsacd.daemon.main import Daemon
from fsacd.daemon.resume import Continuation
from fsacd.daemon.systemd import Notifier
from fsacd.esl.client import EslClient
from fsacd.esl.codec import Message
from fsacd.esl.commanding import Commands
from fsacd.esl.link import SwitchLink
from fsacd.esl.service import Service
from fsacd.esl.session import Session
from fsacd.esl.settings import LinkSettings
from fsacd.esl.states import Down, LinkState, Up
from fsacd.esl.writer import Writer
from fsacd.http.door import Door
from fsacd.journal.journal import Journal
from fsacd.journal.settings import JournalSettings
from fsacd.journal.syncer import Syncer
from fsacd.log.writer import LineWriter
from fsacd.process.monotonic import monotonic_ms
from fsacd.runtime import watched
from fsacd.runtime.loop import Runtime
from fsacd.store.customers import CustomerFeed
from fsacd.store.explanations import Explainer
from fsacd.store.last_agents import LastAgents
from fsacd.store.moving import Moving
from fsacd.store.postgres import Store
from fsacd.store.reporting import Reporting
from fsacd.store.retention import Retention
from fsacd.store.settings import Keep, StoreSettings
from fsacd.store.worker import Worker
from fsacd.testing import PLUGINS
from tests.esl.control_rig import NOBODY, Rig
from tests.esl.fake_switch import FakeSwitch, Peer, named, reply, response, until
from tests.faults import DEADLINE_S, FaultError, Once, told
from tests.http.rig import serve

FSACD = Path(fsacd.__file__).parent

# --- nothing is started elsewhere ------------------------------------------------------------------------------------

_STARTS = {"spawn", "spawn_later", "spawn_raw", "Greenlet", "start_new_thread", "_start_new_thread", "Thread", "Timer"}
# The modules that start them, and what is no daemon: the simulated switch, `fsacd demo` around it, and the commands
# that ask a daemon. The API's requests are short-lived: its server starts one greenlet for each connection, from a pool
# that can be waited for, and what a request raises is answered with status 500.
_MAY_START = ("runtime/watched.py", "process/threads.py", "cli/", "sim/", "http/server.py")


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            yield (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")), node


def test_no_greenlet_and_no_thread_is_started_elsewhere() -> None:
    """Every start of one goes through fsacd.runtime.watched; a part that does not would die unnoticed."""
    found = [
        f"{path.relative_to(FSACD)}:{call.lineno} {name}"
        for path in sorted(FSACD.rglob("*.py"))
        if not str(path.relative_to(FSACD)).startswith(_MAY_START)
        for name, call in _calls(ast.parse(path.read_text(encoding="utf-8")))
        if name in _STARTS
    ]
    assert found == []


def _parts() -> set[str]:
    """The names of all parts, read from the calls that start them."""
    names = set()
    for path in FSACD.rglob("*.py"):
        if path.name in ("watched.py", "threads.py"):
            continue
        for name, call in _calls(ast.parse(path.read_text(encoding="utf-8"))):
            function = call.func
            owner = getattr(function.value, "id", "") if isinstance(function, ast.Attribute) else ""
            starts = owner == "watched" and name in ("keep", "bound", "thread")
            if starts or (owner, name) == ("threads", "start") or (path.parent.name, name) == ("store", "Worker"):
                first = call.args[0]
                names.add(str(first.value) if isinstance(first, ast.Constant) else ast.unparse(first))
    return names


# --- every part ------------------------------------------------------------------------------------------------------

_STORE = StoreSettings("host=127.0.0.1 port=1 connect_timeout=1", keep=Keep(calls_ms=1), retry_min_ms=50)


@contextmanager
def _started(part: Any, *, stop: str = "stop") -> Iterator[None]:
    part.start()
    yield
    getattr(part, stop)()


def _nobody(_state: LinkState) -> None:
    return


def _wall(ms: int) -> int:
    return ms


@contextmanager
def _journal(directory: Path) -> Iterator[None]:
    journal = Journal(JournalSettings(directory / "journal"))
    journal.begin(Engine(Rules({"sales": QueueRules("sales")}, {}), PLUGINS, 0, seed=1), lambda _fact: None)
    journal.snapshot()
    yield
    until(lambda: journal.state().snapshot_failures or journal.state().snapshots > 1, DEADLINE_S)
    journal.close()


@contextmanager
def _syncer(_: Path) -> Iterator[None]:
    syncer = Syncer()
    syncer.start()
    yield
    done: list[int] = []
    syncer.do(lambda: done.append(1))
    until(lambda: done, DEADLINE_S)
    syncer.stop()


@contextmanager
def _line_writer(_: Path) -> Iterator[None]:
    reading, writing = os.pipe()
    writer = LineWriter(writing)
    yield
    writer.write(b"a line\n")
    assert os.read(reading, 100) == b"a line\n"
    os.close(reading)


@contextmanager
def _watchdog(_: Path) -> Iterator[None]:
    notifier = Notifier({"NOTIFY_SOCKET": "@fsacd-test-of-watched", "WATCHDOG_USEC": "20000"})
    greenlet = notifier.start_watchdog(lambda: True)
    yield
    assert greenlet is not None
    greenlet.kill()
    notifier.close()


@contextmanager
def _doors(_: Path) -> Iterator[None]:
    with serve():
        yield


@contextmanager
def _daemons(method: str) -> Iterator[None]:
    """The line of the daemon that starts it, read from its source: to start a whole daemon takes a configuration."""
    source = ast.parse((FSACD / "daemon/main.py").read_text(encoding="utf-8"))
    [line] = [
        ast.unparse(call)
        for name, call in _calls(source)
        if name == "keep" and ast.unparse(call.args[1]) == f"self.{method}"
    ]
    daemon = object.__new__(Daemon)
    controls: dict[str, Any] = {} if method == "_measure" else {"fs1": _InSync()}
    daemon._controls = controls
    daemon._notifier = Notifier({})
    daemon._config = Config()
    daemon._recognition = Recognition()
    daemon._continuation = Continuation(None, daemon._config.rules(), PLUGINS, seed=1)
    daemon.runtime = Runtime(daemon._continuation.engine)
    greenlet = eval(line, {"watched": watched, "self": daemon})
    yield
    greenlet.kill()


class _InSync:
    in_sync = standing_by = True

    def check_fence(self) -> None:
        return

    def remember_outside(self, legs: object) -> None:
        return

    def remember_epoch(self, epoch: int) -> None:
        return


@contextmanager
def _continued(_: Path) -> Iterator[None]:
    runtime = Runtime(Engine(Rules({"sales": QueueRules("sales")}, {}), PLUGINS, monotonic_ms(), seed=1))
    continuation = object.__new__(continuing.Continuation)
    continuation._goes_on = True
    continuation.keep_time(runtime, [_InSync()])
    yield
    until(lambda: runtime._timer is not None, DEADLINE_S)
    runtime.stop()


@contextmanager
def _some_link() -> Iterator[None]:
    with _link():
        yield


def _closed(part: Callable[[], Any]) -> Callable[[Path], AbstractContextManager[None]]:
    return lambda _: _started(part())


KEPT: dict[str, tuple[Any, str, Callable[[Path], AbstractContextManager[None]]]] = {
    "explainer": (Explainer, "_run", _closed(lambda: Explainer(lambda _: None, lambda _: None, _wall))),
    "timetable": (Timetable, "_run", _closed(lambda: Timetable({}, lambda _: None))),
    "writer of history": (Store, "_run", _closed(lambda: Store(_STORE, _wall))),
    "spool": (
        Store,
        "_tend",
        lambda path: _started(Store(StoreSettings(_STORE.dsn, spool=path / "spool", retry_min_ms=50), _wall)),
    ),
    "last agents": (Worker, "_run", _closed(lambda: LastAgents(_STORE, lambda _: None, 10))),
    "months": (Worker, "_run", _closed(lambda: Moving(_STORE))),
    "retention": (Worker, "_run", _closed(lambda: Retention(_STORE))),
    "reporting": (Worker, "_run", _closed(lambda: Reporting(_STORE))),
    "customers": (Worker, "_run", _closed(lambda: CustomerFeed(_STORE, Recognition()))),
    "watchdog": (Notifier, "_watch", _watchdog),
    "doors": (Door, "_sweep", _doors),
    "journal": (Journal, "_look_after", _journal),
    "journal syncer": (Syncer, "_run", _syncer),
    "writer of the log": (LineWriter, "_run", _line_writer),
    "measuring": (Daemon, "_measure", lambda _: _daemons("_measure")),
    "readiness": (Daemon, "_tell_ready", lambda _: _daemons("_tell_ready")),
    "callers by number": (Daemon, "_rename_callers", lambda _: _daemons("_rename_callers")),
    "start of the timer": (continuing, "_keep_time_in_sync", _continued),
    "link": (SwitchLink, "_supervise", lambda _: _some_link()),
}


@pytest.mark.parametrize("part", KEPT)
def test_a_part_that_dies_is_back(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises once, and works again; it was counted and told."""
    owner, method, start = KEPT[part]
    once = Once(monkeypatch, owner, method)
    with start(tmp_path):
        until(lambda: once.calls >= 2, DEADLINE_S)
        watched.listen()
        assert watched.failures()[part] == 1
        assert told(part) == ["FaultError: expected by the test"]


# --- what belongs to a connection ------------------------------------------------------------------------------------


def _play_sound(peer: Peer) -> None:
    """A switch that answers all that a link asks to come up."""
    peer.log_in()
    while command := peer.hear():
        if command.startswith(b"api "):
            peer.say(response(b"1000"))
        else:
            peer.say(reply("+OK"))


@contextmanager
def _link(states: list[LinkState] | None = None) -> Iterator[FakeSwitch]:
    with FakeSwitch(_play_sound) as switch:
        settings = LinkSettings(
            host=switch.host, port=switch.port, password="x", connect_timeout_ms=20_000, reconnect_min_ms=10,
            reconnect_max_ms=20, probe_interval_ms=0,
        )  # fmt: skip
        link = SwitchLink(
            "fs1", settings, lambda _: None, _nobody if states is None else states.append, events=("CHANNEL_PARK",)
        )
        link.start()
        link.set_busy(busy=True)
        yield switch
        link.stop()


BOUND = {
    "link reader": (EslClient, "receive_events"),
    "link writer": (Writer, "run"),
    "link deadlines": (Commands, "expire"),
    "link dispatcher": (EslClient, "process_events"),
    "link waker": (Session, "_keep_awake"),
}


@pytest.mark.parametrize("part", BOUND)
def test_a_part_of_a_link_that_dies_ends_the_link_and_the_next_one_works(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is ended for this reason, and made anew; it was counted and told."""
    once = Once(monkeypatch, *BOUND[part])
    states: list[LinkState] = []
    with _link(states):
        until(lambda: any(isinstance(state, Up) for state in states) and once.calls >= 2, DEADLINE_S)
        until(lambda: isinstance(states[-1], Up), DEADLINE_S)
    assert any(isinstance(state, Down) and "FaultError: expected by the test" in state.reason for state in states)
    assert watched.failures()[part] == 1
    assert told(part) == ["FaultError: expected by the test"]


def test_a_dispatcher_that_dies_in_the_middle_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with one event, nobody is left with a link that hears nothing and is thought to be up."""
    original = EslClient._dispatch
    states: list[LinkState] = []

    def dispatch(self: EslClient, message: Message) -> None:
        if message.name == "BAD":
            raise FaultError("expected by the test")
        original(self, message)

    monkeypatch.setattr(EslClient, "_dispatch", dispatch)
    with _link(states) as switch:
        until(lambda: states and isinstance(states[-1], Up), DEADLINE_S)
        switch.peers[0].say(named("BAD"))
        until(lambda: len(switch.peers) >= 4 and isinstance(states[-1], Up), DEADLINE_S)
    assert any(isinstance(state, Down) and "expected by the test" in state.reason for state in states)
    assert watched.failures()["link dispatcher"] == 1


@pytest.mark.parametrize(("part", "method"), [("watch over a switch", "_live"), ("keeping of the fence", "_keep")])
def test_a_watch_that_dies_begins_a_new_life_of_the_link(
    part: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would acquire the fence or renew the lease: the link is made anew, and the switch is served again."""
    once = Once(monkeypatch, Service, method)
    rig = Rig()
    rig.link.answers = {"show": NOBODY}
    renewals: list[str] = []
    again = rig.link.on_renewal

    def renew(reason: str) -> None:
        renewals.append(reason)
        again(reason)

    rig.link.on_renewal = renew
    rig.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=0, at_ms=monotonic_ms()))
    until(lambda: once.calls >= 2 and rig.control.in_sync, DEADLINE_S)
    rig.control._on_state(Down("the test is over"))
    assert renewals == ["FaultError: expected by the test"]
    assert watched.failures()[part] == 1


def test_a_snapshot_that_nobody_awaits_any_more_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever awaits the copy dies: that snapshot has failed, and the next one is made."""
    once = Once(monkeypatch, Journal, "_await_copy")
    settings = JournalSettings(tmp_path / "journal", snapshot_retry_s=0.0, snapshot_pause_s=0.0)
    with closing(Journal(settings)) as journal:
        journal.begin(Engine(Rules({"sales": QueueRules("sales")}, {}), PLUGINS, 0, seed=1), lambda _fact: None)
        journal.snapshot()
        until(lambda: journal.state().snapshot_failures, DEADLINE_S)
        snapshots = journal.state().snapshots
        journal.snapshot()
        until(lambda: journal.state().snapshots > snapshots, DEADLINE_S)
    assert once.calls == 2
    assert watched.failures()["journal snapshot"] == 1


def test_a_timer_that_dies_ends_the_daemon() -> None:
    """Without it no ring would ever end: the engine has failed, and whoever watches the daemon starts it anew."""
    runtime = Runtime(Engine(Rules({"sales": QueueRules("sales")}, {}), PLUGINS, monotonic_ms(), seed=1))
    runtime._keep_time = lambda: None  # type: ignore[method-assign]
    with capture_logs() as logs:
        runtime.start()
        until(lambda: runtime.failure, DEADLINE_S)
    assert runtime.failure == "it ended by itself"
    assert [line["log_level"] for line in logs] == ["error", "critical"]
    with contextlib.suppress(gevent.Timeout):
        runtime.stop()


def test_every_part_is_in_these_tests() -> None:
    """A part that is added is added here, too."""
    others = {"watch over a switch", "keeping of the fence", "journal snapshot", "timer"}
    # The four parts of a connection are started in a loop, by a variable, and a worker of the store by its own.
    of_a_connection = {"link reader", "link writer", "link deadlines", "link dispatcher"}
    assert (_parts() - {"part", "self._part"}) | of_a_connection == set(KEPT) | set(BOUND) | others
