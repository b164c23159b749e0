"""Plugins that fail where they failed before, so that a replay makes the same decisions.

A plugin may have failed because it took too long, or by a fault that has been mended since. It is made to fail again
at the same call into it, so that the same agents are rung: ARCHITECTURE.md, "A plugin's failure, replayed".
"""

from __future__ import annotations

from collections.abc import Sequence

from fsacd.core.match.plugins import PluginFailed
from fsacd.strategy import (
    AgentFacts,
    CallFacts,
    CallOrder,
    Candidate,
    Chance,
    Key,
    KeyStrategy,
    RankStrategy,
    ServiceFacts,
    SkillLevels,
    Start,
)


class _Countdown:
    """Lets `left` - 1 calls pass and fails at the next."""

    def __init__(self, why: str, left: int, calls: int) -> None:
        self._why = why
        self._left = left
        self._calls = calls

    def count(self) -> None:
        self._left -= 1
        if self._left <= 0:
            raise PluginFailed(self._why, self._calls)


class FailingKeyStrategy:
    """A key strategy that fails soon."""

    def __init__(self, inner: KeyStrategy, countdown: _Countdown) -> None:
        self._inner = inner
        self._countdown = countdown
        self.ring = inner.ring
        self.by_skill = inner.by_skill
        self.by_sum = inner.by_sum
        self.goes_round = inner.goes_round

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The inner strategy's key, or PluginFailed."""
        self._countdown.count()
        return self._inner.key(agent, service, required)

    def start(self, start: Start) -> Key | None:
        """The inner strategy's start, or PluginFailed."""
        self._countdown.count()
        return self._inner.start(start)


class FailingRankStrategy:
    """A rank strategy that fails soon."""

    def __init__(self, inner: RankStrategy, countdown: _Countdown) -> None:
        self._inner = inner
        self._countdown = countdown
        self.ring = inner.ring

    def rank(self, call: CallFacts, candidates: Sequence[Candidate], chance: Chance) -> Sequence[str]:
        """The inner strategy's ranking, or PluginFailed."""
        self._countdown.count()
        return self._inner.rank(call, candidates, chance)


class FailingCallOrder:
    """A call order that fails soon."""

    def __init__(self, inner: CallOrder, countdown: _Countdown) -> None:
        self._inner = inner
        self._countdown = countdown

    def key(self, call: CallFacts) -> Key:
        """The inner order's key, or PluginFailed."""
        self._countdown.count()
        return self._inner.key(call)


def failing_keys(inner: KeyStrategy, why: str, left: int, calls: int) -> KeyStrategy:
    """The strategy, failing at the last of `left` calls; `calls` is what the failure says."""
    return FailingKeyStrategy(inner, _Countdown(why, left, calls))


def failing_ranks(inner: RankStrategy, why: str, left: int, calls: int) -> RankStrategy:
    """The same for a strategy that ranks."""
    return FailingRankStrategy(inner, _Countdown(why, left, calls))


def failing_order(inner: CallOrder, why: str, left: int, calls: int) -> CallOrder:
    """The same for a call order."""
    return FailingCallOrder(inner, _Countdown(why, left, calls))
