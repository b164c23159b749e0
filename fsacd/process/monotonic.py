"""The machine's clock that never goes back."""

from __future__ import annotations

import time


def monotonic_ms() -> int:
    """Milliseconds since some moment before the process began; nobody can set it, and it goes on during a step."""
    return time.monotonic_ns() // 1_000_000
