"""Seeds that nobody has used: what was found with old ones is mended, and says nothing of the rest."""

from __future__ import annotations

from random import SystemRandom

_BELOW = 1 << 31


def fresh_seed() -> int:
    """A seed of chance; whoever uses it prints it, so that what it finds can be looked at again."""
    return SystemRandom().randrange(_BELOW)
