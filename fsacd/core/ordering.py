"""How one queue orders its agents and its calls: by plugins, and by longest_idle and the usual order if they fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from fsacd.core.call import Call
from fsacd.core.chance import Chance
from fsacd.core.failing import failing_keys, failing_order, failing_ranks
from fsacd.core.plugins import PluginFailed, Plugins
from fsacd.core.rules import QueueRules, SkillLevels
from fsacd.strategy import (
    AgentFacts,
    CallFacts,
    CallOrder,
    Candidate,
    Key,
    KeyStrategy,
    RankStrategy,
    Ring,
    ServiceFacts,
    Start,
    Strategy,
)

FALLBACK = "longest_idle"


class Failure(NamedTuple):
    """A plugin that a queue does without from now on."""

    queue: str
    plugin: str
    failed: PluginFailed


class Ordering:
    """One queue's strategy and call order. `last_place` is that of the agent whom the queue rang last."""

    def __init__(
        self, rules: QueueRules, plugins: Plugins, *, seed: int, failures: list[Failure], last_place: int | None
    ) -> None:
        self.rules = rules
        self.level_first = rules.level_first
        self.last_place = last_place
        self._failures = failures
        self._plugins = plugins
        self._seed = seed
        # Calls into strategy and call order before a restart, less those that the restart itself has made.
        self._calls_before = (0, 0)
        self._use(rules.strategy, plugins.strategy(rules.strategy, rules.strategy_parameters))
        self.call_order: CallOrder | None = None
        # Whoever looks on asks an instance of its own, too.
        self._order_for_views: CallOrder | None = None
        if rules.call_order is not None:
            self.call_order = plugins.call_order(rules.call_order, rules.call_order_parameters)

    def _use(self, name: str, strategy: Strategy) -> None:
        self.strategy_name = name
        self._for_explaining: KeyStrategy | None = None
        self.ranks: RankStrategy | None = None
        self.by_skill = self.goes_round = False
        self.ring: Ring = strategy.ring
        if hasattr(strategy, "rank"):
            self.ranks = cast(RankStrategy, strategy)
            # The candidates come longest idle first, and are kept so.
            strategy = self._plugins.strategy(FALLBACK, ())
        self._keys = cast(KeyStrategy, strategy)
        if self.ranks is None:
            self.by_skill, self.goes_round = self._keys.by_skill, self._keys.goes_round

    # --- agents; each may raise PluginFailed, and `fall_back` is the answer ---

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The strategy's part of the agent's key; of a strategy that ranks, the order of its pool."""
        return self._keys.key(agent, service, required)

    def start(self, call_last_place: int | None) -> Key | None:
        """Behind which key the circle begins; None for a strategy that does not go round."""
        if not self.goes_round:
            return None
        return self._keys.start(Start(self.last_place, call_last_place))

    def key_then(
        self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels, start: Start | None
    ) -> tuple[Key, bool]:
        """The key again, for an explanation, and whether it comes round only after the others; () if that fails."""
        if self._for_explaining is None:
            # Of its own, so that a replay, in which nobody asks, finds the same number of calls into the other one.
            name = FALLBACK if self.ranks is not None else self.strategy_name
            parameters = self.rules.strategy_parameters if name == self.rules.strategy else ()
            self._for_explaining = cast(KeyStrategy, self._plugins.strategy(name, parameters))
        keys = self._for_explaining
        try:
            key = keys.key(agent, service, required if self.by_skill else ())
            behind = keys.start(start) if start is not None and self.goes_round else None
        except PluginFailed:
            return (), False
        return key, behind is not None and key <= behind

    def rank(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[str]:
        """The order of these candidates by a strategy that ranks."""
        assert self.ranks is not None
        return self.ranks.rank(facts_of(call), candidates, Chance(self._seed, call.call_id, call.offers))

    def fall_back(self, failure: PluginFailed) -> None:
        """The strategy has failed: longest_idle does its work."""
        self._note(self.strategy_name, failure, self._calls_before[0])
        self._use(FALLBACK, self._plugins.strategy(FALLBACK, ()))

    # --- calls ---

    def call_key(self, call: Call) -> Key:
        """The call's key among the calls of its queue; may raise PluginFailed."""
        if self.call_order is None:
            return (-call.priority, call.virtual_ms)
        return self.call_order.key(facts_of(call))

    def place_key(self, call: Call) -> tuple[Key, str]:
        """What the calls of the queue stand in order by, for whoever looks on; if the call order fails, the usual."""
        if self.call_order is None or self.rules.call_order is None:
            return (-call.priority, call.virtual_ms), call.call_id
        if self._order_for_views is None:
            self._order_for_views = self._plugins.call_order(self.rules.call_order, self.rules.call_order_parameters)
        try:
            return self._order_for_views.key(facts_of(call)), call.call_id
        except PluginFailed:
            return (-call.priority, call.virtual_ms), call.call_id

    def fall_back_to_usual_order(self, failure: PluginFailed) -> None:
        """The call order has failed: class and virtual arrival decide."""
        assert self.rules.call_order is not None
        self._note(self.rules.call_order, failure, self._calls_before[1])
        self.call_order = None

    def _note(self, plugin: str, failure: PluginFailed, calls_before: int) -> None:
        if failure.calls:
            failure.calls += calls_before
        self._failures.append(Failure(self.rules.name, plugin, failure))

    # --- for an engine that goes on where another stopped ---

    def go_on(self, last_place: int | None, *, strategy_failed: bool, call_order_failed: bool) -> None:
        """Order as another ordering of the same queue did."""
        self.last_place = last_place
        if strategy_failed:
            self._use(FALLBACK, self._plugins.strategy(FALLBACK, ()))
        if call_order_failed:
            self.call_order = None

    @property
    def has_failed(self) -> bool:
        """Whether the queue does without a plugin that its rules name."""
        no_order = self.call_order is None and self.rules.call_order is not None
        return no_order or self.strategy_name != self.rules.strategy

    def calls(self) -> tuple[int, int]:
        """How often strategy and call order have been called since the rules hold; 0 for one that is not counted."""
        before, instance = self._calls_before, self.ranks or self._keys
        return before[0] + getattr(instance, "calls", 0), before[1] + getattr(self.call_order, "calls", 0)

    def count_from(self, strategy_calls: int, call_order_calls: int) -> None:
        """From now on `calls` goes on from here."""
        self._calls_before = (0, 0)
        strategy, call_order = self.calls()
        self._calls_before = (strategy_calls - strategy, call_order_calls - call_order)

    def fail_at(self, plugin: str, why: str, calls: int) -> None:
        """Let the plugin fail at this call, counted as `calls` does."""
        strategy, call_order = self.calls()
        if plugin == self.strategy_name:
            said = calls - self._calls_before[0]
            if self.ranks is not None:
                self.ranks = failing_ranks(self.ranks, why, calls - strategy, said)
            else:
                self._keys = failing_keys(self._keys, why, calls - strategy, said)
        elif plugin == self.rules.call_order and self.call_order is not None:
            said = calls - self._calls_before[1]
            self.call_order = failing_order(self.call_order, why, calls - call_order, said)


def facts_of(call: Call) -> CallFacts:
    """What a plugin may know of a call."""
    return CallFacts(
        call_id=call.call_id,
        queue=call.queue,
        priority=call.priority,
        arrived_ms=call.arrived_ms,
        head_start_ms=call.head_start_ms,
        required=call.required,
        number=call.number,
        customer=call.customer,
        language=call.language,
        offers=call.offers,
        last_place=call.last_place,
    )
