"""Who takes a switch over finds every caller's queue and place on the legs, also what was changed of the calls."""

from __future__ import annotations

import random

import pytest

from fsacd.core.commands import NoteCall
from fsacd.core.engine import Engine
from fsacd.core.events import (
    CallChangeAsked,
    CallPromoteAsked,
    CallQueued,
    CallRequeueAsked,
    Event,
    SwitchConnected,
)
from fsacd.core.rules import Rules, ToQueue
from fsacd.esl import orders, strangers, translate
from fsacd.esl.codec import Kind, Message
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.testing import PLUGINS, queue, rules_of

NOW_MS = 900_000
RULES: Rules = rules_of(
    queue("sales", max_wait_ms=300_000, when_max_wait=ToQueue("late")),
    queue("late", max_wait_ms=600_000),
    queue("support"),
)
# Two came within one millisecond; one has a head start, one a class of its own, and two come later.
ARRIVED = (100_000, 700_000, 700_000, 710_000, 720_000, 730_000, 740_000)
MORE = {3: {"variable_fsacd_head_start": "15"}, 4: {"variable_fsacd_priority": "2"}}


class Legs:
    """The switch's legs, and the engines that read them: its uptime is the engines' time."""

    def __init__(self) -> None:
        self.reader = translate.Reader("fs1", lambda _: None)
        self.clock = SwitchClock(NOW_MS, NOW_MS)
        self.channels: dict[str, dict[str, str]] = {}
        for number, queued_at in enumerate(ARRIVED):
            leg = f"aaaaaaaa-0000-4000-8000-00000000000{number}"
            self.channels[leg] = {
                "Unique-ID": leg,
                "variable_fsacd_leg": "caller",
                "variable_fsacd_over": "false",
                "variable_fsacd_call": f"cccccccc-0000-4000-8000-00000000000{9 - number}",
                "variable_fsacd_queue": "sales",
                "variable_fsacd_queued_at": str(queued_at),
                **MORE.get(number, {}),
            }

    def ask(self, wire: Wire) -> Reply:
        """`uuid_dump`."""
        return Reply(Outcome.OK, str(self.channels[wire.text.split()[2]]).replace("'", '"'))

    def waiting(self, leg: Message) -> CallQueued | None:
        return self.reader.waiting(leg, self.clock, NOW_MS)

    def tell(self, engine: Engine, event: Event, now_ms: int) -> None:
        """A fact; what the engine notes on legs stands there."""
        for command in engine.handle(event, now_ms).commands:
            if isinstance(command, NoteCall):
                self.note(command)

    def note(self, command: NoteCall) -> None:
        """What the engine notes on a leg stands there."""
        (wire,) = orders.to_wires(command)
        _, _, leg, pairs = wire.text.split()
        for pair in pairs.split(";"):
            variable, _, value = pair.partition("=")
            self.channels[leg][f"variable_{variable}"] = value


def lines(engine: Engine) -> list[tuple[str, int, str, int]]:
    """Everybody's queue, place, and class."""
    calls = engine.snapshot(NOW_MS).calls
    return sorted((call.queue, call.position, call.call_id, call.priority) for call in calls)


def visits(engine: Engine) -> list[tuple[str, int, str, str]]:
    """In which of their visits everybody is, in which queue, and how they came in."""
    found = [(call.call_id, call.visit) for call in engine._world.calls.values()]
    return sorted((call_id, visit.n, visit.queue, visit.how_in) for call_id, visit in found if visit is not None)


@pytest.mark.parametrize("chance", range(5))
def test_a_second_daemon_finds_every_place(chance: int) -> None:
    """Arrivals, head starts, classes, a promotion, another queue by hand and by overflow: the order is the same."""
    legs, first, second = Legs(), Engine(RULES, PLUGINS, 0, seed=1), Engine(RULES, PLUGINS, 0, seed=2)
    first.handle(SwitchConnected("fs1"), 0)
    for leg, channel in legs.channels.items():
        fact = legs.waiting(Message(Kind.EVENT, channel))
        assert fact is not None
        legs.tell(first, fact, fact.arrived_ms)
        if leg.endswith("0"):
            for command in first.advance(500_000).commands:  # the first one overflows
                assert isinstance(command, NoteCall)
                legs.note(command)
    calls = [channel["variable_fsacd_call"] for channel in legs.channels.values()]
    legs.tell(first, CallPromoteAsked(calls[6], "test"), NOW_MS)
    legs.tell(first, CallRequeueAsked(calls[5], "test", "support"), NOW_MS)
    legs.tell(
        first, CallChangeAsked(calls[2], "test", priority=1, head_start_ms=2_500, required=(("german", 3),)), NOW_MS
    )
    order = list(legs.channels)
    random.Random(chance).shuffle(order)
    for finding in strangers.findings(order, legs.ask, legs.waiting):
        assert finding.fact is not None
        second.handle(finding.fact, NOW_MS)
    assert lines(second) == lines(first)
    assert visits(second) == visits(first)
    assert {n for _, n, _, _ in visits(second)} == {1, 2}
    assert [line[:2] for line in lines(second)][:1] == [("late", 1)]
    due = [engine.next_deadline_ms() for engine in (first, second)]
    assert due[0] == due[1], "the maximum wait goes on counting from where it was"
