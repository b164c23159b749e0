"""Authentication: bearer tokens, whom each stands for, and how often each may ask. `rights` decides what they may do.

The daemon keeps only the SHA-256 of a token. That is enough because a token is a long random word, not a password:
there is nothing to guess that a slow hash would have to protect.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fsacd.desk.rights import EVERYWHERE, Principal, Role, Scope
from fsacd.http.buckets import Buckets, Crowd


@dataclass(frozen=True, slots=True)
class Token:
    """A named bearer token and whom it stands for; `sha256` is the digest of the secret, which itself is not kept.

    The principal's subject is the token's name until a request adds the way by which it came.
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


class Access:
    """The configured tokens and their buckets. Memory does not grow with what strangers send."""

    def __init__(self, tokens: Sequence[Token], *, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._tokens = tuple(tokens)
        self._buckets = Buckets((token.name for token in self._tokens), rate=rate, burst=burst, clock=clock)

    def replace(self, tokens: Sequence[Token]) -> None:
        """Know these tokens and no others from the next request on; a token that stays keeps its bucket."""
        self._tokens = tuple(tokens)
        self._buckets.replace(token.name for token in self._tokens)

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

    def admit(self, token: Token | None, crowd: Crowd = Crowd.NAMELESS) -> float:
        """0.0 when this token may ask now, else the seconds to wait; without a token, its crowd's bucket decides."""
        return self._buckets.of(token.name if token else None, crowd).take()

    def charge(self, token: Token, requests: float) -> None:
        """Count the request that this token was let in with as so many more."""
        self._buckets.of(token.name, Crowd.NAMELESS).charge(requests)

    def wait(self, token: Token | None, crowd: Crowd) -> float:
        """What `admit` would answer; nothing is counted."""
        return self._buckets.of(token.name if token else None, crowd).wait()
