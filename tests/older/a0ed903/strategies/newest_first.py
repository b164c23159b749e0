"""newest_first, a call order: the higher priority class first; within it, who came last.

For queues where an old call is a lost call: the newest caller is the one who is still there. Whoever is not served at
once may wait for ever, so give such a queue a maximum wait. Head starts do not count.
"""

from __future__ import annotations

from fsacd.strategy import CallFacts, Key

API_VERSION = 1


class CallOrder:
    """Class, then the latest arrival."""

    def key(self, call: CallFacts) -> Key:
        """Its class and when it came, the latest first."""
        return (-call.priority, -call.arrived_ms)
