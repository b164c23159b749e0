"""The die of rank strategies: thrown by the engine's seed, the call and the attempt, so a replay throws the same."""

from __future__ import annotations

from hashlib import blake2b

_STEP = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class Chance:
    """A stream of numbers in [0, 1), the same for the same decision (SplitMix64: Steele, Lea, Flood, OOPSLA 2014)."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, call_id: str, attempt: int) -> None:
        digest = blake2b(f"{seed}/{attempt}/{call_id}".encode(), digest_size=8).digest()
        self._state = int.from_bytes(digest, "big")

    def random(self) -> float:
        """A number in [0, 1)."""
        self._state = mixed = (self._state + _STEP) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((mixed ^ (mixed >> 31)) >> 11) * 2.0**-53
