"""The thread of one originate: it rings phones at once and in turn, watches their legs, and reports the outcome.

The rules are those of switch_ivr_originate.c, with their oddities:
- one leg's end ends all only if its cause is among `fail_on_single_reject`; the others then end as NO_ANSWER;
- with that variable set, `originate_timeout` ends nothing: what does, a second later, is the time for the first sign of
  life, and its cause is PROGRESS_TIMEOUT; a phone that has sent early media has shown it, and then all ring for ever;
- the cause of a turn is that of its first leg, whichever ended first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from fsacd.sim import causes, transferring
from fsacd.sim.agenda import MS, Timer
from fsacd.sim.channel import App, Channel, Profile, State
from fsacd.sim.confirming import Confirmation
from fsacd.sim.dialstring import Dialled, Originate
from fsacd.sim.legs import outbound_variables
from fsacd.sim.phones import Line, Phone
from fsacd.sim.ports import Exchange, Leg
from fsacd.sim.session import Session

# The originating thread looks at its legs in steps.
POLL_US = (1 * MS, 20 * MS)
# From the leg to the INVITE at the phone.
INVITE_US = (500, 1_500)
# From the leg to the error that nothing listens at the address, on the same machine.
REFUSED_US = (200, 1_200)
# From the end of a turn to the legs of the next one.
NEXT_TURN_US = (1 * MS, 40 * MS)


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A dial string that leads to no phone: FreeSWITCH's cause for it, and whether a leg is made before it fails."""

    cause: str
    leg: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """One phone to be rung: what was dialled, where it is, and what `user/` writes into its leg."""

    dialled: Dialled
    phone: Phone | Unreachable
    known: dict[str, str]

    @property
    def is_dead(self) -> Unreachable | None:
        """The cause for which not even a leg is made for the phone; None if one is made."""
        return self.phone if isinstance(self.phone, Unreachable) and not self.phone.leg else None


class Origin(Exchange, Protocol):
    """The switch, as an originate uses it."""

    core_uuid: str

    @property
    def sessions(self) -> Mapping[str, Leg]:
        """The legs by their uuids."""

    def next_session_id(self) -> int:
        """FreeSWITCH numbers its sessions."""

    def adopt(self, session: Session) -> None:
        """A leg was made."""


class Attempt:
    """One originate being carried out. `find` gives the targets of a turn when the turn begins.

    With a `parent`, a leg that executes `bridge`, the leg that was answered is handed to `answered`, and goes nowhere.
    """

    def __init__(
        self,
        switch: Origin,
        order: Originate,
        find: Callable[[tuple[Dialled, ...]], list[Target]],
        done: Callable[[str], None],
        parent: Leg | None = None,
        answered: Callable[[Leg], None] = lambda _leg: None,
    ) -> None:
        self.switch = switch
        self.order = order
        self.done = done
        self._parent = parent
        self._answered = answered
        self._find = find
        self._core_uuid = switch.core_uuid
        self._turn = -1
        self._legs: list[Session] = []
        self._confirming: dict[str, Confirmation] = {}  # by the uuid of a leg that is answered
        self._clocks: list[Timer] = []
        self._look_at: Timer | None = None
        self._cause = ""
        self._time_is_over = False  # once it is set, no further turn begins
        self._forced = ""

    def next_turn(self) -> None:
        """Ring the phones of the next turn; those that cannot be rung at all are left out."""
        if self.switch.core_uuid != self._core_uuid:
            return  # the switch died meanwhile, and this thread with it
        self._turn += 1
        if self._turn >= len(self.order.turns):
            self._fail()
            return
        self._legs = []
        for target in self._find(self.order.turns[self._turn]):
            if (dead := target.is_dead) is not None:
                self._cause = dead.cause
                continue
            uuid = (self.order.variables | target.dialled.variables).get(
                "origination_uuid"
            ) or self.switch.agenda.uuid()
            if uuid in self.switch.sessions:
                self._cause = causes.DESTINATION_OUT_OF_ORDER
                continue
            self._legs.append(self._ring(uuid, target))
        if not self._legs:
            self.next_turn()
            return
        self._set_clocks()

    def cancel(self) -> None:
        """The parent is gone, or goes elsewhere."""
        self.order = replace(self.order, turns=self.order.turns[: self._turn + 1])
        if self._legs:
            self._give_up(causes.ORIGINATOR_CANCEL, causes.ORIGINATOR_CANCEL)

    @property
    def rings(self) -> bool:
        """Whether a phone rings."""
        return any(leg.channel.ring_ready for leg in self._legs)

    # --- the legs -----------------------------------------------------------------------------------------------

    def _ring(self, uuid: str, target: Target) -> Session:
        """Make a leg and send the INVITE."""
        switch = self.switch
        line = None if isinstance(target.phone, Unreachable) else Line(switch, target.phone)
        session = Session(switch, self._channel(uuid, target), line)
        if line is not None:
            line.session = session
        session.originating = session.kept = True
        session.on_change = self._changed
        switch.adopt(session)
        session.channel.state = State.INIT
        switch.fire("CHANNEL_OUTGOING", session.channel, {"Channel-State": "CS_NONE"})
        # The leg's own thread sends the INVITE.
        span_us = REFUSED_US if isinstance(target.phone, Unreachable) else INVITE_US
        invite_us = session.start() + switch.agenda.between(*span_us)
        if isinstance(target.phone, Unreachable):
            cause = target.phone.cause
            switch.agenda.after(invite_us, lambda: session.hangup(cause, by_far_end=True))
        else:
            switch.agenda.after(invite_us, lambda: _invite(session))
        return session

    def _channel(self, uuid: str, target: Target) -> Channel:
        order, switch = self.order, self.switch
        variables = order.variables | target.dialled.variables
        endpoint = target.dialled.endpoint
        address = endpoint.removeprefix("sofia/").partition("/")[2] or endpoint.partition("/")[2]
        user = address.removeprefix("sip:").split("@")[0]
        theirs = self._parent.channel.profile if self._parent is not None else None
        own = theirs.cid_number if theirs else order.cid_number or "0000000000"
        number = variables.get("origination_caller_id_number") or own
        name = f"sofia/internal/{address.removeprefix('sip:')}"
        if endpoint.startswith("loopback/"):
            user = address.partition("/")[0]
            name = f"loopback/{user}-a"
        now_us = switch.agenda.wall_us
        profile = Profile(
            direction="outbound",
            logical_direction="outbound",
            username="",
            dialplan="",
            cid_name=variables.get("origination_caller_id_name") or (theirs.cid_name if theirs else order.cid_name),
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
        if theirs is not None:
            channel.other_type, channel.other = "originator", theirs.copy()
        channel.variables = outbound_variables(channel, switch.next_session_id(), address)
        # The variables that `user/` knows come last; where each device has its own leg, the command has them.
        channel.variables |= variables | target.known
        return channel

    # --- the clocks ---------------------------------------------------------------------------------------------

    def _set_clocks(self) -> None:
        """FreeSWITCH counts in whole seconds of its clock."""
        limit_s = _seconds(self.order.variables, "originate_timeout") or self.order.timeout_s
        self._time_is_over = False
        if self._fatal:
            self._after_seconds(limit_s, self._note_time)
            self._after_seconds(limit_s + 1, self._no_sign_of_life)
        else:
            self._after_seconds(limit_s, self._late)
        for leg in self._legs:
            if own_s := _seconds(leg.channel.variables, "leg_timeout"):
                self._after_seconds(own_s + 1, lambda leg=leg: _own_time_over(leg))  # type: ignore[misc]

    def _after_seconds(self, seconds: int, act: Callable[[], None]) -> None:
        self._clocks.append(self.switch.agenda.at(self.switch.clock_second_us(seconds), act))

    def _note_time(self) -> None:
        self._time_is_over = True

    def _late(self) -> None:
        self._give_up(causes.NO_ANSWER, causes.NO_ANSWER)

    def _no_sign_of_life(self) -> None:
        if not any(leg.channel.early for leg in self._legs):
            self._forced = causes.PROGRESS_TIMEOUT
            self._give_up(self._forced, self._forced)

    # --- looking at them ----------------------------------------------------------------------------------------

    @property
    def _fatal(self) -> str:
        """The causes with which one leg's end ends all legs."""
        return self.order.variables.get("fail_on_single_reject", "")

    def _is_fatal(self, leg: Session) -> bool:
        return bool(leg.channel.cause) and leg.channel.cause in self._fatal

    def _changed(self) -> None:
        if self._legs and self._look_at is None:
            self._look_at = self.switch.agenda.after(self.switch.agenda.between(*POLL_US), self._look)

    def _look(self) -> None:
        self._look_at = None
        if self.switch.core_uuid != self._core_uuid or not self._legs:
            return
        over = 0
        for leg in self._legs:
            channel = leg.channel
            if channel.down or not leg.originating:
                over += 1
            elif leg.channel.uuid in self._confirming:
                pass  # answered, and not confirmed yet
            elif channel.answered or (channel.early and not channel.is_true("ignore_early_media")):
                if channel.variables.get("group_confirm_key"):
                    self._confirming[channel.uuid] = Confirmation(leg, partial(self._confirmed, leg))
                    continue
                self._succeed(leg)
                return
        if over == len(self._legs):
            self._turn_is_over(self._cause_of(self._legs[0]), ended_by=self._legs)
        elif over and any(self._is_fatal(leg) for leg in self._legs):
            self._give_up(causes.NO_ANSWER, causes.NO_ANSWER)

    def _confirmed(self, leg: Session) -> None:
        if leg in self._legs:
            del self._confirming[leg.channel.uuid]
            self._changed()

    def _cause_of(self, leg: Session) -> str:
        return leg.channel.cause or causes.ORIGINATOR_CANCEL

    def _give_up(self, legs_cause: str, cause: str) -> None:
        """The thread ends the legs that are left, and with them the turn."""
        legs = self._legs
        for leg in legs:
            if leg.originating and not leg.channel.down:
                leg.hangup(legs_cause)
        self._turn_is_over(cause, ended_by=legs, late=True)

    def _turn_is_over(self, cause: str, *, ended_by: list[Session], late: bool = False) -> None:
        self._cause = cause
        last = late or self._time_is_over or any(self._is_fatal(leg) for leg in ended_by)
        self._leave()
        if last or self._turn + 1 >= len(self.order.turns):
            self._fail()
        else:
            self.switch.agenda.after(self.switch.agenda.between(*NEXT_TURN_US), self.next_turn)

    def _fail(self) -> None:
        self.done(f"-ERR {self._forced or self._cause}\n")

    def _leave(self) -> None:
        """The thread stops watching these legs."""
        for leg in self._legs:
            leg.on_change, leg.kept = None, False
            leg.signal(100, 2 * MS)
        for timer in self._clocks:
            timer.cancel()
        self._legs, self._clocks = [], []

    def _succeed(self, session: Session) -> None:
        others = [leg for leg in self._legs if leg is not session]
        self._leave()
        for leg in others:
            if leg.originating and not leg.channel.down:
                leg.hangup(causes.LOSE_RACE)
        channel = session.channel
        if self._parent is not None:
            session.originating = False
            self._answered(session)
            return
        channel.hit_dialplan = True
        transferring.flip_caller_id(session)
        extension = self.order.extension
        self.done(f"+OK {channel.uuid}\n")
        session.originating = False
        if extension.startswith("&"):
            name, _, data = extension[1:].split(")")[0].partition("(")
            channel.extension, channel.step = [App(name, data)], 0
            session.set_state(State.EXECUTE)
        else:
            transferring.transfer(session, extension, self.order.dialplan, self.order.context)
        session.signal(300, 1_200)


def _invite(session: Session) -> None:
    line = session.line
    if line is not None and not session.channel.down:
        line.phone.invited(line)


def _own_time_over(leg: Session) -> None:
    if leg.originating and not leg.channel.answered:
        leg.hangup(causes.ALLOTTED_TIMEOUT)


def _seconds(variables: dict[str, str], name: str) -> int:
    text = variables.get(name, "")
    return int(text) if text.isdigit() else 0
