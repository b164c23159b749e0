"""Reads from history which agent each caller talked with last, and tells the engine once, soon after the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

import gevent
import structlog

from fsacd.core.events import LastAgentsKnown
from fsacd.store.connecting import GRACE_MS, connect_migrated, limit_statements
from fsacd.store.settings import StoreSettings
from fsacd.store.worker import Worker

_log = structlog.get_logger(__name__)

# Newest first along the index of `ended_at`: the work is bounded, however long the history is.
_QUERY = """
    SELECT number, agent_id FROM calls
    WHERE ended_at > now() - make_interval(days => %s) AND outcome = 'answered' AND number <> '' AND agent_id <> ''
        AND number_believed IS NOT FALSE
    ORDER BY ended_at DESC
"""
_FETCH = 500
# A caller who calls every day has many rows: this many are read for each caller who may be remembered.
_ROWS_FOR_EACH = 20
# The most pairs in one fact for the engine, so that no call waits for it.
_PAIRS = 500

Pairs = Sequence[tuple[str, str]]


class LastAgents:
    """Asks history once, in the background, for the last agents of at most `limit` callers, and posts them.

    `post` gets facts with pairs of number and agent; the oldest come first, so that the newest prevail. `key_of` gives
    the key by which the caller with an identity is remembered.
    """

    def __init__(
        self,
        settings: StoreSettings,
        post: Callable[[LastAgentsKnown], None],
        limit: int,
        *,
        days: int = 30,
        key_of: Callable[[str], str] = str,
    ) -> None:
        self._settings = settings
        self._post = post
        self._limit = limit
        self._days = days
        self._key_of = key_of
        self._worker = Worker(
            "last agents", "callers' last agents cannot be read from history", settings, self._work, once=True
        )

    def start(self) -> None:
        """Begin to ask; when the database is away it is asked later."""
        if self._limit > 0:
            self._worker.start()

    def stop(self) -> None:
        """End, even if not all is read yet."""
        self._worker.stop()

    def _work(self, succeeded: Callable[[], None]) -> None:
        pairs = self._read()
        succeeded()
        for start in range(0, len(pairs), _PAIRS):
            self._post(LastAgentsKnown(tuple(pairs[start : start + _PAIRS])))
            gevent.sleep(0.001)
        _log.info("callers' last agents are known from history", callers=len(pairs))

    def _read(self) -> Pairs:
        """The pairs, the oldest first.

        Raises:
            psycopg.Error, gevent.Timeout: the database is away or too slow.
        """
        timeout_ms = self._settings.statement_timeout_ms
        with closing(connect_migrated(self._settings.dsn, timeout_ms, "fsacd last agents")) as connection:
            limit_statements(connection, timeout_ms)
            known: dict[str, str] = {}
            with connection.cursor("last_agents") as cursor:
                with gevent.Timeout((timeout_ms + GRACE_MS) / 1_000):
                    cursor.execute(_QUERY, (self._days,))
                for _ in range(0, _ROWS_FOR_EACH * self._limit, _FETCH):
                    with gevent.Timeout((timeout_ms + GRACE_MS) / 1_000):
                        rows = cursor.fetchmany(_FETCH)
                    for number, agent_id in rows:
                        known.setdefault(self._key_of(self._settings.plan.identity(number)), agent_id)
                    if len(rows) < _FETCH or len(known) >= self._limit:
                        break
            return list(known.items())[: self._limit][::-1]
