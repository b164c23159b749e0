"""Callers who are to be erased: the journal leaves behind what knows of them, now, after their call, or at a start."""

from __future__ import annotations

import errno
import gc
import os
from contextlib import suppress
from pathlib import Path
from types import FunctionType, ModuleType

import gevent
import pytest

from fsacd.caller import number_plan
from fsacd.caller.number_plan import NumberPlan
from fsacd.caller.traces import traces
from fsacd.core import events as e
from fsacd.core.numbers import identity
from fsacd.errors import FsacdError
from fsacd.journal import erasure
from fsacd.journal.erasure import Outcome, ask
from fsacd.journal.files import Directory
from fsacd.journal.journal import Journal
from tests.journal.rig import Centre

CALLER = "+49 30-123456"  # as the switch shows it
ASKED = "+4930123456"
OTHER = "+4930999999"


def call(centre: Centre, call_id: str, number: str = CALLER) -> e.CallQueued:
    return e.CallQueued(call_id, "q", centre.journal.clock(), e.Leg("fs1", call_id), number=number, name=number)


def known(centre: Centre) -> None:
    """The caller has called and gone; the agents whom this caller and another one talked with are known."""
    centre.tell(e.SwitchConnected("fs1"), e.LastAgentsKnown(((CALLER, "a"), (OTHER, "b"))))
    centre.tell(call(centre, "c1"), e.CallerGone("c1", ""), call(centre, "c2", OTHER))


def knows(directory: Path) -> list[str]:
    """The files that name the caller."""
    found = []
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # it may just be removed
            found += [path.name] if b"123456" in path.read_bytes() else []
    return sorted(found)


def asked(directory: Path, patience_s: float = 20.0) -> Outcome:
    """The command line is another process; here it is a thread, which the daemon's greenlets do not wait for."""
    outcome: Outcome = gevent.get_hub().threadpool.apply(ask, (directory, [ASKED], patience_s))
    return outcome


@pytest.fixture(autouse=True)
def _in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    # A lock of the process does not keep the process itself out, and here both sides are one.
    monkeypatch.setattr(erasure, "_is_in_use", lambda directory: not (directory / "stopped").exists())


def test_erased_at_once(tmp_path: Path) -> None:
    """A caller who is in no call stands nowhere afterwards; what others have is kept, and a restart goes on from it."""
    centre = Centre(tmp_path)
    known(centre)
    assert knows(tmp_path)
    assert asked(tmp_path) is Outcome.DONE
    assert knows(tmp_path) == []
    shown = centre.shown()
    centre.kill()
    again = Centre(tmp_path)
    assert again.recovered is not None
    assert again.recovered.damage == ()
    assert again.shown() == shown
    assert again.engine.numbers_remembered() == [OTHER]
    assert again.engine.numbers_in_calls() == {OTHER}
    again.kill()


def remembered(centre: Centre) -> set[str]:
    """The texts in the daemon's memory that name the caller: of engine, runtime and journal, and what was read."""
    found: set[str] = set()
    seen: set[int] = set()
    ahead: list[object] = [centre.engine, centre.runtime, centre.journal, identity, traces]
    while ahead:
        thing = ahead.pop()
        # Functions lead to modules, and these to the test itself.
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType | gevent.Greenlet):
            continue
        seen.add(id(thing))
        if isinstance(thing, str | bytes) and "123456" in str(thing).replace("-", ""):
            found.add(str(thing))
        ahead.extend(gc.get_referents(thing))
    return found


def test_memory_knows_them_no_more(tmp_path: Path) -> None:
    """No text names them any more, whatever has become of their calls, and of the call that was sent to them."""
    centre = Centre(tmp_path, plan=NumberPlan(country="DE", international="00", trunk="0"))
    known(centre)
    centre.tell(e.CallerGone("c2", ""), e.AgentLoggedIn("b", "test"))
    for call_id, number in (("c3", CALLER), ("c4", OTHER), ("c5", OTHER)):
        centre.tell(call(centre, call_id, number))
        (offer,) = [offer.offer_id for offer in centre.engine.snapshot(centre.engine.now_ms).offers]
        centre.tell(e.OfferAnswered(offer), e.OfferConnected(offer))
        if call_id == "c4":
            centre.tell(e.TalkTransferAsked("b", offer, e.TransferTo.NUMBER, ASKED, "test"))
        if call_id == "c5":
            centre.tell(e.TalkConsultAsked("b", offer, ASKED, "test", e.TransferTo.NUMBER))
        centre.tell(e.CallerGone(call_id, ""), e.OfferEnded(offer, e.OfferEnd.HUNG_UP))
        centre.tell(e.AgentEndedWrapUp("b", "test"))
    assert remembered(centre)
    assert asked(tmp_path) is Outcome.DONE
    assert remembered(centre) == set()
    assert number_plan._meant.cache_info().currsize == 0
    assert knows(tmp_path) == []
    centre.kill()


def test_not_while_they_call(tmp_path: Path) -> None:
    """A caller who is in a call is erased when it has ended, without being asked for again."""
    centre = Centre(tmp_path)
    known(centre)
    centre.tell(call(centre, "c3"))
    assert asked(tmp_path, 0.6) is Outcome.WAITS_FOR_CALL
    assert knows(tmp_path)
    centre.tell(e.CallerGone("c3", ""))
    with gevent.Timeout(20):
        while knows(tmp_path):
            gevent.sleep(0.02)
    assert centre.engine.numbers_in_calls() == {OTHER}
    centre.kill()


def test_by_the_next_daemon(tmp_path: Path) -> None:
    """What nobody uses is left behind by the next daemon, with what was set aside of an unusable journal."""
    before = Centre(tmp_path)
    known(before)
    before.kill()
    (tmp_path / "stopped").touch()
    assert asked(tmp_path) is Outcome.WAITS_FOR_DAEMON
    aside = tmp_path / "set-aside"
    aside.mkdir()
    (aside / "journal-00000001.log").write_bytes(b"123456")
    (tmp_path / "stopped").unlink()
    after = Centre(tmp_path)
    with gevent.Timeout(20):
        while knows(tmp_path):
            gevent.sleep(0.02)
    after.kill()


def test_a_request_outlives_an_unusable_journal(tmp_path: Path) -> None:
    """A journal that is set aside takes no request with it."""
    before = Centre(tmp_path)
    known(before)
    before.kill()
    (tmp_path / "stopped").touch()
    assert asked(tmp_path) is Outcome.WAITS_FOR_DAEMON
    for path in tmp_path.glob("snapshot-*"):
        path.write_bytes(b"nonsense")
    after = Centre(tmp_path)
    assert after.recovered is None
    with gevent.Timeout(20):
        while knows(tmp_path):
            gevent.sleep(0.02)
    after.kill()


def test_no_snapshot_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is removed, and the request stays, as long as no snapshot takes the place of what is there."""
    centre = Centre(tmp_path)
    known(centre)
    with gevent.Timeout(20):
        while centre.journal.state().snapshots == 0:
            gevent.sleep(0.02)
    monkeypatch.setattr(Journal, "_content", lambda _: 1 / 0)
    before = [path.name for path in tmp_path.glob("snapshot-*")]
    assert asked(tmp_path, 1.0) is Outcome.WAITS_FOR_CALL
    assert centre.journal.state().snapshot_failures == 1
    assert before == [path.name for path in tmp_path.glob("snapshot-*.json")]
    assert [path for path in tmp_path.iterdir() if path.name.startswith("erase-")]
    centre.kill()


def test_who_calls_again_on_a_full_disk_is_erased_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot that was to be without them could not be begun; the next one knows them, and fulfils nothing."""
    centre = Centre(tmp_path)
    known(centre)
    with gevent.Timeout(20):
        while centre.journal.state().snapshots == 0:
            gevent.sleep(0.02)
    begin, tried = Directory.create_segment, list[int]()

    def full_once(self: Directory, number: int) -> int:
        tried.append(number)
        if len(tried) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return begin(self, number)

    monkeypatch.setattr(Directory, "create_segment", full_once)
    asking = gevent.spawn(asked, tmp_path, 60.0)
    with gevent.Timeout(60):
        while not tried:
            gevent.sleep(0.01)
        centre.tell(call(centre, "c3"))
        snapshots = centre.journal.state().snapshots
        while centre.journal.state().snapshots == snapshots:
            gevent.sleep(0.02)
        gevent.sleep(0.2)
    assert [path for path in tmp_path.iterdir() if path.name.startswith("erase-")]
    centre.tell(e.CallerGone("c3", ""))
    assert asking.get(timeout=60) is Outcome.DONE
    assert knows(tmp_path) == []
    centre.kill()


def test_where_no_journal_can_be(tmp_path: Path) -> None:
    """A directory that is none is told in a sentence."""
    with pytest.raises(FsacdError, match=r"the journal's directory .* cannot be used: "):
        ask(tmp_path / "nowhere", [ASKED], 0.1)


def test_the_lock_tells_a_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a daemon has the journal is told by its lock, from another process."""
    monkeypatch.undo()
    centre = Centre(tmp_path)
    for expected in (True, False):
        pid = os.fork()
        if pid == 0:
            os._exit(int(erasure._is_in_use(tmp_path)))
        _, status = os.waitpid(pid, 0)
        assert bool(os.waitstatus_to_exitcode(status)) == expected
        if expected:
            centre.kill()
