"""What a daemon does with a talk, on the simulated switch with what is installed: hold, consultation, rooms."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fsacd.sim.channel import State
from fsacd.sim.phones import Caller, ScriptedPhone
from tests.sim.installed import FREESWITCH, installed
from tests.sim.model import Model

HOLD = "fsacd_hold XML fsacd"
ARM = "park_after_bridge=true"
ROOM = "conference:room@desk inline"
AGENT, THIRD = "00000000-0000-4000-8000-0000000000a1", "00000000-0000-4000-8000-0000000000a2"
PATIENCE_MS = 2_000


@dataclass
class Talk:
    """A caller out of a queue and an agent, who talk; perhaps a third party."""

    model: Model
    caller: str
    agent: str = AGENT
    third: str = THIRD

    def api(self, command: str) -> str:
        return self.model.client.api(command)

    def count(self, event: str, uuid: str) -> int:
        return len(self.model.client.seen(event, uuid))

    def parks(self, uuid: str, deed: str) -> None:
        """The command lets the leg park."""
        before = self.count("CHANNEL_PARK", uuid)
        assert self.api(deed).startswith("+OK")
        self.model.until(lambda: self.count("CHANNEL_PARK", uuid) > before, PATIENCE_MS)

    def bridge(self, first: str, second: str) -> None:
        """The two talk."""
        assert self.api(f"uuid_bridge {first} {second}") == f"+OK {second}\n"
        self.model.until(lambda: self.pair() == {first, second}, PATIENCE_MS)

    def hold(self, who: str = "") -> None:
        """Hold who the agent talks with."""
        self.api(f"uuid_setvar_multi {self.agent} {ARM}")
        self.parks(self.agent, f"uuid_transfer {who or self.caller} {HOLD}")

    def consult(self) -> None:
        """Hold the caller, and talk with somebody else."""
        self.hold()
        self.ring(self.third, "third")
        for leg in (self.agent, self.third):
            self.api(f"uuid_setvar_multi {leg} {ARM}")
        self.bridge(self.agent, self.third)

    def ring(self, uuid: str, leg: str) -> None:
        self.api(f"originate {{origination_uuid={uuid},fsacd_leg={leg}}}sofia/internal/1001@127.0.0.1:5070 &park()")
        self.model.until(lambda: self.count("CHANNEL_PARK", uuid), PATIENCE_MS)

    def pair(self) -> set[str]:
        """Who talks."""
        return {uuid for uuid, session in self.model.switch.sessions.items() if session.talk}

    def hears_music(self, uuid: str) -> bool:
        session = self.model.switch.sessions[uuid]
        return session.channel.playing and session.channel.profile.destination == "fsacd_hold"

    def parked(self, uuid: str) -> bool:
        return self.model.switch.sessions[uuid].channel.controlled

    def is_over(self, uuid: str) -> bool:
        return self.model.switch.locate(uuid) is None


@pytest.fixture
def talk() -> Talk:
    model = installed()
    model.client.events_on.feed(
        b"event json ALL CUSTOM fsacd::held fsacd::returned fsacd::waiting conference::maintenance\n\n"
    )
    model.switch.globals["fsacd_music"] = "local_stream://moh"
    model.switch.phones["1001@127.0.0.1:5070"] = ScriptedPhone(answers_ms=5)
    line = model.switch.call(Caller("+49301", "queue-support"), ScriptedPhone())
    model.run(100)
    talk = Talk(model, line.uuid)
    talk.ring(AGENT, "agent")
    talk.bridge(line.uuid, AGENT)
    talk.api(f"uuid_setvar_multi {line.uuid} transfer_after_bridge=")
    return talk


def test_hold_plays_music_at_once_and_lasts(talk: Talk) -> None:
    """Also in the second in which the caller began to wait; the leg tells every ten seconds that it is held."""
    talk.hold()
    talk.model.run(100)
    assert talk.hears_music(talk.caller)
    talk.model.run(35_000)
    assert talk.hears_music(talk.caller)
    held = [each for each in talk.model.client.seen("CUSTOM", talk.caller) if each["Event-Subclass"] == "fsacd::held"]
    assert len(held) == 4
    talk.bridge(talk.caller, talk.agent)


def test_music_that_is_not_there_is_a_tone_on_hold(talk: Talk) -> None:
    """It does not run in circles."""
    talk.model.switch.missing_sounds.add("local_stream://moh")
    talk.hold()
    talk.model.run(25_000)
    heard = [each["Playback-File-Path"] for each in talk.model.client.seen("PLAYBACK_START", talk.caller)][1:]
    assert len(heard) == 3
    assert all("tone_stream" in path for path in heard)


def test_whoever_is_held_without_a_daemon_does_not_stay_there(talk: Talk) -> None:
    """At the end of the lease the caller takes the fallback, a third party is released."""
    talk.consult()
    talk.api(f"uuid_setvar_multi {talk.agent} {ARM}")
    talk.parks(talk.agent, f"uuid_transfer {talk.third} {HOLD}")
    talk.model.switch.globals["fsacd_lease"] = "1"
    talk.model.run(11_000)
    assert talk.is_over(talk.third)
    assert [each["Event-Subclass"] for each in talk.model.client.seen("CUSTOM", talk.caller)][-1] == "fsacd::left"


def test_a_parking_agent_stays_armed(talk: Talk) -> None:
    """Parking uses park_after_bridge up only where it meets park_timeout. Armed, the agent outlives the caller."""
    talk.hold()
    talk.bridge(talk.caller, talk.agent)
    talk.parks(talk.agent, f"uuid_kill {talk.caller}")
    assert not talk.is_over(talk.agent)


def test_the_caller_comes_back_on_hold_if_the_agent_dies_in_the_bridge(talk: Talk) -> None:
    """The window between +OK and the bridge loses nobody who is held."""
    for delay_ms in range(0, 45, 5):
        talk.hold()
        talk.model.run(300)
        talk.api(f"uuid_bridge {talk.caller} {talk.agent}")
        talk.model.run(delay_ms)
        talk.api(f"uuid_kill {talk.agent}")
        talk.model.run(500)
        assert talk.hears_music(talk.caller), delay_ms
        talk.agent = talk.agent[:-2] + f"{delay_ms:02}"
        talk.ring(talk.agent, "agent")
        talk.bridge(talk.caller, talk.agent)


def test_a_consultation_is_completed(talk: Talk) -> None:
    """The caller and the third party talk, and the agent is free to go."""
    talk.consult()
    talk.parks(talk.agent, f"uuid_bridge {talk.caller} {talk.third}")
    talk.api(f"uuid_kill {talk.agent} NORMAL_CLEARING")
    talk.model.run(300)
    assert talk.pair() == {talk.caller, talk.third}
    assert talk.is_over(talk.agent)


@pytest.mark.parametrize("deed", ["uuid_kill {}", "hang_up"])
def test_a_consultation_that_ends_leaves_the_agent_parked(talk: Talk, deed: str) -> None:
    """Whoever ends it; then the caller is taken back."""
    talk.consult()
    if deed == "hang_up":
        line = talk.model.switch.sessions[talk.third].line
        assert line is not None
        line.hang_up()
    else:
        talk.api(deed.format(talk.third))
    talk.model.until(lambda: talk.parked(talk.agent), PATIENCE_MS)
    talk.bridge(talk.caller, talk.agent)


def test_an_agent_who_dies_consulting_leaves_both_others(talk: Talk) -> None:
    """The caller hears music, the third party is parked."""
    talk.consult()
    talk.parks(talk.third, f"uuid_kill {talk.agent}")
    assert talk.hears_music(talk.caller)
    assert talk.model.switch.sessions[talk.third].channel.running is State.PARK


def test_swap_and_swap_again(talk: Talk) -> None:
    """In two steps each: who talks is held, and on the agent's PARK the other one is fetched."""
    talk.consult()
    for _ in range(3):
        talk.hold(talk.third)
        talk.model.run(100)
        assert talk.hears_music(talk.third)
        talk.bridge(talk.caller, talk.agent)
        talk.hold(talk.caller)
        talk.bridge(talk.third, talk.agent)
        assert talk.hears_music(talk.caller)
    # The talk that a leg has left takes no music from it.
    stops = [each for leg in (talk.caller, talk.third) for each in talk.model.client.seen("PLAYBACK_STOP", leg)]
    assert stops and all(each["Playback-Status"] == "done" for each in stops)


@pytest.mark.parametrize(
    ("phone", "ends"), [(ScriptedPhone(answers_ms=50), ""), (ScriptedPhone(rejects_ms=50), "USER_BUSY")]
)
def test_a_dialplan_that_rings_somebody(talk: Talk, phone: ScriptedPhone, ends: str) -> None:
    """Blind to a number: the leg talks with who answers, or ends as they refuse."""
    talk.model.switch.phones["4711@127.0.0.1:5070"] = phone
    talk.api(f"uuid_transfer {talk.caller} bridge:sofia/internal/4711@127.0.0.1:5070 inline")
    talk.model.run(500)
    assert talk.is_over(talk.agent)
    if ends:
        assert [each["Hangup-Cause"] for each in talk.model.client.seen("CHANNEL_HANGUP", talk.caller)] == [ends]
    else:
        (line,) = [session for uuid, session in talk.model.switch.sessions.items() if uuid != talk.caller]
        assert talk.pair() == {talk.caller, line.channel.uuid}
        assert talk.model.client.seen("CHANNEL_BRIDGE", talk.caller)[-1]["Channel-State"] == "CS_EXECUTE"
        talk.api(f"uuid_kill {line.channel.uuid}")
        talk.model.run(300)
        assert talk.is_over(talk.caller)


def test_who_hangs_up_while_a_dialplan_rings_somebody_ends_the_ring(talk: Talk) -> None:
    """Unlike a ring by `originate`, which nobody's end ends."""
    talk.model.switch.phones["4711@127.0.0.1:5070"] = ScriptedPhone()
    talk.api(f"uuid_transfer {talk.caller} bridge:sofia/internal/4711@127.0.0.1:5070 inline")
    talk.model.run(500)
    talk.api(f"uuid_kill {talk.caller}")
    talk.model.run(300)
    ended = [each["Hangup-Cause"] for each in talk.model.client.received() if each["Event-Name"] == "CHANNEL_HANGUP"]
    assert ended[-1] == "ORIGINATOR_CANCEL"
    assert talk.model.switch.sessions == {}


def gather(talk: Talk) -> None:
    """All three into a room."""
    talk.consult()
    for leg in (talk.caller, talk.agent, talk.third):
        talk.api(f"uuid_setvar_multi {leg} park_after_bridge=;transfer_after_bridge=")
    talk.api(f"uuid_transfer {talk.caller} {ROOM}")
    talk.api(f"uuid_transfer {talk.agent} -both {ROOM}")
    talk.model.until(lambda: inside(talk) == {talk.caller, talk.agent, talk.third}, PATIENCE_MS)


def inside(talk: Talk) -> set[str]:
    """Who is in the room."""
    return {leg.channel.uuid for room in talk.model.switch.rooms.values() for leg in room.members}


def told(talk: Talk) -> list[tuple[str, str]]:
    """What the room has told: what, and how many are in it then."""
    events = [each for each in talk.model.client.received() if each.get("Event-Subclass") == "conference::maintenance"]
    return [(each["Action"], each["Conference-Size"]) for each in events]


def test_a_room_for_three(talk: Talk) -> None:
    """All three come; its events name it and no variables; it ends with its last member."""
    gather(talk)
    (room,) = talk.model.switch.rooms
    assert room == "room"
    for leg in (talk.third, talk.caller, talk.agent):
        talk.api(f"uuid_kill {leg}")
        talk.model.run(300)
    assert talk.model.switch.rooms == {}
    adds, dels = [("add-member", str(n)) for n in (1, 2, 3)], [("del-member", str(n)) for n in (2, 1, 0)]
    assert told(talk) == [("conference-create", "0"), *adds, *dels, ("conference-destroy", "0")]
    events = [each for each in talk.model.client.received() if each.get("Action") == "add-member"]
    assert not any(name.startswith("variable_") for each in events for name in each)


@pytest.mark.parametrize(("leaves", "first", "second"), [("agent", "caller", "third"), ("third", "caller", "agent")])
def test_two_go_on_out_of_a_room(talk: Talk, leaves: str, first: str, second: str) -> None:
    """One leaves, whoever it is; the other two are bridged out of the room."""
    gather(talk)
    talk.api(f"uuid_kill {getattr(talk, leaves)}")
    talk.model.run(100)
    assert inside(talk) == {getattr(talk, first), getattr(talk, second)}
    talk.bridge(getattr(talk, first), getattr(talk, second))
    talk.model.run(100)
    assert inside(talk) == set()


def test_who_is_alone_in_a_room_stays(talk: Talk) -> None:
    """Nothing ends it, and no variable for after a talk is looked at."""
    gather(talk)
    talk.api(f"uuid_setvar_multi {talk.caller} transfer_after_bridge=fsacd_back:XML:fsacd")
    for leg in (talk.agent, talk.third):
        talk.api(f"uuid_kill {leg}")
    talk.model.run(60_000)
    assert inside(talk) == {talk.caller}


def test_the_room_is_forgotten_when_the_switch_dies(talk: Talk) -> None:
    """It has no members that come back."""
    gather(talk)
    talk.model.switch.faults.kill(100)
    talk.model.run(500)
    assert talk.model.switch.rooms == {}


@pytest.mark.parametrize("named", [" XML public", ""], ids=["named", "forced"])
def test_a_caller_who_is_sent_to_nowhere_comes_back(talk: Talk, named: str) -> None:
    """The last extension of the context of agents' numbers sends them where they wait; the number is told."""
    talk.model.switch.dialplan.read(FREESWITCH / "dialplan" / "default" / "zz_fsacd_last.xml", context="public")
    talk.api(f"uuid_setvar {talk.caller} force_transfer_context public")
    talk.api(f"uuid_transfer {talk.caller} 12345*6{named}")
    talk.model.run(300)
    announced, told = talk.model.client.seen("CUSTOM", talk.caller)[-2:]
    assert announced["Event-Subclass"] == "fsacd::waiting"  # for a call that had ended with the transfer
    assert (told["Event-Subclass"], told["variable_fsacd_nowhere"]) == ("fsacd::returned", "12345*6")
    talk.model.run(1_500)  # where music could run in circles it begins a second later
    assert talk.model.switch.sessions[talk.caller].channel.playing


@pytest.fixture
def silent() -> Talk:
    """The agent's phone sends no sound, and its leg has a timeout for that; the caller stays armed."""
    model = installed()
    model.client.events_on.feed(b"event json ALL CUSTOM fsacd::held fsacd::returned fsacd::waiting\n\n")
    model.switch.phones["1001@127.0.0.1:5070"] = ScriptedPhone(answers_ms=5, silent_ms=100)
    line = model.switch.call(Caller("+49301", "queue-support"), ScriptedPhone())
    model.run(100)
    talk = Talk(model, line.uuid)
    variables = f"origination_uuid={AGENT},fsacd_leg=agent,media_timeout=2000"
    talk.api(f"originate {{{variables}}}sofia/internal/1001@127.0.0.1:5070 &park()")
    model.until(lambda: talk.count("CHANNEL_PARK", AGENT), PATIENCE_MS)
    talk.bridge(line.uuid, AGENT)
    return talk


@pytest.mark.parametrize("held", [False, True], ids=["talking", "held"])
def test_a_leg_that_falls_silent_ends(silent: Talk, held: bool) -> None:
    """After its media_timeout. The caller hears the queue's music, and their leg says why; or that of the hold."""
    if held:
        silent.hold()
    silent.model.run(1_500)
    assert not silent.is_over(silent.agent)
    silent.model.run(1_000)
    assert silent.is_over(silent.agent)
    (ended,) = silent.model.client.seen("CHANNEL_HANGUP", silent.agent)
    assert ended["Hangup-Cause"] == "MEDIA_TIMEOUT"
    caller = silent.model.switch.sessions[silent.caller].channel
    assert caller.playing
    assert caller.variables.get("last_bridge_hangup_cause", "") == ("" if held else "MEDIA_TIMEOUT")
    assert caller.profile.destination == ("fsacd_hold" if held else "fsacd_back")


def test_a_caller_whose_talk_ends_nowhere_is_a_new_call_of_old_age(talk: Talk) -> None:
    """In a confirmed talk the call is over with the transfer; the leg keeps queue, contact and moment of arrival."""
    talk.model.switch.dialplan.read(FREESWITCH / "dialplan" / "default" / "zz_fsacd_last.xml", context="public")
    talk.api(f"uuid_setvar_multi {talk.caller} transfer_after_bridge=;fsacd_over=true;force_transfer_context=public")
    before = dict(talk.model.switch.sessions[talk.caller].channel.variables)
    talk.api(f"uuid_transfer {talk.caller} 12345")
    talk.model.run(300)
    now = talk.model.switch.sessions[talk.caller].channel.variables
    assert now["fsacd_call"] != before["fsacd_call"]
    assert [now[f"fsacd_{name}"] for name in ("over", "queue", "queued_at", "contact_id")] == [
        "false",
        *(before[f"fsacd_{name}"] for name in ("queue", "queued_at", "contact_id")),
    ]
    told = talk.model.client.seen("CUSTOM", talk.caller)[-1]
    assert (told["Event-Subclass"], told["variable_fsacd_call"]) == ("fsacd::queued", now["fsacd_call"])


def test_whom_fsacd_has_given_up_is_lost_nowhere_as_anybody(talk: Talk) -> None:
    """They are an ordinary caller of the operator's, without a context that an agent's phone may use."""
    talk.model.switch.dialplan.read(FREESWITCH / "dialplan" / "default" / "zz_fsacd_last.xml", context="public")
    talk.api(f"uuid_setvar_multi {talk.caller} transfer_after_bridge=;fsacd_over=true;force_transfer_context=")
    talk.api(f"uuid_transfer {talk.caller} 12345 XML public")
    talk.model.run(300)
    assert talk.caller not in talk.model.switch.sessions
