"""Addresses whose callers have acknowledged lately: their next calls need not wait for an ACK of their own. Pure.

Waiting for the ACK costs each call the time until its leg's thread reads its next frame. Nearly all calls come from a
few addresses (trunks, the operator's own proxy), which acknowledge thousands of times a day. But anybody can write such
an address into an INVITE, so few calls of each may be unproven at a time, and one that stays so takes the trust away.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final

# So many addresses are remembered; of more, those that acknowledged longest ago are forgotten.
LIMIT: Final = 1_000
# Who has not called for so long is a stranger again.
TRUSTED_FOR_S: Final = 3_600.0
# An address in whose name somebody has called who is not there: nobody there is believed without an ACK for so long.
DOUBTED_FOR_S: Final = 60.0
# So many of its calls may be unproven at a time, and of all addresses together.
UNPROVEN_OF_ONE: Final = 20
UNPROVEN: Final = 200


class Trust:
    """Whom to take without an ACK. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._since: OrderedDict[str, float] = OrderedDict()  # when each has acknowledged last
        self._doubted: OrderedDict[str, float] = OrderedDict()  # and since when each is doubted
        self._unproven: Counter[str] = Counter()

    def takes(self, address: str, now_s: float) -> bool:
        """Whether a call from there is taken at once. If so it counts as unproven until `settled`."""
        last_s = self._since.get(address)
        if last_s is None or now_s - last_s > TRUSTED_FOR_S or self._is_doubted(address, now_s):
            return False
        if self._unproven[address] >= UNPROVEN_OF_ONE or self._unproven.total() >= UNPROVEN:
            return False
        self._unproven[address] += 1
        return True

    def settled(self, address: str) -> None:
        """One of its calls is unproven no more: it has acknowledged, has ended, or was ended."""
        self._unproven[address] -= 1
        if self._unproven[address] <= 0:
            del self._unproven[address]

    def proved(self, address: str, now_s: float) -> None:
        """Somebody there has acknowledged."""
        _put(self._since, address, now_s)

    def doubt(self, address: str, now_s: float) -> bool:
        """Somebody there has not. Returns whether that is news."""
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
