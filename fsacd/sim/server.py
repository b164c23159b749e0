"""Sockets and time for the simulated switch: a thin shell under gevent."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer

from fsacd.sim.agenda import SECOND
from fsacd.sim.listener import Listener, connect
from fsacd.sim.switch import Switch

READ_BYTES = 65_536
# mod_event_socket listens with this backlog.
BACKLOG = 5
# The longest sleep: timers that lie further ahead are checked again then.
LONGEST_NAP_S = 1.0


class SwitchServer:
    """Runs a switch in real time and lets clients reach it over TCP. Not thread-safe: one hub owns it."""

    def __init__(self, switch: Switch, host: str = "127.0.0.1", port: int = 0) -> None:
        self.switch = switch
        self._server = StreamServer((host, port), self._serve, backlog=BACKLOG)
        self._changed = Event()
        self._begun_s = 0.0
        self._clock: gevent.Greenlet | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect to."""
        host, port = self._server.address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Listen and let time run. Raises OSError when the port is taken."""
        self._server.start()
        self._begun_s = time.monotonic() - self.switch.agenda.now_us / SECOND
        self._clock = gevent.spawn(self._run_clock)

    def stop(self) -> None:
        """Close everything; the model stays as it is."""
        if self._clock is not None:
            self._clock.kill()
        self._server.stop(timeout=0)

    def do(self, deed: Callable[[], None]) -> None:
        """Run an action on the model now: place a call, turn a fault on."""
        self._catch_up()
        deed()
        self._changed.set()

    def _catch_up(self) -> None:
        self.switch.agenda.run(int((time.monotonic() - self._begun_s) * SECOND))

    def _run_clock(self) -> None:
        while True:
            self._changed.clear()
            self._catch_up()
            next_us = self.switch.agenda.next_us()
            nap_s = LONGEST_NAP_S
            if next_us is not None:
                nap_s = min(nap_s, next_us / SECOND - (time.monotonic() - self._begun_s))
            if nap_s > 0:
                self._changed.wait(nap_s)
            else:
                # Let the connections' greenlets run, even when the model is behind its time.
                gevent.sleep(0)

    def _serve(self, client: socket.socket, _address: tuple[str, int]) -> None:
        if self.switch.faults.refusing:
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        news = Event()
        self._catch_up()

        listener = connect(self.switch, news.set)
        listener.on_broken = lambda: gevent.spawn(_hang_up, client)
        writer = gevent.spawn(self._write, client, listener, news)
        try:
            while not listener.closed:
                data = client.recv(READ_BYTES)
                if not data:
                    break
                self._catch_up()
                listener.feed(data)
                self._changed.set()
        except OSError:
            pass  # The client is gone; that ends its connection and nothing else.
        finally:
            listener.close(None)
            self._changed.set()
            writer.join()

    def _write(self, client: socket.socket, listener: Listener, news: Event) -> None:
        try:
            while True:
                news.wait()
                news.clear()
                while listener.out:
                    chunk = bytes(listener.out[:READ_BYTES])
                    client.sendall(chunk)
                    listener.sent(len(chunk))
                if listener.closed:
                    # Wakes the reader too, which may be waiting for a client that says nothing any more.
                    _hang_up(client)
                    return
        except OSError:
            listener.close(None)


def _hang_up(client: socket.socket) -> None:
    try:
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # The client has closed the connection first.
