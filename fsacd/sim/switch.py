"""The simulated switch as a whole: its legs, its clients, its memory, and the events between them.

Pure: it does no input or output and knows no clock. `fsacd.sim.server` gives it sockets and time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fsacd.sim import legs, originating, referring
from fsacd.sim.agenda import MS, SECOND, Agenda, Timer
from fsacd.sim.api import COMMANDS
from fsacd.sim.channel import App, Channel, Profile
from fsacd.sim.dialplan import Dialplan, Inline
from fsacd.sim.events import Event
from fsacd.sim.expand import expand
from fsacd.sim.faults import Faults
from fsacd.sim.headers import base_headers, basic_headers, channel_headers
from fsacd.sim.listing import Listing
from fsacd.sim.phones import Caller, Line, Phone
from fsacd.sim.ports import Hearer, Leg, Ring, Room
from fsacd.sim.session import Session
from fsacd.sim.settings import Settings

# Events that do not carry a leg's variables.
_BARE = frozenset({"CHANNEL_STATE", "CHANNEL_CALLSTATE", "CHANNEL_OUTGOING", "CODEC", "DTMF"})
SETUP_US = (300, 1_500)


class Switch:
    """A FreeSWITCH made of data."""

    def __init__(self, agenda: Agenda, settings: Settings | None = None, dialplan: Dialplan | None = None) -> None:
        self.agenda = agenda
        self.settings = settings or Settings()
        self.dialplan = dialplan or Dialplan()
        self.faults = Faults(self)
        self.listing = Listing(agenda)
        self.listeners: set[Hearer] = set()
        self.sessions: dict[str, Session] = {}
        # user → contacts with commas between them ("" when they are not registered); contact without
        # sofia/<profile>/ → phone.
        self.directory: dict[str, str] = {}
        self.phones: dict[str, Phone] = {}
        # The files and streams that `playback` does not find.
        self.missing_sounds: set[str] = set()
        # Whether the SIP profiles tell of REFER (`fire-transfer-events`).
        self.transfer_events = False
        self.profiles = {"internal"}
        self.max_sessions = self.settings.max_sessions
        self.hostname = self.settings.hostname
        self._tasks: dict[str, list[Timer]] = {}
        self._inline = Inline()
        self._heartbeat: Timer | None = None
        self.boot()

    # --- being switched on and off ------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start with nothing remembered but the configuration."""
        self.running = True
        self.core_uuid = self.agenda.uuid()
        self.started_us = self.agenda.now_us
        self.sequence = 0
        self.session_count = self.peak = 0
        self.globals: dict[str, str] = {
            "hostname": self.hostname,
            "local_ip_v4": "127.0.0.1",
            "domain": "127.0.0.1",
            "core_uuid": self.core_uuid,
            **self.dialplan.globals,
        }
        self.hash: dict[str, str] = {}
        self.rooms: dict[str, Room] = {}
        self._members = 0
        self._beat_in(self.settings.heartbeat_s)

    def wipe(self) -> None:
        """The machine is dead: every leg ends at its phone only, and no event tells of it."""
        self.running = False
        # Work that was planned before belongs to the old core and is dropped.
        self.core_uuid = ""
        for session in self.sessions.values():
            session.stop()
            if session.line is not None:
                session.line.leg_ended("NORMAL_TEMPORARY_FAILURE", by_far_end=False)
        self.sessions.clear()
        self.listing.clear()
        for timers in self._tasks.values():
            for timer in timers:
                timer.cancel()
        self._tasks.clear()
        if self._heartbeat is not None:
            self._heartbeat.cancel()

    def _beat_in(self, seconds: float) -> None:
        self._heartbeat = self.agenda.after(seconds * SECOND, self._beat)

    def _beat(self) -> None:
        about = {
            "Event-Info": "System Ready",
            "Up-Time": COMMANDS["status"](self, "").split("\n", 1)[0].removeprefix("UP "),
            "FreeSWITCH-Version": "1.10.12-release~simulated",
            "Uptime-msec": str(self.uptime_us // MS),
            "Session-Count": str(len(self.sessions)),
            "Max-Sessions": str(self.max_sessions),
            "Session-Per-Sec": "1000",
            "Session-Since-Startup": str(self.session_count),
            "Session-Peak-Max": str(self.peak),
            "Idle-CPU": "98.000000",
        }
        self.fire("HEARTBEAT", None, about)
        self._beat_in(self.settings.heartbeat_s)

    @property
    def uptime_us(self) -> int:
        """Microseconds since the start."""
        return self.agenda.now_us - self.started_us

    def clock_second_us(self, seconds: int) -> int:
        """When the switch's clock, which counts whole seconds, will have moved on by so many (agenda time, µs)."""
        second = self.agenda.wall_us // SECOND + seconds
        return second * SECOND - self.agenda.epoch_us

    # --- legs ---------------------------------------------------------------------------------------------------

    def next_session_id(self) -> int:
        """FreeSWITCH numbers its sessions."""
        self.session_count += 1
        return self.session_count

    def next_member(self) -> int:
        """Conferences number all their members."""
        self._members += 1
        return self._members

    def locate(self, uuid: str) -> Session | None:
        """The leg with this uuid, unless it is hung up."""
        session = self.sessions.get(uuid)
        return None if session is None or session.channel.down else session

    def adopt(self, session: Session) -> None:
        """A leg was made."""
        self.sessions[session.channel.uuid] = session
        self.peak = max(self.peak, len(self.sessions))
        self.listing.began(session.channel)

    def forget(self, session: Leg) -> None:
        """A leg's thread has ended."""
        uuid = session.channel.uuid
        if self.sessions.get(uuid) is session:
            del self.sessions[uuid]
            self.listing.ended(uuid)
            self.unschedule(uuid)

    def registered(self, user: str) -> list[str]:
        """The endpoints at which a user has registered; `registrar` changes them."""
        return [endpoint for endpoint in self.directory.get(user, "").split(",") if endpoint]

    def call(self, caller: Caller, phone: Phone, replaces: Line | None = None) -> Line:
        """A call comes in. The line is the caller's end of it. `replaces`: the leg whose place it takes."""
        line = Line(self, phone)
        line.acknowledges = caller.acknowledges
        self.agenda.after(self.agenda.between(*SETUP_US), lambda: self._invite(caller, line, replaces))
        return line

    def _invite(self, caller: Caller, line: Line, replaces: Line | None) -> None:
        if not self.running:
            line.leg_ended("NORMAL_TEMPORARY_FAILURE", by_far_end=False)
            return
        channel = legs.inbound(self.agenda.uuid(), caller, self.agenda.wall_us)
        channel.variables = legs.inbound_variables(channel, self.next_session_id(), caller, self.globals["domain"])
        session = Session(self, channel, line)
        line.session = session
        if replaces is not None and (other := self.locate(replaces.uuid)) is not None:
            referring.replace(session, other)
        self.adopt(session)
        session.start()

    def dial(self, session: Leg, text: str, done: Callable[[str], None], answered: Callable[[Leg], None]) -> Ring:
        """Ring phones for a leg: `answered` gets the leg that was answered, or `done` the reply that says why none."""
        return originating.dial(self, session, text, done, answered)

    def digit(self, session: Leg, digit: str) -> None:
        """A DTMF digit reached a leg."""
        if not session.channel.down:
            session.channel.digits.append(digit)
            session.signal(1_000, 20_000)
            self.fire("DTMF", session.channel, {"DTMF-Digit": digit, "DTMF-Duration": "2000", "DTMF-Source": "APP"})

    def schedule(self, group: str, due_us: int, action: Callable[[], None]) -> None:
        """A task of a leg; it dies with the leg."""
        self._tasks.setdefault(group, []).append(self.agenda.at(due_us, action))

    def unschedule(self, group: str) -> int:
        """Forget a leg's tasks; how many there were."""
        waiting = [timer for timer in self._tasks.pop(group, []) if timer.due_us >= self.agenda.now_us]
        for timer in waiting:
            timer.cancel()
        return len(waiting)

    # --- dialplan -----------------------------------------------------------------------------------------------

    def hunt(self, session: Leg, profile: Profile) -> list[App] | None:
        """The apps for the profile's destination, or None when no extension takes it."""
        plan = self._inline if profile.dialplan == "inline" else self.dialplan
        return plan.hunt(self, session, profile)

    def variable(self, name: str, session: Leg | None) -> str:
        """A variable as a dialplan sees it: the leg's, or something of its profile, or a global one."""
        if session is not None:
            channel = session.channel
            if name in channel.scope:
                return channel.scope[name]
            if name in channel.variables:
                return channel.variables[name]
            profile = channel.profile
            known = {
                "uuid": channel.uuid,
                "destination_number": profile.destination,
                "caller_id_number": profile.cid_number,
                "caller_id_name": profile.cid_name,
                "username": profile.username,
                "context": profile.context,
                "rdnis": profile.rdnis,
                "network_addr": profile.network_addr,
            }
            if known.get(name):
                return known[name]
        return self.globals.get(name, "")

    def expand(self, text: str, session: Leg | None) -> str:
        """Replace `${...}` in an application's text."""
        return expand(text, lambda name: self.variable(name, session), self.api)

    def api(self, command: str, argument: str) -> str:
        """The reply of an API command that answers at once."""
        handler = COMMANDS.get(command.lower())
        return handler(self, argument) if handler else f"-ERR {command} Command not found!\n"

    # --- events -------------------------------------------------------------------------------------------------

    def headers(self, name: str) -> dict[str, str]:
        """The lines that begin a new event."""
        self.sequence += 1
        return base_headers(name, self.sequence, self.agenda.wall_us, self.core_uuid, self.hostname)

    def fire(self, name: str, channel: Channel | None, more: Mapping[str, str] | None = None) -> None:
        """Send an event to every client that wants it. An event that nobody wants is not even built."""
        subclass = more.get("Event-Subclass", "") if more else ""
        if not any(listener.wants(name, subclass) for listener in self.listeners):
            self.sequence += 1
            return
        headers = self.headers(name)
        if channel is not None:
            headers |= basic_headers(channel) if name in _BARE else channel_headers(channel)
        self.publish(name, Event(headers | dict(more or {})), subclass)

    def fire_state(self, channel: Channel, name: str = "CHANNEL_STATE") -> None:
        """Tell of a leg's new state."""
        self.fire(name, channel)

    def publish(self, name: str, event: Event, subclass: str = "") -> None:
        """Hand a finished event to every connection that wants it."""
        for listener in list(self.listeners):
            if listener.wants(name, subclass):
                listener.offer(event)
