"""What phones and strangers do to legs, as plays for two switches: forks, diversions, Replaces, REFER, hold, pick-up.

Fixed plays, each for one behaviour; `play` writes the random ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from fsacd.sim.phones import ScriptedPhone
from tests.e2e.rig.play import Call, Cue, HangUp, Hold, Play, Press, Refer, Say, Step

# As fsacd orders a ring of several phones (esl/ringing.py, which is not used here: the contract is the wire).
_OURS = "LOSE_RACE.NO_ANSWER.ORIGINATOR_CANCEL"
ONE_ENDS_ALL = f"{_OURS}.CALL_REJECTED.USER_BUSY"
QUEUED = Cue("fsacd::queued", "caller1")


def phone(**script: float | str | None) -> ScriptedPhone:
    """A phone that rings 20 ms after the INVITE, and does what else is said."""
    return ScriptedPhone(**{"rings_ms": 20, **script})  # type: ignore[arg-type]  # the script's own names


# As fsacd asks whoever answers for a key (esl/encoder.py).
_CONFIRM = r",group_confirm_key=1,group_confirm_file=tone_stream://%(300\,200\,440)"


def fork(dialled: str, *, timeout_s: int = 30, leg_timeout_s: int = 0, fatal: str = _OURS, job: int = 1) -> str:
    """The order to ring phones, each with a leg of its own: `dialled` is like `1,2|3`, by the agents' numbers.

    Who answers at one that is named like `1k` has the call when they press 1.
    """
    more = f",leg_timeout={leg_timeout_s}" if leg_timeout_s else ""
    legs = ""
    for each in _parts(dialled):
        name, key = each.rstrip("k"), _CONFIRM if each.endswith("k") else ""
        legs += f"[origination_uuid=@agent{name}@{more}{key}]@phone{name}@" if name.isdigit() else each
    variables = (
        "fsacd_leg=agent,ignore_early_media=true,hangup_after_bridge=true,outbound_redirect_fatal=true,fsacd_legs=2,"
        f"fail_on_single_reject={fatal},originate_timeout={timeout_s}"
    )
    return f"bgapi originate {{{variables}}}{legs} &park()\nJob-UUID: @job{job}@"


def _parts(dialled: str) -> Iterable[str]:
    return [part for part in dialled.replace(",", " , ").replace("|", " | ").split() if part]


def _play(*steps: Step, callers: int = 1, **phones: ScriptedPhone | None) -> Play:
    first = Step(Call("caller1", "queue-support"), None, 50)
    return Play("00", 150.0, (first, *steps), phones, callers)


def _rings(
    dialled: str,
    *steps: Step,
    timeout_s: int = 30,
    leg_timeout_s: int = 0,
    fatal: str = _OURS,
    callers: int = 1,
    **phones: ScriptedPhone | None,
) -> Play:
    order = fork(dialled, timeout_s=timeout_s, leg_timeout_s=leg_timeout_s, fatal=fatal)
    return _play(Step(Say(order), QUEUED, 100), *steps, callers=callers, **phones)


def _kill(agent: str, cause: str, cue: Cue, delay_ms: float) -> Step:
    return Step(Say(f"api uuid_kill @{agent}@ {cause}"), cue, delay_ms)


def _after(text: str, delay_ms: float, cue: Cue = QUEUED) -> Step:
    return Step(Say(f"api {text}"), cue, delay_ms)


def _talk() -> tuple[Step, ...]:
    """The caller talks with agent1, whose phone answers after 100 ms: about 300 ms after the ring."""
    ring = "bgapi originate {origination_uuid=@agent1@,fsacd_leg=agent,hangup_after_bridge=true}@phone1@ &park()"
    bridge = Step(Say("api uuid_bridge @caller1@ @agent1@"), Cue("CHANNEL_PARK", "agent1"), 0)
    return Step(Say(f"{ring}\nJob-UUID: @job1@"), QUEUED, 100), bridge


BRIDGED = Cue("BRIDGED", "agent1")
RINGS = Cue("CHANNEL_PROGRESS", "agent1")

FORKS = {
    "the first answer wins": _rings("1,2", agent1=phone(answers_ms=400), agent2=phone()),
    "the second answers": _rings("1,2", agent1=phone(), agent2=phone(answers_ms=400)),
    "one refuses, the other answers": _rings(
        "1,2", agent1=phone(rejects_ms=200, cause="CALL_REJECTED"), agent2=phone(answers_ms=700)
    ),
    "both refuse": _rings(
        "1,2", agent1=phone(rejects_ms=200, cause="CALL_REJECTED"), agent2=phone(rejects_ms=500, cause="USER_BUSY")
    ),
    "both refuse, the other way round": _rings(
        "1,2", agent1=phone(rejects_ms=500, cause="CALL_REJECTED"), agent2=phone(rejects_ms=200, cause="USER_BUSY")
    ),
    "one refusal ends all": _rings(
        "1,2", fatal=ONE_ENDS_ALL, agent1=phone(rejects_ms=200, cause="CALL_REJECTED"), agent2=phone()
    ),
    "one is not there": _rings("1,2", agent1=None, agent2=phone(answers_ms=600)),
    "none is there": _rings("1,2", agent1=None, agent2=None),
    "nobody answers": _rings("1,2", timeout_s=2, agent1=phone(), agent2=phone()),
    "nobody answers, and one has early media": _rings("1,2", timeout_s=2, agent1=phone(early_ms=60), agent2=phone()),
    "nobody answers within their own time": _rings("1,2", leg_timeout_s=2, agent1=phone(early_ms=60), agent2=phone()),
    "one diverts, the other answers": _rings(
        "1,2",
        agent1=phone(rejects_ms=200, cause="REDIRECTION_TO_NEW_DESTINATION"),
        agent2=phone(answers_ms=700),
    ),
    "one phone diverts": _rings("1", agent1=phone(rejects_ms=200, cause="REDIRECTION_TO_NEW_DESTINATION")),
    "our kill of one ends all": _rings("1,2", _kill("agent2", "LOSE_RACE", RINGS, 300), agent1=phone(), agent2=phone()),
    "we kill both": _rings(
        "1,2",
        _kill("agent1", "ORIGINATOR_CANCEL", RINGS, 300),
        _kill("agent2", "ORIGINATOR_CANCEL", RINGS, 300),
        agent1=phone(),
        agent2=phone(),
    ),
    "a stranger's kill of one leaves the other": _rings(
        "1,2", _kill("agent2", "MANAGER_REQUEST", RINGS, 300), agent1=phone(answers_ms=900), agent2=phone()
    ),
    "in turn": _rings("1|2", agent1=phone(rejects_ms=300, cause="USER_BUSY"), agent2=phone(answers_ms=300)),
    "our kill ends the turns": _rings("1|2", _kill("agent1", "LOSE_RACE", RINGS, 300), agent1=phone(), agent2=phone()),
    "two, then one": _rings(
        "1,2|3",
        agent1=phone(rejects_ms=300, cause="USER_BUSY"),
        agent2=phone(rejects_ms=500, cause="NO_USER_RESPONSE"),
        agent3=phone(answers_ms=300),
    ),
    "the winner is bridged": _rings(
        "1,2",
        Step(Say("api uuid_bridge @caller1@ @agent2@"), Cue("CHANNEL_PARK", "agent2"), 0),
        Step(HangUp("agent2"), Cue("BRIDGED", "agent2"), 700),
        agent1=phone(),
        agent2=phone(answers_ms=400),
    ),
    "the same names again": _rings(
        "1,2", Step(Say(fork("1,2", job=2)), RINGS, 200), agent1=phone(answers_ms=900), agent2=phone()
    ),
    "three of them, and both others refuse late": _rings(
        "1,2,3",
        agent1=phone(answers_ms=400),
        agent2=phone(rejects_ms=420, cause="USER_BUSY"),
        agent3=phone(answers_ms=405),
    ),
}

ANSWERED = Cue("CHANNEL_ANSWER", "agent1")

CONFIRMING = {
    "the key is pressed": _rings("1k", Step(Press("agent1", "1"), ANSWERED, 1_250), agent1=phone(answers_ms=300)),
    "the key is pressed in the tone": _rings(
        "1k", Step(Press("agent1", "1"), ANSWERED, 150), agent1=phone(answers_ms=300)
    ),
    "another key, and they hang up": _rings(
        "1k",
        Step(Press("agent1", "5"), ANSWERED, 1_250),
        Step(HangUp("agent1"), ANSWERED, 2_500),
        agent1=phone(answers_ms=300),
    ),
    "another key, and then that one": _rings(
        "1k",
        Step(Press("agent1", "5"), ANSWERED, 1_250),
        Step(Press("agent1", "1"), ANSWERED, 2_550),
        agent1=phone(answers_ms=300),
    ),
    "nobody presses the key": _rings("1k", timeout_s=3, agent1=phone(answers_ms=300)),
    "meanwhile another phone is answered": _rings("1k,2", agent1=phone(answers_ms=300), agent2=phone(answers_ms=1_500)),
    "the key is pressed while another phone rings": _rings(
        "1k,2", Step(Press("agent1", "1"), ANSWERED, 1_250), agent1=phone(answers_ms=300), agent2=phone()
    ),
    "who must confirm hangs up, and the other answers": _rings(
        "1k,2", Step(HangUp("agent1"), ANSWERED, 900), agent1=phone(answers_ms=300), agent2=phone(answers_ms=2_500)
    ),
    "we kill who has not confirmed": _rings(
        "1k", _kill("agent1", "LOSE_RACE", ANSWERED, 900), agent1=phone(answers_ms=300)
    ),
}

STRANGERS = {
    "a waiting leg is replaced": _play(Step(Call("caller2", "queue-support", "caller1"), QUEUED, 700), callers=2),
    "the caller of a talk is replaced": _play(
        *_talk(),
        Step(Call("caller2", "queue-support", "caller1"), BRIDGED, 700),
        Step(HangUp("agent1"), BRIDGED, 2_000),
        callers=2,
        agent1=phone(answers_ms=100),
    ),
    "the agent of a talk is replaced": _play(
        *_talk(),
        Step(Call("caller2", "queue-support", "agent1"), BRIDGED, 700),
        Step(HangUp("caller1"), BRIDGED, 2_000),
        callers=2,
        agent1=phone(answers_ms=100),
    ),
    "a parked leg is replaced": _play(
        _after("uuid_park @caller1@", 500), Step(Call("caller2", "queue-support", "caller1"), QUEUED, 1_100), callers=2
    ),
    "a ringing leg is replaced": _rings(
        "1",
        Step(Call("caller2", "queue-support", "agent1"), RINGS, 700),
        agent1=phone(),
        callers=2,
    ),
    "a leg that has gone is replaced": _play(
        Step(Call("caller2", "lab_voicemail"), QUEUED, 100),
        Step(HangUp("caller1"), QUEUED, 700),
        Step(Call("caller3", "queue-support", "caller1"), QUEUED, 1_200),
        callers=3,
    ),
    "a waiting leg is picked up": _play(
        Step(Call("caller2", "pick-@caller1@"), QUEUED, 700), Step(HangUp("caller2"), QUEUED, 2_000), callers=2
    ),
    "the caller of a talk is picked up": _play(
        *_talk(),
        Step(Call("caller2", "pick-@caller1@"), BRIDGED, 700),
        Step(HangUp("caller2"), BRIDGED, 2_000),
        callers=2,
        agent1=phone(answers_ms=100),
    ),
    "a waiting leg is bridged by a stranger": _play(
        Step(Call("caller2", "lab_voicemail"), QUEUED, 500),
        Step(Say("api uuid_bridge @caller2@ @caller1@"), QUEUED, 1_200),
        Step(HangUp("caller2"), QUEUED, 2_400),
        callers=2,
    ),
    "and the other way round": _play(
        Step(Call("caller2", "lab_voicemail"), QUEUED, 500),
        Step(Say("api uuid_bridge @caller1@ @caller2@"), QUEUED, 1_200),
        Step(HangUp("caller2"), QUEUED, 2_400),
        callers=2,
    ),
    "parked, and put back": _play(
        _after("uuid_park @caller1@", 500), _after("uuid_transfer @caller1@ fsacd_wait XML fsacd", 1_500)
    ),
    "parked, and picked up": _play(
        _after("uuid_park @caller1@", 500),
        Step(Call("caller2", "pick-@caller1@"), QUEUED, 1_200),
        Step(HangUp("caller1"), QUEUED, 2_400),
        callers=2,
    ),
    "moved": _play(_after("uuid_transfer @caller1@ lab_voicemail XML public", 700)),
    "two who wait are bridged": _play(
        Step(Call("caller2", "queue-support"), QUEUED, 500),
        Step(Say("api uuid_bridge @caller1@ @caller2@"), QUEUED, 1_300),
        Step(HangUp("caller2"), QUEUED, 2_400),
        callers=2,
    ),
    "the caller holds the talk": _play(
        *_talk(),
        Step(Hold("caller1"), BRIDGED, 500),
        Step(Hold("caller1", off=True), BRIDGED, 1_200),
        Step(HangUp("caller1"), BRIDGED, 2_000),
        agent1=phone(answers_ms=100),
    ),
    "the agent holds the talk": _play(
        *_talk(),
        Step(Hold("agent1"), BRIDGED, 500),
        Step(Hold("agent1", off=True), BRIDGED, 1_200),
        Step(HangUp("agent1"), BRIDGED, 2_000),
        agent1=phone(answers_ms=100),
    ),
    "held, and ended": _play(
        *_talk(),
        Step(Hold("agent1"), BRIDGED, 500),
        Step(HangUp("caller1"), BRIDGED, 1_200),
        agent1=phone(answers_ms=100),
    ),
    "held, and ended by who holds": _play(
        *_talk(),
        Step(Hold("agent1"), BRIDGED, 500),
        Step(HangUp("agent1"), BRIDGED, 1_200),
        agent1=phone(answers_ms=100),
    ),
    "the caller holds, and ends": _play(
        *_talk(),
        Step(Hold("caller1"), BRIDGED, 500),
        Step(HangUp("caller1"), BRIDGED, 1_200),
        agent1=phone(answers_ms=100),
    ),
    "two agents' calls are joined": _play(
        *_talk(),
        Step(Call("caller2", "queue-support"), BRIDGED, 300),
        Step(Refer("caller2", "queue-support", "caller1"), BRIDGED, 1_300),
        callers=2,
        agent1=phone(answers_ms=100),
    ),
    "a waiting caller holds": _play(Step(Hold("caller1"), QUEUED, 500), Step(Hold("caller1", off=True), QUEUED, 1_300)),
    "a waiting caller refers": _play(Step(Refer("caller1", "lab_voicemail"), QUEUED, 700)),
    "the agent refers the caller": _play(
        *_talk(), Step(Refer("agent1", "lab_voicemail"), BRIDGED, 700), agent1=phone(answers_ms=100)
    ),
    "the agent refers the caller to a queue": _play(
        *_talk(), Step(Refer("agent1", "queue-sales"), BRIDGED, 700), agent1=phone(answers_ms=100)
    ),
}
PLAYS = FORKS | CONFIRMING | STRANGERS
