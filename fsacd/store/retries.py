"""The pauses of a background part while the database is away: longer and longer."""

from __future__ import annotations

import random

import gevent
import psycopg
import structlog

from fsacd.errors import FsacdError
from fsacd.runtime import watched
from fsacd.store.connecting import sentence
from fsacd.store.settings import StoreSettings

_log = structlog.get_logger(__name__)


class Retries:
    """The pauses between the tries of one part's work; `what` says its failure: "customers cannot be read"."""

    def __init__(self, part: str, what: str, settings: StoreSettings) -> None:
        self._part = part
        self._what = what
        self._settings = settings
        self._pause_ms = settings.retry_min_ms
        self._told = False
        self._dice = random.Random()  # noqa: S311 - spreads the tries of many daemons, nothing secret

    def succeeded(self) -> None:
        """The work has succeeded: the next pause is short again."""
        self._pause_ms = self._settings.retry_min_ms
        self._told = False

    def failed(self, error: BaseException) -> None:
        """Log the failure, once per outage, and wait."""
        if not isinstance(error, psycopg.Error | gevent.Timeout | OSError | FsacdError):
            watched.caught(self._part, error)
        elif not self._told:
            _log.warning(f"{self._what}; it is tried again", why=sentence(error))
        self._told = True
        gevent.sleep(self._dice.uniform(0.5, 1.0) * self._pause_ms / 1_000)
        self._pause_ms = min(self._pause_ms * 2, self._settings.retry_max_ms)
