"""Whether a plugin of a queue does its work: put out of service by a failure, it is tried again, each time later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fsacd.core.rules import Limits

# What a plugin does in its queue. These are also the names of the deadlines at which it is tried again.
Post = Literal["strategy", "call_order"]
POSTS: tuple[Post, ...] = ("strategy", "call_order")


@dataclass(slots=True)
class Standing:
    """How one plugin of one queue stands. Times are the engine's.

    `failures` is how often in a row it has failed, `since_ms` when it was put into or out of service last, `why` how it
    failed last, `calls` how many calls had been made into its instance when it was put into service.
    """

    plugin: str
    failed: bool = False
    failures: int = 0
    since_ms: int = 0
    why: str = ""
    calls: int = 0

    def fail(self, why: str) -> None:
        """Put it out of service; `count` says until when."""
        self.failed, self.why = True, why

    def count(self, limits: Limits, now_ms: int) -> int:
        """Count its failure; returns when it is tried again.

        Each failure in a row doubles the pause, up to a limit. A plugin that has worked for that long begins anew.
        """
        most_ms = limits.plugin_retry_most_ms
        in_a_row = self.failures and now_ms - self.since_ms < most_ms
        self.failures = self.failures + 1 if in_a_row else 1
        self.since_ms = now_ms
        # Beyond so many doublings the limit has long been reached.
        return now_ms + min(limits.plugin_retry_ms << min(self.failures - 1, _DOUBLINGS), most_ms)

    def put_back(self, calls: int, now_ms: int) -> None:
        """Put it back into service; `calls` have been made into it so far."""
        self.failed, self.calls, self.since_ms = False, calls, now_ms


_DOUBLINGS = 32
