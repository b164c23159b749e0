"""Addresses whose callers have acknowledged lately: their next calls need not wait for an ACK of their own. Pure.

Waiting for the ACK costs each call the time until its leg's thread reads its next frame. Nearly all calls come from a
few addresses (trunks, the operator's own proxy), which acknowledge thousands of times a day. But anybody can write such
an address into an INVITE, so few calls of each may be unproven at a time, and one that stays so takes the trust away.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final

# How many addresses are remembered; beyond it, those that acknowledged longest ago are forgotten.
LIMIT: Final = 1_000
# An address loses its trust when it has acknowledged nothing for this long.
TRUSTED_FOR_S: Final = 3_600.0
# How long an address is not trusted after a call that nobody acknowledged.
DOUBTED_FOR_S: Final = 60.0
# How many calls may be unproven at a time, of one address and of all together.
UNPROVEN_OF_ONE: Final = 20
UNPROVEN: Final = 200


class Trust:
    """Decides which addresses' calls are taken without an ACK. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._since: OrderedDict[str, float] = OrderedDict()  # when each has acknowledged last
        self._doubted: OrderedDict[str, float] = OrderedDict()  # and since when each is doubted
        self._unproven: Counter[str] = Counter()

    def takes(self, address: str, now_s: float) -> bool:
        """Whether a call from this address is taken at once. If so, the call counts as unproven until `settled`."""
        last_s = self._since.get(address)
        if last_s is None or now_s - last_s > TRUSTED_FOR_S or self._is_doubted(address, now_s):
            return False
        if self._unproven[address] >= UNPROVEN_OF_ONE or self._unproven.total() >= UNPROVEN:
            return False
        self._unproven[address] += 1
        return True

    def settled(self, address: str) -> None:
        """One call of the address is not unproven any more: it was acknowledged, has ended, or was ended."""
        self._unproven[address] -= 1
        if self._unproven[address] <= 0:
            del self._unproven[address]

    def proved(self, address: str, now_s: float) -> None:
        """A caller from this address has acknowledged."""
        _put(self._since, address, now_s)

    def doubt(self, address: str, now_s: float) -> bool:
        """A caller from this address has not acknowledged. Returns whether the address was not doubted already."""
        news = not self._is_doubted(address, now_s)
        _put(self._doubted, address, now_s)
        return news

    def _is_doubted(self, address: str, now_s: float) -> bool:
        since_s = self._doubted.get(address)
        return since_s is not None and now_s - since_s <= DOUBTED_FOR_S


def _put(known: OrderedDict[str, float], address: str, now_s: float) -> None:
    known[address] = now_s
    known.move_to_end(address)
    if len(known) > LIMIT:
        known.popitem(last=False)
