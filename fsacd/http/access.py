"""Who asks: bearer tokens, whom each stands for, and how often each may ask. What they may do is decided in `rights`.

The daemon keeps only the SHA-256 of a token. That is enough because a token is a long random word, not a password:
there is nothing to guess that a slow hash would have to protect.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fsacd.rights import EVERYWHERE, Principal, Role, Scope


@dataclass(frozen=True, slots=True)
class Token:
    """A named bearer token and whom it stands for; `sha256` is the digest of the secret, the secret itself is not kept.

    The principal's subject is the token's name until a request says by which way it came.
    """

    principal: Principal
    sha256: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """Whose token it is."""
        return self.principal.subject

    @classmethod
    def of(cls, name: str, role: Role, secret: str, scope: Scope = EVERYWHERE, expires_s: float | None = None) -> Token:
        """Make a token from its secret."""
        return cls(Principal(name, role.verbs, scope, expires_s), hashlib.sha256(secret.encode()).digest())


class Bucket:
    """A token bucket: `burst` requests at once, `rate` per second in the long run."""

    __slots__ = ("_burst", "_clock", "_filled_at", "_level", "_rate")

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._clock = clock
        self._level = self._burst
        self._filled_at = clock()

    def take(self) -> float:
        """Take one request out; 0.0 when it was there, otherwise the seconds until it will be."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._level >= 1.0:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self._rate


class Access:
    """The configured tokens and their buckets. Memory does not grow with what strangers send."""

    def __init__(self, tokens: Sequence[Token], *, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._new_bucket: Callable[[], Bucket] = lambda: Bucket(rate, burst, clock)
        self._buckets: dict[str, Bucket] = {}
        self.replace(tokens)
        # One bucket for everybody without a valid token: guessing is slowed down for all guessers together,
        # and a stranger cannot use up what a token's owner is entitled to.
        self._strangers = Bucket(rate, burst, clock)

    def replace(self, tokens: Sequence[Token]) -> None:
        """Know these tokens and no others from the next request on; who stays has asked as often as before."""
        self._tokens = tuple(tokens)
        self._buckets = {token.name: self._buckets.get(token.name) or self._new_bucket() for token in self._tokens}

    @property
    def empty(self) -> bool:
        """Whether no token is configured at all."""
        return not self._tokens

    def identify(self, authorization: str | None) -> Token | None:
        """The token in an Authorization header, or None. Takes equally long for every wrong secret."""
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            return None
        # WSGI hands headers over as Latin-1; a secret is compared as the bytes that were sent.
        digest = hashlib.sha256(secret.strip().encode("latin-1", "replace")).digest()
        found: Token | None = None
        for token in self._tokens:
            if hmac.compare_digest(digest, token.sha256):
                found = token
        return found

    def admit(self, token: Token | None) -> float:
        """0.0 when this token (None: a stranger) may ask now, otherwise the seconds it must wait."""
        bucket = self._strangers if token is None else self._buckets[token.name]
        return bucket.take()
