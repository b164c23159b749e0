"""What a leg's thread yields when it blocks."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wait:
    """Blocked until `until_us` (None: for ever) or a signal; a deaf thread sleeps through signals."""

    until_us: int | None = None
    deaf: bool = False


Thread = Generator[Wait, None, None]
