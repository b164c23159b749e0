"""The copy of the process: it does its work beside us, says how it went, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import gevent
import pytest
from gevent import monkey

from fsacd.journal.child import Copy

# So often others must have had their turn.
TURNS = 5


def test_the_copy_works_beside_us(tmp_path: Path) -> None:
    """Greenlets go on while the copy works, which waits for them, and what it has done is there at the end."""
    turns = 0
    go_on = tmp_path / "go_on"
    sleep = monkey.get_original("time", "sleep")

    def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            if turns > TURNS:
                go_on.touch()
            gevent.sleep(0.001)

    def work() -> None:
        while not go_on.exists():
            sleep(0.001)
        (tmp_path / "done").write_text(str(os.getpid()))

    with gevent.Timeout(20):
        turning = gevent.spawn(turn)
        copy = Copy.start(work)
        assert copy.wait() == ""
        turning.kill()
    assert (tmp_path / "done").read_text() == str(copy.pid)
    assert turns > TURNS


def test_the_copy_sees_one_moment(tmp_path: Path) -> None:
    """What changes here after the start does not change there."""
    seen = ["before"]

    def work() -> None:
        (tmp_path / "seen").write_text(seen[0])

    copy = Copy.start(work)
    seen[0] = "after"
    with gevent.Timeout(20):
        assert copy.wait() == ""
    assert (tmp_path / "seen").read_text() == "before"


def test_a_copy_that_fails_says_why() -> None:
    """Its exception is its last word, and never ours."""

    def work() -> None:
        raise OSError(28, "No space left on device")

    with gevent.Timeout(20):
        assert Copy.start(work).wait() == "OSError: [Errno 28] No space left on device"


def test_a_copy_that_is_ended_is_no_success() -> None:
    """A process that is killed has not done its work; and none is left as a zombie."""
    copy = Copy.start(signal.pause)
    copy.end()
    with gevent.Timeout(20):
        assert copy.wait() == "the process that writes it was killed"
    copy.end()
    with pytest.raises(ChildProcessError):
        os.waitpid(copy.pid, os.WNOHANG)


def test_the_copy_holds_no_socket_of_ours() -> None:
    """Were we killed while it works, a switch must see that our link is down."""
    reading, writing = os.pipe()
    copy = Copy.start(signal.pause)
    monkey.get_original("os", "close")(writing)  # gevent's waits for its loop
    with gevent.Timeout(20):
        assert os.read(reading, 1) == b""
        copy.end()
        copy.wait()
    os.close(reading)
