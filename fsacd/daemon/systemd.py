"""Notifies systemd (sd_notify): ready, reloading, stopping, one line of status, and the watchdog's sign of life.

Without systemd (no NOTIFY_SOCKET) every call does nothing. Nothing here blocks: a notification that does not fit into
the socket is dropped, and systemd's own time-outs decide.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

import gevent
import structlog

from fsacd.runtime import watched

_log = structlog.get_logger(__name__)
_STATUS_LIMIT = 200


class Notifier:
    """Sends notifications to systemd, as `environment` says (None: this process's).

    NOTIFY_SOCKET is a path, or `@name` in the abstract namespace. WATCHDOG_USEC is how long systemd waits for a sign of
    life; a watchdog that is meant for another process (WATCHDOG_PID) is not ours.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        text, pid = given.get("WATCHDOG_USEC", ""), given.get("WATCHDOG_PID", "")
        is_ours = text.isascii() and text.isdigit() and int(text) > 0 and pid in {"", str(os.getpid())}
        self._watchdog_us = int(text) if is_ours else None
        self._failed = False
        self._address = given.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self, status: str = "") -> None:
        """The service does its work now; also the end of a reload."""
        self._send("READY=1", status)

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        # Since version 253 (Type=notify-reload) systemd needs this time to recognise the reload that it asked for.
        self._send("RELOADING=1", "", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000}")

    def stopping(self, status: str = "") -> None:
        """The service ends."""
        self._send("STOPPING=1", status)

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send("", text)

    def start_watchdog(self, healthy: Callable[[], bool]) -> gevent.Greenlet[[], None] | None:
        """Give a sign of life in half of the watchdog's time, while `healthy` says so; None without a watchdog.

        It runs as a greenlet, so that a hub that stands still sends nothing, and systemd starts the daemon anew.
        """
        if self._watchdog_us is None or self._socket is None:
            return None
        pause_s = self._watchdog_us / 2_000_000
        return watched.keep("watchdog", lambda: self._watch(healthy, pause_s))

    def close(self) -> None:
        """Say nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _watch(self, healthy: Callable[[], bool], pause_s: float) -> None:
        was_healthy = True
        while True:
            is_healthy = healthy()
            if is_healthy:
                self._send("WATCHDOG=1")
            elif was_healthy:
                _log.critical("not healthy: systemd gets no sign of life and will start fsacd anew")
            was_healthy = is_healthy
            gevent.sleep(pause_s)

    def _send(self, state: str, status: str = "", *more: str) -> None:
        if self._socket is None:
            return
        lines = [state] if state else []
        if status:
            # A line break would begin another assignment.
            lines.append("STATUS=" + " ".join(status.split())[:_STATUS_LIMIT])
        message = "\n".join([*lines, *more]).encode()
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            self._socket.sendto(message, address)
        except OSError as error:
            if not self._failed:
                _log.warning("systemd cannot be told", state=state or "STATUS", why=str(error))
            self._failed = True
        else:
            self._failed = False
