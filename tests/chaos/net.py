"""The wires between daemons and the simulated switch: bytes with a delay, which can be cut, held up, or swallowed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from random import Random

from gevent.event import Event

from fsacd.sim.agenda import SECOND
from fsacd.sim.listener import Listener, connect
from fsacd.sim.switch import Switch
from tests.chaos.virtual import Frozen, whose

LATENCY_US = (60, 400)
# TCP gives bytes up that nobody acknowledges (TCP_USER_TIMEOUT, which the client sets to its write timeout).
GIVE_UP_US = 5 * SECOND


class Net:
    """One daemon's way to the switch."""

    def __init__(self, switch: Switch, chance: Random) -> None:
        self.switch = switch
        self.chance = chance
        self.refusing = False
        self.holding = False
        self.late_us = 0  # on top of the usual, for each portion of bytes
        self.most = 1 << 20  # so many bytes arrive together
        self.sockets: set[VirtualSocket] = set()
        self.made = 0

    def connect(self, life: Frozen, timeout: float) -> VirtualSocket:
        """As create_connection."""
        if self.holding:
            Event().wait(timeout)
            raise TimeoutError("timed out")
        if self.refusing or self.switch.faults.refusing:
            raise _error(ConnectionRefusedError, errno.ECONNREFUSED)
        return VirtualSocket(self, life)

    def cut(self) -> None:
        """Every connection breaks, and no new one is made until `heal`."""
        self.refusing = True
        self._break_all()

    def hold(self) -> None:
        """Bytes do not arrive any more, and nobody is told."""
        self.holding = True

    def heal(self, *, deliver: bool = True) -> None:
        """All is well again. What was held up arrives now, or was lost with its connections."""
        was_held, self.holding, self.refusing = self.holding, False, False
        if was_held and not deliver:
            self._break_all()
        for sock in list(self.sockets):
            sock.release()

    def reset_one(self) -> None:
        """One of the connections breaks, and the other does not."""
        if self.sockets:
            self.chance.choice(sorted(self.sockets, key=lambda sock: sock.number)).broken_off()

    def _break_all(self) -> None:
        for sock in list(self.sockets):
            sock.broken_off()


SWITCH_ADDRESS = ("192.0.2.1", 8021)


class VirtualSocket:
    """The client's end of one connection; as much of a gevent socket as the client uses."""

    def __init__(self, net: Net, life: Frozen) -> None:
        self._net = net
        self._life = life
        self._agenda = net.switch.agenda
        self._latency_us = net.chance.randint(*LATENCY_US)
        self._next_us = [0, 0]  # there and back: bytes do not overtake each other
        net.made += 1
        self.number = net.made
        self._readable = Event()
        self._buffer = bytearray()
        self._held_in = bytearray()
        self._held_out: list[bytes] = []
        self._closed = self._broken = self._ended = False
        self._pumping = False
        self._listener: Listener | None = None
        self._listener = connect(net.switch, self._pump_soon)
        self._listener.on_broken = self._break_soon
        net.sockets.add(self)
        self._pump_soon()

    # --- the client's side ---

    def settimeout(self, _timeout: float | None) -> None:
        """Whoever waits has a deadline elsewhere."""

    def setsockopt(self, *_option: int) -> None:
        """What options do is part of the model."""

    def getpeername(self) -> tuple[str, int]:
        """The switch is on another machine: nobody here owns what listens there."""
        return SWITCH_ADDRESS

    def send(self, data: bytes, _flags: int = 0, _timeout: float | None = None) -> int:
        self._raise_if_over()
        chunk = bytes(data[: self._net.most])
        self._travel(0, lambda: self._arrive(chunk))
        return len(chunk)

    def _travel(self, way: int, arrive: Callable[[], None]) -> None:
        late_us = self._net.chance.randint(0, self._net.late_us) if self._net.late_us else 0
        self._next_us[way] = max(self._next_us[way], self._agenda.now_us + self._latency_us + late_us)
        self._agenda.at(self._next_us[way], arrive)

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[self.send(data) :]

    def recv(self, limit: int) -> bytes:
        while not self._buffer:
            if self._closed:
                raise _error(OSError, errno.EBADF)
            if self._broken:
                raise _error(ConnectionResetError, errno.ECONNRESET)
            if self._ended:
                return b""
            self._readable.wait()
            self._readable.clear()
        # Bytes come in portions of any size.
        size = min(limit, len(self._buffer), self._net.most)
        if self._net.chance.random() < 0.05:
            size = self._net.chance.randint(1, size)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    @property
    def has_unread(self) -> bool:
        return bool(self._buffer)

    def close(self) -> None:
        if not self._closed:
            self.abandon()
            self._readable.set()

    def abandon(self) -> None:
        """Its process is dead: the kernel closes it, and nobody here is told."""
        self._closed = True
        self._net.sockets.discard(self)
        if not self._net.holding:
            self._agenda.after(self._latency_us, self._hang_up)

    def _raise_if_over(self) -> None:
        if self._closed:
            raise _error(OSError, errno.EBADF)
        if self._broken:
            raise _error(BrokenPipeError, errno.EPIPE)

    # --- the wire ---

    def _arrive(self, chunk: bytes) -> None:
        assert self._listener is not None
        if self._net.holding:
            self._held_out.append(chunk)
            self._agenda.after(GIVE_UP_US, self._give_up)
        elif not (self._broken or self._listener.closed):
            self._listener.feed(chunk)

    def _give_up(self) -> None:
        if self._held_out:
            self._held_out.clear()
            self._fail()

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._travel(1, self._pump)

    def _pump(self) -> None:
        self._pumping = False
        listener = self._listener
        if listener is None or self._broken:
            return
        chunk = bytes(listener.out)
        if chunk:
            listener.sent(len(chunk))
            (self._held_in if self._net.holding else self._buffer).extend(chunk)
        self._ended = self._ended or (listener.closed and not self._net.holding)
        self._tell()

    def _hang_up(self) -> None:
        if self._listener is not None:
            self._listener.close(None)

    def _break_soon(self) -> None:
        self._agenda.after(self._latency_us, self._fail)

    def _fail(self) -> None:
        self._broken = True
        self._net.sockets.discard(self)
        self._tell()

    def broken_off(self) -> None:
        """Both ends learn that it is over."""
        self._held_out.clear()
        self._held_in.clear()
        self._fail()
        self._hang_up()

    def release(self) -> None:
        """What was held up arrives."""
        held, self._held_out = self._held_out, []
        for chunk in held:
            self._arrive(chunk)
        self._buffer += self._held_in
        self._held_in.clear()
        self._pump_soon()

    def _tell(self) -> None:
        if not self._life.frozen:
            self._readable.set()

    def thaw(self) -> None:
        """The daemon goes on: it sees what has come."""
        if self._buffer or self._broken or self._ended:
            self._readable.set()


def connector(nets: Callable[[Frozen], Net]) -> Callable[..., VirtualSocket]:
    """In the place of gevent.socket.create_connection."""

    def connect(_address: tuple[str, int], timeout: float) -> VirtualSocket:
        life = whose()
        assert life is not None, "only daemons connect"
        return nets(life).connect(life, timeout)

    return connect


def _error(kind: type[OSError], number: int) -> OSError:
    return kind(number, os.strerror(number))
