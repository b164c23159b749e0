"""known_first, a call order: calls of known customers first, then who has waited longest.

The priority class goes before everything, as it does without a call order.
"""

from __future__ import annotations

from fsacd.strategy import CallFacts, Key

API_VERSION = 1


class CallOrder:
    """Class, then known customers, then virtual arrival."""

    def key(self, call: CallFacts) -> Key:
        """Smaller goes first."""
        return (-call.priority, 0 if call.customer else 1, call.arrived_ms - call.head_start_ms)
