"""Programs of ours as processes of their own, which need not import everything anew.

`start("fsacd", "run", ...)` is `python -m fsacd run ...` in a copy of a process that has fsacd's modules already: to
import them takes a second of a processor, which is most of what a short test of a whole daemon takes. The copy begins
at the entry point, with its own arguments, environment and streams; random numbers are its own (Python sees to that at
each fork). That the program starts from nothing is shown by tests/test_demo.py and each test on a real FreeSWITCH.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import array  # noqa: E402 - patching comes before anything else is imported
import atexit  # noqa: E402
import ctypes  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import runpy  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from contextlib import suppress  # noqa: E402
from importlib import import_module  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import IO, Any, Final  # noqa: E402

_PR_SET_PDEATHSIG: Final = 1
_LONGEST_BYTES: Final = 1 << 20
# What the copies have already.
_READY: Final = ("fsacd.cli.main", "fsacd.daemon.main", "fsacd.sim.program")
# Nothing of gevent's may have run when the process is copied: its hub would be the copy's, too.
_fork = monkey.get_original("os", "fork")
_Socket = monkey.get_original("socket", "socket")


class Process:
    """One of them, as `subprocess.Popen` shows it; its parent is another one, which tells how it has ended."""

    def __init__(self, connection: socket.socket, stdout: IO[str] | None) -> None:
        self._connection = connection
        self._heard = b""
        self.stdout = stdout
        self.returncode: int | None = None
        self.pid = self._number()

    def poll(self) -> int | None:
        """How it has ended; None: it has not."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Until it ends; its exit code. subprocess.TimeoutExpired when it does not in time (s)."""
        if self.returncode is None:
            self._connection.settimeout(None if timeout is None else max(timeout, 0.001))
            try:
                self.returncode = self._number()
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._connection.close()
        return self.returncode

    def _number(self) -> int:
        """The next line that is told of it."""
        while b"\n" not in self._heard:
            more = self._connection.recv(64)
            assert more, "who would have told has ended"
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return int(line)

    def communicate(self) -> None:
        """Until it ends, and to the end of what it says."""
        if self.stdout is not None:
            self.stdout.read()
            self.stdout.close()
        self.wait()

    def send_signal(self, number: int) -> None:
        """Send it; one that has ended hears nothing."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # between these two lines
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """By SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """By SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(module: str, *words: str, output: IO[bytes] | None = None) -> Process:
    """Run it; it reads nothing, and says all to `output`, or else what it says to standard output is in `stdout`."""
    reading = None
    stdin = os.open(os.devnull, os.O_RDONLY)
    streams = [stdin]
    if output is None:
        read, write = os.pipe()
        reading = os.fdopen(read, encoding="utf-8")
        streams += [write, 2]
    else:
        streams += [output.fileno(), output.fileno()]
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_nursery())
    order = json.dumps({"words": [module, *words], "environment": dict(os.environ), "directory": str(Path.cwd())})
    connection.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))])
    connection.sendall(order.encode() + b"\n")
    os.close(stdin)
    if reading is not None:
        os.close(write)
    return Process(connection, reading)


_address: list[str] = []


def _nursery() -> str:
    """Where the process that is copied listens; it is started when it is needed first, and ends with this one."""
    if not _address:
        place = tempfile.TemporaryDirectory(prefix="fsacd-nursery-")
        path = f"{place.name}/socket"
        ourselves = Path(__file__).parent.parent
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery", path],
            cwd=ourselves,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        process.stdout.close()

        def end() -> None:
            process.kill()
            process.wait()
            place.cleanup()

        atexit.register(end)
        _address.append(path)
    return _address[0]


# --- the process that is copied ---


def main(path: str) -> int:
    """Copy this process for each who connects, until who started it ends; in a copy: run what is asked for."""
    _die_with_parent()
    for name in _READY:
        import_module(name)
    listener = _Socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    os.write(1, b"listening\n")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if _fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _die_with_parent()
            return _keep(connection)
        connection.close()


def _die_with_parent() -> None:
    """Whatever happens to the tests, nothing of theirs stays behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _keep(connection: Any) -> int:
    """Start the program, tell its process id, wait for it and tell its end; in the program: run it."""
    _, ancillary, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(3 * 4))
    streams = array.array("i")
    streams.frombytes(ancillary[0][2])
    text = b""
    while not text.endswith(b"\n"):
        text += connection.recv(_LONGEST_BYTES)
    order = json.loads(text)
    pid = _fork()
    if pid == 0:
        _die_with_parent()
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        os.chdir(order["directory"])
        os.environ.clear()
        os.environ.update(order["environment"])
        module, *words = order["words"]
        sys.argv = [module, *words]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return 0
    for stream in streams:
        os.close(stream)
    connection.sendall(b"%d\n" % pid)
    waitpid = monkey.get_original("os", "waitpid")
    _, status = waitpid(pid, 0)
    with suppress(OSError):  # nobody wants to know any more
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
