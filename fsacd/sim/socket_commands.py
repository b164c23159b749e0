"""The verbs of the Event Socket and their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fsacd.sim.apps import FRAME_US
from fsacd.sim.channel import App
from fsacd.sim.events import NAMES, Event
from fsacd.sim.originating import originate
from fsacd.sim.settings import User
from fsacd.sim.switch import Switch


class Connection(Protocol):
    """The connection, as its verbs read and change it."""

    authed: bool
    user: User | None
    format: str
    listening: bool
    events: set[str]
    subclasses: set[str]
    filters: list[tuple[str, str]]

    @property
    def switch(self) -> Switch:
        """The switch whose Event Socket this is."""

    def reply(self, text: str, **more: str) -> None:
        """Answer the command with a command/reply."""

    def answer(self, body: str) -> None:
        """Answer the command with an api/response."""

    def block(self, duration_us: int | None) -> None:
        """Keep its thread busy for this long (None: until `unblock_soon`)."""

    def unblock_soon(self) -> None:
        """The command took its moment."""

    def forget_events(self) -> None:
        """The queue goes with the subscription."""

    def close(self) -> None:
        """Hang up on the client."""


# Applications that take no time.
_QUICK = frozenset({"set", "multiset", "unset", "multiunset"})
Verb = Callable[[Connection, str, dict[str, str], str], None]

# A job's thread takes about a millisecond to start, and the connection waits for it.
JOB_START_US = (700, 1_300)
MAX_SLEEP_MS = 600_000
# These wrap another command; a user's rights are those for the command inside.
_WRAPPERS = frozenset({"bgapi", "sched_api", "eval", "expand", "xml_wrap"})


def _exit(listener: Connection, _text: str, _headers: dict[str, str], _body: str) -> None:
    listener.reply("+OK bye")
    listener.close()


def _auth(listener: Connection, text: str, _headers: dict[str, str], _body: str) -> None:
    listener.authed = text == listener.switch.settings.password
    if listener.authed:
        listener.reply("+OK accepted")
    else:
        listener.reply("-ERR invalid")
        listener.close()


def _userauth(listener: Connection, text: str, _headers: dict[str, str], _body: str) -> None:
    name, _, password = text.partition(":")
    user = listener.switch.settings.users.get(name)
    if user is None or not user.password or user.password != password:
        listener.reply("-ERR invalid")
        listener.close()
        return
    listener.authed, listener.user = True, user
    listener.reply(
        "+OK accepted",
        Allowed_Events=user.allowed_events or "all",
        Allowed_API=user.allowed_api or "all",
        Allowed_LOG="true",
    )


def _event(listener: Connection, text: str, _headers: dict[str, str], _body: str) -> None:
    words = text.split()
    if words and words[0].lower() in {"plain", "json", "xml"}:
        listener.format = words.pop(0).lower()
    allowed = listener.user.event_names() if listener.user else None
    names: set[str] = set()
    subclasses: set[str] = set()
    custom = False
    for word in words:
        if not custom and word.upper() not in NAMES:
            continue
        name = word if custom else word.upper()
        if allowed is not None and name not in allowed and "ALL" not in allowed:
            listener.reply("-ERR permission denied")
            return
        (subclasses if custom else names).add(name)
        custom = custom or name == "CUSTOM"
    if not names:
        listener.reply("-ERR no keywords supplied")
        return
    listener.events |= names
    listener.subclasses |= subclasses | ({""} if "ALL" in names else set())
    listener.listening = True
    listener.reply(f"+OK event listener enabled {listener.format}")


def _nixevent(listener: Connection, text: str, _headers: dict[str, str], _body: str) -> None:
    words = text.split()
    custom, found = False, False
    for word in words:
        name = word.upper()
        if custom:
            listener.subclasses.discard(word)
        elif name == "ALL":
            listener.events.clear()
            found = True
        elif name in NAMES:
            if "ALL" in listener.events:
                listener.events = set(NAMES) - {"ALL"}
            listener.events.discard(name)
            found, custom = True, name == "CUSTOM"
    listener.reply("+OK events nixed" if found else "-ERR no keywords supplied")


def _noevents(listener: Connection, _text: str, _headers: dict[str, str], _body: str) -> None:
    was = listener.listening
    listener.forget_events()
    listener.reply("+OK no longer listening for events" if was else "-ERR not listening for events")


def _filter(listener: Connection, text: str, _headers: dict[str, str], _body: str) -> None:
    name, _, value = text.partition(" ")
    if name.lower() == "delete" and value:
        name, _, value = value.partition(" ")
        if name.lower() == "all":
            listener.filters.clear()
        else:
            listener.filters = [item for item in listener.filters if item[0] != name or (value and item[1] != value)]
        listener.reply(f"+OK filter deleted. [{name}][{value}]")
        return
    if name.lower() == "add":
        name, _, value = value.partition(" ")
    if not value:
        listener.reply("-ERR invalid syntax")
        return
    listener.filters.append((name, value))
    listener.reply(f"+OK filter added. [{name}]=[{value}]")


def _sendevent(listener: Connection, text: str, headers: dict[str, str], body: str) -> None:
    switch = listener.switch
    uuid = switch.agenda.uuid()
    name = text.upper() if text.upper() in NAMES else "SOCKET_DATA"
    given = {key: value for key, value in headers.items() if key.lower() != "content-length"} | {"Event-UUID": uuid}
    switch.publish(name, Event(switch.headers(name) | given, body or None), given.get("Event-Subclass", ""))
    listener.reply(f"+OK {uuid}")


def _sendmsg(listener: Connection, text: str, headers: dict[str, str], _body: str) -> None:
    """Let a leg's thread run an application between two frames, whatever it is in; only quick ones are modelled."""
    switch, given = listener.switch, {key.lower(): value for key, value in headers.items()}
    session = switch.locate(text.strip())
    name = given.get("execute-app-name", "")
    if session is None or given.get("call-command") != "execute" or name not in _QUICK:
        listener.reply(f"-ERR invalid session id [{text}]")
        return
    leg, app = session, App(name, given.get("execute-app-arg", ""))

    def run_it() -> None:
        if not leg.channel.down:
            for _ in leg.execute(app):
                raise AssertionError(f"{name} is not quick")

    switch.agenda.after(switch.agenda.between(0, FRAME_US), run_it)
    listener.reply("+OK")


def _log(listener: Connection, text: str, _headers: dict[str, str], _body: str) -> None:
    # The model's log is empty at every level.
    listener.reply(f"+OK log level {text} [7]")


def _nolog(listener: Connection, _text: str, _headers: dict[str, str], _body: str) -> None:
    listener.reply("+OK no longer logging")


def _linger(listener: Connection, _text: str, _headers: dict[str, str], _body: str) -> None:
    listener.reply("-ERR not controlling a session")


def _divert_events(listener: Connection, _text: str, _headers: dict[str, str], _body: str) -> None:
    listener.reply("-ERR not controlling a session.")


def _may(listener: Connection, command: str, argument: str) -> bool:
    """Whether the user may run the command; the one inside a wrapper counts."""
    allowed = listener.user.api_names() if listener.user else None
    while command in _WRAPPERS and argument:
        command, _, argument = argument.partition(" ")
    return allowed is None or command in allowed


def _api(listener: Connection, text: str, _headers: dict[str, str], _body: str) -> None:
    command, _, argument = text.partition(" ")
    if not _may(listener, command, argument):
        listener.reply("-ERR permission denied")
        return
    listener.block(None)

    def done(reply: str) -> None:
        listener.answer(reply)
        listener.unblock_soon()

    run(listener, command, argument, done)


def _bgapi(listener: Connection, text: str, headers: dict[str, str], _body: str) -> None:
    switch = listener.switch
    command, _, argument = text.partition(" ")
    if not _may(listener, command, argument):
        listener.reply("-ERR permission denied")
        return
    job = next((value for key, value in headers.items() if key.lower() == "job-uuid"), "") or switch.agenda.uuid()
    start_us = switch.agenda.between(*JOB_START_US)

    def done(reply: str) -> None:
        about = {"Job-UUID": job, "Job-Command": command, **({"Job-Command-Arg": argument} if argument else {})}
        switch.publish("BACKGROUND_JOB", Event(switch.headers("BACKGROUND_JOB") | about, reply or "-ERR no reply\n"))

    listener.block(start_us)
    listener.reply(f"+OK Job-UUID: {job}", Job_UUID=job)
    switch.agenda.after(start_us // 2, lambda: run(listener, command, argument, done))


def run(listener: Connection, command: str, argument: str, done: Callable[[str], None]) -> None:
    """Execute an API command; `done` gets the reply when it is there."""
    switch = listener.switch
    about = {"API-Command": command, **({"API-Command-Argument": argument} if argument else {})}
    match command:
        case "originate":
            # FreeSWITCH writes the API event when a command begins and sends it when the command has ended.
            event = Event(switch.headers("API") | about)

            def ended(reply: str) -> None:
                switch.publish("API", event)
                done(reply)

            originate(switch, argument, ended)
        case "bgapi":
            inner, _, rest = argument.partition(" ")
            run(listener, inner, rest, lambda _reply: None)
            done(f"+OK Job-UUID: {switch.agenda.uuid()}\n")
        case "msleep":
            sleep_ms = min(int(argument) if argument.isdigit() else 0, MAX_SLEEP_MS)
            switch.agenda.after(sleep_ms * 1_000, lambda: done("+OK"))
        case _:
            reply = switch.api(command, argument.strip())
            switch.fire("API", None, about)
            done(reply)


# FreeSWITCH compares prefixes in this order: "exit" is understood even before authentication.
VERBS: tuple[tuple[str, Verb], ...] = (("exit", _exit), ("...", _exit))
BEFORE_AUTH: tuple[tuple[str, Verb], ...] = (("auth ", _auth), ("userauth ", _userauth))
AFTER_AUTH: tuple[tuple[str, Verb], ...] = (
    ("filter ", _filter),
    ("sendevent", _sendevent),
    ("api ", _api),
    ("bgapi ", _bgapi),
    ("event", _event),
    ("sendmsg", _sendmsg),
    ("log", _log),
    ("nolog", _nolog),
    ("linger", _linger),
    ("divert_events", _divert_events),
    ("nixevent", _nixevent),
    ("noevents", _noevents),
)
