"""A copy of this process that writes a snapshot of the engine while the original goes on with its calls.

Writing ten thousand agents takes a second; a fork takes some milliseconds, and the copy sees everything as it was at
one moment. It touches nothing but the engine's objects and one file.
"""

from __future__ import annotations

from collections.abc import Callable

from fsacd.process import child
from fsacd.process.child import Child

_DONE = b"done"
_LONGEST_ERROR = 300


class Copy:
    """One copy at work. Made by `start`; `wait` must be called."""

    def __init__(self, working: Child) -> None:
        self.pid = working.pid
        self._child = working

    @classmethod
    def start(cls, work: Callable[[], None]) -> Copy:
        """Fork a copy of this process that does `work` and ends. OSError if there can be no copy."""

        def tell(pipe: int) -> None:
            said = b"it was interrupted"
            try:
                work()
                said = _DONE
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is told, and the copy ends
                said = f"{type(error).__name__}: {error}".encode()[:_LONGEST_ERROR]
            finally:
                child.write(pipe, said)

        return cls(Child.start(tell))

    def wait(self) -> str:
        """Wait until the copy has ended. Returns an empty text if it has done its work, otherwise why it has not."""
        said = b""
        try:
            while part := self._child.read():
                said += part
        finally:
            self._child.bury()
        if said == _DONE:
            return ""
        return said.decode("utf-8", "replace") or "the process that writes it was killed"

    def end(self) -> None:
        """Kill the copy. `wait` returns soon."""
        self._child.end()
