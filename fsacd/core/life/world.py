"""The engine's state, and the only way to change it.

One dict of calls, one of agents, one of offers, each thing with exactly one state object. Indexes, counts and timers
follow every change in here, so they cannot disagree with it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from functools import partial

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core import reach, skills
from fsacd.core.abandoned import AbandonedPlaces
from fsacd.core.call import _IN_QUEUE, in_queue
from fsacd.core.commands import EndCall, NoteCall, SendCall
from fsacd.core.ended import EndedCalls
from fsacd.core.events import CallQueued, Leg
from fsacd.core.life.decisions import Decisions
from fsacd.core.life.produced import Produced
from fsacd.core.match.index import Index
from fsacd.core.match.ordering import Failure, Ordering
from fsacd.core.match.plugins import Plugins
from fsacd.core.match.present import Present
from fsacd.core.match.standing import Post
from fsacd.core.origins import Origins
from fsacd.core.records import Anomaly, AnomalyKind, CallOutcome, StrategyFailed, StrategyReturned
from fsacd.core.rules import QueueRules, Rules, SkillLevels
from fsacd.core.shape import TalkShape
from fsacd.core.staffing import Condition, Staffing, overflow_rules
from fsacd.core.timers import Timers
from fsacd.strategy import EVERYBODY


class World(Produced):
    """Calls, agents, offers, their indexes and timers, and what the running step has produced so far."""

    def __init__(self, rules: Rules, plugins: Plugins, now_ms: int, seed: int) -> None:
        super().__init__()
        self.rules = rules
        self.now_ms = now_ms
        self.calls: dict[str, c.Call] = {}
        self.agents: dict[str, a.Agent] = {}
        self.offers: dict[str, o.Offer] = {}
        self.shapes: dict[str, TalkShape] = {}  # of talks that were changed, by offer; next: third party's → talk's
        self.thirds: dict[str, str] = {}
        self.asking: dict[str, c.Call] = {}  # by talk: entries in queues for whom nobody rings, see `asking`
        self.lines: dict[str, tuple[str, ...]] = {}  # who is at each phone: see `shared_phones`
        self.standing: dict[str, str] = {}  # whose each standing leg is
        self.switches: dict[str, bool] = {}
        self.absent: dict[str, int] = {}  # switches that are away, since when, until they are given up
        self.epochs: dict[str, int] = {}  # by switch: the last epoch in which we held its fence
        self.takeovers = 0  # how often another daemon took a switch; calls adopted later get other leg ids
        self.retired: frozenset[str] = frozenset()  # not in the configuration; a live talk still needs their rules
        self.queue_lengths: dict[str, int] = dict.fromkeys(rules.queues, 0)
        self.origins = Origins()
        self.outcomes: Counter[tuple[str, CallOutcome]] = Counter()  # of calls, by the queue they stood in last
        self.ended = EndedCalls()
        self.abandoned = AbandonedPlaces()
        self.timers = Timers()
        self.staffing = Staffing(rules.queues, now_ms)
        self.present = Present()
        self.decisions = Decisions()
        self.handling: dict[str, float] = {}  # by queue: talk and wrap-up of its calls, smoothed, in ms
        self.last_agents: OrderedDict[str, str] = OrderedDict()  # by caller's number, the latest last
        self.failures: list[Failure] = []
        # Failures that a replay expects in the running step, by queue and plugin.
        self.expected: dict[tuple[str, str], StrategyFailed] = {}
        # To be distributed at the end of the step, as they became free: in no index, for most are matched at once.
        self.free_agents: dict[str, None] = {}
        self.free_calls: dict[str, None] = {}
        self._plugins = plugins
        self.seed = seed  # drives random strategies and makes leg ids unique; every new engine has a new one
        self.places: dict[str, dict[str, int]] = {}  # by queue: agents in the configuration's order
        self.delays: dict[str, tuple[int, ...]] = {}
        self.orderings: dict[str, Ordering] = {}
        self.edition = 0  # how often the rules have been changed
        self.by_hand = 0  # how often an agent's queues and skills have been changed by hand, in this process
        self.prepared: object = None  # what was computed beforehand for the next change of the rules
        self._renamed = rules.renamed()
        self.order(rules)

    def order(self, rules: Rules) -> None:
        """Make the orders of these rules: plugins, places and delays of agents, an empty index."""
        self.orderings = {name: self.ordering(name, queue) for name, queue in rules.queues.items()}
        self.places, delays = {name: {} for name in rules.queues}, dict[str, set[int]]()
        for agent in rules.agents.values():
            for queue, service in agent.queues.items():
                self.places[queue][agent.agent_id] = len(self.places[queue])
                if service.delay_ms:
                    delays.setdefault(queue, set()).add(service.delay_ms)
        self.delays = {queue: tuple(sorted(found)) for queue, found in delays.items()}
        self.index = Index(self.orderings, self.agents.__getitem__, rules.limits.rank_pool)
        self.present.let_ask(rules.asking_for_delays())

    def ordering(self, name: str, rules: QueueRules) -> Ordering:
        """A queue's plugins by these rules; the place of the agent whom it rang last stays."""
        return Ordering(
            rules,
            self._plugins,
            seed=self.seed,
            failures=self.failures,
            expected=self.expected,
            last_place=self.orderings[name].last_place if name in self.orderings else None,
            now_ms=self.now_ms,
        )

    def take_rules(self, rules: Rules, retired: frozenset[str]) -> None:
        """Work by other rules; `new_rules` sees to all that follows from it."""
        self.edition += 1
        self.rules, self.retired = rules, retired
        self._renamed = rules.renamed()

    def anomaly(self, kind: AnomalyKind, text: str) -> None:
        """Record something that should not have happened."""
        self.record(Anomaly(kind, text, self.now_ms))

    # --- calls ---

    def add_call(self, call: c.Call) -> None:
        """A new call, Waiting."""
        assert call.call_id not in self.calls
        self.calls[call.call_id] = call
        self.origins.add(call)
        self.queue_lengths[call.queue] += 1
        self.free_calls[call.call_id] = None  # it stands in no order yet
        self.set_reach(call)
        if call.leg is not None:
            self.miss(call.leg.switch)

    def move_call(self, call: c.Call, state: c.CallState) -> None:
        """Change a call's state. AssertionError for a move that the table forbids: an error of ours."""
        old, new = type(call.state), type(state)
        assert new in c.CALL_MOVES[old], f"call {call.state} -> {state}"
        self.queue_lengths[call.queue] += (new in _IN_QUEUE) - (old in _IN_QUEUE)
        call.state = state
        if isinstance(state, c.Settling):
            self.timers.set("settle", call.call_id, state.until_ms)
        elif isinstance(state, c.Talking):
            self.timers.set("settle", call.call_id, state.since_ms + self.rules.limits.settle_ms)
        elif old is c.Settling or old is c.Talking:
            self.timers.clear("settle", call.call_id)
        if new is c.Waiting:
            call.more, call.only_rank_and_level = 0, None
        if old is c.Ringing and new is not c.Ringing:
            self.timers.clear("more", call.call_id)
        self.refresh(call)

    def set_reach(self, call: c.Call) -> None:
        """Let the steps and delays whose time has come hold for the call."""
        rules, delays = self.queue_rules(call), self.delays.get(call.queue, ())
        if not (rules.steps or delays):  # as in most queues: nothing changes while it waits
            call.required, call.priority = skills.merge(rules.required, call.asked), call.own_priority
            call.delay_ms, call.backup, call.at_once, call.step_overflow = 0, False, rules.ring_at_once, None
            self.timers.clear("reach", call.call_id)
            self.refresh(call)
            return
        now = reach.of(
            rules,
            delays,
            asked=call.asked,
            priority=call.own_priority,
            joined_ms=call.joined_ms,
            virtual_ms=call.virtual_ms,
            now_ms=self.now_ms,
            nobody_before_ms=partial(self.nobody_before_ms, call),
        )
        call.required, call.priority, call.delay_ms, call.backup, call.at_once, call.step_overflow = now[:6]
        if now.next_ms is not None and in_queue(call.state):
            self.timers.set("reach", call.call_id, now.next_ms)
        else:
            self.timers.clear("reach", call.call_id)
        self.refresh(call)

    def nobody_before_ms(self, call: c.Call, required: SkillLevels, backup: bool) -> int:
        """The least delay of those there who could take the call if it required this. Up to it no delay holds.

        `backup`: the backup could take it, too. 0: all delays hold.
        """
        delays = self.delays.get(call.queue)
        if not delays or not self.rules.queues[call.queue].no_agent_no_delay:
            return 0
        least_ms = self.present.least_delay_ms(call.queue, required, backup=backup, switch=call.switch)
        return delays[-1] if least_ms is None else least_ms  # nobody with a shorter delay is there, so no delay holds

    def prefer(self, call: c.Call, preferred: c.Preferred | None) -> None:
        """Let one agent come first for the call, or nobody any more."""
        call.preferred = preferred
        if preferred is not None:
            self.timers.set("preferred", call.call_id, preferred.until_ms)
        else:
            self.timers.clear("preferred", call.call_id)
        self.refresh(call)

    def requeue_call(self, call: c.Call, queue: str) -> None:
        """Move a waiting call into another queue, where its steps begin anew."""
        self.index.remove_call(call.call_id)
        self.changed_queues[call.queue] = None
        self.queue_lengths[call.queue] -= 1
        call.queue = queue
        call.joined_ms = self.now_ms
        call.last_place = None
        self.queue_lengths[queue] += 1
        self.prefer(call, None)
        self.set_reach(call)

    def note_call(self, call: c.Call) -> None:
        """Note on the leg what the call is by now: the next daemon of this switch has only the legs to go by."""
        if call.leg is not None:
            after_ms = max(0, call.joined_ms - call.arrived_ms)
            place = (call.queue, call.own_priority, call.head_start_ms, after_ms)
            visit = (call.visit.n, call.visit.how_in) if call.visit is not None else ()
            self.command(NoteCall(call.call_id, call.leg, *place, call.asked, *visit))

    def forget_call(self, call: c.Call, final_command: SendCall | EndCall | None) -> None:
        """The call is over. Its leg was told the final command, and is told it again if it is still here later."""
        self.index.remove_call(call.call_id)
        self.changed_calls[call.call_id] = self.changed_queues[call.queue] = None
        self.queue_lengths[call.queue] -= in_queue(call.state)
        del self.calls[call.call_id]
        self.origins.remove(call)
        self.free_calls.pop(call.call_id, None)
        self.timers.clear_all(_TIMERS_OF_CALL, call.call_id)
        self.ended.remember(call.call_id, final_command, self.now_ms, call.contact_id)

    def repeat_final_command(self, call_id: str) -> None:
        """An ended call's leg is back in the music: tell it at once where to go."""
        final_command = self.ended.final_command(call_id)
        if final_command is not None:
            self.command(final_command)

    def has_queue(self, queue: str) -> bool:
        """Whether calls can join this queue."""
        return queue in self.rules.queues and queue not in self.retired

    def queue_named(self, name: str) -> str:
        """The queue that a leg names: the dialplan, or a leg that waits already, may use its former name."""
        return name if name in self.rules.queues else self._renamed.get(name, name)

    def queue_rules(self, call: c.Call) -> QueueRules:
        """The rules of the queue the call stands in."""
        return self.rules.queues[call.queue]

    def shows(self, call: c.Call) -> bool:
        """Whether number and name of the caller may be shown where the call stands, and remembered."""
        rules = self.rules.queues.get(call.queue)
        return not call.hidden or (rules is not None and rules.show_withheld)

    def orphan_call(self, call: c.Call, until_ms: int, heir: Leg | None) -> None:
        """A waiting call's leg has ended; the leg that takes its place is awaited until `until_ms`.

        That leg may be replaced in turn before it announces itself. Until the switch names the next one, the known one
        is kept.
        """
        call.orphan, call.heir = True, heir or call.heir
        self.timers.set("heir", call.call_id, until_ms)
        self.refresh(call)

    def adopt_leg(self, call: c.Call, event: CallQueued) -> None:
        """The awaited leg is there: from now on the call has the name and number of that leg's caller."""
        self.origins.remove(call)
        call.leg, call.source = event.leg, event.source
        call.number, call.name, call.number_believed = event.number, event.name, event.number_believed is not False
        call.customer, call.language, call.named_agent = event.customer, event.language, event.named_agent
        call.identity, call.hidden = event.identity, event.hidden
        call.customer_id, call.remembered_as = event.customer_id, event.remembered_as
        call.shown_name, call.shown_number = event.shown_name, event.shown_number
        call.variables = event.variables
        call.contact_id = event.contact_id or call.contact_id  # who has talked with us before is in their own contact
        self.origins.add(call)
        call.orphan, call.heir = False, None
        self.timers.clear("heir", call.call_id)
        self.refresh(call)

    def call_on(self, leg: Leg) -> c.Call | None:
        """The live call that stands on this leg, or is about to. It looks at all calls: for rare facts only."""
        return next((call for call in self.calls.values() if leg in (call.leg, call.heir)), None)

    def may_offer(self, call: c.Call) -> bool:
        """Whether the call's leg can be reached. Calls without a leg can (a callback is dialled)."""
        return not call.orphan and (call.leg is None or self.switches.get(call.leg.switch, False))

    def wanted(self, call: c.Call) -> int:
        """How many agents should ring for the call at once."""
        at_once, limit = self.orderings[call.queue].ring.at_once, self.rules.limits.ringing
        if call.preferred is not None and call.preferred.alone:
            return 1
        return limit if at_once == EVERYBODY else min(limit, max(at_once, call.at_once) + call.more)

    def seeks(self, call: c.Call) -> bool:
        """Whether the call should be offered to an agent, or to one more."""
        state = call.state
        if isinstance(state, c.Ringing):
            return len(state.offer_ids) < self.wanted(call) and self.may_offer(call)
        return isinstance(state, c.Waiting) and self.may_offer(call)

    def refresh(self, call: c.Call) -> None:
        """The call has changed: let it look for agents, if it should, by its present state."""
        self.changed_calls[call.call_id] = self.changed_queues[call.queue] = None
        if call.call_id not in self.free_calls:
            self.index.remove_call(call.call_id)
        if self.seeks(call):
            self.free_calls[call.call_id] = None
        else:
            self.free_calls.pop(call.call_id, None)

    def look(self, entry: c.Call) -> None:
        """Let an entry of `asking` look for agents. It is no call, and shown with the talk of its id."""
        self.set_reach(entry)
        self.changed_calls.pop(entry.call_id, None)

    def miss(self, switch: str) -> None:
        """Something is on this switch, or may be: while it is away, the time runs until it is given up."""
        if switch not in self.absent and not self.switches.get(switch, False):
            self.absent[switch] = self.now_ms
            if self.rules.limits.switch_gone_ms:
                self.timers.set("switch_gone", switch, self.now_ms + self.rules.limits.switch_gone_ms)

    # --- queues ---

    def handling_ms(self, queue: str) -> float:
        """How long an agent is occupied by one of the queue's calls: talk and wrap-up, smoothed."""
        return self.handling.get(queue, self.rules.queues[queue].expected_handling_ms)

    def arm_conditions(self, queue: str) -> None:
        """Set the deadlines at which the queue's calls overflow because nobody is there for them, or it is closed."""
        self.changed_queues[queue] = None
        rules = self.rules.queues.get(queue)
        for condition in Condition:
            overflow = None if rules is None else overflow_rules(rules, condition)
            since_ms = self.staffing.since.get((condition, queue))
            if overflow is not None and overflow.waiting and since_ms is not None:
                # It may have held for long when a reload makes it matter.
                self.timers.set(condition, queue, max(since_ms + overflow.after_ms, self.now_ms))
            else:
                self.timers.clear(condition, queue)

    # --- plugins ---

    def note_failures(self) -> None:
        """Plugins have failed: write it down, set when each is tried again, and let their queues' calls look anew."""
        failures = list(self.failures)
        self.failures.clear()
        for queue, post, failed in failures:
            standing = self.orderings[queue].standings[post]
            again_ms = standing.count(self.rules.limits, self.now_ms)
            self.timers.set(post, queue, again_ms)
            self.record(StrategyFailed(queue, standing.plugin, failed.why, failed.calls, self.now_ms, again_ms))
            self._look_anew(queue)

    def put_back(self, post: Post, queue: str) -> None:
        """A plugin that failed a while ago is tried again."""
        ordering = self.orderings[queue]
        standing = ordering.standings[post]
        self.record(StrategyReturned(queue, standing.plugin, standing.failures, self.now_ms))
        ordering.put_back(post, self.now_ms)
        self.index.order_agents_anew(queue)
        self._look_anew(queue)

    def _look_anew(self, queue: str) -> None:
        self.changed_queues[queue] = None
        for call in [one for one in self.calls.values() if one.queue == queue]:
            self.refresh(call)
        for entry in [one for one in self.asking.values() if one.queue == queue]:
            self.look(entry)

    # --- offers ---

    def offer_on(self, leg: str) -> o.Offer | None:
        """The live offer that this leg was made for, by its name."""
        return self.offers.get(leg) or self.offers.get(o.offer_of(leg))

    def move_offer(self, offer: o.Offer, state: o.OfferState) -> None:
        """Change an offer's state. AssertionError for a forbidden move."""
        assert type(state) in o.OFFER_MOVES[type(offer.state)], f"offer {offer.state} -> {state}"
        offer.state = state
        if offer.agent_id:
            self.changed_agents[offer.agent_id] = None

    def forget_offer(self, offer: o.Offer) -> None:
        """The agent's leg is gone for good."""
        offer.ended_ms = self.now_ms - self.late_ms if offer.ended_ms is None else offer.ended_ms
        del self.offers[offer.offer_id]
        self.timers.clear("offer", offer.offer_id)


_TIMERS_OF_CALL = ("max_wait", "reach", "settle", "preferred", "more", "heir")
