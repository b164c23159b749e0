"""Tells the database whether views for reports name agents: the setting `agent_figures`, whenever it changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import gevent
import structlog
from gevent.event import Event

from fsacd.store.connecting import GRACE_MS, connect_migrated, limit_statements
from fsacd.store.settings import StoreSettings
from fsacd.store.worker import Worker

_log = structlog.get_logger(__name__)
_SET = "UPDATE reporting SET agent_figures = %(on)s WHERE agent_figures <> %(on)s"


class Reporting:
    """One greenlet that writes the setting; while the database is away, it tries again."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._wanted: bool | None = None
        self._wake = Event()
        self._worker = Worker("reporting", "it cannot be told what reports may see", settings, self._work)

    def show_agents(self, on: bool) -> None:
        """From now on, reports name agents or not."""
        if on is not self._wanted:
            self._wanted = on
            self._wake.set()

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """End."""
        self._worker.stop()

    def _work(self, succeeded: Callable[[], None]) -> None:
        self._wake.wait()
        wanted, timeout_ms = self._wanted, self._settings.statement_timeout_ms
        with (
            closing(connect_migrated(self._settings.dsn, timeout_ms, "fsacd reporting")) as connection,
            gevent.Timeout((timeout_ms + GRACE_MS) / 1_000),
            connection.transaction(),
        ):
            limit_statements(connection, timeout_ms)
            changed = connection.execute(_SET, {"on": wanted}).rowcount
        succeeded()
        if changed:
            _log.info("reports name agents" if wanted else "reports name no agents any more", why="agent_figures")
        if wanted is self._wanted:  # it may have changed meanwhile
            self._wake.clear()
