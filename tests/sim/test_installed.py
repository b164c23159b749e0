"""What is installed on a switch, run by the simulated one: the example, the ways that are none, REFER, old versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fsacd.config.reader import load
from fsacd.core.commands import RingAgent
from fsacd.esl.translate import FILTERS
from fsacd.plugins.catalogue import Catalogue
from fsacd.sim.phones import Caller, Line, ScriptedPhone
from fsacd.testing import agent, queue, rules_of
from tests.sim.installed import DATA, FREESWITCH, REPOSITORY, Centre, installed
from tests.sim.model import Model

INNER = (
    "careful",
    "new_call",
    "wait",
    "back",
    "arm",
    "step",
    "unheard",
    "fallback",
    "feature",
    "yes",
    "no",
    "hold",
    "held",
    "hushed",
    "nowhere",
    "again",
    "stand",
    "standing",
    "reach_11111111-1111-4111-8111-111111111111",
)
RULES = rules_of(queue("support"), queue("empty"), replace(agent("anna", "support"), switch="fs1"))
SETTLED_MS = 1_500


def test_a_newcomers_first_call_is_answered() -> None:
    """The example of the dialplan and the small example of the configuration fit each other."""
    environ = {"FSACD_SWITCH_PASSWORD": "secret-enough", "FSACD_TOKEN": "0123456789abcdef0123456789abcdef"}
    path = REPOSITORY / "config" / "examples" / "small.yaml"
    config = load(path, plugins=lambda _paths: Catalogue.load([]), environ=environ)
    centre = Centre(installed(FREESWITCH / "dialplan" / "public" / "fsacd_example.xml"), config.rules())
    line = centre.call("4930123456")
    centre.run(500)
    (ring,) = centre.commanded(RingAgent)
    assert isinstance(ring, RingAgent)
    assert ring.queue == "support"
    assert centre.states()[ring.agent_id] == "talking"
    assert "fsacd_customer" not in line.variables
    assert centre.warnings == []


def test_a_private_caller_is_hidden() -> None:
    """What the switch says of `Privacy: id` reaches the phone as an anonymous ring that is marked private."""
    rules = rules_of(queue("support"), agent("1001", "support"))
    centre = Centre(installed(FREESWITCH / "dialplan" / "public" / "fsacd_example.xml"), rules)
    centre.call("4930123456", private=True)
    centre.run(500)
    (ring,) = centre.commanded(RingAgent)
    assert isinstance(ring, RingAgent)
    assert (ring.caller_number, ring.caller_name, ring.hidden) == ("", "", True)


def test_a_callers_last_event_stays_in_the_switch() -> None:
    """It is the largest of a call, and the one before it has said all. An agent's last event comes."""
    model = installed()
    for header, pattern in FILTERS:
        model.client.events_on.feed(f"filter {header} {pattern}\n\n".encode())
    model.client.events_on.feed(b"filter Event-Name CUSTOM\n\n")
    centre = Centre(model, rules_of(queue("support"), agent("1001", "support")))
    line = centre.call("queue-support")
    centre.run(SETTLED_MS)
    assert centre.states() == {"1001": "talking"}
    line.hang_up()
    centre.run(SETTLED_MS)
    ends = [
        (event["variable_fsacd_leg"], event["Event-Name"])
        for event in model.client.received()
        if event["Event-Name"].startswith("CHANNEL_HANGUP")
    ]
    assert sorted(ends) == [
        ("agent", "CHANNEL_HANGUP"),
        ("agent", "CHANNEL_HANGUP_COMPLETE"),
        ("caller", "CHANNEL_HANGUP"),
    ]


def test_music_that_is_not_there_is_a_tone_and_a_word() -> None:
    """The caller hears something, the announcements say so, and no longer when it is there again."""
    model, music = installed(), "local_stream://gone"
    model.switch.globals["fsacd_music"] = music
    model.switch.missing_sounds.add(music)
    model.client.events_on.feed(b"event json PLAYBACK_START\n\n")
    line = model.switch.call(Caller("+49301", "queue-support"), ScriptedPhone())
    model.run(25_000)
    told = [event.get("variable_fsacd_silent") for event in model.client.seen("CUSTOM", line.uuid)]
    heard = [event.get("Playback-File-Path", "") for event in model.client.seen("PLAYBACK_START", line.uuid)]
    assert told[-1] == music
    assert heard and all("tone_stream" in path for path in heard)
    model.switch.missing_sounds.clear()
    model.run(25_000)
    assert model.client.seen("CUSTOM", line.uuid)[-1].get("variable_fsacd_silent") is None


@pytest.mark.parametrize("name", INNER)
def test_nobody_dials_an_inner_extension(name: str) -> None:
    """A leg that was not sent there in order is released, unanswered, and no call is announced."""
    model = installed()
    line = model.switch.call(Caller("+49301", f"fsacd_{name}"), ScriptedPhone())
    model.run(200)
    assert not line.open
    assert model.client.seen("CHANNEL_ANSWER", line.uuid) == []
    assert model.client.seen("CUSTOM", line.uuid) == []


@pytest.mark.parametrize("name", ["feature", "yes", "no"])
def test_a_waiting_caller_is_no_feature_leg(name: str) -> None:
    """Transferred to what answers feature codes, a caller with a user's password changes nobody's state."""
    model = installed()
    line = waiting(model, user="1002")
    model.client.api(f"uuid_transfer {line.uuid} fsacd_{name} XML fsacd")
    model.run(3_000)
    assert not line.open
    assert announced(model, line, "fsacd::feature") == 0


@pytest.mark.parametrize("code", ["*31", "*32", "*33", "*341", "*35", "*3611"])
def test_whoever_is_transferred_to_a_feature_code_has_not_dialled_it(code: str) -> None:
    """A phone's partner sends REFER to a code: the phone's agent is not logged out by that."""
    model = installed()
    phone = model.switch.call(Caller("1002", "anything", context="default", user="1002"), ScriptedPhone())
    model.run(100)
    phone.variables["sip_refer_to"] = f"<sip:{code}@here>"
    model.client.api(f"uuid_transfer {phone.uuid} {code} XML fsacd")
    model.run(3_000)
    assert not phone.open
    assert announced(model, phone, "fsacd::feature") == 0
    # The same phone, dialling it.
    dialled = model.switch.call(Caller("1002", code, user="1002"), ScriptedPhone())
    model.run(100)
    assert announced(model, dialled, "fsacd::feature") == 1


def test_a_caller_who_talks_dials_nothing() -> None:
    """The agent's leg finds no number where it is; the talk is over, and the agent is known to be free."""
    centre = Centre(installed(), RULES)
    caller, agents_leg = talk(centre)
    caller.refer("+49900")
    centre.run(300)
    assert [event["Hangup-Cause"] for event in centre.model.client.seen("CHANNEL_HANGUP", agents_leg)] == [
        "NORMAL_CLEARING"
    ]
    assert dialled(centre.model) == set()
    assert centre.states()["anna"] != "talking"
    assert centre.engine.snapshot(centre.now_ms()).calls == ()


@pytest.mark.parametrize("by", ["the talking call", "the waiting call"])
def test_a_caller_does_not_put_the_agent_into_a_queue(by: str) -> None:
    """An attended transfer to a call that waits would let the agent's leg wait there in its place."""
    centre = Centre(installed(), RULES)
    waits = centre.call("queue-empty", "+49302")
    caller, agents_leg = talk(centre)
    first, second = (caller, waits) if by == "the talking call" else (waits, caller)
    first.refer("anything", replaces=second)
    centre.run(500)
    assert agents_leg not in centre.model.switch.sessions
    assert dialled(centre.model) == set()
    centre.run(5_000)  # until nobody is awaited any more at the place that was given away
    assert centre.engine.snapshot(centre.now_ms()).calls == ()


def test_who_asks_a_queue_for_a_caller_gives_them_the_place() -> None:
    """The caller goes on in the call of who has waited for them, under their own number."""
    centre = Centre(installed(), RULES)
    caller, agents_leg = talk(centre)
    asks = centre.call("queue-empty", "1001")
    (call,) = (call for call in centre.engine.snapshot(centre.now_ms()).calls if call.number == "1001")
    line = centre.model.switch.sessions[agents_leg].line
    assert line is not None
    line.refer("anything", replaces=asks)
    centre.run(1_000)
    (again,) = centre.engine.snapshot(centre.now_ms()).calls
    assert (again.call_id, again.arrived_ms, again.state) == (call.call_id, call.arrived_ms, "waiting")
    assert again.leg is not None
    assert (again.leg.uuid, again.number) == (caller.uuid, caller.variables["sip_from_user"])


def test_a_caller_who_waits_dials_nothing() -> None:
    """There is nobody whose leg could be sent anywhere."""
    centre = Centre(installed(), RULES)
    waits = centre.call("queue-empty")
    waits.refer("+49900")
    centre.run(200)
    assert waits.open
    assert dialled(centre.model) == set()


def test_an_agents_transfer_makes_the_caller_dial() -> None:
    """In the context that the operator has for it."""
    centre = Centre(installed(), RULES)
    caller, agents_leg = talk(centre)
    session = centre.model.switch.sessions[agents_leg]
    assert session.line is not None
    session.line.refer("4711")
    centre.run(300)
    assert caller.open
    assert dialled(centre.model) == {caller.uuid}
    assert centre.engine.snapshot(centre.now_ms()).calls == ()


def test_calls_of_an_old_dialplan_are_served() -> None:
    """The dialplan of before has no context for agents' legs and tells no version: it serves, and dials nothing."""
    centre = Centre(installed(version=DATA / "dialplan_1.xml"), RULES)
    caller, agents_leg = talk(centre)
    assert centre.states()["anna"] == "talking"
    caller.refer("+49900")
    centre.run(300)
    assert agents_leg not in centre.model.switch.sessions
    assert dialled(centre.model) == set()


def waiting(model: Model, user: str = "") -> Line:
    line = model.switch.call(Caller("+49301", "queue-empty", user=user), ScriptedPhone())
    model.run(100)
    assert announced(model, line, "fsacd::queued") == 1
    return line


def announced(model: Model, line: Line, subclass: str) -> int:
    return sum(event.get("Event-Subclass") == subclass for event in model.client.seen("CUSTOM", line.uuid))


def talk(centre: Centre) -> tuple[Line, str]:
    """A caller who talks with the agent, and has for so long that it is a talk; the agent's leg."""
    caller = centre.call("queue-support")
    centre.run(SETTLED_MS)
    (ring,) = centre.commanded(RingAgent)
    assert isinstance(ring, RingAgent)
    return caller, ring.offer_id


def dialled(model: Model) -> set[str]:
    """The legs that have executed a number of the context default."""
    return {uuid for uuid, session in model.switch.sessions.items() if "dialled" in session.channel.variables}
