"""What people do with the keys of their phones in a talk, and what the switch tells of it."""

from __future__ import annotations

import pytest

from fsacd.esl import encoder
from fsacd.sim.desk_phones import DeskPhone
from fsacd.sim.phones import Caller, Line, ScriptedPhone
from tests.sim.installed import installed
from tests.sim.model import AGENT, AGENT_UUID, Model

COLLEAGUE_UUID = AGENT_UUID[:-2] + "b2"
TOLD = b"event json ALL CUSTOM fsacd::queued sofia::transferor sofia::transferee sofia::replaced\n\n"


def model_with(phone: DeskPhone, events: bool = True) -> tuple[Model, Line]:
    """A caller out of a queue talks with an agent who has this phone; the caller's end of it."""
    model = installed()
    model.switch.transfer_events = events
    model.client.events_on.feed(TOLD)
    model.switch.phones["1001@127.0.0.1:5070"] = phone
    phone.answers_ms = 5
    phone.switch = model.switch
    line = model.switch.call(Caller("+49301", "queue-support"), ScriptedPhone())
    model.run(100)
    model.client.api(f"originate {{origination_uuid={AGENT_UUID},hangup_after_bridge=true}}{AGENT} &park()")
    bridge(model, line.uuid, AGENT_UUID)
    return model, line


def bridge(model: Model, first: str, second: str) -> None:
    model.client.api(f"uuid_bridge {first} {second}")
    model.until(lambda: model.client.seen("CHANNEL_BRIDGE", first))
    model.client.api(f"uuid_setvar {first} transfer_after_bridge")


def told(model: Model) -> list[tuple[str, str]]:
    """The events of REFER: what, and of which leg."""
    events = [event for event in model.client.received() if event.get("Event-Subclass", "").startswith("sofia::")]
    return [(event["Event-Subclass"].removeprefix("sofia::"), event["Unique-ID"]) for event in events]


def test_hold_and_back() -> None:
    """The caller hears music in between, and the phone does it once, not at each talk."""
    model, line = model_with(DeskPhone(holds_ms=200, unholds_ms=1_500))
    model.run(1_000)
    assert model.switch.sessions[line.uuid].channel.playing
    model.run(3_000)
    assert not model.switch.sessions[line.uuid].channel.playing
    assert len(model.client.seen("CHANNEL_HOLD", AGENT_UUID)) == 1
    assert len(model.client.seen("CHANNEL_UNHOLD", AGENT_UUID)) == 1


@pytest.mark.parametrize("events", [True, False])
def test_blind(events: bool) -> None:
    """The caller goes to the number, the agent's leg ends; the switch tells of it only where it is set to."""
    model, line = model_with(DeskPhone(refers_ms=200, refers_to="4711"), events)
    model.run(1_000)
    session = model.switch.sessions[line.uuid]
    assert session.channel.variables["dialled"] == "4711"
    (ended,) = model.client.seen("CHANNEL_HANGUP", AGENT_UUID)
    assert ended["Hangup-Cause"] == "NORMAL_CLEARING"
    assert ended["variable_endpoint_disposition"] == "BLIND_TRANSFER"
    assert ended["variable_transfer_destination"] == "blind:4711"
    assert told(model) == ([("transferor", AGENT_UUID), ("transferee", line.uuid)] if events else [])


def consultation(answered: bool) -> tuple[Model, Line, str]:
    """The agent has called a queue, and a colleague has taken that call or not; caller and second leg."""
    phone = DeskPhone(consults_ms=200, consults=Caller("1001", "queue-support"), hands_over_ms=2_000)
    model, line = model_with(phone)
    model.until(lambda: len(phone.begun) == 1 and next(iter(phone.begun.values())), 1_000)
    (second,) = phone.begun.values()
    assert second is not None
    model.until(lambda: model.client.seen("PLAYBACK_START", second.uuid))
    if answered:
        model.switch.phones["1002@127.0.0.1:5070"] = ScriptedPhone(answers_ms=5)
        dialled = AGENT.replace("1001", "1002")
        model.client.api(f"originate {{origination_uuid={COLLEAGUE_UUID}}}{dialled} &park()")
        bridge(model, second.uuid, COLLEAGUE_UUID)
    return model, line, second.uuid


def test_attended() -> None:
    """The two who are left talk; both legs of the agent end, one before they do."""
    model, line, second = consultation(answered=True)
    model.run(3_000)
    pair = {uuid for uuid, session in model.switch.sessions.items() if session.talk}
    assert pair == {line.uuid, COLLEAGUE_UUID}
    assert told(model) == [("replaced", second), ("transferor", AGENT_UUID), ("transferee", line.uuid)]
    events = [event["Event-Name"] for event in model.client.received()]
    assert [model.switch.locate(uuid) for uuid in (AGENT_UUID, second)] == [None, None]
    assert model.client.seen("CHANNEL_HANGUP", AGENT_UUID)[0]["variable_transfer_to"] == f"att:{COLLEAGUE_UUID}"
    last_bridge = len(events) - 1 - events[::-1].index("CHANNEL_BRIDGE")
    assert events.index("CHANNEL_HANGUP") < last_bridge


def test_attended_into_a_waiting_call() -> None:
    """The caller takes the agent's place in the queue, with its call."""
    model, line, second = consultation(answered=False)
    call = model.switch.sessions[second].channel.variables["fsacd_call"]
    model.run(3_000)
    assert model.switch.sessions[line.uuid].channel.variables["fsacd_call"] == call
    assert model.switch.locate(second) is None
    assert told(model)[:2] == [("transferor", AGENT_UUID), ("transferee", line.uuid)]


def test_digits_and_muting() -> None:
    """What the switch sends the phone hears; what is muted is told by direction."""
    model, line = model_with(DeskPhone(presses_ms=200, presses="12"))
    model.run(500)
    assert [event["DTMF-Digit"] for event in model.client.seen("DTMF", AGENT_UUID)] == ["1", "2"]
    assert model.client.api(f"uuid_send_dtmf {line.uuid} 98#") == f"+OK {line.uuid} sent DTMF 98#.\n"
    model.run(50)
    assert line.heard == "98#"
    channel = model.switch.sessions[AGENT_UUID].channel
    for command, muted in (("start read mute 1", {"read"}), ("start write mute 1", {"read", "write"})):
        assert model.client.api(f"uuid_audio {AGENT_UUID} {command}") == "+OK\n"
        assert channel.muted == muted
    assert model.client.api(f"uuid_audio {AGENT_UUID} start read mute").startswith("-USAGE")
    model.client.api(f"uuid_audio {AGENT_UUID} start read mute 0")
    assert channel.muted == {"write"}
    model.client.api(f"uuid_audio {AGENT_UUID} stop")
    assert channel.muted == set()


def test_digits_and_muting_by_messages_to_legs() -> None:
    """The leg's own thread runs the encoder's command soon after the answer; it stays in its application."""
    model, line = model_with(DeskPhone())
    channel, commands = model.switch.sessions[AGENT_UUID].channel, model.client.commands_on
    for wire, muted in (
        (encoder.mute(AGENT_UUID, on=True), {"read"}),
        (encoder.send_digits(line.uuid, "98#"), {"read"}),
        (encoder.mute(AGENT_UUID, on=False), set[str]()),
    ):
        commands.out.clear()
        commands.feed(wire.data)
        model.run(50)
        assert b"Reply-Text: +OK\n" in bytes(commands.out)
        assert channel.muted == muted
    assert line.heard == "98#"
    assert channel.variables["current_application"] == "park"
    callers = model.switch.sessions[line.uuid].channel.variables
    assert callers["fsacd_did"] == "+"
    assert "98#" not in "".join(callers.values())
    commands.feed(encoder.mute(COLLEAGUE_UUID, on=True).data)
    model.run(50)
    assert bytes(commands.out).endswith(f"-ERR invalid session id [{COLLEAGUE_UUID}]\n\n".encode())
