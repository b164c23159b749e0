"""How one queue orders its agents and its calls: by plugins; while they fail, by longest_idle and the usual order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

from fsacd.core.call import Call
from fsacd.core.match.chance import Chance
from fsacd.core.match.failing import failing_keys, failing_order, failing_ranks
from fsacd.core.match.plugins import PluginFailed, Plugins
from fsacd.core.match.standing import Post, Standing
from fsacd.core.records import StrategyFailed
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
    post: Post
    failed: PluginFailed


# Failures that a replay expects in the running step, by queue and plugin.
Expected = Mapping[tuple[str, str], StrategyFailed]


class Ordering:
    """One queue's strategy and call order. `last_place` is that of the agent whom the queue rang last.

    `expected`: failures that a replay expects in the running step. `now_ms`: when this ordering comes into force.
    """

    def __init__(
        self,
        rules: QueueRules,
        plugins: Plugins,
        *,
        seed: int,
        failures: list[Failure],
        expected: Expected,
        last_place: int | None,
        now_ms: int,
    ) -> None:
        self.rules = rules
        self.level_first = rules.level_first
        self.last_place = last_place
        self.standings: dict[Post, Standing] = {"strategy": Standing(rules.strategy, since_ms=now_ms)}
        self._failures = failures
        self._expected = expected
        self._plugins = plugins
        self._seed = seed
        self._fallback = plugins.strategy(FALLBACK, ())
        self._strategy = plugins.strategy(rules.strategy, rules.strategy_parameters)
        self._call_order: CallOrder | None = None
        # Explanations and views use instances of their own: a replay must count the same calls into the deciding ones.
        self._for_explaining: dict[str, KeyStrategy] = {}
        self._order_for_views: CallOrder | None = None
        if rules.call_order is not None:
            self.standings["call_order"] = Standing(rules.call_order, since_ms=now_ms)
            self._call_order = plugins.call_order(rules.call_order, rules.call_order_parameters)
        self.call_order = self._call_order
        self._use(rules.strategy, self._strategy)
        for standing in self.standings.values():
            self._fail_as_expected(standing)

    def _use(self, name: str, strategy: Strategy) -> None:
        self.strategy_name = name
        self.ranks: RankStrategy | None = None
        self.by_skill = self.by_sum = self.goes_round = False
        self.ring: Ring = strategy.ring
        if hasattr(strategy, "rank"):
            self.ranks = cast(RankStrategy, strategy)
            # Candidates are shown longest idle first, so the pool is kept in this order.
            strategy = self._fallback
        self._take_keys(cast(KeyStrategy, strategy))
        if self.ranks is None:
            self.goes_round = self._keys.goes_round
            # A circle begins anywhere, also among those of one sum.
            self.by_sum = self._keys.by_skill and self._keys.by_sum and not self.goes_round
            self.by_skill = self._keys.by_skill and not self.by_sum

    # --- agents; each may raise PluginFailed, and `fall_back` is the answer ---

    def _take_keys(self, strategy: KeyStrategy) -> None:
        self._keys = strategy
        # The strategy's part of an agent's key; of a strategy that ranks, the order of its pool. The method itself, for
        # each agent who becomes ready pays for a call more in each of their queues.
        self.key: Callable[[AgentFacts, ServiceFacts, SkillLevels], Key] = strategy.key

    def start(self, call_last_place: int | None) -> Key | None:
        """Behind which key the circle begins; None for a strategy that does not go round."""
        if not self.goes_round:
            return None
        return self._keys.start(Start(self.last_place, call_last_place))

    def key_then(
        self, strategy: str, agent: AgentFacts, service: ServiceFacts, required: SkillLevels, start: Start | None
    ) -> tuple[Key, bool]:
        """The key that this strategy gave, and whether it lies before the circle's start, so that the agent comes last.

        The key is () if the strategy is not in use any more, or fails now.
        """
        if strategy not in {self.strategy_name, FALLBACK}:
            return (), False
        keys = self._explaining(FALLBACK if self.ranks is not None else strategy)
        try:
            key = keys.key(agent, service, required if keys.by_skill else ())
            behind = keys.start(start) if start is not None and keys.goes_round else None
        except PluginFailed:
            return (), False
        return key, behind is not None and key <= behind

    def _explaining(self, name: str) -> KeyStrategy:
        # A separate instance: a replay explains nothing, and must count the same calls into the deciding instance.
        if name not in self._for_explaining:
            parameters = self.rules.strategy_parameters if name == self.rules.strategy else ()
            self._for_explaining[name] = cast(KeyStrategy, self._plugins.strategy(name, parameters))
        return self._for_explaining[name]

    def rank(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[str]:
        """The order of these candidates by a strategy that ranks."""
        assert self.ranks is not None
        return self.ranks.rank(facts_of(call), candidates, Chance(self._seed, call.call_id, call.offers))

    def fall_back(self, failure: PluginFailed) -> None:
        """The strategy has failed: longest_idle does its work."""
        self._note("strategy", failure)
        self._use(FALLBACK, self._fallback)

    # --- calls ---

    def call_key(self, call: Call) -> Key:
        """The call's key among the calls of its queue; may raise PluginFailed."""
        if self.call_order is None:
            return (-call.priority, call.virtual_ms)
        return self.call_order.key(facts_of(call))

    def place_key(self, call: Call) -> tuple[Key, str]:
        """The call's key and id as views sort the queue's calls; if the call order fails, by the usual order."""
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
        self._note("call_order", failure)
        self.call_order = None

    # --- in and out of service ---

    def _note(self, post: Post, failure: PluginFailed) -> None:
        standing = self.standings[post]
        if failure.calls:
            failure.calls -= standing.calls
        standing.fail(failure.why)
        self._failures.append(Failure(self.rules.name, post, failure))

    def put_back(self, post: Post, now_ms: int) -> None:
        """A plugin that has failed does its work again."""
        standing = self.standings[post]
        standing.put_back(self._made(post), now_ms)
        self._put_in(post)
        self._fail_as_expected(standing)

    def _put_in(self, post: Post) -> None:
        if post == "strategy":
            self._use(self.rules.strategy, self._strategy)
        else:
            self.call_order = self._call_order

    @property
    def has_failed(self) -> bool:
        """Whether the queue does without a plugin that its rules name."""
        return any(standing.failed for standing in self.standings.values())

    @property
    def has_ever_failed(self) -> bool:
        """Whether a plugin of the queue has failed since these rules came into force."""
        return any(standing.failed or standing.failures for standing in self.standings.values())

    # --- for an engine that goes on where another stopped ---

    def go_on(self, last_place: int | None, standings: Mapping[Post, Standing]) -> None:
        """Order as another ordering of the same queue did."""
        self.last_place = last_place
        for post in self.standings.keys() & standings.keys():
            self.standings[post] = standings[post]
        if self.standings["strategy"].failed:
            self._use(FALLBACK, self._fallback)
        if "call_order" in self.standings and self.standings["call_order"].failed:
            self.call_order = None

    def _made(self, post: Post) -> int:
        """How many calls have been made into the instance; 0 for one that does not count them."""
        return getattr(self._strategy if post == "strategy" else self._call_order, "calls", 0)

    def calls(self, post: Post) -> int:
        """How often the plugin has been called since it was put into service; 0 while it is out of it."""
        standing = self.standings.get(post)
        return 0 if standing is None or standing.failed else self._made(post) - standing.calls

    def count_from(self, post: Post, calls: int) -> None:
        """From now on `calls` goes on from here."""
        if post in self.standings:
            self.standings[post].calls = self._made(post) - calls

    def fail_at(self, plugin: str, why: str, calls: int) -> None:
        """Let the plugin, if it is in service, fail at this call, counted as `calls` does (`failing`)."""
        for post, standing in self.standings.items():
            if standing.plugin == plugin and not standing.failed:
                self._put_in(post)
                left, made = calls - self.calls(post), calls + standing.calls
                if post == "call_order":
                    assert self.call_order is not None
                    self.call_order = failing_order(self.call_order, why, left, made)
                elif self.ranks is not None:
                    self.ranks = failing_ranks(self.ranks, why, left, made)
                else:
                    self._take_keys(failing_keys(self._keys, why, left, made))

    def _fail_as_expected(self, standing: Standing) -> None:
        """Let a plugin that has just been put into service fail, if a replay expects it to fail in this step."""
        failure = self._expected.get((self.rules.name, standing.plugin))
        if failure is not None:
            self.fail_at(failure.plugin, failure.why, failure.calls)


def facts_of(call: Call) -> CallFacts:
    """What a plugin may know of a call."""
    return CallFacts(
        call_id=call.call_id,
        queue=call.queue,
        priority=call.priority,
        arrived_ms=call.arrived_ms,
        head_start_ms=call.head_start_ms,
        required=call.required,
        # A plugin's keys are shown with the explanation, so a hidden number must not get into them.
        number="" if call.hidden else call.number,
        customer=call.customer,
        language=call.language,
        offers=call.offers,
        last_place=call.last_place,
    )
