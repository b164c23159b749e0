"""What becomes of a talk, as plays for two switches: hold, consultation, swap, a room for three, transfers.

caller1 is the customer, agent1 the agent, agent2 the third party. The commands are those of a daemon that moves legs;
`leg_plays` has what phones and strangers do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fsacd.sim.phones import ScriptedPhone
from tests.e2e.rig.leg_plays import BRIDGED, QUEUED, phone
from tests.e2e.rig.play import Call, Cue, HangUp, Hold, Play, Refer, Say, Step

AGENT = phone(answers_ms=100)
THIRD = phone(answers_ms=250)
THIRD_PARKED = Cue("CHANNEL_PARK", "agent2")
CONSULTING = Cue("BRIDGED", "agent2")
# An agent's leg parks when it was rung, and then each time that it is left alone.
LEFT_ALONE, AGAIN = Cue("CHANNEL_PARK", "agent1", 2), Cue("CHANNEL_PARK", "agent1", 3)
ARM = "uuid_setvar_multi @{}@ park_after_bridge=true"


def api(text: str, cue: Cue, delay_ms: float = 0, name: str = "") -> Step:
    """A command at a cue."""
    return Step(Say(f"api {text}", name), cue, delay_ms)


def ring(leg: str, number: int, job: int) -> str:
    """The order to ring a phone."""
    more = "ignore_early_media=true,hangup_after_bridge=true"
    return (
        f"bgapi originate {{origination_uuid=@agent{number}@,fsacd_leg={leg},{more}}}@phone{number}@ &park()\n"
        f"Job-UUID: @job{job}@"
    )


def talk(*steps: Step | Iterable[Step], third: ScriptedPhone | None = None) -> Play:
    """The customer waits, agent1 is rung and talks with them; then the steps."""
    phones = {"agent1": AGENT} | ({"agent2": third} if third is not None else {})
    flat = [each for step in steps for each in ([step] if isinstance(step, Step) else step)]
    begin = (
        Step(Call("caller1", "queue-support"), None, 50),
        Step(Say(ring("agent", 1, 1)), QUEUED, 100),
        api("uuid_bridge @caller1@ @agent1@", Cue("CHANNEL_PARK", "agent1")),
        api("uuid_setvar_multi @caller1@ transfer_after_bridge=", BRIDGED),
    )
    return Play("00", 150.0, (*begin, *flat), dict(phones), 1)


def hold(cue: Cue = BRIDGED, delay_ms: float = 400, who: str = "caller1", arm: bool = True) -> list[Step]:
    """The agent puts who they talk with on hold."""
    armed = [api(ARM.format("agent1"), cue, delay_ms)] if arm else []
    return [*armed, api(f"uuid_transfer @{who}@ fsacd_hold XML fsacd", cue, delay_ms)]


def back(cue: Cue = LEFT_ALONE, delay_ms: float = 600, who: str = "caller1", nth: int = 2) -> list[Step]:
    """The agent takes them back."""
    return [
        api(f"uuid_bridge @{who}@ @agent1@", cue, delay_ms, f"back{nth}"),
        api("uuid_setvar_multi @caller1@ transfer_after_bridge=", Cue("BRIDGED", "agent1", nth)),
    ]


def consult() -> list[Step]:
    """The customer is held, agent2 is rung and talks with the agent."""
    return [
        *hold(),
        Step(Say(ring("third", 2, 2)), LEFT_ALONE, 100),
        api(ARM.format("agent1"), THIRD_PARKED),
        api(ARM.format("agent2"), THIRD_PARKED),
        api("uuid_bridge @agent1@ @agent2@", THIRD_PARKED),
    ]


def hang_up(who: str, cue: Cue, delay_ms: float) -> Step:
    return Step(HangUp(who), cue, delay_ms)


BACK = Cue("BRIDGED", "agent1", 2)

HOLD = {
    "held, taken back, the agent hangs up": talk(hold(), back(), hang_up("agent1", BACK, 500)),
    "held, taken back, the customer hangs up": talk(hold(), back(), hang_up("caller1", BACK, 500)),
    "held by an agent who is not armed": talk(hold(arm=False)),
    "held twice, armed once": talk(hold(), back(), hold(BACK, 400, arm=False)),
    "held twice": talk(hold(), back(), hold(BACK, 400), back(AGAIN, 400, nth=3)),
    "the customer hangs up on hold": talk(hold(), hang_up("caller1", LEFT_ALONE, 500)),
    "the agent hangs up while the customer is held": talk(hold(), hang_up("agent1", LEFT_ALONE, 500)),
    "the agent is gone when the customer is taken back": talk(
        hold(), api("uuid_kill @agent1@", LEFT_ALONE, 600), back(delay_ms=600)
    ),
    "the agent dies while the customer is taken back": talk(
        hold(), back(), api("uuid_kill @agent1@", Cue("SENT", "back2"), 15)
    ),
}

CONSULT = {
    "the third party refuses": talk(
        hold(),
        Step(Say(ring("third", 2, 2)), LEFT_ALONE, 100),
        back(Cue("BACKGROUND_JOB", "job2"), 50),
        third=phone(rejects_ms=300, cause="CALL_REJECTED"),
    ),
    "the ring is given up": talk(
        hold(),
        Step(Say(ring("third", 2, 2)), LEFT_ALONE, 100),
        api("uuid_kill @agent2@ ORIGINATOR_CANCEL", Cue("CHANNEL_PROGRESS", "agent2"), 400),
        back(Cue("BACKGROUND_JOB", "job2"), 50),
        third=phone(),
    ),
    "the third party hangs up": talk(consult(), hang_up("agent2", CONSULTING, 500), back(AGAIN, 50), third=THIRD),
    "the consultation is cancelled": talk(
        consult(), api("uuid_kill @agent2@", CONSULTING, 500), back(AGAIN, 50), third=THIRD
    ),
    "the customer hangs up meanwhile": talk(
        consult(), hang_up("caller1", CONSULTING, 500), hang_up("agent1", CONSULTING, 1_200), third=THIRD
    ),
    "the agent hangs up while consulting": talk(consult(), hang_up("agent1", CONSULTING, 500), third=THIRD),
    "completed": talk(
        consult(),
        api("uuid_bridge @caller1@ @agent2@", CONSULTING, 500),
        api("uuid_setvar_multi @caller1@ transfer_after_bridge=", Cue("BRIDGED", "agent2", 2)),
        api("uuid_kill @agent1@ NORMAL_CLEARING", AGAIN),
        hang_up("agent2", Cue("BRIDGED", "agent2", 2), 600),
        third=THIRD,
    ),
    "completed, and the third party dies in the moment": talk(
        consult(),
        api("uuid_bridge @caller1@ @agent2@", CONSULTING, 500, "complete"),
        api("uuid_kill @agent2@", Cue("SENT", "complete"), 5),
        third=THIRD,
    ),
    "swapped": talk(
        consult(),
        api(ARM.format("agent1"), CONSULTING, 500),
        api("uuid_transfer @agent2@ fsacd_hold XML fsacd", CONSULTING, 500),
        back(AGAIN, 0),
        third=THIRD,
    ),
    "swapped there and back": talk(
        consult(),
        api(ARM.format("agent1"), CONSULTING, 400),
        api("uuid_transfer @agent2@ fsacd_hold XML fsacd", CONSULTING, 400),
        back(AGAIN, 0),
        hold(BACK, 300),
        api("uuid_bridge @agent2@ @agent1@", Cue("CHANNEL_PARK", "agent1", 4)),
        hang_up("agent2", Cue("BRIDGED", "agent1", 3), 400),
        third=THIRD,
    ),
    "swapped in one step": talk(
        consult(),
        api("uuid_bridge @caller1@ @agent1@", CONSULTING, 500),
        third=THIRD,
    ),
    "who is on hold after a swap hangs up": talk(
        consult(),
        api("uuid_transfer @agent2@ fsacd_hold XML fsacd", CONSULTING, 500),
        back(AGAIN, 0),
        hang_up("agent2", BACK, 500),
        third=THIRD,
    ),
}
ROOM = "conference:@room1@@desk inline"
INSIDE = Cue("conference::maintenance", "agent2")


def gather() -> list[Step]:
    """All three into a room."""
    off = "park_after_bridge=;transfer_after_bridge="
    return [
        *consult(),
        *(api(f"uuid_setvar_multi @{leg}@ {off}", CONSULTING, 400) for leg in ("caller1", "agent1", "agent2")),
        api(f"uuid_transfer @caller1@ {ROOM}", CONSULTING, 400),
        api(f"uuid_transfer @agent1@ -both {ROOM}", CONSULTING, 400),
    ]


ROOMS = {
    "all three": talk(gather(), third=THIRD),
    "the agent leaves": talk(
        gather(),
        api("uuid_kill @agent1@ NORMAL_CLEARING", INSIDE, 500),
        api("uuid_bridge @caller1@ @agent2@", INSIDE, 1_000),
        hang_up("caller1", Cue("BRIDGED", "agent2", 2), 500),
        third=THIRD,
    ),
    "the agent hangs up in the room": talk(gather(), hang_up("agent1", INSIDE, 500), third=THIRD),
    "the customer hangs up in the room": talk(gather(), hang_up("caller1", INSIDE, 500), third=THIRD),
    "two hang up in the room": talk(
        gather(), hang_up("agent2", INSIDE, 500), hang_up("agent1", INSIDE, 1_000), third=THIRD
    ),
    "back to two": talk(
        gather(),
        api("uuid_kill @agent2@ NORMAL_CLEARING", INSIDE, 500),
        api("uuid_bridge @caller1@ @agent1@", INSIDE, 700),
        hang_up("caller1", BACK, 500),
        third=THIRD,
    ),
    "back to two, the third party goes on hold": talk(
        gather(),
        api("uuid_transfer @agent2@ fsacd_hold XML fsacd", INSIDE, 500),
        api("uuid_bridge @caller1@ @agent1@", INSIDE, 600),
        third=THIRD,
    ),
    "one dies on the way into the room": talk(gather(), api("uuid_kill @caller1@", CONSULTING, 405), third=THIRD),
}
BLIND = {
    "blind": talk(api("uuid_transfer @caller1@ lab_voicemail XML public", BRIDGED, 500)),
    "blind, from hold": talk(
        hold(),
        api("uuid_transfer @caller1@ lab_voicemail XML public", LEFT_ALONE, 400),
        api("uuid_kill @agent1@ NORMAL_CLEARING", LEFT_ALONE, 400),
    ),
    "blind to nowhere": talk(api("uuid_transfer @caller1@ 12345 XML public", BRIDGED, 500)),
    "blind to nowhere, in the leg's own context for it": talk(api("uuid_transfer @caller1@ 12345", BRIDGED, 500)),
    "blind into a queue": talk(api("uuid_transfer @caller1@ queue-sales XML public", BRIDGED, 500)),
}


def attended(*steps: Step, dials: str = "queue-support", answered: bool = True, by_other: bool = False) -> Play:
    """The agent's phone holds, and calls somewhere, where agent2 answers; then it hands its talk over to that call.

    `by_other`: it is on the line of that call that it says so.
    """
    begun = Cue("PLAYBACK_START", "caller2")
    play = talk(
        Step(Hold("agent1"), BRIDGED, 300),
        Step(Call("caller2", dials), BRIDGED, 500),
        *(
            [
                Step(Say(ring("agent", 2, 2)), begun, 100),
                api("uuid_bridge @caller2@ @agent2@", THIRD_PARKED),
                api("uuid_setvar_multi @caller2@ transfer_after_bridge=", CONSULTING),
            ]
            if answered
            else []
        ),
        Step(
            Refer("caller2", "queue-support", "agent1") if by_other else Refer("agent1", "queue-support", "caller2"),
            CONSULTING if answered else HOLDS,
            900,
        ),
        *steps,
        third=THIRD if answered else None,
    )
    return replace(play, callers=2)


HOLDS = Cue("CHANNEL_HOLD", "agent1")
REFER = {
    "phone: hold and back": talk(
        Step(Hold("agent1"), BRIDGED, 400),
        Step(Hold("agent1", off=True), BRIDGED, 1_300),
        hang_up("agent1", BRIDGED, 2_000),
    ),
    "phone: holds, and the daemon transfers": talk(
        Step(Hold("agent1"), BRIDGED, 400), api("uuid_transfer @caller1@ lab_voicemail XML public", BRIDGED, 1_300)
    ),
    "phone: holds, and so does the daemon, and back": talk(
        Step(Hold("agent1"), BRIDGED, 400),
        hold(delay_ms=1_300),
        back(),
        hang_up("agent1", Cue("BRIDGED", "agent1", 2), 600),
    ),
    "phone: blind": talk(Step(Refer("agent1", "lab_voicemail"), BRIDGED, 500)),
    "phone: blind, on hold": talk(
        Step(Hold("agent1"), BRIDGED, 400), Step(Refer("agent1", "lab_voicemail"), BRIDGED, 1_300)
    ),
    "phone: blind to nowhere": talk(Step(Refer("agent1", "12345"), BRIDGED, 500)),
    "phone: blind into a queue": talk(Step(Refer("agent1", "queue-sales"), BRIDGED, 500)),
    "phone: attended": attended(hang_up("agent2", Cue("BRIDGED", "agent2", 2), 600)),
    "phone: attended, the customer hangs up then": attended(hang_up("caller1", Cue("BRIDGED", "agent2", 2), 600)),
    "phone: attended, past all queues": attended(
        hang_up("agent2", Cue("BRIDGED", "agent2", 2), 600), dials="lab_voicemail"
    ),
    "phone: attended into a waiting call": attended(answered=False),
    "phone: attended by the other line": attended(hang_up("agent2", Cue("BRIDGED", "agent2", 2), 600), by_other=True),
    "phone: attended by the other line, past all queues": attended(
        hang_up("agent2", Cue("BRIDGED", "agent2", 2), 600), dials="lab_voicemail", by_other=True
    ),
    "phone: attended into a waiting call, by its line": attended(answered=False, by_other=True),
}
# What an operator's dialplan does for a number: it rings a phone for the leg, and bridges the two.
_DIALS = "uuid_transfer @caller1@ 'm:^:bridge:{origination_uuid=@agent2@,ignore_early_media=true}@phone2@' inline"
DIALLED = {
    "blind, and they answer": talk(
        api(_DIALS, BRIDGED, 400), hang_up("agent2", Cue("BRIDGED", "agent2"), 600), third=THIRD
    ),
    "blind, they answer, the customer hangs up": talk(
        api(_DIALS, BRIDGED, 400), hang_up("caller1", Cue("BRIDGED", "agent2"), 600), third=THIRD
    ),
    "blind, and they refuse": talk(api(_DIALS, BRIDGED, 400), third=phone(rejects_ms=300, cause="CALL_REJECTED")),
    "blind, and the customer hangs up while it rings": talk(
        api(_DIALS, BRIDGED, 400), hang_up("caller1", Cue("CHANNEL_PROGRESS", "agent2"), 500), third=phone()
    ),
    "blind, and they are fetched from it": talk(
        api(_DIALS, BRIDGED, 400),
        api("uuid_transfer @caller1@ fsacd_back XML fsacd", Cue("BRIDGED", "agent2"), 600),
        third=THIRD,
    ),
}

_SOUND = (
    "uuid_send_dtmf @agent1@ 12#",
    "uuid_send_dtmf @caller1@ 5",
    "uuid_send_dtmf @agent1@",
    "uuid_send_dtmf",
    "uuid_send_dtmf nobody 1",
    "uuid_recv_dtmf @caller1@ 7",
    "uuid_recv_dtmf nobody 7",
    "uuid_audio @agent1@ start write mute",
    "uuid_audio @agent1@ start read mute 1",
    "uuid_audio @agent1@ start read mute 0",
    "uuid_audio @agent1@ start write level -2",
    "uuid_audio @agent1@ start both mute 1",
    "uuid_audio @agent1@ stop",
    "uuid_audio @agent1@",
    "uuid_audio nobody stop",
    "uuid_audio",
)
# As a daemon says it that has no right to these commands: by a message to the leg, whose thread runs them.
_DOES = "^^;current_application=${current_application};fsacd_did=${regex(${%s}|^(.)|%%1)}"


def message(leg: str, command: str, cue: Cue, delay_ms: float) -> Step:
    """A leg runs an api command."""
    lines = ("call-command: execute", "execute-app-name: multiset", f"execute-app-arg: {_DOES % command}")
    return Step(Say("\n".join((f"sendmsg {leg}", *lines))), cue, delay_ms)


_MUTE, _UNMUTE, _KEYS = (
    "uuid_audio(@agent1@ start read mute 1)", "uuid_audio(@agent1@ start read mute 0)", "uuid_send_dtmf(@caller1@ 12#)",
)  # fmt: skip
SOUND = {"keys and muting": talk(api(text, BRIDGED, 400 + 30 * at) for at, text in enumerate(_SOUND))} | {
    "keys and muting by messages to legs": talk(
        message("@agent1@", _MUTE, BRIDGED, 400),
        message("@caller1@", _KEYS, BRIDGED, 500),
        message("@agent1@", _UNMUTE, BRIDGED, 700),
        message("00000000-0000-4000-8000-000000000000", _UNMUTE, BRIDGED, 800),
        hang_up("agent1", BRIDGED, 1_000),
    ),
    "muted on hold": talk(
        hold(),
        message("@agent1@", _MUTE, LEFT_ALONE, 300),
        back(),
        message("@agent1@", _UNMUTE, BACK, 300),
        hang_up("caller1", BACK, 600),
    ),
}


def silent(*steps: Step | Iterable[Step], armed: bool = True) -> Play:
    """The agent's phone sends no sound, as none does here, and this time the switch looks for it."""
    play = talk(*steps)
    ring_it = Step(Say(ring("agent", 1, 1).replace("{", "{media_timeout=1500,", 1)), QUEUED, 100)
    first, _, bridge, disarm, *rest = play.steps
    begin = (first, ring_it, bridge) if armed else (first, ring_it, bridge, disarm)
    return replace(play, steps=(*begin, *rest), phones={"agent1": replace(AGENT, silent_ms=0)})


SILENT = {
    "silent: the caller is armed": silent(),
    "silent: the caller is released": silent(armed=False),
    "silent: the caller is on hold": silent(hold()),
}
TALK_PLAYS = HOLD | CONSULT | ROOMS | BLIND | DIALLED | REFER | SOUND | SILENT
