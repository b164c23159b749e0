"""A hostile switch and hostile people around an engine: facts late, doubled, lost, out of order and about nobody.

Each act draws what it needs from a `Pick`, so that Hypothesis, a random walk and a recorded list of numbers can all
lead it. What the switch knows is kept here: callers' legs, agents' legs, and the commands it has not carried out yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core.rules import (
    AgentRules,
    HoldBack,
    Limits,
    QueueRules,
    Rules,
    Service,
    SkillLevels,
    ToExtension,
    ToHangup,
    ToQueue,
)
from fsacd.core.views import Step
from fsacd.testing import Driver, agent, queue, rules_of
from tests.core.oracle import Oracle

T = TypeVar("T")

SWITCHES = ("fs1", "fs2")
AGENTS = tuple(str(number) for number in range(1001, 1007))
QUEUES = ("support", "sales", "vip")
SKILLS: tuple[SkillLevels, ...] = ((), (("german", 3),), (("english", 1),), (("english", 2), ("german", 5)))
# More live calls than this make each look at everything slow, and find nothing that fewer would not.
MOST_CALLS = 10


class Pick:
    """Choices drawn from one number, so that a test case is a list of small numbers."""

    def __init__(self, number: int) -> None:
        self._number = number

    def below(self, bound: int) -> int:
        """A choice of 0 … bound - 1."""
        self._number, choice = divmod(self._number, bound)
        return choice

    def of(self, things: Sequence[T]) -> T:
        """One of these."""
        return things[self.below(len(things))]

    def event(self, *events: e.Event) -> e.Event:
        """One of these facts."""
        return self.of(events)

    def chance(self, one_in: int) -> bool:
        """Seldom."""
        return self.below(one_in) == one_in - 1


@dataclass
class AgentLeg:
    """An agent's leg as the switch has it."""

    ring: k.RingAgent
    answered: bool = False
    bridged: bool = False


def build_rules(pick: Pick) -> Rules:
    """One of many small call centres."""
    queues: list[QueueRules] = [
        queue(
            "support",
            ring_timeout_ms=pick.of((5_000, 20_000)),
            wrap_up_ms=pick.of((0, 10_000)),
            max_length=pick.of((3, 500)),
            when_full=ToQueue("sales"),
            max_wait_ms=pick.of((None, 30_000)),
            when_max_wait=pick.of((ToQueue("vip"), ToHangup())),
        ),
        queue("sales", required=pick.of(SKILLS[:2]), wrap_up_ms=2_000, max_length=4, hold_back=HoldBack(0, 0, 0, 0)),
        queue("vip", priority=1, ring_timeout_ms=10_000, after_talk=ToExtension("survey")),
    ]
    agents = [_build_agent(pick, agent_id, [one.name for one in queues]) for agent_id in AGENTS]
    limits = Limits(calls=pick.of((9, 100)), offer_grace_ms=1_000, settle_ms=2_000)
    return rules_of(*queues, *agents, limits=limits)


def _build_agent(pick: Pick, agent_id: str, queues: Sequence[str]) -> AgentRules:
    serves = [name for name in queues if not pick.chance(3)] or [queues[0]]
    services = [(name, Service(pick.of((1, 2)), pick.of((0, 0, 10_000)))) for name in serves]
    skills = {skill: pick.of((1, 5, 8)) for skill in ("german", "english") if pick.chance(2)}
    return agent(agent_id, *services, skills=skills)


class Adversary:
    """Drives an engine through `act`; the oracle judges each step."""

    def __init__(self, rules: Rules) -> None:
        self.driver = Driver(rules)
        self.first_rules = rules
        self.oracle = Oracle(self.driver, rules)
        self.callers: dict[str, str] = {}  # callers' legs that are alive: call id → switch
        self.queued: dict[str, e.CallQueued] = {}
        self.legs: dict[str, AgentLeg] = {}
        self.orders: list[k.Command] = []  # sent, and not carried out yet
        self.facts: list[e.Event] = []  # happened, and not told yet
        self.told: list[e.Event] = []
        self._calls = 0
        for switch in SWITCHES:
            self.tell(e.SwitchConnected(switch))

    # --- telling the engine ---

    def tell(self, event: e.Event) -> Step:
        """One fact, now; deadlines that are due may still be unfired."""
        self.told.append(event)
        step = self.driver.tell(event)
        self._take(event, step, alone=True)
        return step

    def wait(self, for_ms: int, *, jump: bool = False) -> None:
        """Let time pass: each deadline at its time, or all of them late."""
        end_ms = self.driver.now_ms + for_ms
        while not jump and (due_ms := self.driver.engine.next_deadline_ms()) is not None and due_ms <= end_ms:
            self._advance(max(due_ms, self.driver.now_ms))
        self._advance(end_ms)

    def _advance(self, to_ms: int) -> None:
        due = sum(at_ms <= to_ms for at_ms in self.driver.engine._world.timers._at.values())
        self._take(None, self.driver.jump_to(to_ms), alone=due <= 1)

    def _take(self, event: e.Event | None, step: Step, *, alone: bool) -> None:
        # A cancel that is repeated while the first one is still under way adds nothing but a longer line.
        self.orders.extend(command for command in step.commands if command not in self.orders)
        self.oracle.watch(event, step, alone)

    # --- acts ---

    def act(self, name: str, number: int) -> None:
        """Do one of `ACTS`; what is impossible now does nothing."""
        ACTS[name](self, Pick(number))

    def call_comes(self, pick: Pick) -> None:
        """A caller queues."""
        if len(self.callers) >= MOST_CALLS:
            return
        self._calls += 1
        call_id, switch = f"c{self._calls}", pick.of(SWITCHES)
        event = e.CallQueued(
            call_id,
            pick.of((*QUEUES, *QUEUES, *QUEUES, "nowhere")),
            arrived_ms=self.driver.now_ms - pick.of((0, 0, 0, 3_000, 40_000)),
            leg=e.Leg(switch, f"leg-{call_id}"),
            priority=pick.of((None, None, 0, 1)),
            head_start_ms=pick.of((0, 0, 0, 2_000, 15_000)),
            required=pick.of(SKILLS),
        )
        self.callers[call_id] = switch
        self.queued[call_id] = event
        self.tell(event)

    def caller_hangs_up(self, pick: Pick) -> None:
        """A caller ends his leg; the switch will tell."""
        if self.callers:
            self._end_caller(pick.of(sorted(self.callers)), "NORMAL_CLEARING")

    def caller_strays(self, pick: Pick) -> None:
        """A caller's leg does something that we did not ask for."""
        if self.callers and pick.chance(6):
            call_id = pick.of(sorted(self.callers))
            self.facts.append(pick.event(e.CallReturned(call_id), e.CallLeft(call_id), e.CallLost(call_id, "resync")))

    def agent_reacts(self, pick: Pick) -> None:
        """An agent's phone rings: he answers or does not; answered: he may hang up."""
        if not self.legs:
            return
        offer_id = pick.of(sorted(self.legs))
        leg = self.legs[offer_id]
        choice = pick.below(6)
        if leg.answered:
            if choice == 0:
                self._end_leg(offer_id, e.OfferEnd.HUNG_UP)
        elif choice == 0:
            self.facts.append(e.OfferRang(offer_id))
        elif choice == 1:
            self._end_leg(offer_id, pick.of(tuple(e.OfferEnd)))
        else:
            leg.answered = True
            self.facts.append(e.OfferAnswered(offer_id, leg.ring.switch))

    def switch_works(self, pick: Pick) -> None:
        """The switch carries out one order, any of those that wait; seldom it loses it."""
        if not self.orders:
            return
        order = self.orders.pop(pick.below(min(len(self.orders), 4)))
        if not pick.chance(25):
            self._carry_out(order, pick)

    def fact_arrives(self, pick: Pick) -> None:
        """One of the facts arrives: usually the oldest; seldom it is lost, or stays to come again."""
        if not self.facts:
            return
        place = 0 if pick.below(3) else pick.below(len(self.facts))
        event = self.facts.pop(place)
        if pick.chance(40):
            return
        if pick.chance(20):
            self.facts.append(event)
        self.tell(event)

    def all_goes_well(self, pick: Pick) -> None:
        """For a moment the switch does all it was told, and all that happened arrives in order."""
        for _ in range(pick.of((1, 4, 16))):
            if self.orders:
                self._carry_out(self.orders.pop(0), pick)
            if self.facts:
                self.tell(self.facts.pop(0))

    def old_fact_comes_again(self, pick: Pick) -> None:
        """Something told long ago is told again."""
        old = [event for event in self.told[-60:] if not isinstance(event, e.RulesChanged)]
        self.tell(pick.event(*old))

    def nonsense_arrives(self, pick: Pick) -> None:
        """A fact about nobody."""
        self.tell(
            pick.event(
                e.OfferAnswered("nobody", "fs1"),
                e.OfferConnected("nobody"),
                e.OfferEnded("nobody", e.OfferEnd.REFUSED),
                e.CallerGone("nobody"),
                e.CallReturned("nobody"),
                e.CallRequeueAsked("nobody", "api"),
                e.AgentSetReady("nobody", "api"),
                e.SwitchLost("fs9"),
            )
        )

    def agent_asks(self, pick: Pick) -> None:
        """An agent presses a button."""
        who = pick.of(AGENTS)
        self.tell(
            pick.event(
                e.AgentLoggedIn(who, "phone"),
                e.AgentLoggedIn(who, "phone"),
                e.AgentSetReady(who, "phone"),
                e.AgentSetReady(who, "phone"),
                e.AgentEndedWrapUp(who, "phone"),
                e.AgentSetNotReady(who, "phone", "lunch"),
                e.AgentLoggedOut(who, "phone"),
            )
        )

    def operator_asks(self, pick: Pick) -> None:
        """An operator does something with a call."""
        if self.queued:
            call_id = pick.of(sorted(self.queued)[-MOST_CALLS:])
            self.tell(
                pick.event(
                    e.CallRequeueAsked(call_id, "api"),
                    e.CallRequeueAsked(call_id, "api", pick.of((*QUEUES, "nowhere"))),
                    e.CallHangupAsked(call_id, "api"),
                )
            )

    def switch_changes(self, pick: Pick) -> None:
        """The link goes and comes; the switch starts anew and forgets."""
        if not pick.chance(3):
            return
        switch = pick.of(SWITCHES)
        kinds = (e.SwitchLost, e.SwitchConnected, e.SwitchConnected, e.SwitchRestarted)
        event: e.Event = kinds[pick.below(len(kinds))](switch)
        if isinstance(event, e.SwitchRestarted):
            self.callers = {call_id: on for call_id, on in self.callers.items() if on != switch}
            self.legs = {offer_id: leg for offer_id, leg in self.legs.items() if leg.ring.switch != switch}
        self.tell(event)

    def rules_change(self, pick: Pick) -> None:
        """A reload: other skills, ranks and delays; an agent or a queue goes or comes back."""
        rules = build_rules(pick)
        queues, agents = dict(rules.queues), dict(rules.agents)
        if pick.chance(3):
            del agents[pick.of(AGENTS)]
        if pick.chance(3):
            gone = pick.of(("support", "vip"))
            del queues[gone]
            queues = {name: _without_target(one, gone) for name, one in queues.items()}
            agents = {agent_id: _without_queue(one, gone) for agent_id, one in agents.items()}
        self.tell(e.RulesChanged(replace(rules, queues=MappingProxyType(queues), agents=MappingProxyType(agents))))

    def time_passes(self, pick: Pick) -> None:
        """A moment or a while, sometimes in one jump."""
        self.wait(pick.of((1, 1, 40, 40, 200, 200, 1_000, 1_000, 5_000, 20_000)), jump=pick.chance(4))

    def clock_moves(self, pick: Pick) -> None:
        """Facts come after their deadlines, because nobody has looked at the clock meanwhile."""
        self.driver.now_ms += pick.of((0, 0, 1, 1, 40, 40, 40, 3_000))

    # --- what the switch does ---

    def _carry_out(self, order: k.Command, pick: Pick) -> None:
        match order:
            case k.RingAgent():
                if pick.chance(8):
                    self.facts.append(e.OfferEnded(order.offer_id, pick.of(tuple(e.OfferEnd))))
                else:
                    self.legs[order.offer_id] = AgentLeg(order)
            case k.CancelOffer():
                if order.offer_id in self.legs:
                    self._end_leg(order.offer_id, e.OfferEnd.CANCELLED)
            case k.Connect():
                leg = self.legs.get(order.offer_id)
                if leg is None or order.call_id not in self.callers or pick.chance(10):
                    self.facts.append(e.ConnectFailed(order.offer_id, "-ERR Invalid uuid"))
                else:
                    leg.bridged = True
                    self.facts.append(e.OfferConnected(order.offer_id))
            case k.ConfirmTalk():
                pass
            case k.SendCall() | k.EndCall():
                self._move_caller(order)

    def _move_caller(self, order: k.SendCall | k.EndCall) -> None:
        if order.call_id not in self.callers:
            return
        if isinstance(order, k.SendCall) and order.target.extension == "fsacd_back":
            self.facts.append(e.CallReturned(order.call_id))
        else:
            self._end_caller(order.call_id, "MANAGER_REQUEST")

    def _end_leg(self, offer_id: str, end: e.OfferEnd) -> None:
        leg = self.legs.pop(offer_id)
        self.facts.append(e.OfferEnded(offer_id, end))
        if leg.bridged and leg.ring.call_id in self.callers:
            self.facts.append(e.CallReturned(leg.ring.call_id))

    def _end_caller(self, call_id: str, cause: str) -> None:
        del self.callers[call_id]
        self.facts.append(e.CallerGone(call_id, cause))
        for offer_id, leg in list(self.legs.items()):
            if leg.bridged and leg.ring.call_id == call_id:
                self._end_leg(offer_id, e.OfferEnd.HUNG_UP)


def _without_queue(one: AgentRules, gone: str) -> AgentRules:
    return replace(one, queues=MappingProxyType({name: s for name, s in one.queues.items() if name != gone}))


def _without_target(one: QueueRules, gone: str) -> QueueRules:
    return replace(one, when_max_wait=ToHangup()) if one.when_max_wait == ToQueue(gone) else one


# By how often each happens in a random walk.
ACTS: dict[str, Callable[[Adversary, Pick], None]] = {
    "call_comes": Adversary.call_comes,
    "caller_hangs_up": Adversary.caller_hangs_up,
    "caller_strays": Adversary.caller_strays,
    "agent_reacts": Adversary.agent_reacts,
    "switch_works": Adversary.switch_works,
    "fact_arrives": Adversary.fact_arrives,
    "all_goes_well": Adversary.all_goes_well,
    "old_fact_comes_again": Adversary.old_fact_comes_again,
    "nonsense_arrives": Adversary.nonsense_arrives,
    "agent_asks": Adversary.agent_asks,
    "operator_asks": Adversary.operator_asks,
    "switch_changes": Adversary.switch_changes,
    "rules_change": Adversary.rules_change,
    "time_passes": Adversary.time_passes,
    "clock_moves": Adversary.clock_moves,
}
