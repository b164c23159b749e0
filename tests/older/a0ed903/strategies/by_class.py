"""by_class, a call order: the higher priority class first; within it, who has waited longest, head start included.

This is also the order of a queue that names none.
"""

from __future__ import annotations

from fsacd.strategy import CallFacts, Key

API_VERSION = 1


class CallOrder:
    """Class, then virtual arrival."""

    def key(self, call: CallFacts) -> Key:
        """Its class, and when it would have come without its head start."""
        return (-call.priority, call.arrived_ms - call.head_start_ms)
