"""The synthetic call centre, without a daemon and with the simplest one."""

from __future__ import annotations

from dataclasses import replace

from fsacd.sim.agenda import MS, SECOND, Agenda
from fsacd.sim.callcentre import CallCentre
from fsacd.sim.dialplan import Dialplan
from fsacd.sim.originating import originate
from fsacd.sim.settings import Settings
from fsacd.sim.switch import Switch
from fsacd.sim.workload import PLAN, configuration, entry_dialplan

# What fsacd's own dialplan does, in three lines: callers hear music, feature codes are always accepted.
STAND_IN = """
<document>
<context name="fsacd">
  <extension name="enter"><condition field="destination_number" expression="^fsacd_enter$">
    <action application="answer"/>
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="playback" data="${fsacd_music}"/>
  </condition></extension>
  <extension name="yes"><condition field="destination_number" expression="^fsacd_yes$">
    <action application="answer"/><action application="playback" data="silence_stream://200"/>
  </condition></extension>
</context>
<context name="default">
  <extension name="code"><condition field="destination_number" expression="^\\*3">
    <action application="transfer" data="fsacd_yes XML fsacd"/>
  </condition></extension>
</context>
</document>
"""


def centre(seed: int = 1, stand_in: str = STAND_IN, calls_per_s: float = 1) -> CallCentre:
    dialplan = Dialplan()
    dialplan.add(entry_dialplan())
    dialplan.add(stand_in)
    built = CallCentre(Switch(Agenda(seed), Settings(), dialplan), replace(PLAN, calls_per_s=calls_per_s))
    built.start()
    return built


def distribute(built: CallCentre, until_us: int) -> None:
    """The simplest daemon: every 50 ms the oldest caller gets any agent who is logged in and free."""
    switch = built.switch
    given: dict[str, str] = {}
    while switch.agenda.now_us < until_us:
        switch.agenda.run(switch.agenda.now_us + 50 * MS)
        given = {caller: agent for caller, agent in given.items() if agent in switch.sessions}
        waiting = [
            uuid
            for uuid, session in switch.sessions.items()
            if session.channel.playing and "fsacd_queue" in session.channel.variables and uuid not in given
        ]
        busy = {session.channel.variables.get("agent") for session in switch.sessions.values()}
        for agent in built.agents:
            user = agent.worker.agent_id
            if agent.logged_in and user not in busy and waiting:
                caller = waiting.pop(0)
                given[caller] = switch.agenda.uuid()
                variables = f"origination_uuid={given[caller]},originate_timeout=8,agent={user}"
                originate(switch, f"{{{variables}}}user/{user} &park()", lambda _reply: None)
        switch.agenda.run(switch.agenda.now_us + 5 * MS)
        for caller, leg in given.items():
            if (session := switch.locate(leg)) is not None and session.channel.controlled:
                switch.api("uuid_bridge", f"{caller} {leg}")


def test_call_centre_is_lively() -> None:
    """Within two minutes all agents have logged in, most callers have talked, some gave up, phones were refused."""
    built = centre(calls_per_s=3)
    distribute(built, 120 * SECOND)
    tally = built.tally
    assert tally.logins == len(PLAN.workers)
    assert 300 < tally.called < 420
    assert tally.talked > 50
    assert min(tally.gave_up, tally.refused, tally.private_calls) > 0
    assert tally.rang > tally.talked


def test_agents_try_again_until_the_daemon_is_there() -> None:
    """Without a daemon no code is accepted, nobody is logged in, and callers lose patience."""
    built = centre(stand_in="<document/>")
    built.switch.agenda.run(60 * SECOND)
    assert (built.tally.logins, built.tally.talked) == (0, 0)
    assert built.tally.codes_refused > 5 * len(PLAN.workers)


def test_same_seed_gives_the_same_day() -> None:
    """A run can be repeated exactly; another seed gives another day."""
    tallies = []
    for seed in (7, 7, 8):
        built = centre(seed)
        distribute(built, 30 * SECOND)
        tallies.append(built.tally)
    assert tallies[0] == tallies[1]
    assert tallies[0] != tallies[2]


def test_configuration_fits_the_plan() -> None:
    """Every queue that is dialled is configured and staffed, and every skill that a line needs somebody has."""
    parts = configuration()
    agents = parts["agents"]
    assert isinstance(agents, dict)
    assert isinstance(parts["queues"], dict)
    staffed = {queue for agent in agents.values() for queue in agent["queues"]}
    known = {skill for agent in agents.values() for skill in agent["skills"]}
    assert set(parts["queues"]) == staffed == {line.queue for line in PLAN.lines}
    assert {line.skills.split(":")[0] for line in PLAN.lines if line.skills} <= known
