"""Watching as a person does it: the real program, a pipe or a terminal, and Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
from gevent.os import nb_read

from fsacd.desk.rights import Role
from tests.http.rig import Rig, serve

DEADLINE_S = 25.0
NOBODY = "fsacd is not reachable"


@contextmanager
def watching(rig: Rig, *args: str, terminal: bool = False) -> Iterator[Screen]:
    """The program, watching the rig until the block ends."""
    command = [sys.executable, "-m", "fsacd", *args, "--url", rig.server.url, "--token", f"secret-of-{Role.READ.value}"]
    if terminal:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    else:
        ours, theirs = os.pipe()
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        os.set_blocking(ours, False)
        try:
            yield Screen(process, ours)
        finally:
            if process.poll() is None:
                process.kill()
            os.close(ours)


class Screen:
    """What the program has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.text = ""
        self._descriptor = descriptor

    def wait_for(self, seen: Callable[[str], bool]) -> None:
        """Read until the text satisfies `seen`."""
        with gevent.Timeout(DEADLINE_S):
            while not seen(self.text):
                assert self._read(), f"the program ended with {self.text!r}"

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        with gevent.Timeout(DEADLINE_S):
            while self._read():
                continue
            return self.process.wait()

    def _read(self) -> bool:
        try:
            part: bytes = nb_read(self._descriptor, 65_536)
        except OSError:  # a terminal whose other end is closed
            return False
        self.text += part.decode()
        return part != b""


def test_status_on_a_pipe_repeats_its_lines() -> None:
    """Boards follow each other as plain lines; Ctrl-C is the ordinary end."""
    with serve() as rig, watching(rig, "status", "--watch", "0.2") as screen:
        screen.wait_for(lambda text: text.count("agents: ") >= 2)
        assert screen.interrupt() == 0
        assert "\x1b" not in screen.text


def test_status_on_a_terminal_redraws_one_table() -> None:
    """The table takes the terminal's second screen, and leaves it as it was."""
    with serve() as rig, watching(rig, "status", "--watch=0.2", terminal=True) as screen:
        screen.wait_for(lambda text: text.count("support") >= 4)
        assert screen.interrupt() == 0
        assert ["\x1b[?1049h" in screen.text, "\x1b[?1049l" in screen.text] == [True, True]
        assert screen.text.rindex("\x1b[?25h") > screen.text.rindex("\x1b[?25l")


def test_json_while_watching_is_one_document_a_line() -> None:
    """A program can read the stream line by line."""
    with serve() as rig, watching(rig, "queue", "list", "-o", "json", "--watch", "0.2") as screen:
        screen.wait_for(lambda text: text.count("\n") >= 2)
        assert screen.interrupt() == 0
    documents = [json.loads(line) for line in screen.text.splitlines()]
    assert {queue["name"] for document in documents for queue in document["queues"]} == {"sales", "support"}


def test_a_daemon_that_goes_away_is_waited_for() -> None:
    """The program stays, says that nobody answers, and goes on when the daemon is back."""
    with serve() as rig, watching(rig, "status", "--watch", "0.2") as screen:
        screen.wait_for(lambda text: "agents: " in text)
        port = rig.server.address[1]
        rig.server.stop(grace_s=0.1)
        screen.wait_for(lambda text: NOBODY in last_board(text))
        with serve(port=port):
            screen.wait_for(lambda text: NOBODY not in last_board(text))
        assert screen.interrupt() == 0


def last_board(text: str) -> str:
    """The last board that was written whole; its last line is that of the agents."""
    boards = text.split("agents: ")[:-1]
    return boards[-1] if boards else ""
