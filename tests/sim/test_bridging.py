"""The window between uuid_bridge's +OK and the bridge, and what comes after a talk."""

from __future__ import annotations

from collections import Counter

import pytest

from fsacd.sim.channel import State
from fsacd.sim.phones import ScriptedPhone
from tests.sim.model import AGENT, AGENT_UUID, Model

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


def test_caller_is_lost_when_their_agent_dies_in_the_window() -> None:
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
    """A uuid_bridge while the dialplan transfers the caller has no effect on them and leaves the agent in limbo."""
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


SECOND_AGENT_UUID = "00000000-0000-4000-8000-0000000000a2"


def test_leg_that_talks_is_bridged_to_another() -> None:
    """The talk ends, the next one begins, and the first agent is released."""
    model = Model()
    caller, first = talk(model)
    second = model.answered_agent(SECOND_AGENT_UUID)
    model.client.api(f"uuid_bridge {caller} {second}")
    model.until(lambda: len(model.client.seen("CHANNEL_BRIDGE", caller)) == 2, 200)
    model.run(50)
    assert outcome(model, first) == "NORMAL_CLEARING"
    assert {model.switch.sessions[uuid].channel.running.name for uuid in (caller, second)} == {
        "SOFT_EXECUTE",
        "EXCHANGE_MEDIA",
    }


def test_phone_is_not_told_twice_whom_it_talks_to() -> None:
    """The second agent's leg shows the same number as the first one's: the caller's phone hears nothing new."""
    model = Model()
    caller, _ = talk(model)
    second = model.answered_agent(SECOND_AGENT_UUID)
    model.client.api(f"uuid_bridge {caller} {second}")
    model.until(lambda: model.client.seen("CALL_UPDATE", second)[1:], 200)
    assert [event["Sent-Callee-ID-Number"] for event in model.client.seen("CALL_UPDATE", caller)] == ["0000000000"]


def test_agent_with_early_media_is_bridged_before_they_answer() -> None:
    """Sound is enough for a bridge."""
    model = Model()
    caller = model.call().uuid
    model.switch.phones["1001@127.0.0.1:5070"] = ScriptedPhone(early_ms=5)
    model.client.api(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park()")
    model.client.api(f"uuid_bridge {caller} {AGENT_UUID}")
    model.until(lambda: model.client.seen("CHANNEL_BRIDGE", caller), 200)
    assert not model.switch.sessions[AGENT_UUID].channel.answered


def test_agent_is_let_go_when_the_caller_is_sent_elsewhere_in_the_window() -> None:
    """FreeSWITCH hangs up the leg that nobody will fetch, if it was about to be fetched."""
    seen = set()
    for seed in range(20):
        model = Model(seed)
        caller, agent = model.call("music").uuid, model.answered_agent()
        model.client.api(f"uuid_bridge {caller} {agent}")
        model.until(lambda m=model, u=caller: m.switch.sessions[u].channel.running is State.SOFT_EXECUTE, 60)  # type: ignore[misc]
        model.client.api(f"uuid_transfer {caller} back XML public")
        model.run(100)
        if not model.client.seen("CHANNEL_BRIDGE", caller):
            seen.add(outcome(model, agent))
    assert seen == {"DESTINATION_OUT_OF_ORDER"}


def test_caller_who_hangs_up_has_been_on_their_way_to_what_comes_after() -> None:
    """The caller's last events carry the caller profile of a transfer that cannot take place any more."""
    model = Model()
    caller, _ = talk(model)
    model.client.api(f"uuid_setvar {caller} transfer_after_bridge back:XML:public")
    model.client.api(f"uuid_kill {caller}")
    model.until(lambda: model.client.seen("CHANNEL_HANGUP_COMPLETE", caller), 200)
    last = model.client.seen("CHANNEL_HANGUP_COMPLETE", caller)[0]
    assert (last.get("Other-Type"), last["Caller-Destination-Number"]) == (None, "back")


def test_leg_bridged_to_itself_hangs_in_limbo() -> None:
    """FreeSWITCH does not refuse it; only another command frees the leg."""
    model = Model()
    caller = model.call().uuid
    assert model.client.api(f"uuid_bridge {caller} {caller}") == f"+OK {caller}\n"
    model.run(500)
    assert model.switch.sessions[caller].channel.running in {State.RESET, State.SOFT_EXECUTE}
    assert model.client.api(f"uuid_park {caller}") == "+OK\n"
    model.until(lambda: len(model.client.seen("CHANNEL_PARK", caller)) == 2, 100)


def test_agent_who_is_sent_elsewhere_becomes_the_caller() -> None:
    """A second leg that a dialplan gets has its caller id turned round, which an event tells."""
    model = Model()
    _, agent = talk(model)
    model.run(50)
    model.client.api(f"uuid_transfer {agent} parked XML public")
    model.until(lambda: model.client.seen("CALL_UPDATE", agent)[2:], 100)
    last = model.client.seen("CALL_UPDATE", agent)[-1]
    assert (last["Channel-State"], last["Direction"]) == ("CS_ROUTING", "RECV")


def test_agent_who_never_answered_is_cancelled_at_the_end() -> None:
    """The agent's leg ends as a cancelled one when the caller leaves."""
    model = Model()
    caller = model.call().uuid
    model.switch.phones["1001@127.0.0.1:5070"] = ScriptedPhone(early_ms=5)
    model.client.api(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park()")
    model.client.api(f"uuid_bridge {caller} {AGENT_UUID}")
    model.until(lambda: model.client.seen("CHANNEL_BRIDGE", caller), 200)
    model.client.api(f"uuid_kill {caller}")
    model.until(lambda: model.client.seen("CHANNEL_HANGUP", AGENT_UUID), 200)
    assert outcome(model, AGENT_UUID) == "ORIGINATOR_CANCEL"


@pytest.mark.parametrize(("cause", "end"), [("CALL_REJECTED", "CALL_REJECTED"), ("NO_USER_RESPONSE", "went on")])
def test_refusal_after_early_media_is_the_callers_end(cause: str, end: str) -> None:
    """Unless nobody was there to answer: that is always a reason to go on."""
    model = Model()
    caller = model.call().uuid
    model.switch.phones["1001@127.0.0.1:5070"] = ScriptedPhone(early_ms=5, rejects_ms=200, cause=cause)
    model.client.api(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park()")
    model.client.api(f"uuid_bridge {caller} {AGENT_UUID}")
    model.until(lambda: model.client.seen("CHANNEL_UNBRIDGE", caller), 500)
    model.run(50)
    assert outcome(model, caller) == end


def test_a_colleague_picks_up_who_waits() -> None:
    """As on FreeSWITCH 1.10.12: who picks up is the first of the two, and their event tells of the caller's context."""
    model = Model()
    caller = model.call("music").uuid
    colleague = model.call(f"pick-{caller}", "2001").uuid
    model.until(lambda: model.client.seen("CHANNEL_BRIDGE", colleague))
    (bridged,) = model.client.seen("CHANNEL_BRIDGE", colleague)
    assert (bridged["Bridge-A-Unique-ID"], bridged["Bridge-B-Unique-ID"]) == (colleague, caller)
    assert (bridged["Other-Leg-Unique-ID"], bridged["Other-Leg-Context"]) == (caller, "public")
    assert bridged["Caller-Caller-ID-Number"] == "2001"
    assert model.client.seen("CHANNEL_BRIDGE", caller) == []
    model.client.api(f"uuid_kill {colleague}")
    model.until(lambda: model.client.seen("CUSTOM", caller))


def test_who_talks_is_taken_away_from_whom_they_talk_with() -> None:
    """Without `intercept_unbridged_only` a talk is no hindrance."""
    model = Model()
    caller, agent = model.call().uuid, model.answered_agent()
    model.client.api(f"uuid_bridge {caller} {agent}")
    model.until(lambda: model.client.seen("CHANNEL_BRIDGE", caller))
    colleague = model.call(f"pick-{caller}", "2001").uuid
    model.until(lambda: model.client.seen("CHANNEL_BRIDGE", colleague))
    assert model.client.seen("CHANNEL_HANGUP", agent)[0]["Hangup-Cause"] == "PICKED_OFF"


def test_nobody_is_picked_up_where_there_is_no_leg() -> None:
    """The application is over at once."""
    model = Model()
    colleague = model.call("pick-nobody", "2001").uuid
    model.run(100)
    assert model.client.seen("CHANNEL_BRIDGE", colleague) == []
