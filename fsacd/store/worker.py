"""A background part: one greenlet, started once, that tries again while the database is away."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from fsacd.runtime import watched
from fsacd.store.retries import Retries
from fsacd.store.settings import StoreSettings

Work = Callable[[Callable[[], None]], None]
"""The work of a part. It calls its argument after each success with the database, and raises on failure.

It is called again after a pause when it raises, and at once when it returns.
"""


class Worker:
    """Does a part's work again and again until it is stopped; `what` says its failure: "customers cannot be read".

    `once`: the work is done once. `first_s`: how many seconds after the start it begins.
    """

    def __init__(
        self, part: str, what: str, settings: StoreSettings, work: Work, *, once: bool = False, first_s: float = 0.0
    ) -> None:
        self._part = part
        self._what = what
        self._settings = settings
        self._work = work
        self._once = once
        self._first_s = first_s
        self._greenlet: gevent.Greenlet[[], None] | None = None

    @property
    def is_started(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._greenlet is not None

    def start(self) -> None:
        """Begin, if it has not begun."""
        if self._greenlet is None:
            self._greenlet = watched.keep(self._part, self._run, may_end=lambda: self._once)

    def stop(self) -> None:
        """End at once, in the middle of any work."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill(timeout=1)

    def _run(self) -> None:
        retries = Retries(self._part, self._what, self._settings)
        if self._first_s:
            gevent.sleep(self._first_s)
        while True:
            try:
                self._work(retries.succeeded)
                if self._once:
                    return
            except (Exception, gevent.Timeout) as error:  # noqa: BLE001 - Retries tells our faults from the database's
                retries.failed(error)
