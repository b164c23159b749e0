"""`loopback/EXTENSION/CONTEXT`: a leg whose phone is another leg of the switch, which runs that extension."""

from __future__ import annotations

from fsacd.sim import legs
from fsacd.sim.attempt import Origin
from fsacd.sim.phones import Caller, Line
from fsacd.sim.session import Session


class FarEnd:
    """The phone of such a leg: it answers when its own leg is answered, and each of the two ends with the other."""

    def __init__(self, switch: Origin, extension: str, context: str) -> None:
        self._switch = switch
        self._extension, self._context = extension, context
        self._session: Session | None = None
        self._answered = False

    def invited(self, line: Line) -> None:
        """The other leg is made, with copies of the variables of the first."""
        switch = self._switch
        caller = Caller("", self._extension, context=self._context)
        channel = legs.inbound(switch.agenda.uuid(), caller, switch.agenda.wall_us)
        channel.name = f"loopback/{self._extension}-b"
        copied = {name: value for name, value in line.variables.items() if name.startswith("fsacd_")}
        channel.variables = legs.inbound_variables(channel, switch.next_session_id(), caller, "") | copied
        session = self._session = Session(switch, channel, None)
        session.on_change = lambda: self._changed(line)
        switch.adopt(session)
        session.start()

    def _changed(self, line: Line) -> None:
        assert self._session is not None
        channel = self._session.channel
        if channel.down:
            line.hang_up(channel.cause)
        elif channel.answered and not self._answered:
            self._answered = True
            line.answer()

    def answered(self, line: Line) -> None:
        """It places no calls."""

    def talking(self, line: Line) -> None:
        """Nobody is at this phone."""

    def ended(self, line: Line, cause: str) -> None:  # noqa: ARG002 - it has one line alone
        """The first leg is over, and so is this one."""
        if self._session is not None:
            self._session.hangup(cause)
