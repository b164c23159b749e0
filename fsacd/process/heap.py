"""What was freed goes back to the system. glibc keeps it, and after a few large answers it is in pieces."""

from __future__ import annotations

import ctypes
from typing import Final

# Not every C library has it; without it the memory is kept for what comes.
_TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Return freed memory to the system: some milliseconds, at moments when nobody waits."""
    if _TRIM is not None:
        _TRIM(0)
