"""Reloads one after the other, what is told of each, and what systemd is told. No switch, no database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent.lock import Semaphore
from structlog.testing import capture_logs

from fsacd.config.problems import ConfigErrors
from fsacd.daemon.reading import Current, Origin, read_beside
from fsacd.desk.rights import BY_SIGNAL
from fsacd.errors import Refused, Unavailable
from fsacd.process import reload_outcome
from tests.reloaded import ADMIN, BY, Reloaded


def until(holds: Callable[[], bool]) -> None:
    """Let the others run until this holds."""
    with gevent.Timeout(60):
        while not holds():
            gevent.sleep(0.001)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Reloaded]:
    one = Reloaded(tmp_path)
    yield one
    one.daemon._reloads.stop()  # what a signal has asked for may run still


# --- one after the other ---------------------------------------------------------------------------------------------


class Gate:
    """Stands in for the reading of the file: each reading begins, and ends when it is let through."""

    def __init__(self) -> None:
        self.began = 0
        self._open = Semaphore(0)

    def let_through(self, readings: int = 1) -> None:
        for _ in range(readings):
            self._open.release()

    def read(self, origin: Origin, now: Current) -> Current | ConfigErrors:
        found = read_beside(origin, now)
        self.began += 1
        assert self._open.acquire(timeout=60)
        return found


@pytest.fixture
def gate(one: Reloaded, monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr("fsacd.daemon.reload.read_beside", gate.read)
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
    one.daemon.reload_on_signal()  # it cannot be turned away
    gate.let_through(len(asked) + 1)
    assert {reload.wait() for reload in asked} == {"the new configuration is in force"}


def test_who_waits_when_the_daemon_stops_is_told(one: Reloaded, gate: Gate) -> None:
    """Nothing is changed any more, by those that wait for their turn neither."""
    asked = [one.daemon._reloads.begin(BY), one.daemon._reloads.begin("signal")]
    until(lambda: gate.began == 1)
    one.daemon._reloads.stop()
    for reload in asked:
        with pytest.raises(Unavailable, match="fsacd is stopping"):
            reload.wait()
    with pytest.raises(Unavailable):
        one.daemon.reload(ADMIN)


# --- what is told of it ----------------------------------------------------------------------------------------------


def test_what_came_of_the_last_reload_is_told(one: Reloaded) -> None:
    """Its number, when, by whom and the result; a look at what would be is not one."""
    assert one.daemon.status().last_reload is None
    with pytest.raises(Refused):
        one.reload(queues={"night": {"ring_timeuot": "5s"}}, agents={})
    one.reload(dry_run=True)
    last = one.daemon.status().last_reload
    assert last is not None
    assert (last.number, last.by, last.result) == (1, "signal", "refused")
    assert last.message == "the configuration has errors; the old one stays in force"
    assert "did you mean 'ring_timeout'?" in last.problems[0]
    one.daemon.reload(ADMIN)
    last = one.daemon.status().last_reload
    assert last is not None
    assert (last.number, last.by, last.result, last.problems) == (3, BY, "in_force", ())
    assert last.began_ms is not None
    assert last.ended_ms is not None
    assert last.asked_ms <= last.began_ms <= last.ended_ms


def test_a_fault_of_ours_is_told_as_one(one: Reloaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what it was: that is in the log alone."""
    monkeypatch.setattr("fsacd.daemon.change.effects", fails)
    with capture_logs() as logs:
        begun = one.daemon.begin_reload(ADMIN, within_s=60)
    assert (begun.result, begun.message) == ("failed", "the reload has failed by a fault of ours; the log says why")
    assert [line["event"] for line in logs] == ["reload failed, by a fault of ours"]


def test_a_reload_is_followed_by_its_number(one: Reloaded, gate: Gate) -> None:
    """From its turn to its end; the oldest are forgotten."""
    begun = one.daemon.begin_reload(ADMIN)
    assert (begun.result, begun.began_ms) == ("waiting", None)
    until(lambda: gate.began == 1)
    assert _result(one, begun.number) == "running"
    gate.let_through(100)
    until(lambda: _result(one, begun.number) == "in_force")
    tries = [one.daemon.begin_reload(ADMIN, dry_run=True, within_s=60) for _ in range(50)]
    assert {tried.result for tried in tries} == {"tried"}
    assert one.daemon.reload_of(begun.number) is None
    assert _result(one, tries[0].number) == "tried"


def _result(one: Reloaded, number: int) -> str:
    found = one.daemon.reload_of(number)
    assert found is not None
    return found.result


def test_word_is_left_for_whoever_has_sent_a_signal(
    one: Reloaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the service's directory under /run; a file there that cannot be written ends nothing."""
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{run}:/nowhere")
    with pytest.raises(Refused):
        one.reload(queues={"night": {"ring_timeuot": "5s"}}, agents={})
    left = reload_outcome.read(run)
    assert left is not None
    assert (left.result, left.message) == ("refused", "The configuration has errors; the old one stays in force.")
    assert len(left.problems) == 1
    one.reload()
    later = reload_outcome.read(run)
    assert later is not None
    assert (later.result, later.began_ns > left.began_ns) == ("in_force", True)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "absent"))
    assert one.reload() == "the new configuration is in force"


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
        one.reload(queues={"night": {"ring_timeuot": "5s"}}, agents={})
    one.reload(dry_run=True)
    one.reload()
    refused = "serving with the configuration as it was: the configuration has errors; the old one stays in force"
    assert told == ["reloading", refused, "reloading", "serving"]


def fails(*_: object) -> None:
    raise RuntimeError("what nobody thought of")


@pytest.mark.parametrize(
    "part", ["reading.in_force", "reload.read_beside", "change.differing", "change.effects", "change.Parts.settle"]
)
def test_systemd_is_told_the_end_of_a_reload_whatever_goes_wrong(
    one: Reloaded, told: list[str], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """A plugin may raise what nobody thought of, when some parts are changed; systemd would end a silent daemon."""
    with monkeypatch.context() as patched:
        patched.setattr(f"fsacd.daemon.{part}", fails)
        with pytest.raises(RuntimeError):
            one.reload()
    assert told == ["reloading", "serving; a reload has failed, and the log says why"]
    assert one.reload() == "the new configuration is in force", "the next one has its turn"
