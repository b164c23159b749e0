"""`originate`: from the command to the phone that rings, and to the job's last word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fsacd.sim import causes
from fsacd.sim.agenda import MS, Timer
from fsacd.sim.channel import App, Channel, Profile, State
from fsacd.sim.dialstring import Originate, parse
from fsacd.sim.legs import outbound_variables
from fsacd.sim.phones import Line, Phone
from fsacd.sim.session import Session

if TYPE_CHECKING:
    from fsacd.sim.switch import Switch

USAGE = (
    "-USAGE: <call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>] [<cid_name>] [<cid_num>] "
    "[<timeout_sec>]\n"
)

# From the command to the leg: a kill that comes earlier finds nothing to kill, and the phone rings on.
BIRTH_US = (100, 1_200)
# The originating thread looks at its leg in steps.
POLL_US = (1 * MS, 20 * MS)
# From the leg to the INVITE at the phone.
INVITE_US = (500, 1_500)
# From the leg to the news that nobody listens there; the machine itself knows.
REFUSED_US = (200, 1_200)


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A dial string that leads to no phone: FreeSWITCH's cause for it, and whether a leg is made before it fails."""

    cause: str
    leg: bool = False


def originate(switch: Switch, text: str, done: Callable[[str], None]) -> None:
    """Carry out the command; `done` gets the reply, at once or when the call is answered or has failed."""
    order = parse(text)
    if order is None:
        done(USAGE)
        return
    core_uuid = switch.core_uuid

    def begin() -> None:
        if switch.core_uuid == core_uuid:
            _begin(switch, order, done)

    switch.agenda.after(switch.agenda.between(*BIRTH_US), begin)


def _begin(switch: Switch, order: Originate, done: Callable[[str], None]) -> None:
    target = find_phone(switch, order.endpoint)
    if isinstance(target, Unreachable) and not target.leg:
        done(f"-ERR {target.cause}\n")
        return
    uuid = order.variables.get("origination_uuid") or switch.agenda.uuid()
    if uuid in switch.sessions:
        done(f"-ERR {causes.DESTINATION_OUT_OF_ORDER}\n")
        return
    Attempt(switch, order, uuid, target, done).begin()


def find_phone(switch: Switch, endpoint: str) -> Phone | Unreachable:
    """The phone behind a dial string (the first one, if it names several)."""
    kind, _, rest = endpoint.partition("/")
    if kind == "user":
        user = rest.split("@")[0]
        if user not in switch.directory:
            return Unreachable("SUBSCRIBER_ABSENT")
        contact = switch.directory[user]
        return find_phone(switch, contact) if contact else Unreachable("USER_NOT_REGISTERED")
    if kind == "error":
        return Unreachable(causes.from_text(rest))
    if kind != "sofia":
        return Unreachable("CHAN_NOT_IMPLEMENTED")
    profile, _, address = rest.partition("/")
    if profile == "gateway":
        return Unreachable("INVALID_GATEWAY")
    if profile not in switch.profiles:
        return Unreachable("INVALID_PROFILE")
    address = address.removeprefix("sip:").split(";")[0]
    return switch.phones.get(address) or Unreachable("NORMAL_TEMPORARY_FAILURE", leg=True)


def _user_dialled(switch: Switch, endpoint: str) -> tuple[str, dict[str, str]]:
    """The endpoint where a user has registered, and what `user/` writes into the leg; others are left as they are."""
    kind, _, rest = endpoint.partition("/")
    if kind != "user":
        return endpoint, {}
    user, _, domain = rest.partition("@")
    domain = domain or "127.0.0.1"
    known = {"dialed_user": user, "dialed_domain": domain, "presence_id": f"{user}@{domain}"}
    return switch.directory.get(user, ""), known


class Attempt:
    """One phone being rung by the originating thread, which looks at it every 20 ms until it knows the outcome."""

    def __init__(
        self, switch: Switch, order: Originate, uuid: str, target: Phone | Unreachable, done: Callable[[str], None]
    ) -> None:
        self.switch = switch
        self.order = order
        self.target = target
        self.done = done
        self.finished = False
        self.deadlines: list[Timer] = []
        self.look: Timer | None = None
        line = None if isinstance(target, Unreachable) else Line(switch, target)
        self.session = Session(switch, self._channel(uuid), line)
        if line is not None:
            line.session = self.session

    def _channel(self, uuid: str) -> Channel:
        order, switch = self.order, self.switch
        endpoint, dialled = _user_dialled(switch, order.endpoint)
        address = endpoint.removeprefix("sofia/").partition("/")[2] or endpoint.partition("/")[2]
        user = address.removeprefix("sip:").split("@")[0]
        number = order.variables.get("origination_caller_id_number") or order.cid_number or "0000000000"
        name = f"sofia/internal/{address.removeprefix('sip:')}"
        now_us = switch.agenda.wall_us
        profile = Profile(
            direction="outbound",
            logical_direction="outbound",
            username="",
            dialplan="",
            cid_name=order.variables.get("origination_caller_id_name") or order.cid_name,
            cid_number=number,
            orig_cid_number=number,
            callee_name="Outbound Call",
            callee_number=user,
            ani=number,
            destination=user,
            context="default",
            source="src/switch_ivr_originate.c",
            uuid=uuid,
            channel_name=name,
            profile_created_us=now_us,
            created_us=now_us,
        )
        profile.orig_cid_name = profile.cid_name
        channel = Channel(uuid=uuid, name=name, direction="outbound", profile=profile, call_uuid=uuid)
        channel.variables = outbound_variables(channel, switch.next_session_id(), address)
        channel.variables |= order.variables | dialled
        return channel

    def begin(self) -> None:
        """Make the leg, send the INVITE and start the clocks."""
        switch, session = self.switch, self.session
        session.originating = True
        session.on_change = self._changed
        switch.adopt(session)
        session.channel.state = State.INIT
        switch.fire("CHANNEL_OUTGOING", session.channel, {"Channel-State": "CS_NONE"})
        # The leg's own thread sends the INVITE.
        span_us = REFUSED_US if isinstance(self.target, Unreachable) else INVITE_US
        invite_us = session.start() + switch.agenda.between(*span_us)
        if isinstance(self.target, Unreachable):
            cause = self.target.cause
            switch.agenda.after(invite_us, lambda: session.hangup(cause, by_far_end=True))
        else:
            switch.agenda.after(invite_us, self._invite)
        self._arm("originate_timeout", "NO_ANSWER", self.order.timeout_s)
        self._arm("leg_timeout", "ALLOTTED_TIMEOUT", None)

    def _invite(self) -> None:
        line = self.session.line
        if line is not None and not self.session.channel.down:
            line.phone.invited(line)

    def _arm(self, variable: str, cause: str, default_s: int | None) -> None:
        text = self.order.variables.get(variable, "")
        seconds = int(text) if text.isdigit() else default_s
        if seconds is not None:
            due_us = self.switch.clock_second_us(seconds)
            self.deadlines.append(self.switch.agenda.at(due_us, lambda: self._late(cause)))

    def _late(self, cause: str) -> None:
        if not self.finished and not self.session.channel.answered:
            self.session.hangup(cause)

    def _changed(self) -> None:
        if not self.finished and self.look is None:
            self.look = self.switch.agenda.after(self.switch.agenda.between(*POLL_US), self._look)

    def _look(self) -> None:
        self.look = None
        channel = self.session.channel
        if channel.uuid not in self.switch.sessions and not channel.cause:
            return  # the switch died meanwhile, and this thread with it
        if channel.down:
            self._finish(f"-ERR {channel.cause}\n")
        elif not self.session.originating:
            self._finish(f"-ERR {causes.ORIGINATOR_CANCEL}\n")
        elif channel.answered or (channel.early and not channel.is_true("ignore_early_media")):
            self._succeed()

    def _succeed(self) -> None:
        channel, session = self.session.channel, self.session
        channel.hit_dialplan = True
        session.flip_caller_id()
        extension = self.order.extension
        self._finish(f"+OK {channel.uuid}\n")
        session.originating = False
        if extension.startswith("&"):
            name, _, data = extension[1:].split(")")[0].partition("(")
            channel.extension, channel.step = [App(name, data)], 0
            session.set_state(State.EXECUTE)
        else:
            session.transfer(extension, self.order.dialplan, self.order.context)
        session.signal(300, 1_200)

    def _finish(self, reply: str) -> None:
        self.finished = True
        self.session.on_change = None
        for timer in self.deadlines:
            timer.cancel()
        self.done(reply)
