"""Rate limits: a bucket for each token, and one for each crowd of requests without a known token.

A crowd shares a bucket, so that memory does not grow with what strangers send. There are several crowds, so that those
who flood or guess empty only their own bucket, not a token's, nor that of a Prometheus without a token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

# Open pages by the crowd that asks for them. Health is never refused because of too many requests (see `door`).
_HEALTH_PATHS = frozenset({"/livez", "/readyz"})
_METRICS_PATH = "/metrics"
# A request delays the calls by about a millisecond. Strangers can ask for little: the metrics, which are rendered once
# a second, the API's description, which never changes, and health, which the door answers beyond this rate.
_CROWD_RATE = 10.0
_CROWD_BURST = 20.0


class Crowd(Enum):
    """The kinds of requests without a known token."""

    HEALTH = "health"
    METRICS = "metrics"
    GUESSERS = "guessers"
    NAMELESS = "nameless"

    @classmethod
    def of(cls, path: str, *, authorization: bool) -> Crowd:
        """The crowd of a request for `path` (no query) that carries no known token, perhaps a wrong one."""
        if path in _HEALTH_PATHS:
            return cls.HEALTH
        if authorization:
            return cls.GUESSERS
        return cls.METRICS if path == _METRICS_PATH else cls.NAMELESS


class Bucket:
    """A token bucket: `burst` requests at once, `rate` per second in the long run."""

    __slots__ = ("_burst", "_clock", "_filled_at", "_level", "_rate")

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._clock = clock
        self._level = self._burst
        self._filled_at = clock()

    def wait(self) -> float:
        """0.0 when there is a request in it, otherwise the seconds until there will be one; takes nothing."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return 0.0 if self._level >= 1.0 else (1.0 - self._level) / self._rate

    def charge(self, requests: float) -> None:
        """Take so many more out for one that was let in: the bucket may be in debt then."""
        self._level -= requests

    def take(self) -> float:
        """Take one request out; 0.0 when it was there, otherwise the seconds until it will be."""
        wait_s = self.wait()
        if wait_s <= 0.0:
            self._level -= 1.0
        return wait_s


class Buckets:
    """All buckets of one API. `rate` in requests per second and token; a crowd has 10 at most."""

    def __init__(self, names: Iterable[str], *, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._by_name = {name: Bucket(rate, burst, clock) for name in names}
        rate, burst = min(rate, _CROWD_RATE), min(burst, _CROWD_BURST)
        self._by_crowd = {crowd: Bucket(rate, burst, clock) for crowd in Crowd}

    def replace(self, names: Iterable[str]) -> None:
        """Have buckets for the tokens of these names alone; who stays has asked as often as before."""
        known = self._by_name
        self._by_name = {name: known.get(name) or Bucket(self._rate, self._burst, self._clock) for name in names}

    def of(self, name: str | None, crowd: Crowd) -> Bucket:
        """The bucket of the token of this name; of the crowd when there is none."""
        return self._by_crowd[crowd] if name is None else self._by_name[name]
