"""A simulated switch with what fsacd installs, and a daemon's reading and deciding, all in one process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fsacd.core.commands import Command, ConfirmTalk, Connect, RingAgent
from fsacd.core.engine import Engine
from fsacd.core.events import AgentLoggedIn, Event, SwitchConnected
from fsacd.core.rules import Rules
from fsacd.esl.codec import Kind, Message
from fsacd.esl.orders import to_wires
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.translate import Feature, Reader, Unacknowledged
from fsacd.plugins.catalogue import Catalogue
from fsacd.sim.agenda import MS
from fsacd.sim.dialplan import Dialplan
from fsacd.sim.phones import Caller, Line, ScriptedPhone
from tests.sim.model import Model

REPOSITORY = Path(__file__).resolve().parents[2]
FREESWITCH = REPOSITORY / "freeswitch"
DATA = Path(__file__).parent / "data"
LEASE_S = 3_600
# Numbers of the context default, where a leg of which nobody has thought may dial anything.
ANYWHERE = """
<context name="default"><extension name="anywhere"><condition field="destination_number" expression="^(.+)$">
  <action application="set" data="dialled=$1"/><action application="answer"/><action application="park"/>
</condition></extension></context>
"""
ENTRY = """
<context name="public">
  <extension name="queue"><condition field="destination_number" expression="^queue-(.+)$">
    <action application="set" data="fsacd_queue=$1"/>
    <action application="transfer" data="fsacd_enter XML fsacd"/>
  </condition></extension>
  <extension name="inner"><condition field="destination_number" expression="^(fsacd_.+|\\*3.+)$">
    <action application="transfer" data="$1 XML fsacd"/>
  </condition></extension>
</context>
"""


def installed(*more: Path, version: Path = FREESWITCH / "dialplan" / "fsacd.xml") -> Model:
    """A switch with the dialplan that is shipped (or another version of it), and a lease that holds."""
    model = Model()
    dialplan = Dialplan()
    dialplan.read(version)
    for file in more:
        dialplan.read(file, context="public")
    dialplan.add(ENTRY)
    dialplan.add(ANYWHERE)
    model.switch.dialplan = dialplan
    model.switch.globals |= {**dialplan.globals, "fsacd_lease": str(LEASE_S)}
    model.client.events_on.feed(b"event json CUSTOM fsacd::queued fsacd::waiting fsacd::left fsacd::feature\n\n")
    return model


class Centre:
    """An engine that hears and commands the model; every agent of its rules is logged in and answers at once."""

    def __init__(self, model: Model, rules: Rules, address: str = "{agent}@127.0.0.1:5070") -> None:
        self.model = model
        self.engine = Engine(rules, Catalogue.load([])[0], now_ms=self.now_ms(), seed=1)
        self.commands: list[Command] = []
        self.warnings: list[str] = []
        # Every caller here is there: nobody asks a leg for its ACK.
        self._reader = Reader("fs1", self.warnings.append, require_ack=False)
        self._read = len(model.client.received())
        self._post(SwitchConnected("fs1"))
        for agent in rules.agents:
            model.switch.phones[address.format(agent=agent)] = ScriptedPhone(answers_ms=5)
            model.switch.directory[agent] = f"sofia/internal/{address.format(agent=agent)}"
            self._post(AgentLoggedIn(agent, "test"))

    def now_ms(self) -> int:
        """The engine's clock."""
        return self.model.agenda.now_us // MS

    def run(self, duration_ms: int) -> None:
        """Let time pass, a step for each event of the switch."""
        for _ in range(duration_ms):
            self.model.run(1)
            self._take(self.engine.advance(self.now_ms()).commands)
            heard = self.model.client.received()
            clock = SwitchClock(self.model.switch.uptime_us // MS, self.now_ms())
            for event in heard[self._read :]:
                self._read += 1
                fact = self._reader.read(Message(Kind.EVENT, event), clock, self.now_ms())
                if fact is not None and not isinstance(fact, Feature | Unacknowledged):
                    self._post(fact)

    def call(self, destination: str, number: str = "+4930987654", *, private: bool = False) -> Line:
        """A caller who stays on the line."""
        line = self.model.switch.call(Caller(number, destination, private=private), ScriptedPhone())
        self.run(100)
        return line

    def commanded(self, kind: type[RingAgent | Connect | ConfirmTalk]) -> list[Command]:
        """The commands of that kind so far."""
        return [command for command in self.commands if isinstance(command, kind)]

    def states(self) -> dict[str, str]:
        """Every agent's state."""
        return {agent.agent_id: agent.state for agent in self.engine.snapshot(self.now_ms()).agents}

    def _post(self, fact: Event) -> None:
        self._take(self.engine.handle(fact, self.now_ms()).commands)

    def _take(self, commands: Iterable[Command]) -> None:
        for command in commands:
            self.commands.append(command)
            for wire in to_wires(command):
                self.model.client.commands_on.feed(wire.data)
