"""The dialplan applications that the model knows; any other one ends the leg, as an unknown one really does."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator

from fsacd.sim import causes
from fsacd.sim.agenda import MS, SECOND
from fsacd.sim.bridging import NO_REASON_TO_END, dialled, uuid_bridge
from fsacd.sim.channel import App, State
from fsacd.sim.conferencing import conference
from fsacd.sim.holding import LEAD_IN_US
from fsacd.sim.ports import Leg
from fsacd.sim.threads import Thread, Wait
from fsacd.sim.transferring import transfer

Runner = Callable[[Leg, str], Thread]

TRANSFER_US = (500, 4 * MS)
FRAME_US = 20 * MS
# The assumed length of a sound file, whose real length the model cannot know.
FILE_US = 3 * SECOND
# How often a playback that a hang-up ends is reported as an error.
BYE_IS_ERROR, KILL_IS_ERROR = 0.75, 0.25
# How deep extensions may execute each other.
MAX_DEPTH = 15
_TONE = re.compile(r"%\(([0-9]+),([0-9]+)")


def _nothing() -> Thread:
    """An application that ends at once: it never blocks."""
    yield from ()


def _set(session: Leg, data: str) -> Thread:
    name, _, value = data.partition("=")
    session.channel.set(name.strip(), value if value != "_undef_" else None)
    return _nothing()


def _multiset(session: Leg, data: str) -> Thread:
    separator = " "
    if data.startswith("^^"):
        separator, data = data[2], data[3:]
    for item in filter(None, data.split(separator)):
        _set(session, item)
    return _nothing()


def _unset(session: Leg, data: str) -> Thread:
    session.channel.set(data.strip(), None)
    return _nothing()


def _multiunset(session: Leg, data: str) -> Thread:
    separator = " "
    if data.startswith("^^"):
        separator, data = data[2], data[3:]
    for name in data.split(separator):
        session.channel.set(name.strip(), None)
    return _nothing()


def _export(session: Leg, data: str) -> Thread:
    name, _, value = data.removeprefix("nolocal:").partition("=")
    if not data.startswith("nolocal:"):
        session.channel.set(name, value)
    exported = [word for word in session.channel.variables.get("export_vars", "").split(",") if word]
    session.channel.variables["export_vars"] = ",".join([*exported, name])
    return _nothing()


def _answer(session: Leg, _data: str) -> Thread:
    session.answer()
    return _nothing()


def _ring_ready(session: Leg, _data: str) -> Thread:
    session.ring_ready()
    return _nothing()


def _pre_answer(session: Leg, _data: str) -> Thread:
    session.early_media()
    return _nothing()


def _hangup(session: Leg, data: str) -> Thread:
    session.hangup(causes.from_text(data) if data else causes.NORMAL_CLEARING)
    return _nothing()


def _transfer(session: Leg, data: str) -> Thread:
    """A transfer takes a moment, and a uuid_bridge in that moment is lost: the transfer sets its state over it."""
    yield from session.sleep(session.switch.agenda.between(*TRANSFER_US))
    if not session.channel.down:
        words = [*data.split(), "", "", ""]
        transfer(session, words[0], words[1], words[2])


def _execute_extension(session: Leg, data: str) -> Thread:
    """Run another extension's applications as a step of this extension; stops when the leg is to go elsewhere."""
    channel = session.channel
    words = [*data.split(), "", "", ""]
    profile = channel.profile.copy()
    profile.destination = words[0]
    profile.dialplan = words[1] or profile.dialplan
    profile.context = words[2] or profile.context
    state, depth = channel.state, session.depth
    if depth >= MAX_DEPTH:
        return
    session.depth += 1
    for app in session.switch.hunt(session, profile) or ():
        if channel.state is not state:
            break
        yield from session.execute(app)
    session.depth = depth


def _event(session: Leg, data: str) -> Thread:
    """A comma-separated list of headers, followed by everything about the channel."""
    headers: dict[str, str] = {}
    for item in data.split(","):
        name, found, value = item.partition("=")
        if found:
            headers[name.strip()] = value
    session.switch.fire(headers.pop("Event-Name", "CHANNEL_APPLICATION"), session.channel, headers)
    return _nothing()


def _no_op(_session: Leg, _data: str) -> Thread:
    """Logging and the like, which a client of the Event Socket cannot see."""
    return _nothing()


def _intercept(session: Leg, data: str) -> Thread:
    """Take the other leg out of its application or talk, and talk with it; its partner is hung up."""
    switch, taken = session.switch, session.switch.locate(data.strip())
    if taken is not None and taken is not session:
        partner = switch.locate(taken.channel.variables.get("bridge_to", ""))
        session.answer()
        uuid_bridge(switch, session.channel.uuid, taken.channel.uuid)
        if partner is not None:
            partner.hangup(causes.from_text("PICKED_OFF"))
    return _nothing()


def _bridge(session: Leg, data: str) -> Thread:
    """Ring phones and talk with the one that answers; whoever is sent elsewhere meanwhile, or hangs up, cancels it."""
    channel, switch = session.channel, session.switch
    replies: list[str] = []
    legs: list[Leg] = []
    ring = switch.dial(session, data, replies.append, legs.append)
    state = channel.state
    while channel.state is state and not (replies or legs):
        if ring.rings and channel.answered:
            channel.call_state = "RING_WAIT"
        yield Wait(switch.agenda.now_us + FRAME_US)
    if channel.state is not state:
        ring.cancel()
        for leg in legs:
            leg.hangup(causes.ORIGINATOR_CANCEL)
        return
    if channel.answered:
        channel.call_state = "ACTIVE"
    if legs:
        session.answer()
        yield from dialled(session, legs[0])
        return
    cause = replies[0].removeprefix("-ERR ").strip()
    if not channel.is_true("continue_on_fail") and cause not in NO_REASON_TO_END:
        session.hangup(cause)


def _sleep(session: Leg, data: str) -> Thread:
    yield from linger(session, int(data) * MS if data.isdigit() else 0)
    session.channel.break_asked = False


def linger(session: Leg, duration_us: int) -> Thread:
    """Stay in the present application for this long, or until the leg is to go elsewhere or to break."""
    channel, agenda = session.channel, session.switch.agenda
    state = channel.state
    until_us = agenda.now_us + duration_us
    while channel.state is state and not channel.break_asked and agenda.now_us < until_us:
        yield Wait(until_us)


def park(session: Leg, _data: str = "") -> Thread:
    """Wait for orders. `park_timeout=SECONDS[:CAUSE]` hangs up after that many seconds of FreeSWITCH's clock."""
    channel, switch = session.channel, session.switch
    if channel.controlled or channel.state not in {State.EXECUTE, State.PARK}:
        return
    state, until_us, cause = channel.state, None, causes.NORMAL_CLEARING
    if limit := channel.variables.pop("park_timeout", ""):
        channel.set("park_after_bridge", None)
        seconds, _, name = limit.partition(":")
        cause = causes.from_text(name)
        until_us = switch.clock_second_us(int(seconds) if seconds.isdigit() else 0)
    channel.controlled = True
    switch.fire("CHANNEL_PARK", channel)
    while channel.state is state:
        if channel.broadcasts:
            yield from _broadcast(session, channel.broadcasts.popleft())
            continue
        if until_us is not None and switch.agenda.now_us >= until_us:
            session.hangup(cause)
            break
        yield Wait(until_us)
    channel.controlled = False
    switch.fire("CHANNEL_UNPARK", channel)


def _broadcast(session: Leg, app: App) -> Thread:
    yield from linger(session, LEAD_IN_US)
    if not session.channel.down:
        yield from session.execute(app)


def _playback(session: Leg, data: str) -> Thread:
    """Play; an interruption counts as an error, a break or the end as played."""
    channel, switch = session.channel, session.switch
    session.early_media()
    if data.rpartition("]")[2] in switch.missing_sounds:
        channel.variables["current_application_response"] = "FILE NOT FOUND"
        return
    length_us, limit_us = sound_length_us(data), None
    seconds = switch.variable("playback_timeout_sec", session)
    if seconds.isdigit() and int(seconds) > 1:
        limit_us = int(seconds) * SECOND
    channel.break_asked = False
    channel.playing = True
    about = {"Playback-File-Path": data, "Playback-File-Type": "tone_stream" if "tone_stream" in data else "file"}
    switch.fire("PLAYBACK_START", channel, about)
    state, begun_us = channel.state, switch.agenda.now_us
    ends = [begun_us + span_us for span_us in (length_us, limit_us) if span_us is not None]
    until_us = min(ends) if ends else None
    while channel.state is state and not channel.break_asked and (until_us is None or switch.agenda.now_us < until_us):
        yield Wait(until_us)
    channel.playing = False
    timed_out = limit_us is not None and switch.agenda.now_us - begun_us >= limit_us
    if channel.down:
        # The thread finds out in the middle of a read, which counts as played, or before the next one, as an error.
        # The phone's own BYE is carried out by this thread itself, hardly ever in a read.
        ill = switch.agenda.chance.random() < (BYE_IS_ERROR if channel.left else KILL_IS_ERROR)
    else:
        ill = channel.state is not state or (timed_out and not channel.is_true("playback_timeout_as_success"))
    response = "PLAYBACK ERROR" if ill and not channel.break_asked else "FILE PLAYED"
    status = {"Playback-Status": "break" if channel.break_asked else "done"}
    channel.break_asked = False
    switch.fire("PLAYBACK_STOP", channel, about | status)
    channel.variables["current_application_response"] = response


def _play_and_get_digits(session: Leg, data: str) -> Thread:
    """`min max tries timeout terminators file invalid_file variable regexp [digit_timeout]`; times in ms."""
    words = [*data.split(), "", ""]
    least, most, tries, timeout_ms = (int(word) if word.isdigit() else 0 for word in words[:4])
    terminators, sound, wrong, variable, pattern, pause = words[4:10]
    pause_ms = int(pause) if pause.isdigit() else timeout_ms
    for _ in range(max(1, tries)):
        yield from _play_until_digit(session, sound)
        digits = yield from _collect(session, most, terminators, timeout_ms, pause_ms)
        if len(digits) >= least and re.fullmatch(pattern, digits):
            session.channel.set(variable, digits)
            return
        if session.channel.state is not State.EXECUTE:
            return
        yield from _play_until_digit(session, wrong)


def _play_until_digit(session: Leg, sound: str) -> Thread:
    """A prompt is cut short by the first key."""
    channel, agenda = session.channel, session.switch.agenda
    length_us = sound_length_us(sound)
    until_us = None if length_us is None else agenda.now_us + length_us
    while channel.state is State.EXECUTE and not channel.digits and (until_us is None or agenda.now_us < until_us):
        yield Wait(until_us)


def _collect(session: Leg, most: int, terminators: str, timeout_ms: int, pause_ms: int) -> Generator[Wait, None, str]:
    """The keys pressed until a terminator, the most there may be, or a pause."""
    channel, agenda = session.channel, session.switch.agenda
    digits = ""
    until_us = agenda.now_us + timeout_ms * MS
    while channel.state is State.EXECUTE and len(digits) < most:
        if channel.digits:
            digit = channel.digits.popleft()
            if digit in terminators:
                break
            digits += digit
            until_us = agenda.now_us + pause_ms * MS
        elif agenda.now_us >= until_us:
            break
        else:
            yield Wait(until_us)
    return digits


def sound_length_us(path: str) -> int | None:
    """How long a sound lasts (µs); None if it never ends by itself."""
    if path.startswith("local_stream://") or "loops=-1" in path:
        return None
    if path.startswith("silence_stream://"):
        text = path.removeprefix("silence_stream://").split(",")[0]
        return None if text.startswith("-") else int(text or 0) * MS
    if path.startswith("tone_stream://"):
        tones = _TONE.findall(path)
        loops = re.search(r"loops=([0-9]+)", path)
        total_ms = sum(int(on) + int(off) for on, off in tones)
        return total_ms * MS * (int(loops.group(1)) if loops else 1)
    return FILE_US


# FreeSWITCH opens the sound of an unanswered leg before it executes these.
NEED_SOUND = frozenset({"intercept"})

APPS: dict[str, Runner] = {
    "answer": _answer,
    "bridge": _bridge,
    "conference": conference,
    "event": _event,
    "execute_extension": _execute_extension,
    "export": _export,
    "hangup": _hangup,
    "info": _no_op,
    "intercept": _intercept,
    "log": _no_op,
    "multiset": _multiset,
    "multiunset": _multiunset,
    "park": park,
    "play_and_get_digits": _play_and_get_digits,
    "playback": _playback,
    "pre_answer": _pre_answer,
    "ring_ready": _ring_ready,
    "set": _set,
    "sleep": _sleep,
    "transfer": _transfer,
    "unset": _unset,
}
