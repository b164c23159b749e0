"""Freed memory is returned to the system. glibc would keep it, and large answers leave it fragmented."""

from __future__ import annotations

import ctypes
from typing import Final

# Not every C library has malloc_trim; without it freed memory is kept for later use.
_TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Return freed memory to the system: some milliseconds, at moments when nobody waits."""
    if _TRIM is not None:
        _TRIM(0)
