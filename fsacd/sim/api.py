"""The API commands that answer at once, with FreeSWITCH's own words. `uuid_*` are in `api_uuid`."""

from __future__ import annotations

from collections.abc import Callable

from fsacd.sim import listing
from fsacd.sim.agenda import SECOND
from fsacd.sim.api_uuid import UUID_COMMANDS
from fsacd.sim.expand import condition, regex
from fsacd.sim.ports import Console
from fsacd.sim.transferring import transfer

Command = Callable[[Console, str], str]

VERSION = "1.10.12-release"
SHOW_SYNTAX = (
    "codec|endpoint|application|api|dialplan|file|timer|calls [count]|channels [count|like <match string>]|calls|"
    "detailed_calls|bridged_calls|detailed_bridged_calls|aliases|complete|chat|management|modules|nat_map|say|"
    "interfaces|interface_types|tasks|limits|status"
)
HASH_USAGE = "-ERR Usage: hash insert|insert_ifempty|select|delete|delete_ifmatch/realm/key[/value]\n"
_SCALES = {
    1: ("microseconds", "us"),
    1_000: ("milliseconds", "ms"),
    SECOND: ("seconds", "s", ""),
    60 * SECOND: ("minutes", "m"),
    3_600 * SECOND: ("hours", "h"),
    86_400 * SECOND: ("days", "d"),
}


def _uptime(switch: Console, text: str) -> str:
    for scale_us, names in _SCALES.items():
        if text.lower() in names:
            # Printed with %u: the number starts again at nought after 2^32.
            return f"{switch.uptime_us // scale_us % 2**32}\n"
    return "-USAGE: [us|ms|s|m|h|d|microseconds|milliseconds|seconds|minutes|hours|days]\n"


def _global_setvar(switch: Console, text: str) -> str:
    name, _, value = text.partition("=")
    if not name:
        return "-USAGE: <var>=<value> [=<value2>]\n"
    if value:
        switch.globals[name.strip()] = value
    else:
        switch.globals.pop(name.strip(), None)
    return "+OK"


def _global_getvar(switch: Console, text: str) -> str:
    if not text:
        return "".join(f"{name}={value}\n" for name, value in switch.globals.items())
    return switch.globals.get(text, "")


def _hash(switch: Console, text: str) -> str:
    parts = text.split("/", 3)
    if len(parts) < 3 or (parts[0] not in {"select", "delete"} and len(parts) < 4):  # noqa: PLR2004  verb/realm/key
        return HASH_USAGE
    key, value, table = f"{parts[1]}_{parts[2]}", parts[3] if parts[3:] else "", switch.hash
    match parts[0]:
        case "insert":
            table[key] = value
            return "+OK\n"
        case "insert_ifempty":
            if key in table:
                return "-ERR key already exists\n"
            table[key] = value
            return "+OK\n"
        case "delete":
            return "+OK\n" if table.pop(key, None) is not None else "-ERR Not found\n"
        case "delete_ifmatch":
            if key not in table:
                return "-ERR Not found\n"
            if table[key] != value:
                return "-ERR Doesn't match\n"
            del table[key]
            return "+OK\n"
        case "select":
            return table.get(key, "")
        case _:
            return HASH_USAGE


def _status(switch: Console, _text: str) -> str:
    rest_us, parts = switch.uptime_us, []
    for name, size_us in (
        ("year", 365 * 86_400 * SECOND),
        ("day", 86_400 * SECOND),
        ("hour", 3_600 * SECOND),
        ("minute", 60 * SECOND),
        ("second", SECOND),
        ("millisecond", 1_000),
        ("microsecond", 1),
    ):
        count, rest_us = divmod(rest_us, size_us)
        parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    here = len(switch.sessions)
    return (
        f"UP {', '.join(parts)}\n"
        f"FreeSWITCH (Version {VERSION} simulated 64bit) is ready\n"
        f"{switch.session_count} session(s) since startup\n"
        f"{here} session(s) - peak {switch.peak}, last 5min {here} \n"
        "0 session(s) per Sec out of max 1000, peak 1, last 5min 1 \n"
        f"{switch.max_sessions} session(s) max\n"
        "min idle cpu 0.00/98.10\n"
        "Current Stack Size/Max 240K/8192K\n"
    )


def _show(switch: Console, text: str) -> str:
    words = text.split()
    as_json = words[1:3] == ["as", "json"]
    if words[1:2] == ["as"] and words[2:3] and words[2] not in {"json", "xml", "delim"}:
        return f"-ERR Cannot find format {words[2]}\n"
    match words[:1]:
        case ["channels"]:
            return listing.channels(switch.listing, switch.hostname, as_json)
        case ["calls"]:
            return listing.calls(switch.listing, switch.hostname, as_json)
        case _:
            return f"-USAGE: {SHOW_SYNTAX}\n"


def _sched_transfer(switch: Console, text: str) -> str:
    words = text.split()
    if not 2 <= len(words) <= 5:  # noqa: PLR2004  when, which, and where to
        return "-USAGE: [+]<time> <uuid> <extension> [<dialplan>] [<context>]\n"
    session = switch.locate(words[1])
    if session is None:
        return "-ERR No such channel!\n"
    seconds = int(words[0].lstrip("+")) if words[0].lstrip("+").isdigit() else 0
    if not words[0].startswith("+"):
        seconds -= switch.agenda.wall_us // SECOND
    where = [*words[2:], "", "", ""]

    def go() -> None:
        if not session.channel.down:
            transfer(session, where[0], where[1], where[2])

    switch.schedule(words[1], switch.clock_second_us(max(0, seconds)), go)
    return "+OK\n"


def _sched_del(switch: Console, text: str) -> str:
    return f"+OK Deleted: {switch.unschedule(text)}\n"


def _hupall(switch: Console, text: str) -> str:
    cause = text.split(maxsplit=1)[0] if text.split() else "MANAGER_REQUEST"
    for session in list(switch.sessions.values()):
        session.hangup(cause)
    return f"+OK hangup all channels with cause {cause}\n"


def _eval(switch: Console, text: str) -> str:
    return switch.expand(text, None)


def _expand(switch: Console, text: str) -> str:
    """Run a command whose argument is expanded first."""
    command, _, argument = text.partition(" ")
    if not command:
        return "-ERR No input\n"
    handler = COMMANDS.get(command.lower())
    return handler(switch, switch.expand(argument, None)) if handler else "INVALID COMMAND!\n"


def _sofia_contact(switch: Console, text: str) -> str:
    """Where a user has registered: all their devices, with commas between them."""
    user = text.rpartition("/")[2].partition("@")[0]
    return ",".join(switch.registered(user)) or "error/user_not_registered"


def _create_uuid(switch: Console, _text: str) -> str:
    return switch.agenda.uuid()


def _hostname(switch: Console, _text: str) -> str:
    return switch.hostname


def _strepoch(switch: Console, _text: str) -> str:
    return str(switch.agenda.wall_us // SECOND)


COMMANDS: dict[str, Command] = {
    "cond": lambda _switch, text: condition(text),
    "create_uuid": _create_uuid,
    "echo": lambda _switch, text: text,
    "eval": _eval,
    "expand": _expand,
    "global_getvar": _global_getvar,
    "global_setvar": _global_setvar,
    "hash": _hash,
    "hostname": _hostname,
    "hupall": _hupall,
    "regex": lambda _switch, text: regex(text),
    "sched_del": _sched_del,
    "sched_transfer": _sched_transfer,
    "show": _show,
    "sofia_contact": _sofia_contact,
    "status": _status,
    "strepoch": _strepoch,
    "uptime": _uptime,
    "version": lambda _switch, _text: f"FreeSWITCH Version {VERSION}~64bit (simulated 64bit)\n",
    **UUID_COMMANDS,
}
