"""The door: connections between being accepted and being served. It decides which of them get a place.

A connection that waits here has neither a greenlet nor a thread, so many of them cost little. Its first bytes decide
(`glance`, `places`): it gets a seat and a greenlet, or an answer of one packet and the end. So a flood costs a few
system calls for each connection. No connection is left in the kernel's queue, where all would wait in silence.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import gevent
from gevent.hub import get_hub

from fsacd.http.access import Access
from fsacd.http.buckets import Crowd
from fsacd.http.glance import GLANCE_BYTES, Glance, glance
from fsacd.http.hosts import Hosts
from fsacd.http.places import Doing, Place, Places, Standing
from fsacd.http.problem import no_place, response, too_many
from fsacd.runtime import watched

# Makes an open page as strangers get it: path -> HTTP status and JSON.
Pages = Callable[[str], tuple[HTTPStatus, bytes]]

# How long an answer about health is reused for those who ask too often.
_FRESH_S = 1.0
_SWEEP_S = 0.5


@dataclass(slots=True)
class _Waiting:
    """A connection on which nothing has come yet."""

    guest: Any
    address: Any
    watcher: Any


class Door:
    """Lets connections in. `serve(guest, address, place)` starts a greenlet; nothing here waits or yields.

    Guests are plain sockets that do not block, until they have a seat.
    """

    def __init__(
        self,
        places: Places,
        access: Access,
        hosts: Hosts,
        serve: Callable[[Any, Any, Place], None],
        pages: Pages | None,
        first_byte_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.places = places
        self.access = access
        self.clock = clock
        self._hosts = hosts
        self._serve = serve
        self._pages = pages
        self._first_byte_s = first_byte_s
        self._waiting: dict[Place, _Waiting] = {}
        self._guests: dict[Place, Any] = {}
        self._refusal: tuple[int, bytes] | None = None
        self._no_place = no_place().response()
        self._page_bytes: dict[tuple[str, bool], tuple[float, bytes]] = {}
        self._sweeper: gevent.Greenlet | None = None

    def open(self) -> None:
        """Begin to watch the waiting connections."""
        self._sweeper = watched.keep("doors", self._sweep)

    def close(self) -> None:
        """Close the connections on which nothing has come yet."""
        if self._sweeper is not None:
            self._sweeper.kill(block=False)
        for place in list(self._waiting):
            self._send_away(place)

    # --- coming ---

    def came(self, guest: Any, address: Any) -> None:
        """A connection was accepted."""
        peer = str(address[0]) if isinstance(address, tuple) else ""
        place, goes = self.places.come(peer, self.clock())
        if goes is not None:
            self._send_away(goes)
        # Most clients send their request at once.
        if not self._look(place, guest, address):
            watcher = get_hub().loop.io(guest.fileno(), 1)
            self._waiting[place] = _Waiting(guest, address, watcher)
            watcher.start(self._heard, place)

    def _heard(self, place: Place) -> None:
        waiting = self._waiting.get(place)
        if waiting is None:  # closed in the same round of the loop
            return
        waiting.watcher.stop()
        waiting.watcher.close()
        del self._waiting[place]
        if not self._look(place, waiting.guest, waiting.address):  # woken for nothing, which the kernel may do
            self._end(place, waiting.guest)

    def _look(self, place: Place, guest: Any, address: Any) -> bool:
        """Decide by the first bytes; False when there are none yet."""
        try:
            head = guest.recv(GLANCE_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            head = b""
        if not head:
            self._end(place, guest)
            return True
        refusal = self._judge(place, glance(head))
        if refusal is None:
            self._serve(guest, address, place)
        else:
            self._end(place, guest, refusal)
        return True

    def _judge(self, place: Place, seen: Glance) -> bytes | None:
        """Give the connection a seat; or return the answer that it gets instead."""
        token = self.access.identify(seen.authorization)
        crowd = seen.crowd
        is_health = crowd is Crowd.HEALTH and self._hosts.answers(seen.host or "")
        if crowd is Crowd.HEALTH and not is_health:
            crowd = Crowd.NAMELESS
        wait_s = self.access.wait(token, crowd)
        if wait_s > 0.0 and not is_health:
            return self._too_many(wait_s)
        if token is not None:
            standing = Standing.KNOWN
        elif is_health or crowd is Crowd.METRICS:
            standing = Standing.HEALTH
            page = self._page(seen) if wait_s > 0.0 else None
            if page is not None:
                return page
        else:
            standing = Standing.STRANGER
        has_seat, goes = self.places.seat(place, standing, self.clock())
        if goes is not None:
            self._send_away(goes)
        if has_seat:
            return None
        page = self._page(seen) if is_health and token is None else None
        return page or self._no_place

    def _too_many(self, wait_s: float) -> bytes:
        """The refusal; writing it anew would be most of a flood's cost, so it is cached until its wait changes."""
        tenths = math.ceil(wait_s * 10)
        if self._refusal is None or self._refusal[0] != tenths:
            self._refusal = tenths, too_many(tenths / 10).response()
        return self._refusal[1]

    def _page(self, seen: Glance) -> bytes | None:
        """A page of health, rendered once a second at most: frequent requests cost nearly nothing."""
        if self._pages is None:
            return None
        now = self.clock()
        made_at, page = self._page_bytes.get((seen.path, seen.is_head), (0.0, b""))
        if not page or now - made_at > _FRESH_S:
            status, body = self._pages(seen.path)
            page = response(status, "application/json", body)
            if seen.is_head:
                page = page[: page.index(b"\r\n\r\n") + 4]
            self._page_bytes[seen.path, seen.is_head] = now, page
        return page

    # --- staying and going ---

    def seated(self, place: Place, guest: Any) -> None:
        """The connection has this gevent socket now, and is about to get its greenlet."""
        self._guests[place] = guest

    def rest(self, place: Place) -> None:
        """A request has been answered; the connection waits for its next one."""
        goes = self.places.rest(place, self.clock())
        if goes is not None:
            self._send_away(goes)

    def left(self, place: Place) -> None:
        """The connection's greenlet is about to end."""
        self.places.leave(place)
        self._guests.pop(place, None)

    def _sweep(self) -> None:
        while True:
            gevent.sleep(min(_SWEEP_S, self._first_byte_s / 2))
            for place in self.places.overdue(self.clock() - self._first_byte_s):
                self._send_away(place)

    def _send_away(self, place: Place) -> None:
        """End a connection from outside. Its greenlet, if it has one, notices and cleans up."""
        self.places.leave(place)
        waiting = self._waiting.pop(place, None)
        if waiting is not None:
            waiting.watcher.stop()
            waiting.watcher.close()
            waiting.guest.close()
            return
        guest = self._guests.pop(place, None)
        if guest is not None:
            with suppress(OSError):  # the client may have closed it already
                if place.doing is Doing.READING:
                    guest._sock.send(self._no_place)  # noqa: SLF001 - gevent's own way would wait
                guest._sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001 - as above

    def _end(self, place: Place, guest: Any, answer: bytes = b"") -> None:
        """Answer, if there is an answer, and close."""
        self.places.leave(place)
        with suppress(OSError):
            if answer:
                # Unread bytes are read first: closing with unread bytes would reset the connection, and the answer
                # would be lost.
                guest.recv(65_536)
                guest.send(answer)
        guest.close()
