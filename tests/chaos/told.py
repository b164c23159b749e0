"""What history tells, from whichever table or records; and by how much that differs from what the switch said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

MS, SECOND_US = 1_000, 1_000_000
# A bridge that was shorter may have been broken in the making: whether it was a talk is a matter of moments.
SHORT_US = SECOND_US
# So near to a time in which nobody heard the switch, history may know less than the switch has said.
AROUND_US = 2 * SECOND_US


@dataclass(frozen=True, slots=True)
class TalkRow:
    """A talk. `sure`: whoever wrote it saw its end."""

    all_ms: int  # time on hold included
    held_ms: int
    sure: bool


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A visit. `offer_id`: who answered, by their leg; empty: nobody."""

    n: int
    contact_id: str
    queue: str
    outcome: str
    offer_id: str
    waited_ms: int
    sure: bool


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call."""

    contact_id: str
    number: str


@dataclass(slots=True)
class Told:
    """All of it: talks by offer, visits and calls by call."""

    talks: dict[str, TalkRow] = field(default_factory=dict)
    visits: dict[str, list[VisitRow]] = field(default_factory=lambda: defaultdict(list))
    calls: dict[str, CallRow] = field(default_factory=dict)


@dataclass(slots=True)
class Differences:
    """By how many milliseconds history and the switch differ: of talks, holds and waits."""

    by_kind: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def note(self, kind: str, difference_ms: int) -> None:
        """One of them."""
        self.by_kind[kind].append(abs(difference_ms))

    def add(self, other: Differences) -> None:
        """Those of another schedule, too."""
        for kind, found in other.by_kind.items():
            self.by_kind[kind] += found

    def __str__(self) -> str:
        return "; ".join(f"{kind} {_spread(sorted(found))}" for kind, found in sorted(self.by_kind.items()))


def _spread(found: list[int]) -> str:
    p50, p99 = (found[min(len(found) - 1, len(found) * share // 100)] for share in (50, 99))
    return f"p50 {p50}, p99 {p99}, max {found[-1]} ms of {len(found)}"


def moment_us(event: Mapping[str, str]) -> int:
    """When an event was made, by the switch's wall clock; it counts in steps of 20 ms."""
    return int(event["Event-Date-Timestamp"])
