"""The wire between a daemon and its switch: a TCP proxy that can be cut, go deaf, be slow, or tear bytes apart."""

from __future__ import annotations

import struct
import time

import gevent
from gevent import socket
from gevent.event import Event
from gevent.queue import Queue

_CHUNK = 65_536
_TINY = 7
# Pieces on their way in one direction; beyond, the sender is not read, as a full pipe would have it.
_MOST_HELD = 256
# With this each event of the switch begins.
_FIRST_HEADER = b"Content-Length:"
# With this a closed socket tells the other side by RST, as one does whose process or machine has died.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on `port` and passes on to `target`. It is whole until somebody breaks it, and again after `mend`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._greenlets: list[gevent.Greenlet] = []
        self._open = Event()  # bytes pass
        self._open.set()
        self._refuses = False
        self._delay_s = 0.0
        self._tears = False
        self._swallows: tuple[bytes, ...] = ()
        self.swallowed = 0  # events
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._acceptor = gevent.spawn(self._accept)

    # --- what can be done to it ---

    def cut(self) -> None:
        """Reset every connection and every new one."""
        self._refuses = True
        self.reset()

    def reset(self) -> None:
        """Reset every connection; new ones are welcome."""
        for near, far in list(self._pairs):
            for sock in (near, far):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._close(near, far)

    def blackhole(self) -> None:
        """Keep all connections, take new ones, and pass nothing on any more: neither side is told."""
        self._open.clear()

    def swallow(self, *words: bytes) -> None:
        """Lose the events that hold any of these words, as a wire does that goes deaf; but it is not noticed."""
        self._swallows = words

    def delay(self, delay_s: float) -> None:
        """Pass every piece on so much later."""
        self._delay_s = delay_s

    def tear(self) -> None:
        """Pass bytes on in pieces of a few, and cut them apart where it hurts most."""
        self._tears = True

    def mend(self) -> None:
        """Be a good wire again. What was held back in a black hole is passed on."""
        self._refuses, self._delay_s, self._tears, self._swallows = False, 0.0, False, ()
        self._open.set()

    def stop(self) -> None:
        """Take no more connections and close those that there are."""
        self._acceptor.kill()
        self._listener.close()
        self.reset()
        gevent.killall(self._greenlets)

    # --- passing on ---

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            if self._refuses:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                near.close()
                continue
            self._greenlets = [greenlet for greenlet in self._greenlets if not greenlet.dead]
            self._greenlets.append(gevent.spawn(self._join, near))

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            near.close()  # the switch is down, as the daemon now learns
            return
        far.settimeout(None)
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.add((near, far))
        ways = [gevent.spawn(self._pass, near, far), gevent.spawn(self._pass, far, near)]
        gevent.joinall(ways, count=1)
        # What had been said before one side ended is still passed on to the other.
        gevent.joinall(ways, timeout=1)
        gevent.killall(ways)
        self._close(near, far)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        held: Queue[tuple[float, bytes]] = Queue(_MOST_HELD)
        carrier = gevent.spawn(self._carry, held, target)
        try:
            while data := source.recv(_CHUNK):
                held.put((time.monotonic() + self._delay_s, data))
            held.put((0.0, b""))
            carrier.join()
        except OSError:
            pass  # one side has gone; the other is closed
        finally:
            carrier.kill()

    def _carry(self, held: Queue[tuple[float, bytes]], target: socket.socket) -> None:
        while True:
            due_s, data = held.get()
            self._open.wait()
            gevent.sleep(max(0.0, due_s - time.monotonic()))
            if not data:
                return
            for words in self._swallows:
                data = self._without(words, data)
            pieces = [data[at : at + _TINY] for at in range(0, len(data), _TINY)] if self._tears else [data]
            try:
                for piece in pieces:
                    target.sendall(piece)
                    gevent.sleep(0)
            except OSError:
                return

    def _without(self, words: bytes, data: bytes) -> bytes:
        """All but the events that hold the words; they are whole in it, because nothing else was said."""
        while (found := data.find(words)) >= 0:
            begins = data.rfind(_FIRST_HEADER, 0, found)
            body = data.index(b"\n\n", begins) + 2
            length = int(data[begins + len(_FIRST_HEADER) :].partition(b"\n")[0])
            data = data[:begins] + data[body + length :]
            self.swallowed += 1
        return data

    def _close(self, near: socket.socket, far: socket.socket) -> None:
        self._pairs.discard((near, far))
        for sock in (near, far):
            sock.close()
