"""The journal under an engine: killed anywhere, the next one goes on; a disk that fails holds no call up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from fsacd.core import events as e
from fsacd.core.engine import Engine
from fsacd.core.views import Step
from fsacd.errors import FsacdError
from fsacd.journal import lines
from fsacd.journal.clock import EngineClock
from fsacd.journal.journal import Journal
from fsacd.journal.settings import JournalSettings
from fsacd.testing import agent, queue, queued, rules_of
from tests.core.plugins import TestPlugins
from tests.core.test_memory import told
from tests.core.tired import TiredPlugins
from tests.journal.rig import Centre

DEADLINE_S = 30.0


def await_true(condition: Callable[[], object], what: str) -> None:
    with gevent.Timeout(DEADLINE_S, TimeoutError(what)):
        while not condition():
            gevent.sleep(0.005)


def busy(directory: Path) -> Centre:
    """A centre at work: one caller is rung for, two wait."""
    centre = Centre(directory)
    now_ms = centre.journal.clock()
    centre.tell(e.SwitchConnected("fs1"), e.AgentLoggedIn("a", "test"))
    centre.tell(*(queued(f"c{number}", "q", now_ms - number * 1_000) for number in range(3)))
    return centre


def segment(directory: Path, number: int = 1) -> Path:
    return directory / f"journal-{number:08d}.log"


def test_a_killed_daemon_has_lost_nothing(tmp_path: Path) -> None:
    """The next one knows every call, every agent and every offer as they were."""
    first = busy(tmp_path)
    expected = first.shown()
    first.kill()
    second = Centre(tmp_path)
    assert expected == second.shown()
    assert second.recovered is not None
    assert second.recovered.damage == ()
    second.kill()


def test_replayed_twice_is_replayed_once(tmp_path: Path) -> None:
    """A daemon that is killed while it starts leaves the journal as it was."""
    first = busy(tmp_path)
    expected = first.shown()
    first.kill()
    for _ in range(3):
        again = Centre(tmp_path)
        assert expected == again.shown()
        again.kill()


def test_the_clock_goes_on(tmp_path: Path) -> None:
    """Engine time never goes back, or every deadline would be wrong."""
    first = busy(tmp_path)
    last_ms = first.engine.now_ms
    first.kill()
    second = Centre(tmp_path)
    assert last_ms <= second.journal.clock() <= EngineClock()()
    second.kill()


def test_offers_are_never_made_twice_under_one_name(tmp_path: Path) -> None:
    """Attempts are counted on, so no two legs ever have the same UUID."""
    first = busy(tmp_path)
    before = {offer.offer_id for offer in first.engine.snapshot(first.engine.now_ms).offers}
    first.kill()
    second = Centre(tmp_path)
    for offer_id in before:
        second.tell(e.OfferEnded(offer_id, e.OfferEnd.BUSY))
    second.tell(e.AgentLoggedIn("b", "test"))
    after = {offer.offer_id for offer in second.engine.snapshot(second.engine.now_ms).offers}
    assert after
    assert not before & after
    second.kill()


def test_a_torn_last_line_is_normal(tmp_path: Path) -> None:
    """A machine that loses its power in the middle of a write costs that entry alone, and nothing is said."""
    first = busy(tmp_path)
    expected = first.shown()
    first.kill()
    with segment(tmp_path).open("ab") as file:
        file.write(lines.of_entry(1, e.CallerGone("c0"))[:-5])
    second = Centre(tmp_path)
    assert second.recovered is not None
    assert (expected, ()) == (second.shown(), second.recovered.damage)
    second.kill()


def test_a_damaged_line_is_told_and_the_rest_is_used(tmp_path: Path) -> None:
    """The file and the offset of what cannot be read are said; everything else counts."""
    first = busy(tmp_path)
    first.kill()
    content = segment(tmp_path).read_bytes()
    offset = content.index(b'"call_id":"c1"')
    begin = content.rindex(b"\n", 0, offset) + 1
    segment(tmp_path).write_bytes(content[:offset] + b"X" + content[offset + 1 :])
    second = Centre(tmp_path)
    assert second.recovered is not None
    assert second.recovered.damage == (
        f"{segment(tmp_path)} at byte {begin}: its check sum is wrong; the rest is used",
    )
    assert {call.call_id for call in second.engine.snapshot(second.engine.now_ms).calls} == {"c0", "c2"}
    second.kill()


def test_a_damaged_snapshot_is_replaced_by_the_one_before(tmp_path: Path) -> None:
    """Two snapshots are kept with what came after them: from the older one the same is reached."""
    first = busy(tmp_path)
    first.kill()
    second = Centre(tmp_path)
    second.tell(queued("late", "q", second.journal.clock()))
    await_true((tmp_path / "snapshot-00000002.json").exists, "the second snapshot")
    expected = second.shown()
    second.kill()
    snapshot = tmp_path / "snapshot-00000002.json"
    snapshot.write_bytes(snapshot.read_bytes().replace(b"c1", b"cX", 1))
    third = Centre(tmp_path)
    assert third.recovered is not None
    assert expected == third.shown()
    assert third.recovered.damage == (f"{snapshot} cannot be used: its check sum is wrong; it was set aside",)
    third.kill()


def test_killed_before_the_first_snapshot(tmp_path: Path) -> None:
    """A daemon that has served nobody has left nothing to go on from: the next one makes its first start."""
    Centre(tmp_path).kill()
    (tmp_path / "snapshot-00000001.json").unlink()
    second = Centre(tmp_path)
    assert second.recovered is None
    assert not (tmp_path / "set-aside").exists()
    second.kill()


def test_no_snapshot_can_be_read(tmp_path: Path) -> None:
    """A journal of which nothing can be made is set aside, and the daemon starts all the same."""
    busy(tmp_path).kill()
    (tmp_path / "snapshot-00000001.json").write_bytes(b"nonsense")
    second = Centre(tmp_path)
    assert second.recovered is None
    assert (tmp_path / "set-aside" / "snapshot-00000001.json").exists()
    second.kill()


def test_snapshots_bound_the_journal(tmp_path: Path) -> None:
    """What a good snapshot holds is removed, but for one generation; and snapshot plus rest equals the whole."""
    centre = Centre(tmp_path, snapshot_entries=5, snapshot_pause_s=0)
    for number in range(40):
        centre.tell(queued(f"c{number}", "q", centre.journal.clock()))
        gevent.sleep(0.03)
    await_true(lambda: not segment(tmp_path, 1).exists(), "the first segment is removed")
    assert len(list(tmp_path.glob("journal-*"))) <= 4
    expected = centre.shown()
    centre.kill()
    after = Centre(tmp_path)
    assert expected == after.shown()
    after.kill()


def test_two_daemons_do_not_share_a_journal(tmp_path: Path) -> None:
    """A second fsacd is told that the directory is taken, until the first has ended."""
    centre = Centre(tmp_path)
    program = "import sys, pathlib; from fsacd.journal.files import Directory; Directory(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", program, str(tmp_path)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert "is another running fsacd's" in refused.stderr
    centre.kill()
    subprocess.run(command, check=True, timeout=DEADLINE_S)


def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A path that is a file, say, is refused in one sentence at the start."""
    (tmp_path / "file").write_text("")
    with pytest.raises(FsacdError, match=r"the journal's directory .*/file cannot be used: file exists"):
        Journal(JournalSettings(tmp_path / "file"))


def test_callers_are_nobody_elses_business(tmp_path: Path) -> None:
    """The journal holds phone numbers: only its owner may read it."""
    centre = Centre(tmp_path / "new")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    centre.kill()


_usual = Engine.handle


def breaking(self: Engine, event: e.Event, now_ms: int) -> Step:
    """An engine with a fault: it breaks whenever a caller goes."""
    assert not isinstance(event, e.CallerGone), "a fault of ours"
    return _usual(self, event, now_ms)


class FullDisk:
    """Stands in for the descriptor of a file on a disk that is full."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._full = os.open("/dev/full", os.O_WRONLY)

    def fill(self) -> None:
        self._centre.journal._fd = self._full


def test_a_full_disk_holds_no_call_up(tmp_path: Path) -> None:
    """The daemon goes on without a journal, tries again, and what it missed is in the snapshot it then makes."""
    centre = Centre(tmp_path, retry_s=0)
    centre.tell(queued("before", "q", centre.journal.clock()))
    FullDisk(centre).fill()
    centre.tell(*(queued(f"c{number}", "q", centre.journal.clock()) for number in range(3)))
    state = centre.journal.state()
    assert (state.writing, state.errors, state.lost) == (False, 1, 2)
    await_true(lambda: centre.journal.state().snapshots == 2, "the journal begins anew")
    centre.tell(queued("after", "q", centre.journal.clock()))
    expected = centre.shown()
    centre.kill()
    second = Centre(tmp_path)
    assert expected == second.shown()
    second.kill()


def test_what_was_lost_is_not_skipped(tmp_path: Path) -> None:
    """Killed after entries were lost and before the new snapshot: what came after the gap is not used."""
    centre = Centre(tmp_path, retry_s=0)
    centre.tell(queued("before", "q", centre.journal.clock()))
    FullDisk(centre).fill()
    centre.tell(queued("lost", "q", centre.journal.clock()))
    await_true(lambda: centre.journal.state().snapshots == 2, "the journal begins anew")
    centre.tell(e.CallerGone("before"))
    centre.kill()
    (tmp_path / "snapshot-00000002.json").unlink()
    second = Centre(tmp_path)
    assert second.recovered is not None
    assert [call.call_id for call in second.engine.snapshot(second.engine.now_ms).calls] == ["before"]
    assert "begins after entries that were lost" in second.recovered.damage[0]
    second.kill()


def test_a_fact_that_broke_the_engine_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon ends when its engine breaks; the next one must not break at the same fact."""
    centre = busy(tmp_path)
    expected = centre.shown()
    monkeypatch.setattr(Engine, "handle", breaking)
    centre.runtime.post(e.CallerGone("c1"))
    assert centre.runtime.failure
    centre.kill()
    second = Centre(tmp_path)
    assert expected == second.shown()
    assert second.recovered is not None
    assert second.recovered.damage == ()
    second.kill()


def test_a_fact_that_breaks_only_this_engine_is_left_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer fsacd may break at what an older one took: said with its place, and the rest is used."""
    centre = busy(tmp_path)
    centre.tell(e.CallerGone("c1"), queued("late", "q", centre.journal.clock()))
    centre.kill()
    monkeypatch.setattr(Engine, "handle", breaking)
    second = Centre(tmp_path)
    assert second.recovered is not None
    assert {call.call_id for call in second.engine.snapshot(second.engine.now_ms).calls} == {"c0", "c1", "c2", "late"}
    assert "breaks the engine and is left out" in second.recovered.damage[0]
    second.kill()


def test_a_memory_that_breaks_every_engine_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three engines broken within two minutes: the next one begins anew, and the files stay for whoever looks."""
    monkeypatch.setattr(Engine, "handle", breaking)
    for _ in range(3):
        centre = Centre(tmp_path)
        centre.tell(queued("c0", "q", centre.journal.clock()))
        centre.runtime.post(e.CallerGone("c0"))
        centre.kill()
    fresh = Centre(tmp_path)
    assert fresh.recovered is None
    assert fresh.engine.snapshot(fresh.engine.now_ms).calls == ()
    assert list((tmp_path / "set-aside").glob("journal-*"))
    fresh.kill()


def test_known_callers_are_not_written_again(tmp_path: Path) -> None:
    """Ten thousand callers who announce themselves every ten seconds say nothing new."""
    centre = busy(tmp_path)
    before = centre.journal.state().entries
    centre.tell(*(queued(f"c{number}", "q", 0) for number in range(3)))
    assert centre.journal.state().entries == before
    centre.kill()


def test_the_hours_are_remembered(tmp_path: Path) -> None:
    """What the hours said last of a queue is known to the next daemon; what somebody did by hand is another matter."""
    centre = Centre(tmp_path)
    centre.tell(e.QueueSetOpen("q", open=False, by="hours"), e.QueueSetOpen("q", open=True, by="api:anna"))
    centre.kill()
    for _ in range(2):
        centre = Centre(tmp_path)
        assert centre.journal.hours == {"q": False}
        centre.kill()


def test_a_plugin_that_failed_by_the_clock_fails_in_the_replay(tmp_path: Path) -> None:
    """The failure is noted with its place, because the plugin would not fail a second time."""
    rules = rules_of(queue("q", strategy="tired"), agent("a", "q"), agent("b", "q"))
    centre = Centre(tmp_path, rules, plugins=TiredPlugins(4))
    centre.tell(e.SwitchConnected("fs1"))
    for number in range(4):
        centre.tell(e.AgentLoggedIn("a", "test"), e.AgentLoggedIn("b", "test"))
        centre.tell(queued(f"c{number}", "q", centre.journal.clock()), e.CallerGone(f"c{number}"))
        offers = centre.engine.snapshot(centre.engine.now_ms).offers
        centre.tell(*(e.OfferEnded(offer.offer_id, e.OfferEnd.CANCELLED) for offer in offers))
        centre.tell(e.AgentLoggedOut("a", "test"), e.AgentLoggedOut("b", "test"))
    assert centre.engine.dump()["orders"][0]["strategy_failed"]
    expected = centre.shown()
    centre.kill()
    second = Centre(tmp_path, rules, plugins=TiredPlugins(None))
    assert expected == second.shown()
    second.kill()


@pytest.mark.parametrize("seed", range(2))
def test_a_snapshot_and_the_rest_are_the_whole(tmp_path: Path, seed: int) -> None:
    """Whatever the story: from the last snapshot, or from the one before, the same engine is reached."""
    adversary = told(seed)
    engine = Engine(adversary.first_rules, TestPlugins())
    journal = Journal(JournalSettings(tmp_path))
    journal.begin(engine)
    entries = adversary.driver.journal
    for place, (now_ms, event) in enumerate(entries):
        if place in (len(entries) // 3, 2 * len(entries) // 3):
            journal.snapshot()
            made = journal.state().snapshots + 1
            await_true(lambda: journal.state().snapshots == made, "a snapshot")  # noqa: B023 - awaited at once
        journal.put(now_ms, event)
        _ = engine.advance(now_ms) if event is None else engine.handle(event, now_ms)
    journal.close()
    for snapshot in (3, 2):
        again = Journal(JournalSettings(tmp_path))
        recovered = again.recover(TestPlugins())
        again.close()
        assert recovered is not None
        assert (recovered.number, recovered.damage) == (snapshot, ())
        assert engine.dump() == recovered.engine.dump()
        (tmp_path / f"snapshot-{snapshot:08d}.json").unlink()
