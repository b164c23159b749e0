"""Random walks of talks that change their shape, on a switch that loses facts, tells them twice, and is slow.

After each step the invariants are proved. In the end the switch tells all, everybody hangs up, and nothing may be left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import pytest

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core.engine import Engine
from fsacd.core.records import CallEnded, TalkEnd, TalkEnded, TransferKind, VisitEnded
from fsacd.core.rules import PhoneRules
from fsacd.core.shape import Shape
from fsacd.core.visit import HowIn
from fsacd.testing import PLUGINS, Driver, agent, queue, queued, rules_of

AGENTS = ("1001", "1002")
# What somebody may well wish of a talk of this shape.
MEANT = {
    "together": ["hold", "consult", "consult"],
    "held": ["resume", "consult", "consult"],
    "calling": ["cancel"],
    "consulting": ["swap", "swap", "three-way", "three-way", "complete", "cancel"],
    "swapped": ["swap", "three-way", "complete", "cancel"],
    "three_way": ["leave", "drop", "complete", "cancel"],
}
# They serve a queue without callers, so they are usually free to be asked.
COLLEAGUES = ("2001", "2002")
PEOPLE = (*AGENTS, *COLLEAGUES)
# The connection of each of them may be lost, but of the second agent's the switch tells as of any other end.
LOSES = PhoneRules(media_timeout_ms=5_000)
RULES = rules_of(
    queue("support", wrap_up_ms=500),
    replace(agent(AGENTS[0], "support"), phone=LOSES),
    agent(AGENTS[1], "support"),
    queue("help", ring_timeout_ms=3_000),
    *(replace(agent(one, "help"), phone=LOSES) for one in COLLEAGUES),
)


@dataclass
class Leg:
    """A leg on the switch: with whom it is bridged, and whether it is parked (a caller: waits again) when that goes."""

    name: str
    answered: bool = False
    partner: str = ""
    survives: bool = False
    holds_since_ms: int | None = None  # its phone holds by itself
    room: str = ""


class Switch:
    """A switch, its people, and the engine that they tell of."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.driver = Driver(RULES)
        self.legs: dict[str, Leg] = {}  # callers' by the call's id, agents' by the offer's
        self.orders: list[k.Command] = []
        self.facts: list[e.Event] = []
        self.calls = 0
        self.shapes: set[str] = set()
        self.asks = set[tuple[bool, bool]]()  # whether an agent asks a queue, and somebody rings or talks
        self.given_away = self.phones_hold = 0  # by phones: how often, and how often it is seen
        self.sent: set[str] = set()  # calls to a number that nobody has: they end there, and may end again
        self.tell(e.SwitchConnected("fs1"))
        for one in PEOPLE:
            self.tell(e.AgentLoggedIn(one, "test"))

    def tell(self, event: e.Event) -> None:
        self._take(self.driver.tell(event).commands)

    def wait(self, for_ms: int) -> None:
        for _, step in self.driver.wait(for_ms):
            self._take(step.commands)

    def _take(self, commands: tuple[k.Command, ...]) -> None:
        # A cancel that is repeated while the first one waits adds nothing but a longer line.
        self.orders += [command for command in commands if command not in self.orders]
        shapes = self.driver.engine._world.shapes.values()
        self.shapes |= {shape.shape for shape in shapes}
        self.asks |= {(shape.asks is not None, shape.third is not None) for shape in shapes}
        self.phones_hold += sum(shape.phone_since_ms is not None for shape in shapes)

    # --- the switch ---

    def work(self) -> None:
        """Carry the oldest order out; an order for a leg that has gone does nothing."""
        if not self.orders:
            return
        match self.orders.pop(0):
            case k.RingAgent(offer_id=offer_id) | k.RingNumber(offer_id=offer_id):
                self.legs[offer_id] = Leg(offer_id)
            case k.CancelOffer(offer_id=name) | k.EndCall(call_id=name):
                self.end(name)
            case k.Connect(call_id=call_id, offer_id=leg):
                self.bridge(call_id, leg)
            case k.ConfirmTalk(call_id=call_id, stays_armed=stays_armed) if call_id in self.legs:
                self.legs[call_id].survives = stays_armed
            case k.AskConnected(offer_id=offer_id) if offer_id in self.legs:
                self.facts.append(e.OfferConnected(offer_id))
            case k.SendCall(call_id=call_id, target=target) if call_id in self.legs:
                self._part(self.legs[call_id])
                if not target.context:  # they are announced, and back
                    self.sent.add(call_id)
                    self.facts.append(queued(call_id, "support", 0))
                self.facts.append(e.CallReturned(call_id))
            case order:
                self._change(order)

    def _change(self, order: k.Command) -> None:
        match order:
            case k.Rejoin(call_id=call_id, agents_leg=leg) | k.HandOver(call_id=call_id, third_leg=leg):
                if isinstance(order, k.HandOver) and order.agents_leg:
                    self._survive(order.agents_leg)
                if self.bridge(call_id, leg):
                    self.legs[leg].survives = False
            case k.JoinThird(agents_leg=agents_leg, third_leg=third_leg):
                self._survive(agents_leg, third_leg)
                self.bridge(agents_leg, third_leg)
            case k.HoldCaller(call_id=party, agents_leg=leg) | k.HoldThird(third_leg=party, agents_leg=leg):
                self._survive(leg)
                if party in self.legs:
                    self._part(self.legs[party])
            case k.Gather():
                self._gather(order)
            case k.AskBridged():
                self._answer(order)

    def _gather(self, order: k.Gather) -> None:
        """All go into the room; whoever is bridged with another than the agent takes no harm, for they go together."""
        names = (order.leg.uuid.removeprefix("leg-"), order.agents_leg, order.third_leg)
        agents = self.legs.get(order.agents_leg)
        there = [self.legs[name] for name in names if name in self.legs]
        goes = [order.agents_leg, *(one.removeprefix("leg-") for one in order.alone), agents.partner if agents else ""]
        for leg in there:
            leg.survives = False
        for leg in [leg for leg in there if leg.name in goes]:
            other = self.legs.get(leg.partner)
            if other is not None and other.name not in goes:
                self._part(leg)
            elif other is not None:
                leg.partner = other.partner = ""
            if leg.name in self.legs:
                leg.room = order.room

    def _survive(self, *names: str) -> None:
        for name in names:
            if name in self.legs:
                self.legs[name].survives = True

    def bridge(self, one: str, other: str) -> bool:
        """Bridge two legs, if both are there; who was with them before is alone."""
        if one not in self.legs or other not in self.legs or not self._is_up(other):
            return False
        first, second = self.legs[one], self.legs[other]
        if first.partner != other:
            for leg in (first, second):
                self._part(leg, stays=leg)
        first.partner, second.partner, first.room, second.room = other, one, "", ""
        if is_agents(one):
            self.facts.append(e.LegsJoined(one, other))
        else:
            self.facts.append(e.OfferConnected(other))
        return True

    def _is_up(self, name: str) -> bool:
        return self.legs[name].answered or not is_agents(name)

    def _part(self, leg: Leg, stays: Leg | None = None) -> None:
        """The leg leaves its bridge; the other one is parked or ends."""
        other = self.legs.get(leg.partner)
        leg.partner = leg.room = ""
        if other is None:
            return
        other.partner = ""
        if not is_agents(other.name) and stays is not None:
            pass
        elif other.survives:
            self._left_alone(other)
        elif stays is None or is_agents(leg.name):
            self.end(other.name)

    def _left_alone(self, leg: Leg) -> None:
        """It is parked, or a caller in the music again; that uses up what has let it survive."""
        if is_agents(leg.name):
            self.facts.append(e.OfferAnswered(leg.name, "fs1"))
        else:
            leg.survives = False
            self.facts.append(e.CallReturned(leg.name))

    def _answer(self, order: k.AskBridged) -> None:
        agents, third = self.legs.get(order.agents_leg), self.legs.get(order.third_leg)
        caller = order.callers_leg.removeprefix("leg-")
        for name in (caller, order.agents_leg, order.third_leg):
            if order.room and name in self.legs and self.legs[name].room == order.room:
                leg = order.callers_leg if name == caller else name
                self.facts.append(e.LegInRoom(order.offer_id, leg))
        if third is not None and third.partner == caller:
            self.facts.append(e.OfferConnected(third.name))
        elif agents is not None and agents.partner == caller:
            self.facts.append(e.OfferConnected(agents.name))
        elif agents is not None and third is not None and agents.partner == third.name:
            self.facts.append(e.LegsJoined(agents.name, third.name))
        elif agents is not None and not agents.partner and not agents.room:
            self.facts.append(e.OfferAnswered(agents.name, "fs1"))

    def end(self, name: str, *, silent: bool = False) -> None:
        """A leg ends, and with it what it was bridged with, unless that survives. `silent`: by its media timeout."""
        leg = self.legs.pop(name, None)
        if leg is None:
            return
        if is_agents(name):
            end = e.OfferEnd.HUNG_UP if leg.answered else e.OfferEnd.CANCELLED
            end = e.OfferEnd.CONNECTION_LOST if silent and leg.answered else end
            self.facts.append(e.OfferEnded(name, end, answered=leg.answered))
        else:
            self.facts.append(e.CallerGone(name, "NORMAL_CLEARING"))
        other = self.legs.get(leg.partner)
        if other is None:
            return
        other.partner = ""
        if other.survives:
            self._left_alone(other)
        else:
            self.end(other.name)

    def hear(self, *, lossy: bool = True) -> None:
        """The oldest fact arrives; some are lost, some come twice, some late."""
        if not self.facts:
            return
        place = 0 if not lossy or self.dice.random() < 0.9 else self.dice.randrange(len(self.facts))
        fact = self.facts.pop(place)
        if lossy and not isinstance(fact, e.OfferEnded | e.CallerGone) and self.dice.random() < 0.05:
            return
        self.tell(fact)
        if lossy and self.dice.random() < 0.05:
            self.tell(fact)

    # --- people ---

    def people(self) -> None:
        """Somebody does something."""
        dice = self.dice
        rung = [name for name, leg in self.legs.items() if is_agents(name) and not leg.answered]
        match dice.randrange(9):
            case 0 if self.calls < 400 and len(self.legs) < 6:
                self.calls += 1
                call_id = f"c{self.calls}"
                self.legs[call_id] = Leg(call_id, answered=True)
                self.tell(queued(call_id, "support", self.driver.now_ms))
            case 1 | 2 | 3 if rung:
                leg = self.legs[dice.choice(rung)]
                leg.answered = True
                self.facts.append(e.OfferAnswered(leg.name, "fs1"))
            case 4 if self.legs and dice.random() < 0.15:
                self.end(dice.choice(sorted(self.legs)), silent=dice.random() < 0.5)
            case 5 if self.legs and dice.random() < 0.5:
                self._keys(self.legs[dice.choice(sorted(self.legs))])
            case 5 if dice.random() < 0.3:
                self.tell(e.AgentSetReady(dice.choice(PEOPLE), "test"))  # whose connection was lost, say
            case _:
                self._wish()

    def _keys(self, leg: Leg) -> None:
        """An agent's phone holds whoever it is, or takes them back; or it gives its caller away."""
        if not (is_agents(leg.name) and leg.answered):
            return
        if self.dice.random() < 0.4 and leg.partner in self.legs and not is_agents(leg.partner):
            self._gives_away(leg, self.legs[leg.partner])
        elif leg.holds_since_ms is None:
            leg.holds_since_ms = self.driver.now_ms
            self.facts.append(e.HeldByPhone(leg.name, leg.holds_since_ms))
        else:
            self.facts.append(e.ResumedByPhone(leg.name, leg.holds_since_ms))
            leg.holds_since_ms = None

    def _gives_away(self, leg: Leg, caller: Leg) -> None:
        """The caller's leg goes where nobody of us can see it, and hangs up; the agent's ends, or is left alone."""
        leg.partner = caller.partner = ""
        del self.legs[caller.name]
        kind = self.dice.choice([TransferKind.BLIND, TransferKind.ATTENDED])
        self.given_away += 1
        if kind is TransferKind.ATTENDED and self.dice.random() < 0.5:
            self.facts.append(e.GivenAway(leg.name, kind))
        del self.legs[leg.name]
        self.facts.append(e.OfferEnded(leg.name, e.OfferEnd.TRANSFERRED, answered=True, kind=kind, to="4711"))
        self.facts.append(e.CallerGone(caller.name, "NORMAL_CLEARING"))

    def _wish(self) -> None:
        talks = [call.talk for call in self.driver.engine.snapshot(self.driver.now_ms).calls if call.talk is not None]
        if not talks:
            return
        talk = self.dice.choice(talks)
        asked = self.dice.choice(MEANT[talk.shape] if self.dice.random() < 0.8 else [*e.TalkVerb, "consult"])
        if self.dice.random() < 0.1:
            kind = self.dice.choice([*e.TransferTo])
            target = {"agent": self.dice.choice(PEOPLE), "queue": "support"}.get(kind, "4711")
            self.tell(e.TalkTransferAsked(talk.agent_id, talk.talk_id, kind, target, "test"))
        elif asked == "consult":
            self._consult(talk.agent_id, talk.talk_id)
        else:
            self.tell(e.TalkChangeAsked(talk.agent_id, talk.talk_id, e.TalkVerb(asked), "test"))

    def _consult(self, agent_id: str, talk_id: str) -> None:
        chance = self.dice.random()
        if chance < 0.3:
            self.tell(e.TalkConsultAsked(agent_id, talk_id, "help", "test", e.TransferTo.QUEUE))
        elif chance < 0.5:
            self.tell(e.TalkConsultAsked(agent_id, talk_id, "4711", "test", e.TransferTo.NUMBER))
        else:
            self.tell(e.TalkConsultAsked(agent_id, talk_id, self.dice.choice((*COLLEAGUES, *PEOPLE)), "test"))

    def walk(self, deeds: int) -> None:
        """So many deeds, drawn by the dice."""
        ways: tuple[Callable[[], None], ...] = (self.work, self.work, self.hear, self.hear, self.people)
        for _ in range(deeds):
            self.dice.choice(ways)()
            self.wait(self.dice.choice((0, 0, 20, 20, 200, 1_500)))

    def settle(self) -> None:
        """All that was ordered is done, all that happened is told, and everybody hangs up."""
        for _ in range(3):
            for name in sorted(self.legs):
                self.end(name)
            while self.orders or self.facts:
                self.work()
                self.hear(lossy=False)
            for _ in range(40):
                self.wait(1_000)
                while self.orders or self.facts:
                    self.work()
                    self.hear(lossy=False)


def is_agents(name: str) -> bool:
    return not name.startswith("c") or "-" in name


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_left_of_any_talk(seed: int) -> None:
    """No call, no piece of work, no shape, whatever has happened; each call has ended, and each visit has its row."""
    switch = Switch(seed)
    switch.walk(600)
    switch.settle()
    engine = switch.driver.engine
    left = engine.snapshot(switch.driver.now_ms)
    assert (left.calls, left.offers) == ((), ())
    assert [one.work for one in left.agents] == [()] * len(PEOPLE)
    world = engine._world
    assert (world.shapes, world.thirds, world.asking) == ({}, {}, {})
    ended = [record.call_id for record in switch.driver.records_of(CallEnded)]
    assert sorted({*ended}) == sorted({f"c{number}" for number in range(1, switch.calls + 1)})
    assert all(ended.count(call_id) == 1 for call_id in {*ended} - switch.sent)
    visits = switch.driver.records_of(VisitEnded)
    for call_id in ended:
        numbers = [one.visit.n for one in visits if one.call_id == call_id]
        assert numbers == [*range(1, len(numbers) + 1)]
    for talk in switch.driver.records_of(TalkEnded):
        assert 0 <= talk.held_ms <= talk.ended_ms - talk.started_ms, "time on hold is counted twice"


def test_an_engine_restored_goes_on_alike() -> None:
    """Whatever shapes there are, the engine made of a dump does what the first one does."""
    switch = Switch(99)
    for _ in range(90):
        switch.walk(10)
        restored = Engine.restore(switch.driver.engine.dump(), PLUGINS)
        restored.check()
        assert restored.dump() == switch.driver.engine.dump()
        switch.driver.engine = restored
    assert (True, False) in switch.asks


def test_the_walks_reach_what_they_are_for() -> None:
    """Each shape is reached, callers are handed over, and connections are lost."""
    reached, asks = set[str](), set[tuple[bool, bool]]()
    handed_over = came_back = lost = given_away = by_phone = 0
    for seed in range(6):
        switch = Switch(seed)
        switch.walk(600)
        reached |= switch.shapes
        handed_over += len(switch.driver.commands_of(k.HandOver))
        talks = switch.driver.records_of(TalkEnded)
        given_away += switch.given_away
        asks |= switch.asks
        by_phone += switch.phones_hold
        lost += sum(one.ended_by is TalkEnd.CONNECTION_LOST for one in talks)
        came_back += sum(one.visit.how_in is HowIn.TRANSFERRED for one in switch.driver.records_of(VisitEnded))
    assert reached == set(Shape) - {Shape.HANDED_OVER}
    assert min(handed_over, came_back, lost, given_away, by_phone) > 0
    assert asks >= {(True, False), (True, True)}
