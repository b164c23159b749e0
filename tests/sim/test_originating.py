"""originate: causes, timeouts, cancelling, and who answers."""

from __future__ import annotations

import pytest

from fsacd.sim.phones import ScriptedPhone
from tests.sim.model import AGENT, AGENT_UUID, Model

PHONE = "1001@127.0.0.1:5070"


@pytest.mark.parametrize(
    ("dial_string", "cause"),
    [
        ("user/1999", "SUBSCRIBER_ABSENT"),
        ("user/1002", "USER_NOT_REGISTERED"),
        ("sofia/gateway/nowhere/1", "INVALID_GATEWAY"),
        ("sofia/nowhere/1@127.0.0.1", "INVALID_PROFILE"),
        ("skinny/1", "CHAN_NOT_IMPLEMENTED"),
        ("error/USER_BUSY", "USER_BUSY"),
        ("sofia/internal/1001@127.0.0.1:5099", "NORMAL_TEMPORARY_FAILURE"),
    ],
)
def test_dial_string_that_leads_nowhere_has_its_own_cause(dial_string: str, cause: str) -> None:
    """Each way of being unreachable is told apart as on a real switch."""
    model = Model()
    model.switch.directory["1002"] = ""
    assert model.client.api(f"originate {dial_string} &park()") == f"-ERR {cause}\n"


@pytest.mark.parametrize(
    ("phone", "variables", "reply"),
    [
        (ScriptedPhone(rejects_ms=50, cause="USER_BUSY"), "", "-ERR USER_BUSY\n"),
        (ScriptedPhone(rejects_ms=50, cause="CALL_REJECTED"), "", "-ERR CALL_REJECTED\n"),
        (ScriptedPhone(), "originate_timeout=2", "-ERR NO_ANSWER\n"),
        (ScriptedPhone(), "leg_timeout=2", "-ERR ALLOTTED_TIMEOUT\n"),
        (ScriptedPhone(rings_ms=None), "originate_timeout=2", "-ERR NO_ANSWER\n"),
        (ScriptedPhone(early_ms=5), "ignore_early_media=true,originate_timeout=2", "-ERR NO_ANSWER\n"),
        (ScriptedPhone(early_ms=5), "origination_uuid=" + AGENT_UUID, f"+OK {AGENT_UUID}\n"),
        (ScriptedPhone(answers_ms=5), "origination_uuid=" + AGENT_UUID, f"+OK {AGENT_UUID}\n"),
    ],
)
def test_what_a_phone_does_decides_the_reply(phone: ScriptedPhone, variables: str, reply: str) -> None:
    """Answer, refusal, silence, and early media that counts as an answer unless it is ignored."""
    model = Model()
    model.switch.phones[PHONE] = phone
    assert model.client.api(f"originate {{x=1,{variables}}}{AGENT} &park()") == reply


def test_timeouts_are_counted_in_seconds_of_the_clock() -> None:
    """A timeout of two seconds ends between one and two seconds later."""
    model = Model()
    model.switch.phones[PHONE] = ScriptedPhone()
    model.run(400)
    begun_us = model.agenda.now_us
    model.client.api(f"originate {{originate_timeout=2}}{AGENT} &park()")
    assert 1_000_000 < model.agenda.now_us - begun_us < 2_000_000


def test_uuid_in_use_is_refused() -> None:
    """A chosen uuid makes an originate safe to repeat: the phone does not ring twice."""
    model = Model()
    model.answered_agent()
    again = model.client.api(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park()")
    assert again == "-ERR DESTINATION_OUT_OF_ORDER\n"


def test_kill_right_after_the_job_may_find_no_leg_yet() -> None:
    """The order to cancel can come too early; then the phone rings on."""
    missed = 0
    for seed in range(20):
        model = Model(seed)
        model.switch.phones[PHONE] = ScriptedPhone()
        model.client.bgapi(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park()", "ring")
        missed += model.client.api(f"uuid_kill {AGENT_UUID} ORIGINATOR_CANCEL") == "-ERR No such channel!\n"
        model.run(100)
        assert (AGENT_UUID in model.switch.sessions) is (model.client.job("ring") is None)
    assert 0 < missed < 20


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("ORIGINATOR_CANCEL", "ORIGINATOR_CANCEL"),
        ("LOSE_RACE", "LOSE_RACE"),
        ("", "NORMAL_CLEARING"),
        ("17", "NORMAL_CLEARING"),
        ("NONSENSE", "NORMAL_CLEARING"),
    ],
)
def test_cancelled_originate_ends_with_the_cause_of_the_kill(word: str, cause: str) -> None:
    """No cause, a number or an unknown word count as NORMAL_CLEARING."""
    model = Model()
    model.switch.phones[PHONE] = ScriptedPhone()
    model.client.bgapi(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park()", "ring")
    model.until(lambda: model.client.seen("CHANNEL_PROGRESS", AGENT_UUID))
    assert model.client.api(f"uuid_kill {AGENT_UUID} {word}".strip()) == "+OK\n"
    model.until(lambda: model.client.job("ring"))
    assert model.client.job("ring") == f"-ERR {cause}\n"


def test_callers_hangup_does_not_cancel_an_originate() -> None:
    """An originate from the Event Socket belongs to nobody: the phone rings on without its caller."""
    model = Model()
    line = model.call()
    model.switch.phones[PHONE] = ScriptedPhone()
    model.client.bgapi(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park()", "ring")
    line.hang_up()
    model.run(500)
    assert model.client.job("ring") is None
    assert AGENT_UUID in model.switch.sessions


def test_park_timeout_ends_a_leg_that_nobody_fetches() -> None:
    """An answered agent leg does not wait for a dead daemon for ever."""
    model = Model()
    model.switch.phones[PHONE] = ScriptedPhone(answers_ms=5)
    model.client.api(f"originate {{origination_uuid={AGENT_UUID},park_timeout=2:NO_USER_RESPONSE}}{AGENT} &park()")
    model.run(2_100)
    assert model.client.seen("CHANNEL_HANGUP", AGENT_UUID)[0]["Hangup-Cause"] == "NO_USER_RESPONSE"


def test_originate_can_go_to_an_extension() -> None:
    """Without an application the leg goes into the dialplan, in the context given."""
    model = Model()
    model.switch.phones[PHONE] = ScriptedPhone(answers_ms=5)
    model.client.api(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} parked XML public")
    model.until(lambda: model.client.seen("CHANNEL_PARK", AGENT_UUID))
    assert model.client.api(f"uuid_getvar {AGENT_UUID} hangup_after_bridge") == "true"


def test_caller_id_arguments_are_shown_to_the_phone() -> None:
    """Name and number stand in the positional arguments, quotes and all."""
    model = Model()
    model.switch.phones[PHONE] = ScriptedPhone(answers_ms=5)
    model.client.api(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park() XML default 'Doe, J}}' +4930123 9")
    model.until(lambda: model.client.seen("CHANNEL_CREATE", AGENT_UUID))
    created = model.client.seen("CHANNEL_CREATE", AGENT_UUID)[0]
    assert (created["Caller-Caller-ID-Name"], created["Caller-Caller-ID-Number"]) == ("Doe, J}", "+4930123")


def test_kill_can_come_before_the_leg_has_a_state() -> None:
    """Such a leg ends without ever having been created, as far as events tell, and the job with its cause."""
    for seed in range(200):
        model = Model(seed)
        model.switch.phones[PHONE] = ScriptedPhone()
        model.client.bgapi(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park()", "job-1")
        model.until(lambda m=model: AGENT_UUID in m.switch.sessions)  # type: ignore[misc]
        model.client.api(f"uuid_kill {AGENT_UUID} LOSE_RACE")
        model.until(lambda m=model: m.client.job("job-1"))  # type: ignore[misc]
        if not model.client.seen("CHANNEL_CREATE", AGENT_UUID):
            break
    hung_up = model.client.seen("CHANNEL_HANGUP", AGENT_UUID)[0]
    assert (hung_up["Channel-State"], model.client.job("job-1")) == ("CS_NONE", "-ERR LOSE_RACE\n")


def test_quick_phone_can_be_heard_before_the_leg_waits_for_it() -> None:
    """A refusal may find the leg in CS_ROUTING still, though as a rule it is in CS_CONSUME_MEDIA; both legs end."""
    states = set()
    for seed in range(100):
        model = Model(seed)
        model.client.api(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park()")
        model.until(lambda m=model: m.client.seen("CHANNEL_DESTROY", AGENT_UUID))  # type: ignore[misc]
        states.add(model.client.seen("CHANNEL_HANGUP", AGENT_UUID)[0]["Channel-State"])
    assert states >= {"CS_ROUTING", "CS_CONSUME_MEDIA"}


@pytest.mark.parametrize("deed", ["uuid_transfer {} parked XML public", "uuid_bridge {other} {}"])
def test_originate_gives_up_a_leg_that_somebody_else_uses(deed: str) -> None:
    """The job says ORIGINATOR_CANCEL, while the leg goes on ringing."""
    model = Model()
    model.switch.phones[PHONE] = ScriptedPhone()
    other = model.call().uuid
    model.client.bgapi(f"originate {{origination_uuid={AGENT_UUID}}}{AGENT} &park()", "job-1")
    model.until(lambda: model.client.seen("CHANNEL_PROGRESS", AGENT_UUID))
    model.client.api(deed.format(AGENT_UUID, other=other))
    model.until(lambda: model.client.job("job-1"))
    assert model.client.job("job-1") == "-ERR ORIGINATOR_CANCEL\n"
    assert model.client.api(f"uuid_exists {AGENT_UUID}") == "true"


@pytest.mark.parametrize(
    ("number", "reply"),
    [("parked", f"+OK {AGENT_UUID}\n"), ("nobody-has-it", "-ERR NO_ROUTE_DESTINATION\n")],
)
def test_a_number_behind_loopback_is_executed(number: str, reply: str) -> None:
    """The dialplan answers it, or has none; the two legs end together."""
    model = Model()
    assert model.client.api(f"originate {{origination_uuid={AGENT_UUID}}}loopback/{number}/public &park()") == reply
    if reply.startswith("+OK"):
        assert len(model.switch.sessions) == 2
        model.client.api(f"uuid_kill {AGENT_UUID}")
    model.until(lambda: not model.switch.sessions, 10_000)
