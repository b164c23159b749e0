"""The window between uuid_bridge's +OK and the bridge, and what comes after a talk."""

from __future__ import annotations

from collections import Counter

import pytest

from fsacd.sim.channel import State
from tests.sim.model import AGENT_UUID, Model

KILL_AFTER_MS = (1, 5, 9, 13, 17, 21, 25, 29, 33, 37)
FOR_LATER = "park_after_bridge=true"
ON_CANCEL = "uuid_bridge_park_on_cancel=true"


def bridge_and_kill(seed: int, kill_after_ms: float, order: str, variables: str, victim: str) -> tuple[Model, str]:
    """Bridge caller and agent in the given order and kill one of them; the model and the survivor's uuid."""
    model = Model(seed)
    caller = model.call().uuid
    agent = model.answered_agent()
    if variables:
        assert model.client.api(f"uuid_setvar_multi {caller} {variables}") == "+OK\n"
    legs = {"caller": caller, "agent": agent}
    first, second = order.split(",")
    assert model.client.api(f"uuid_bridge {legs[first]} {legs[second]}") == f"+OK {legs[second]}\n"
    model.run(kill_after_ms)
    model.client.api(f"uuid_kill {legs[victim]}")
    model.run(1_500)
    return model, legs["agent" if victim == "caller" else "caller"]


def outcome(model: Model, uuid: str) -> str:
    """What became of a leg: its hangup cause, "parked", "went on", or the state it hangs in."""
    if hung_up := model.client.seen("CHANNEL_HANGUP", uuid):
        return hung_up[0]["Hangup-Cause"]
    channel = model.switch.sessions[uuid].channel
    if channel.variables.get("went_on"):
        return "went on"
    return "parked" if channel.controlled else channel.running.name


def outcomes(order: str, variables: str, victim: str) -> Counter[str]:
    """Over many moments of the kill, those that did not come after the bridge."""
    counted: Counter[str] = Counter()
    for seed, kill_after_ms in enumerate(KILL_AFTER_MS):
        model, survivor = bridge_and_kill(seed, kill_after_ms, order, variables, victim)
        if not any(event["Event-Name"] == "CHANNEL_BRIDGE" for event in model.client.received()):
            counted[outcome(model, survivor)] += 1
    return counted


def test_caller_is_lost_when_his_agent_dies_in_the_window() -> None:
    """Without help the caller is hung up, with a cause that tells in which half of the window it happened."""
    assert set(outcomes("caller,agent", "", "agent")) == {"DESTINATION_OUT_OF_ORDER", "ORIGINATOR_CANCEL"}


@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        (ON_CANCEL, {"DESTINATION_OUT_OF_ORDER", "parked"}),
        (FOR_LATER, {"ORIGINATOR_CANCEL", "parked"}),
        (f"{FOR_LATER};{ON_CANCEL}", {"parked"}),
        (f"{FOR_LATER};uuid_bridge_continue_on_cancel=true", {"parked", "went on"}),
    ],
)
def test_two_variables_together_keep_the_caller(variables: str, kept: set[str]) -> None:
    """Each of the two covers one half of the window; together they lose nobody."""
    assert set(outcomes("caller,agent", variables, "agent")) == kept


def test_agent_is_left_in_limbo_when_the_caller_dies_in_the_window() -> None:
    """The second leg waits to be fetched for ever, silently."""
    assert set(outcomes("caller,agent", "", "caller")) <= {"RESET", "SOFT_EXECUTE"}


def test_caller_given_as_second_leg_is_left_in_limbo() -> None:
    """With the order reversed it is the caller who hangs in limbo."""
    assert set(outcomes("agent,caller", "", "agent")) <= {"RESET", "SOFT_EXECUTE"}


@pytest.mark.parametrize("rescue", ["uuid_park {}", "uuid_transfer {} parked XML public"])
def test_leg_in_limbo_can_be_rescued(rescue: str) -> None:
    """A leg in limbo still obeys commands."""
    model, agent = bridge_and_kill(1, 5, "caller,agent", "", "caller")
    assert model.switch.sessions[agent].channel.running in {State.RESET, State.SOFT_EXECUTE}
    assert model.client.api(rescue.format(agent)) == "+OK\n"
    model.run(60)
    assert outcome(model, agent) == "parked"


def test_leg_in_limbo_can_be_bridged_anew_and_killed() -> None:
    """A new uuid_bridge takes a leg out of limbo, and its end is an ordinary one."""
    model, agent = bridge_and_kill(1, 5, "caller,agent", "", "caller")
    other = model.call(number="13800000002").uuid
    model.client.api(f"uuid_bridge {other} {agent}")
    model.until(lambda: model.client.seen("CHANNEL_BRIDGE", other), 200)
    model.client.api(f"uuid_kill {agent} USER_BUSY")
    model.until(lambda: model.client.seen("CHANNEL_DESTROY", other), 200)
    assert outcome(model, agent) == "USER_BUSY"


def test_bridge_comes_about_forty_milliseconds_after_the_reply() -> None:
    """+OK means scheduled: the talk begins within 20 to 70 ms, never at once."""
    for seed in range(10):
        model = Model(seed)
        caller, agent = model.call().uuid, model.answered_agent()
        model.client.api(f"uuid_bridge {caller} {agent}")
        begun_us = model.agenda.now_us
        model.until(lambda m=model: any(session.talk for session in m.switch.sessions.values()), 100)  # type: ignore[misc]
        assert 20_000 < model.agenda.now_us - begun_us < 70_000


def talk(model: Model, order: str = "caller,agent", destination: str = "parked") -> tuple[str, str]:
    caller, agent = model.call(destination).uuid, model.answered_agent()
    first, second = (caller, agent) if order == "caller,agent" else (agent, caller)
    model.client.api(f"uuid_bridge {first} {second}")
    model.until(lambda: model.client.seen("CHANNEL_BRIDGE", first), 200)
    return caller, agent


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ("hangup_after_bridge=true", "NORMAL_CLEARING"),
        ("hangup_after_bridge=true;park_after_bridge=true", "parked"),
        ("hangup_after_bridge=true;transfer_after_bridge=parked:XML:public", "parked"),
        ("hangup_after_bridge=false", "went on"),
    ],
)
def test_what_the_caller_does_after_the_talk(variables: str, expected: str) -> None:
    """Park, transfer, hang up, or the next step of the dialplan: in that order of precedence."""
    model = Model()
    caller, agent = talk(model)
    model.client.api(f"uuid_setvar_multi {caller} {variables}")
    model.client.api(f"uuid_kill {agent}")
    model.run(200)
    assert outcome(model, caller) == expected


def test_transfer_after_bridge_is_used_once() -> None:
    """The variable is gone when it has been followed."""
    model = Model()
    caller, agent = talk(model, destination="music")
    model.client.api(f"uuid_kill {agent}")
    model.until(
        lambda: [event for event in model.client.received() if event.get("Event-Subclass") == "fsacd::returned"]
    )
    assert model.client.api(f"uuid_getvar {caller} transfer_after_bridge") == "_undef_"


def test_second_leg_is_hung_up_after_the_talk() -> None:
    """A caller who was given as the second leg does not go on in the dialplan."""
    model = Model()
    caller, agent = talk(model, "agent,caller")
    model.client.api(f"uuid_setvar {caller} hangup_after_bridge false")
    model.client.api(f"uuid_kill {agent}")
    model.run(200)
    assert outcome(model, caller) == "NORMAL_CLEARING"


def test_unanswered_legs_cannot_be_bridged() -> None:
    """Unknown or unanswered legs give the one error that uuid_bridge has."""
    model = Model()
    caller = model.call().uuid
    assert model.client.api(f"uuid_bridge {caller} {AGENT_UUID}") == "-ERR Invalid uuid\n"


def test_bridge_that_meets_a_transfer_is_lost() -> None:
    """A uuid_bridge while the dialplan transfers the caller has no effect on him and leaves the agent in limbo."""
    lost = 0
    for seed in range(40):
        model = Model(seed)
        caller, agent = model.call("music").uuid, model.answered_agent()
        model.client.api(f"uuid_break {caller}")
        model.run(seed % 12)
        assert model.client.api(f"uuid_bridge {caller} {agent}") == f"+OK {agent}\n"
        model.run(200)
        lost += model.switch.sessions[agent].channel.running is State.RESET
    assert 0 < lost < 40
