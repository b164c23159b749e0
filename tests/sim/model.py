"""A simulated switch in its own time, with a client that speaks Event Socket to it."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from fsacd.sim.agenda import MS, SECOND, Agenda
from fsacd.sim.dialplan import Dialplan
from fsacd.sim.listener import connect
from fsacd.sim.phones import Caller, Line, ScriptedPhone
from fsacd.sim.settings import Settings
from fsacd.sim.switch import Switch
from fsacd.sim.trace import frames

AGENT = "sofia/internal/1001@127.0.0.1:5070"
AGENT_UUID = "00000000-0000-4000-8000-0000000000a1"

DIALPLAN = """
<document>
<context name="public">
  <extension name="parked"><condition field="destination_number" expression="^parked$">
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="answer"/>
    <action application="park"/>
    <action application="set" data="went_on=true"/>
    <action application="park"/>
  </condition></extension>
  <extension name="music"><condition field="destination_number" expression="^music$">
    <action application="answer"/>
    <action application="set" data="uuid_bridge_continue_on_cancel=true"/>
    <action application="set" data="transfer_after_bridge=back:XML:public"/>
    <action application="playback" data="local_stream://moh"/>
    <action application="transfer" data="back XML public"/>
  </condition></extension>
  <extension name="back"><condition field="destination_number" expression="^back$">
    <action application="event" data="Event-Name=CUSTOM,Event-Subclass=fsacd::returned"/>
    <action application="playback" data="%[playback_timeout_sec=2]local_stream://moh"/>
    <action application="park"/>
  </condition></extension>
  <extension name="asleep"><condition field="destination_number" expression="^asleep$">
    <action application="answer"/>
    <action application="sleep" data="60000"/>
    <action application="park"/>
  </condition></extension>
  <extension name="pick"><condition field="destination_number" expression="^pick-(.+)$">
    <action application="intercept" data="$1"/>
  </condition></extension>
  <extension name="round"><condition field="destination_number" expression="^round$">
    <action application="transfer" data="round XML public"/>
  </condition></extension>
</context>
</document>
"""


class Model:
    """Everything a test needs; `seed` decides every race."""

    def __init__(self, seed: int = 1, **settings: float) -> None:
        self.agenda = Agenda(seed)
        dialplan = Dialplan()
        dialplan.add(DIALPLAN)
        values = {"heartbeat_s": 1_000.0} | settings
        self.switch = Switch(self.agenda, Settings(password="secret", **values), dialplan)  # type: ignore[arg-type]
        self.client = Client(self)

    def run(self, duration_ms: float) -> None:
        """Let time pass, a quarter of a millisecond at a time."""
        end_us = self.agenda.now_us + int(duration_ms * MS)
        while self.agenda.now_us < end_us:
            self.agenda.run(min(end_us, self.agenda.now_us + 250))

    def until(self, condition: Callable[[], object], limit_ms: float = 5_000) -> None:
        """Let time pass until the condition holds; fails when it does not within the limit."""
        end_us = self.agenda.now_us + int(limit_ms * MS)
        while not condition():
            assert self.agenda.now_us < end_us, "the awaited condition did not come about"
            self.agenda.run(self.agenda.now_us + 250)

    def call(self, destination: str = "parked", number: str = "13800000001") -> Line:
        """A caller who stays on the line; returns when the dialplan has them."""
        line = self.switch.call(Caller(number, destination), ScriptedPhone())
        self.run(30)
        return line

    def answered_agent(self, uuid: str = AGENT_UUID) -> str:
        """An agent leg that is answered and parked; its uuid."""
        self.switch.phones["1001@127.0.0.1:5070"] = ScriptedPhone(answers_ms=5)
        self.client.api(f"originate {{origination_uuid={uuid}}}{AGENT} &park()")
        self.until(lambda: self.client.seen("CHANNEL_PARK", uuid))
        return uuid


class Client:
    """An Event Socket client: two connections as fsacd has, one for events and one for commands."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._received: list[dict[str, str]] = []
        self.events_on = connect(model.switch, lambda: None)
        self.commands_on = connect(model.switch, lambda: None)
        for listener in (self.events_on, self.commands_on):
            listener.feed(b"auth secret\n\n")
        self.events_on.feed(b"event json ALL CUSTOM fsacd::returned\n\n")

    def api(self, command: str) -> str:
        """The reply of an api command."""
        self.commands_on.out.clear()
        self.commands_on.feed(f"api {command}\n\n".encode())
        self.model.until(lambda: self.commands_on.out, 120 * SECOND / MS)
        self.model.run(1)
        return next(frames(bytes(self.commands_on.out)))[1].decode()

    def bgapi(self, command: str, job: str) -> None:
        """Start a job."""
        self.commands_on.feed(f"bgapi {command}\nJob-UUID: {job}\n\n".encode())

    def job(self, job: str) -> str | None:
        """What came of a job, None while it runs."""
        found = [event["_body"] for event in self.received() if event.get("Job-UUID") == job]
        return found[0] if found else None

    def received(self) -> list[dict[str, str]]:
        """All events so far."""
        if self.events_on.out:
            self._received += [
                orjson.loads(body)
                for head, body in frames(bytes(self.events_on.out))
                if head.get("Content-Type") == "text/event-json"
            ]
            self.events_on.sent(len(self.events_on.out))
        return self._received

    def seen(self, name: str, uuid: str) -> list[dict[str, str]]:
        """The events of that name about that leg."""
        return [event for event in self.received() if event["Event-Name"] == name and event.get("Unique-ID") == uuid]
