"""Reads history back for the API, never on the path of a call: a connection for each question, few at once."""

from __future__ import annotations

from contextlib import closing
from typing import Any, LiteralString

import gevent
import psycopg
from gevent.lock import BoundedSemaphore

from fsacd.errors import Unavailable
from fsacd.store.connecting import connect, limit_statements, sentence
from fsacd.store.figures import document_without_counters
from fsacd.store.settings import StoreSettings

_AT_ONCE = 4
_EXPLANATIONS = """
    SELECT explanation FROM (
        SELECT explanation, at, number FROM decisions WHERE call_id = %s ORDER BY at DESC, number DESC LIMIT %s
    ) AS latest ORDER BY at, number
"""


class History:
    """Answers questions from the database, each within `patience_ms`."""

    def __init__(self, settings: StoreSettings, patience_ms: int = 3_000) -> None:
        self._settings = settings
        self._patience_ms = patience_ms
        self._free = BoundedSemaphore(_AT_ONCE)
        self.agent_figures = True  # whether explanations tell agents' counters

    def explanations(self, call_id: str, limit: int) -> list[dict[str, Any]]:
        """The latest decisions about a call, the oldest of them first, as `explanations.document` made them.

        Raises:
            Unavailable: the database cannot be asked, or did not answer in time.
        """
        found = [row[0] for row in self._ask(_EXPLANATIONS, (call_id, limit))]
        return found if self.agent_figures else list(map(document_without_counters, found))

    def _ask(self, query: LiteralString, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            with (
                gevent.Timeout(self._patience_ms / 1_000),
                self._free,
                # The connection is closed, not returned: it may be in the middle of a query whose time is over.
                closing(connect(self._settings.dsn, self._patience_ms, "fsacd reading")) as connection,
            ):
                limit_statements(connection, self._patience_ms)
                return connection.execute(query, values).fetchall()
        except psycopg.errors.UndefinedTable:
            return []  # the database has never been connected to; nothing has been written yet
        except psycopg.Error as error:
            raise Unavailable(f"the database cannot be asked: {sentence(error)}") from error
        except gevent.Timeout:
            raise Unavailable(f"the database did not answer within {self._patience_ms} ms") from None
