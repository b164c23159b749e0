"""Seeds that were never used before: what passes with those of yesterday may have been mended for those alone."""

from __future__ import annotations

import secrets

# Short enough to be typed.
_MOST = 1_000_000_000


def fresh() -> int:
    """A seed for the first of some schedules; the next ones count on."""
    return secrets.randbelow(_MOST)
