"""One switch's call control on a link that answers as the test says, and keeps the facts instead of deciding."""

from __future__ import annotations

import json
from collections.abc import Callable

import gevent

from fsacd.core.commands import Command, RingAgent
from fsacd.core.engine import Engine
from fsacd.core.events import Event, Leg, OutsideCallEnded, OutsideCallStarted, SwitchTaken
from fsacd.core.rules import QueueRules, Rules
from fsacd.esl.control import CallControl
from fsacd.esl.features import Desk, Member
from fsacd.esl.settings import LinkSettings, RequireAck
from fsacd.esl.states import Down, Up
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.process.monotonic import monotonic_ms
from fsacd.runtime.loop import Runtime
from fsacd.testing import PLUGINS
from tests.esl.fake_switch import until

CALL = "11111111-2222-4333-8444-555555555555"
LEG = Leg("fs1", "aaaaaaaa-2222-4333-8444-555555555555")
OFFER = "bbbbbbbb-2222-5333-8444-555555555555"
RING = RingAgent(OFFER, CALL, "1001", "sales", "sofia/lan/1001@10.0.0.5", "fs1", "+4930", "Ann", 20_000)


class Link:
    """Answers each command as the test says, by the first word of its api command."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply] = {}
        self.sent: list[str] = []
        self.wires: list[Wire] = []
        self.hash: Callable[[Wire], Reply] | None = None
        self.on_renewal: Callable[[str], object] = lambda _reason: None

    def submit(
        self, wire: Wire, on_reply: Callable[[Reply], object] | None = None, timeout_s: float | None = None
    ) -> None:
        verb = wire.data.decode().split()[1]
        self.sent.append(verb)
        self.wires.append(wire)
        if on_reply is not None:
            if verb == "hash" and self.hash is not None:
                gevent.spawn(on_reply, self.hash(wire))
            else:
                on_reply(self.answers.get(verb, Reply(Outcome.OK, "+OK")))

    def renew(self, reason: str) -> None:
        gevent.spawn(self.on_renewal, reason)

    def call(self, wire: Wire, timeout_s: float | None = None) -> Reply:
        found: list[Reply] = []
        self.submit(wire, found.append, timeout_s)
        return found[0]


class Told(Runtime):
    """Keeps the facts instead of deciding."""

    def __init__(self) -> None:
        super().__init__(Engine(Rules({"sales": QueueRules("sales")}, {}), PLUGINS))
        self.facts: list[Event] = []

    def post(self, event: Event) -> None:
        self.facts.append(event)

    def outside_legs(self, switch: str) -> tuple[tuple[str, Leg], ...]:
        known: dict[tuple[str, Leg], None] = {}
        for fact in self.facts:
            match fact:
                case OutsideCallStarted(agent_id, leg) if leg.switch == switch:
                    known[agent_id, leg] = None
                case OutsideCallEnded(agent_id, leg):
                    known.pop((agent_id, leg), None)
                case SwitchTaken():
                    known.clear()
                case _:
                    pass
        return tuple(known)


class Rig:
    def __init__(
        self, *, respect_outside_calls: bool = True, fence_term_ms: int = 0, require_ack: RequireAck = RequireAck.NEVER
    ) -> None:
        self.runtime = Told()
        self.link = Link()
        desk = Desk(lambda _wish, _who: None, monotonic_ms)
        desk.members = {"1001": Member("1001", "user/1001", None)}
        settings = LinkSettings(password="x", fence_term_ms=fence_term_ms, fence_renewal_ms=50, require_ack=require_ack)
        self.control = CallControl(
            "fs1", settings, self.runtime, 60_000, desk, respect_outside_calls=respect_outside_calls
        )
        self.subscription = self.control._link._subscription
        self.control._link = self.link  # type: ignore[assignment]  # stands in for the network
        self.link.on_renewal = self._down_and_up

    def _down_and_up(self, reason: str) -> None:
        self.control._on_state(Down(reason))
        self.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=0, at_ms=monotonic_ms()))

    def send(self, command: Command, **answers: Reply) -> list[Event]:
        self.link.answers = answers
        self.control.send(command)
        return self.runtime.facts


DIALS = {
    "Event-Name": "CHANNEL_CREATE",
    "Unique-ID": LEG.uuid,
    "Call-Direction": "inbound",
    "variable_user_name": "1001",
}
NOBODY = Reply(Outcome.OK, json.dumps({"row_count": 0}))
LISTED = Reply(Outcome.OK, json.dumps({"row_count": 1, "rows": [{"uuid": LEG.uuid}]}))


def comes_up(rig: Rig, *, restarted: bool, **answers: Reply) -> list[Event]:
    """What is told from the link's coming up to the first moment of service."""
    rig.link.answers = answers
    rig.control._on_state(Up("core", "fs1", restarted=restarted, uptime_ms=0, at_ms=0))
    until(lambda: rig.control.in_sync)
    rig.control._on_state(Down("the test is over"))
    return rig.runtime.facts


class HashTable:
    """What mod_hash does, in place of the network."""

    def __init__(self) -> None:
        self.table: dict[str, str] = {}
        self.deaf = False

    def answer(self, wire: Wire) -> Reply:
        if self.deaf:
            return Reply(Outcome.UNCONFIRMED, "no answer in time")
        verb, _, key, *value = wire.data.decode().split(maxsplit=2)[2].strip().split("/")
        there = self.table.get(key)
        if verb == "select":
            return Reply(Outcome.OK, there) if there else Reply(Outcome.ERR, "-ERR no reply")
        if verb == "insert" or (verb == "insert_ifempty" and there is None):
            self.table[key] = value[0]
        elif verb == "delete" or (verb == "delete_ifmatch" and there == value[0]):
            self.table.pop(key, None)
        else:
            return Reply(Outcome.ERR, "-ERR")
        return Reply(Outcome.OK, "+OK")
