"""A hostile switch around an engine: facts late, doubled, lost, out of order and about nobody.

What the switch knows is kept here: callers' legs, agents' legs, and the commands it has not carried out yet. What
happens next is one of `acts.ACTS`, each of which draws what it needs from a `Pick`, so that Hypothesis, a random walk
and a recorded list of numbers can all lead it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core.amending import differing
from fsacd.core.rules import Rules
from fsacd.core.show.parts import whole
from fsacd.core.views import Step
from fsacd.testing import Driver
from tests.core.centres import SWITCHES, Pick
from tests.core.oracle import Oracle
from tests.core.plugins import TestPlugins


@dataclass
class AgentLeg:
    """An agent's leg as the switch has it."""

    ring: k.RingAgent
    answered: bool = False
    bridged: bool = False


class Adversary:
    """Drives an engine; the oracle judges each step. `shape` makes of any rules those that the engine gets."""

    def __init__(self, rules: Rules, *, proved: bool = True, shape: Callable[[Rules], Rules] = lambda _: _) -> None:
        plugins = TestPlugins()
        self.shape, rules = shape, shape(rules)
        self.driver = Driver(rules, plugins, strict=proved)
        self.first_rules = rules
        self.rules = rules
        self.oracle = Oracle(self.driver, rules, plugins)
        self.callers: dict[str, str] = {}  # callers' legs that are alive: call id → switch
        self.queued: dict[str, e.CallQueued] = {}
        self.legs: dict[str, AgentLeg] = {}
        self.outside: list[e.OutsideCallStarted] = []
        self.orders: list[k.Command] = []  # sent, and not carried out yet
        self.facts: list[e.Event] = []  # happened, and not told yet
        self.told: list[e.Event] = []
        self.calls = 0
        for switch in SWITCHES:
            self.tell(e.SwitchConnected(switch))

    # --- telling the engine ---

    def tell(self, event: e.Event, judged_as: e.Event | None = None) -> Step:
        """One fact, now; deadlines that are due may still be unfired. The oracle hears of `judged_as` in its place."""
        due_ms = self.driver.engine.next_deadline_ms()
        self.told.append(event)
        step = self.driver.tell(event)
        self._take(judged_as or event, step, alone=True, overdue=due_ms is not None and due_ms <= self.driver.now_ms)
        return step

    def reload(self, rules: Rules, way: int = 0, between: e.Event | None = None) -> None:
        """Other rules: told whole (0), as what differs (1), or so and prepared, with something happening after that."""
        event = whole(differing(self.rules, rules, self.driver.engine.edition)) if way else None
        if way > 1 and event is not None:
            whole(self.driver.engine.prepare(event))
        if between is not None:
            self.tell(between)
        self.rules = rules
        self.tell(event or e.RulesChanged(rules), e.RulesChanged(rules))

    def wait(self, for_ms: int, *, jump: bool = False) -> None:
        """Let time pass: each deadline at its time, or all of them late."""
        end_ms = self.driver.now_ms + for_ms
        while not jump and (due_ms := self.driver.engine.next_deadline_ms()) is not None and due_ms <= end_ms:
            self._advance(max(due_ms, self.driver.now_ms))
        self._advance(end_ms)

    def _advance(self, to_ms: int) -> None:
        due = [at_ms for _, _, at_ms in self.driver.engine._world.timers.all() if at_ms <= to_ms]
        step = self.driver.jump_to(to_ms)
        # Deadlines that are acted on late say nothing of what was promised meanwhile.
        self._take(None, step, alone=len(due) <= 1 and all(at_ms == to_ms for at_ms in due), overdue=False)

    def _take(self, event: e.Event | None, step: Step, *, alone: bool, overdue: bool) -> None:
        # A cancel that is repeated while the first one is still under way adds nothing but a longer line.
        self.orders.extend(command for command in step.commands if command not in self.orders)
        self.oracle.watch(event, step, alone, overdue)

    # --- what the switch does ---

    def carry_out(self, order: k.Command, pick: Pick) -> None:
        """Do what was ordered, if it can be done; what comes of it will be told."""
        match order:
            case k.RingAgent():
                if pick.chance(8):
                    self.facts.append(e.OfferEnded(order.offer_id, pick.of(tuple(e.OfferEnd))))
                else:
                    self.legs[order.offer_id] = AgentLeg(order)
            case k.CancelOffer():
                if order.offer_id in self.legs:
                    # Over in the switch first, and then at the phone, of which is perhaps not told.
                    self.facts.append(e.OfferEnded(order.offer_id, e.OfferEnd.CANCELLED, phone_told=False))
                    self.end_leg(order.offer_id, e.OfferEnd.CANCELLED, lost=pick.chance(8))
            case k.Connect():
                leg = self.legs.get(order.offer_id)
                if leg is None or order.call_id not in self.callers or pick.chance(10):
                    self.facts.append(e.ConnectFailed(order.offer_id, "-ERR Invalid uuid"))
                else:
                    leg.bridged = True
                    self.facts.append(e.OfferConnected(order.offer_id))
            case k.AskConnected():
                leg = self.legs.get(order.offer_id)
                if leg is not None:
                    told = e.OfferConnected if leg.bridged else e.ConnectFailed
                    self.facts.append(told(order.offer_id))
            case k.ConfirmTalk() | k.ArmCall() | k.LetGo() | k.TakeIn() | k.NoteCall() | k.NoteContact():
                pass
            case k.SendCall() | k.EndCall():
                self._move_caller(order)

    def _move_caller(self, order: k.SendCall | k.EndCall) -> None:
        if order.call_id not in self.callers:
            return
        if isinstance(order, k.SendCall) and order.target.extension == "fsacd_back":
            self.facts.append(e.CallReturned(order.call_id))
        else:
            self.end_caller(order.call_id, "MANAGER_REQUEST")

    def end_leg(self, offer_id: str, end: e.OfferEnd, *, lost: bool = False) -> None:
        """An agent's leg ends; a caller who talked returns to the music."""
        leg = self.legs.pop(offer_id)
        if not lost:
            self.facts.append(e.OfferEnded(offer_id, end))
        if leg.bridged and leg.ring.call_id in self.callers:
            self.facts.append(e.CallReturned(leg.ring.call_id, at_ms=self.driver.now_ms))

    def end_caller(self, call_id: str, cause: str, *, transferred: bool = False) -> None:
        """A caller's leg ends, and with it the talk; unless another leg has taken its place."""
        del self.callers[call_id]
        self.facts.append(e.CallerGone(call_id, cause, transferred=transferred))
        for offer_id, leg in list(self.legs.items()):
            if leg.bridged and leg.ring.call_id == call_id and not transferred:
                self.end_leg(offer_id, e.OfferEnd.HUNG_UP)
