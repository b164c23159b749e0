"""Whatever lies in the spool's directory, the daemon's writer goes on, uses what is intact, and says what is not."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from fsacd.process import trusted
from fsacd.store import lines
from fsacd.store.backlog import Backlog
from fsacd.store.erasure import Requests, erase_waiting
from fsacd.store.rows import Row
from fsacd.store.settings import StoreSettings
from fsacd.store.spool import Spool
from fsacd.store.spool_files import SpoolError
from tests.journal.test_nonsense import DEEP, documents, nested
from tests.store.test_spool import LIMIT, document, drained, segments, state, waiting
from tests.test_trusted import OF_NO_USE, STRANGERS, vast

A_START_S = 60
ROWS = [state(number) for number in range(5)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A spool in which rows wait, and which nobody uses."""
    return filled(tmp_path / "spool")


def filled(directory: Path) -> Path:
    backlog = waiting(directory)
    backlog.take(ROWS)
    backlog.close()
    return directory


def started(directory: Path) -> tuple[list[Row], list[str], list[str]]:
    """What a daemon finds there and can hand to a database, what it says is wrong, and what status shows."""
    with capture_logs() as logs, gevent.Timeout(A_START_S, TimeoutError("the start does not come through")):
        backlog = waiting(directory)
        found = drained(backlog)
        shown = [trouble.words for trouble in backlog.troubles()]
        backlog.take([state(77)])
        assert backlog.first(1) == [state(77)], "what comes now finds its way"
        assert orjson.dumps([row.fields() for row in found if row.table.name != "agent_states"])
        backlog.close()
    return found, [line["event"] for line in logs if line["log_level"] == "error"], shown


def among(directory: Path, content: bytes, place: int) -> None:
    """Put a line with a good check sum among those that are there."""
    (path,) = segments(directory)
    rows = path.read_bytes().splitlines(keepends=True)
    rows.insert(place, lines.line(content))
    path.write_bytes(b"".join(rows))


NONSENSE = [
    DEEP,
    b'["agent_states",' + DEEP + b"]",
    b'["decisions","o","c",1,"q","a",1,' + b"[" * 600 + b"]" * 600 + b"]",
    b'["agent_states",{},[],1.5,1,1,""]',
    b'["agent_states",1e999,"","",1,1,""]',
    b'["agent_states","a","b","c",1,1]',
    b'["agent_states","a","b","c",' + b"9" * 5_000 + b',1,""]',
    b'["agent_states","\\ud800","b","c",1,1,""]',
    b'["no such table"]',
    b'["agent_states"]',
    b"[]",
    b"{}",
    b"null",
    b"1",
    b'"agent_states"',
    b"\xff",
    b"",
]


@pytest.mark.parametrize("content", NONSENSE, ids=range(len(NONSENSE)))
def test_a_whole_line_of_nonsense(directory: Path, content: bytes) -> None:
    """It is told, the segment is kept aside, and every other row is used."""
    among(directory, content, 3)
    found, told, shown = started(directory)
    assert found == ROWS
    assert len(told) == 1
    assert len(shown) == 1
    assert list((directory / "set-aside").iterdir())


@pytest.mark.parametrize(
    "content",
    [DEEP, b"[]", b"null", b'{"columns":1}', b'{"columns":{"agent_states":1}}', b'{"columns":{"agent_states":[1]}}'],
)
def test_a_head_of_nonsense(directory: Path, content: bytes) -> None:
    """The columns are taken to be those of now."""
    (path,) = segments(directory)
    _, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines.line(content), *rest]))
    found, told, _ = started(directory)
    assert found == ROWS
    assert told


def test_a_head_that_names_no_table_of_ours(directory: Path) -> None:
    """Then none of its rows can be understood; the next segment can."""
    (path,) = segments(directory)
    _, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines.line(b'{"columns":{}}'), *rest]))
    assert started(directory)[0] == []


@pytest.mark.timeout(A_START_S + 300)
@pytest.mark.parametrize("put", [*OF_NO_USE, vast], ids=lambda put: put.__name__)
def test_a_stranger_in_the_place_of_a_segment(directory: Path, put: Callable[[Path], None]) -> None:
    """A pipe, an endless device, a file of others: told, set aside, and the rest is used."""
    put(directory / f"{2:012}")
    found, told, shown = started(directory)
    assert found == ROWS
    assert told == ["a file of the spool cannot be used and was set aside; the rest is used"]
    assert len(shown) == 1
    assert os.path.lexists(directory / "set-aside" / f"{2:012}")


@pytest.mark.timeout(A_START_S + 300)
@pytest.mark.parametrize("put", STRANGERS, ids=lambda put: put.__name__)
def test_a_stranger_in_the_place_of_what_is_confirmed(directory: Path, put: Callable[[Path], None]) -> None:
    """All is sent again, which does no harm; and a link is not written to."""
    (directory / "done").unlink(missing_ok=True)
    put(directory / "done")
    found, _, _ = started(directory)
    assert found == ROWS
    assert not (directory / "nowhere").exists()
    assert not (directory / "target").exists() or (directory / "target").read_bytes() == b"precious"


@pytest.mark.parametrize("text", [b"1", b"1 2 3", b"x y", b"999999999999 0", b"1 " + b"9" * 5_000, b"99 0"])
def test_a_senseless_place_is_not_believed(directory: Path, text: bytes) -> None:
    """Its check sum is good; all is sent again, and what comes later has a name that is found."""
    import zlib  # noqa: PLC0415 - for this one test

    (directory / "done").write_bytes(b"%b %08x\n" % (text, zlib.crc32(text)))
    (directory / "done").chmod(0o600)
    assert started(directory)[0] == ROWS
    assert started(directory)[0] == [state(77)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("put", STRANGERS[:6], ids=lambda put: put.__name__)
def test_a_stranger_in_the_place_of_the_lock(directory: Path, put: Callable[[Path], None]) -> None:
    """The spool is not used, one sentence says why, and history waits in memory; nothing hangs, nothing is changed."""
    (directory / "lock").unlink()
    put(directory / "lock")
    with pytest.raises(SpoolError, match=r"^the spool .* cannot be used: "):
        Spool(directory, LIMIT)
    with capture_logs():
        backlog = waiting(directory)
    backlog.take(ROWS)
    assert (backlog.first(9), [trouble.words for trouble in backlog.troubles()]) == (
        ROWS,
        ["History that waits for the database is in memory alone."],
    )


def test_a_directory_of_somebody_else_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could forge history. The sentence says what to do."""
    directory.chmod(0o770)
    with pytest.raises(SpoolError, match=r"cannot be used: it can be written by its group; .* [(]chmod go-w[)]$"):
        Spool(directory, LIMIT)
    directory.chmod(0o700)
    monkeypatch.setattr(trusted, "users", lambda: frozenset({4_000_000_001}))
    with pytest.raises(SpoolError, match=r"cannot be used: it belongs to .* [(]chown[)]$"):
        Spool(directory, LIMIT)


# --- requests ---


@pytest.mark.timeout(300)
@pytest.mark.parametrize("put", STRANGERS, ids=lambda put: put.__name__)
def test_a_stranger_in_the_place_of_a_request(directory: Path, put: Callable[[Path], None]) -> None:
    """It is set aside and not met again, a link is not written to, and the request beside it is fulfilled."""
    backlog = waiting(directory)
    put(directory / "erase.0")
    (directory / "erase.1").write_bytes(b'{"numbers":["+49"]}')
    requests = Requests(directory)
    with capture_logs() as logs:
        requests.fulfil(backlog)
    assert not requests.waiting()
    assert [line["log_level"] for line in logs].count("error") == 1
    assert not (directory / "target").exists() or (directory / "target").read_bytes() == b"precious"
    backlog.close()


@pytest.mark.parametrize("content", [DEEP, b'{"numbers":' + nested(900) + b"}", b'{"numbers":[1]}', b"1", b""])
def test_a_request_that_is_nonsense(directory: Path, content: bytes) -> None:
    """Whatever a reader raises at it; it would be met again and again."""
    backlog = waiting(directory)
    (directory / "erase.0").write_bytes(content)
    requests = Requests(directory)
    requests.fulfil(backlog)
    assert not requests.waiting()
    backlog.close()


def test_what_was_set_aside_is_erased_too(directory: Path) -> None:
    """Nobody knows who is in it."""
    among(directory, DEEP, 3)
    started(directory)
    assert list((directory / "set-aside").iterdir())
    erase_waiting(directory, ["+49301"], 1.0)
    assert list((directory / "set-aside").iterdir()) == []


# --- anything ---


@st.composite
def spoiled(draw: st.DrawFn, content: bytes) -> tuple[bytes, list[Row]]:
    """The content of a segment with something wrong in it, and the rows that nobody has touched."""
    rows = content.splitlines(keepends=True)
    match draw(st.sampled_from(["bytes", "nonsense", "document", "values"])):
        case "bytes":
            at = draw(st.integers(0, len(rows[1]) - 2))
            rows[1] = rows[1][:at] + draw(st.binary(min_size=1, max_size=8)).replace(b"\n", b"") + rows[1][at + 1 :]
            return b"".join(rows), ROWS[1:]
        case "nonsense":
            more = draw(st.sampled_from(NONSENSE))
        case "document":
            more = json.dumps(draw(documents)).encode()
        case _:
            table, names = draw(st.sampled_from(sorted(lines.CURRENT.items())))
            values: list[Any] = draw(st.lists(documents, min_size=len(names), max_size=len(names)))
            more = json.dumps([table, *values]).encode()
    rows.insert(draw(st.integers(1, len(rows))), lines.line(more))
    return b"".join(rows), ROWS


@pytest.mark.timeout(900)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_there_the_rest_is_used(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Every row that was not touched is found, in order, and each can be looked at for callers to be erased."""
    directory = filled(tmp_path_factory.mktemp("spool") / "spool")
    (path,) = segments(directory)
    content, untouched = data.draw(spoiled(path.read_bytes()))
    path.write_bytes(content)
    found, _, _ = started(directory)
    rest = iter(found)
    assert all(row in rest for row in untouched), "in order"
    path.write_bytes(content)
    path.chmod(0o600)
    erase_waiting(directory, ["+4930123456"], 1.0)


def test_documents_are_still_read(tmp_path: Path) -> None:
    """What looks at the kinds of values leaves those that are ours alone."""
    backlog = Backlog(StoreSettings("", spool=tmp_path / "spool", spool_limit=LIMIT), Counter())
    backlog.mend()
    backlog.take([document(1, 50)])
    backlog.close()
    again = waiting(tmp_path / "spool")
    assert drained(again) == [document(1, 50)]
    again.close()
