"""The API commands that act on one leg, with FreeSWITCH's own replies."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from fsacd.sim import bridging, causes, holding, wire
from fsacd.sim.channel import App
from fsacd.sim.dialstring import split_words
from fsacd.sim.headers import channel_headers
from fsacd.sim.ports import Console, Leg
from fsacd.sim.transferring import transfer

NO_CHANNEL = "-ERR No such channel!\n"
MAX_VARIABLES = 64
AUDIO_USAGE = "-USAGE: <uuid> [start [read|write] [mute|level <level>]|stop]\n"
RECORD_USAGE = "-USAGE: <uuid> [start|stop|mask|unmask] <path> [<limit>] [<recording_vars>]\n"


def _kill(switch: Console, text: str) -> str:
    if not text:
        return "-USAGE: <uuid> [cause]\n"
    uuid, _, cause = text.partition(" ")
    session = switch.locate(uuid)
    if session is None:
        return NO_CHANNEL
    session.hangup(causes.from_text(cause) if cause else causes.NORMAL_CLEARING)
    return "+OK\n"


def _bridge(switch: Console, text: str) -> str:
    words = text.split()
    if len(words) < 2:  # noqa: PLR2004  two legs
        return "-USAGE: <uuid> <other_uuid>\n"
    for other in words[1:3]:
        if bridging.uuid_bridge(switch, words[0], other):
            return f"+OK {other}\n"
    return "-ERR Invalid uuid\n"


def _setvar(switch: Console, text: str) -> str:
    words = text.split(" ", 2)
    if not text or len(words) < 2:  # noqa: PLR2004  a leg and a variable
        return "-USAGE: <uuid> <var> [value]\n"
    session = switch.locate(words[0])
    if session is None:
        return NO_CHANNEL
    session.channel.set(words[1], words[2] if words[2:] else None)
    return "+OK\n"


def _setvar_multi(switch: Console, text: str) -> str:
    usage = "-USAGE: <uuid> <var>=<value>;<var>=<value>...\n"
    uuid, found, pairs = text.partition(" ")
    if not found:
        # Without a variable FreeSWITCH answers nothing.
        return "" if uuid else usage
    session = switch.locate(uuid)
    if session is None:
        return NO_CHANNEL + usage
    names = 0
    complaints = ""
    for item in pairs.split(";")[:MAX_VARIABLES]:
        name, _, value = item.partition("=")
        names += bool(name)
        if not name:
            complaints += "-ERR No variable specified\n"
        elif "${" not in value:
            # Unlike uuid_setvar, this command refuses a value that FreeSWITCH would expand when it is used.
            session.channel.set(name, value)
    return complaints + ("+OK\n" if names else usage)


def _getvar(switch: Console, text: str) -> str:
    words = text.split()
    if len(words) < 2:  # noqa: PLR2004  a leg and a variable
        return "-USAGE: <uuid> <var>\n"
    session = switch.locate(words[0])
    if session is None:
        return NO_CHANNEL
    return switch.variable(words[1], session) or "_undef_"


def _exists(switch: Console, text: str) -> str:
    return "true" if switch.locate(text) else "false"


def _dump(switch: Console, text: str) -> str:
    uuid, _, form = text.partition(" ")
    if not uuid:
        return "-USAGE: <uuid> [format]\n"
    session = switch.locate(uuid)
    if session is None:
        return NO_CHANNEL
    headers = switch.headers("CHANNEL_DATA") | channel_headers(session.channel)
    if form == "json":
        return orjson.dumps(wire.lists(headers)).decode()
    return "".join(f"{name}: {value}\n" for name, value in headers.items()) + "\n"


def _transfer(switch: Console, text: str) -> str:
    words = split_words(text, 5)
    if not 2 <= len(words) <= 5:  # noqa: PLR2004  a leg and where to
        return "-USAGE: <uuid> [-bleg|-both] <dest-exten> [<dialplan>] [<context>]\n"
    session = switch.locate(words[0])
    if session is None:
        return NO_CHANNEL
    flag = words.pop(1).lstrip("-") if words[1].startswith("-") else ""
    where = [*words[1:], "", "", ""]
    partner = session.talk.partner(session) if session.talk else None
    if flag == "both" and partner is not None:
        transfer(partner, where[0], where[1], where[2])
    if flag == "bleg" and partner is not None:
        session = partner
    return "+OK\n" if transfer(session, where[0], where[1], where[2]) else "-ERR\n"


def _park(switch: Console, text: str) -> str:
    session = switch.locate(text)
    if session is None:
        return NO_CHANNEL
    session.park()
    return "+OK\n"


def _hold(switch: Console, text: str) -> str:
    failed = "-ERR Operation failed\n"
    words = text.split()
    if not words:
        return f"-USAGE: [off|toggle] <uuid> [<display>]\n{failed}"
    uuid = words[1] if words[0] in {"off", "toggle"} and words[1:] else words[0]
    session = switch.locate(uuid)
    if session is None:
        # FreeSWITCH reports success for a leg that does not exist.
        return "+OK Success\n"
    off = session.channel.held if words[0] == "toggle" else words[0] == "off"
    return "+OK Success\n" if holding.hold(session, off=off, music=False) else failed


def _broadcast(switch: Console, text: str) -> str:
    words = split_words(text, 3)
    if len(words) < 2:  # noqa: PLR2004  a leg and a sound
        return "-USAGE: <uuid> <path> [aleg|bleg|holdb|both]\n"
    session = switch.locate(words[0])
    if session is None:
        return "-ERR invalid uuid\n"
    name, found, data = words[1].partition("::")
    app = App(name, data) if found else App("playback", words[1])
    whom = words[2] if words[2:] else "both"
    partner = session.talk.partner(session) if session.talk else None
    if whom != "bleg":
        session.broadcast(app)
    if whom != "aleg" and partner is not None:
        partner.broadcast(app)
    return "+OK Message sent\n"


def _break(switch: Console, text: str) -> str:
    if not text:
        return "-USAGE: <uuid> [all]\n"
    uuid, _, flags = text.partition(" ")
    session = switch.locate(uuid)
    if session is None:
        return NO_CHANNEL
    legs = [session]
    if "both" in flags and session.talk:
        legs.append(session.talk.partner(session))
    for leg in legs:
        if "all" in flags:
            leg.channel.broadcasts.clear()
        leg.channel.break_asked = True
        leg.signal(200, 20_000)
    return "+OK\n"


def _record(switch: Console, text: str) -> str:
    words = text.split()
    session = switch.locate(words[0]) if words else None
    if session is None or len(words) < 3:  # noqa: PLR2004  a leg, a verb and a file
        return "-ERR Cannot locate session!\n" if words[2:] else RECORD_USAGE
    if words[1] == "start":
        session.recordings.append(words[2])
        switch.fire("RECORD_START", session.channel, {"Record-File-Path": words[2]})
        return "+OK Success\n"
    if words[1] != "stop":
        return "+OK Success\n"
    stopped = session.recordings if words[2] == "all" else [path for path in session.recordings if path == words[2]]
    if not stopped:
        return "-ERR Cannot stop record session!\n"
    for path in list(stopped):
        session.recordings.remove(path)
        switch.fire("RECORD_STOP", session.channel, {"Record-File-Path": path})
    return "+OK Success\n"


def _recv_dtmf(switch: Console, text: str) -> str:
    words = text.split()
    if len(words) < 2:  # noqa: PLR2004  a leg and the digits
        return "-USAGE: <uuid> <dtmf_data>\n"
    session = switch.locate(words[0])
    if session is None:
        return "-ERR Cannot locate session!\n"
    target: Leg = session

    def press() -> None:
        for digit in words[1]:
            switch.digit(target, digit)

    switch.agenda.after(switch.agenda.between(2_000, 22_000), press)
    return f"+OK {words[0]} received DTMF {words[1]}.\n"


def _send_dtmf(switch: Console, text: str) -> str:
    words = text.split()
    if len(words) < 2:  # noqa: PLR2004  a leg and the digits
        return "-USAGE: <uuid> <dtmf_data>\n"
    session = switch.locate(words[0])
    if session is None:
        return "-ERR Cannot locate session!\n"
    if session.line is not None:
        session.line.keyed(words[1])
    return f"+OK {words[0]} sent DTMF {words[1]}.\n"


def _audio(switch: Console, text: str) -> str:
    """Mute or change the loudness of a leg: `read` is what its phone says, `write` what its phone hears.

    FreeSWITCH wants a level behind `mute`, too, and 0 lets sound through again; its own syntax line says otherwise.
    """
    words = text.split()
    if len(words) < 2:  # noqa: PLR2004  a leg and a verb
        return AUDIO_USAGE
    session = switch.locate(words[0])
    if session is None:
        return NO_CHANNEL
    match [word.lower() for word in words[1:5]]:
        case ["stop", *_]:
            session.channel.muted.clear()
        case ["start", ("read" | "write") as direction, "mute", level]:
            if level.isdigit() and int(level):
                session.channel.muted.add(direction)
            else:
                session.channel.muted.discard(direction)
        case ["start", "read" | "write", "level", _]:
            pass
        case _:
            return AUDIO_USAGE
    return "+OK\n"


def _answer(switch: Console, text: str) -> str:
    session = switch.locate(text)
    if session is None:
        return "-ERROR\n"
    session.answer()
    return "+OK\n"


UUID_COMMANDS: dict[str, Callable[[Console, str], str]] = {
    "uuid_answer": _answer,
    "uuid_audio": _audio,
    "uuid_break": _break,
    "uuid_bridge": _bridge,
    "uuid_broadcast": _broadcast,
    "uuid_dump": _dump,
    "uuid_exists": _exists,
    "uuid_getvar": _getvar,
    "uuid_hold": _hold,
    "uuid_kill": _kill,
    "uuid_park": _park,
    "uuid_record": _record,
    "uuid_recv_dtmf": _recv_dtmf,
    "uuid_send_dtmf": _send_dtmf,
    "uuid_setvar": _setvar,
    "uuid_setvar_multi": _setvar_multi,
    "uuid_transfer": _transfer,
}
