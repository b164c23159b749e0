"""Whatever lies in the journal's directory: a daemon starts within bounds, uses what is intact, says what is not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from fsacd.core import events as e
from fsacd.errors import FsacdError
from fsacd.journal import lines
from fsacd.journal.journal import Journal
from fsacd.journal.settings import JournalSettings
from fsacd.process import trusted
from fsacd.testing import queued
from tests.journal.rig import Centre
from tests.journal.test_journal import await_true, busy, segment
from tests.test_trusted import STRANGERS, too_long

CALLS = {"c0", "c1", "c2"}
# Deeper than any reader of JSON goes, and as deep as the writer's checksum can still vouch for.
DEEP = b"[" * 2_000 + b"]" * 2_000
A_START_S = 60


def calls(centre: Centre) -> set[str]:
    return {call.call_id for call in centre.engine.snapshot(centre.engine.now_ms).calls}


def snapshot(directory: Path, number: int = 1) -> Path:
    return directory / f"snapshot-{number:08d}.json"


def started(directory: Path) -> tuple[Centre, list[str], bool]:
    """A daemon that has started; what it said that is wrong, and whether /readyz and status show it."""
    with capture_logs() as logs, gevent.Timeout(A_START_S, TimeoutError("the start does not come through")):
        centre = Centre(directory)
    told = [str(line.get("what", line.get("why", ""))) for line in logs if line["log_level"] in {"error", "critical"}]
    return centre, told, any(True for _ in centre.journal.troubles())


# --- in a line ---


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


NONSENSE = [
    DEEP,
    b'{"t":1,"f":"CallQueued","d":' + DEEP + b"}",
    b'{"t":' + DEEP + b"}",
    b'{"t":1,"n":"clocks","d":{"engine_ms":1,"boot":"","monotonic_ms":1,"wall_ms":1e999}}',
    b'{"t":1,"n":"clocks","d":{"engine_ms":' + b"9" * 40 + b',"boot":"","monotonic_ms":1,"wall_ms":1}}',
    b'{"t":' + b"9" * 5_000 + b"}",
    b'{"t":' + b"9" * 30 + b"}",
    b'{"t":-1}',
    b'{"t":NaN}',
    b'{"t":1,"f":["CallQueued"],"d":{}}',
    b'{"t":1,"f":{"a":1}}',
    b'{"t":1,"n":[1]}',
    b'{"t":1,"f":"CallQueued","d":{"call_id":"\\ud800"}}',
    b"\xff\xfe",
    b"",
    b"{}",
    b"null",
    b'"text"',
]


@pytest.mark.timeout(A_START_S + 300)
@pytest.mark.parametrize("content", NONSENSE, ids=range(len(NONSENSE)))
def test_a_whole_line_of_nonsense(tmp_path: Path, content: bytes) -> None:
    """Its check sum is good, and no reader can make anything of it: it is told, kept aside, and the rest is used."""
    first = busy(tmp_path)
    first.kill()
    intact = segment(tmp_path).read_bytes().splitlines(keepends=True)
    segment(tmp_path).write_bytes(b"".join([*intact[:-1], lines.sealed(content), *intact[-1:]]))
    second, told, shown = started(tmp_path)
    assert calls(second) == CALLS
    offset = sum(map(len, intact[:-1]))
    assert [sentence.startswith(f"{segment(tmp_path)} at byte {offset}: ") for sentence in told] == [True]
    assert shown
    assert (tmp_path / "set-aside" / segment(tmp_path).name).exists()
    second.kill()
    again, _, _ = started(tmp_path)
    assert calls(again) == CALLS
    again.kill()


def test_a_note_of_an_unknown_kind_is_a_newer_fsacds(tmp_path: Path) -> None:
    """What only a newer fsacd writes is no damage."""
    busy(tmp_path).kill()
    with segment(tmp_path).open("ab") as file:
        file.write(lines.sealed(b'{"t":1,"n":"something new"}') + lines.sealed(b'{"t":1,"f":"SomethingNew","d":[]}'))
    second, told, shown = started(tmp_path)
    assert (calls(second), told, shown) == (CALLS, [], False)
    second.kill()


def test_an_entry_whose_clock_went_back_is_used(tmp_path: Path) -> None:
    """Entries stand in the order in which they entered: the engine's clock waits, and nothing is left out."""
    busy(tmp_path).kill()
    with segment(tmp_path).open("ab") as file:
        file.write(lines.of_entry(1, queued("late", "q", 0)))
    second, told, shown = started(tmp_path)
    assert (calls(second), told, shown) == ({*CALLS, "late"}, [], False)
    second.kill()


# --- whole files ---


@pytest.mark.timeout(A_START_S + 300)
@pytest.mark.parametrize("put", [put for put in STRANGERS if put is not too_long], ids=lambda put: put.__name__)
@pytest.mark.parametrize("name", [snapshot, segment], ids=["snapshot", "segment"])
def test_a_stranger_in_the_place_of_a_new_file(
    tmp_path: Path, put: Callable[[Path], None], name: Callable[[Path, int], Path]
) -> None:
    """A pipe, an endless device, a file of others: told, set aside, and the daemon goes on from what is intact."""
    busy(tmp_path).kill()
    put(name(tmp_path, 2))
    second, told, shown = started(tmp_path)
    assert calls(second) == CALLS
    assert told
    assert shown
    assert os.path.lexists(tmp_path / "set-aside" / name(tmp_path, 2).name)
    second.tell(queued("late", "q", second.journal.clock()))
    second.kill()
    third, _, _ = started(tmp_path)
    assert calls(third) == {*CALLS, "late"}
    third.kill()


@pytest.mark.parametrize("put", STRANGERS[:4], ids=lambda put: put.__name__)
def test_a_stranger_in_the_place_of_the_draft(tmp_path: Path, put: Callable[[Path], None]) -> None:
    """A snapshot is made all the same, and a linked draft does not overwrite what it is linked to."""
    first = busy(tmp_path)
    put(tmp_path / "snapshot-00000002.draft")
    first.journal.snapshot()
    await_true(lambda: first.journal.state().snapshots == 2, "the snapshot is made")
    target = tmp_path / "target"
    assert not target.exists() or target.read_bytes() == b"precious"
    first.kill()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("put", STRANGERS[:6], ids=lambda put: put.__name__)
def test_a_stranger_in_the_place_of_the_lock(tmp_path: Path, put: Callable[[Path], None]) -> None:
    """The daemon ends with one sentence, and does not hang."""
    put(tmp_path / "lock")
    with pytest.raises(FsacdError, match=r"^the journal's directory .* cannot be used: "):
        Journal(JournalSettings(tmp_path))


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could forge calls. The sentence says what to do."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(FsacdError, match=r"/open cannot be used: it can be written by everybody; .* [(]chmod go-w[)]$"):
        Journal(JournalSettings(tmp_path / "open"))
    monkeypatch.setattr(trusted, "users", lambda: frozenset({4_000_000_001}))
    with pytest.raises(FsacdError, match=r"cannot be used: it belongs to .* [(]chown[)]$"):
        Journal(JournalSettings(tmp_path))


def test_numbers_go_on_beyond_what_their_names_were_made_for(tmp_path: Path) -> None:
    """A file with the highest number of eight digits costs nobody what is written after it."""
    busy(tmp_path).kill()
    (tmp_path / "journal-99999999.log").touch(mode=0o600)
    second, _, _ = started(tmp_path)
    await_true(lambda: second.journal.state().snapshots == 1, "a snapshot after the gap")
    second.tell(queued("late", "q", second.journal.clock()))
    second.kill()
    third, _, _ = started(tmp_path)
    assert calls(third) == {*CALLS, "late"}
    third.kill()


def test_a_snapshot_of_which_no_engine_can_be_made_gives_way_to_the_one_before(tmp_path: Path) -> None:
    """Its check sum is good, and what it says is impossible: from the one before the same is reached."""
    busy(tmp_path).kill()
    second = Centre(tmp_path)
    await_true(lambda: second.journal.state().snapshots == 1, "the second snapshot")
    second.tell(queued("late", "q", second.journal.clock()))
    second.kill()
    head, content = snapshot(tmp_path, 2).read_bytes().splitlines(keepends=True)
    said: dict[str, Any] = lines.opened(content[:-1])
    said["calls"][0]["queue"] = "no such queue"
    snapshot(tmp_path, 2).write_bytes(head + lines.of_object(said))
    third, told, shown = started(tmp_path)
    assert calls(third) == {*CALLS, "late"}
    assert len(told) == 1
    assert told[0].startswith(f"{snapshot(tmp_path, 2)} cannot be used: ")
    assert shown
    third.kill()


# --- requests ---


@pytest.mark.timeout(A_START_S + 300)
@pytest.mark.parametrize("put", STRANGERS, ids=lambda put: put.__name__)
def test_a_stranger_in_the_place_of_a_request(tmp_path: Path, put: Callable[[Path], None]) -> None:
    """It asks for nothing, holds nothing up, and is set aside; the other requests are fulfilled."""
    put(tmp_path / "erase-0")
    (tmp_path / "erase-1").write_bytes(b'{"numbers":["+49"]}')
    centre, _, _ = started(tmp_path)
    await_true(lambda: not os.path.lexists(tmp_path / "erase-0"), "it is set aside")
    await_true(lambda: not (tmp_path / "erase-1").exists(), "the other one is fulfilled")
    centre.kill()


@pytest.mark.parametrize("content", [DEEP, b'{"numbers":' + nested(900) + b"}", b'{"numbers":[1]}', b"[]", b"1", b""])
def test_a_request_that_is_nonsense(tmp_path: Path, content: bytes) -> None:
    """Whatever a reader raises at it."""
    (tmp_path / "erase-0").write_bytes(content)
    with capture_logs() as logs:
        centre = Centre(tmp_path)
        await_true((tmp_path / "set-aside" / "erase-0").exists, "it is set aside")
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "a request to erase callers cannot be read and was set aside"
    ]
    centre.tell(e.SwitchConnected("fs1"))
    centre.kill()


# --- anything ---

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(st.characters(), max_size=5),
    st.sampled_from(["CallQueued", "AgentLoggedIn", "q", "a", "c0", "fs1", "ready", "9" * 400, "\ud800"]),
)  # fmt: skip
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """The document with some value in it replaced, removed or doubled."""
    if not isinstance(document, dict | list) or not document or draw(st.integers(0, 5)) == 0:
        return draw(documents)
    key: Any = draw(st.sampled_from(list(document) if isinstance(document, dict) else range(len(document))))
    copy = document.copy()
    if draw(st.integers(0, 7)) == 0:
        del copy[key]
    elif isinstance(copy, list) and draw(st.integers(0, 7)) == 0:
        copy.append(copy[key])
    else:
        copy[key] = draw(changed(document[key]))
    return copy


@st.composite
def spoiled(draw: st.DrawFn, content: bytes) -> bytes:
    """The content of a file with bytes of it changed, cut or added, or with another line whose check sum is good."""
    rows = content.splitlines(keepends=True)
    place = draw(st.integers(0, len(rows) - 1))
    match draw(st.sampled_from(["bytes", "cut", "line", "nonsense", "document", "all"])):
        case "bytes":
            at = draw(st.integers(0, len(content) - 1))
            return content[:at] + draw(st.binary(max_size=8)) + content[at + draw(st.integers(0, 8)) :]
        case "cut":
            return content[: draw(st.integers(0, len(content)))]
        case "line":
            rows[place] = lines.sealed(json.dumps(draw(changed(lines.opened(rows[place][:-1])))).encode())
        case "nonsense":
            rows.insert(place, lines.sealed(draw(st.sampled_from(NONSENSE))))
        case "document":
            rows.insert(place, lines.sealed(json.dumps(draw(documents)).encode()))
        case _:
            return draw(st.binary(max_size=200))
    return b"".join(rows)


def test_what_comes_after_damage_is_found_by_the_next_start(tmp_path: Path) -> None:
    """The newest snapshot is gone, and what follows the one before ends at a gap: each start meets that again."""
    directory = tmp_path / "journal"
    busy(directory).kill()
    second = Centre(directory)
    await_true(lambda: second.journal.state().snapshots == 1, "the second snapshot")
    second.kill()
    snapshot(directory, 2).write_bytes(b"")
    after = segment(directory, 2)
    head, rest = after.read_bytes().split(b"\n", 1)
    after.write_bytes(lines.of_object({**lines.opened(head), "after_gap": True}) + rest)
    third, told, _ = started(directory)
    assert any("begins after entries that were lost" in sentence for sentence in told)
    third.tell(queued("after", "q", third.journal.clock()))
    third.kill()  # before any snapshot could be made beside the calls
    fourth, _, _ = started(directory)
    assert calls(fourth) == {*CALLS, "after"}
    fourth.kill()


@pytest.mark.timeout(900)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_there_the_daemon_starts(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Many more of them: tests/prove/spoiled_journals.py."""
    judge(tmp_path_factory.mktemp("journal"), data)


def judge(directory: Path, data: st.DataObject) -> None:
    """One or two files spoiled in any way: every start comes through, and nothing is lost of what was not spoiled."""
    busy(directory).kill()
    second = Centre(directory)
    await_true(lambda: second.journal.state().snapshots == 1, "the second snapshot")
    second.tell(queued("late", "q", second.journal.clock()))
    second.kill()
    files = sorted(path for path in directory.iterdir() if path.suffix in {".log", ".json"})
    which = data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=2, unique=True))
    before = {path: path.read_bytes() for path in which}
    for path in which:
        path.write_bytes(data.draw(spoiled(before[path])))
    third, told, shown = started(directory)
    if which == [snapshot(directory, 1)] or (which == [snapshot(directory, 2)] and told):
        assert calls(third) == {*CALLS, "late"}, "one snapshot was spoiled, and the other is there"
    assert bool(told) <= shown or third.recovered is None
    third.tell(queued("after", "q", third.journal.clock()))
    kept = calls(third)
    third.kill()
    fourth, _, _ = started(directory)
    assert calls(fourth) == kept
    fourth.kill()
