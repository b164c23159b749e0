"""mod_loopback, as far as an originate needs it: a leg whose far end is another leg, which executes a number.

Neither bows out of the call. What the far leg has of the near one are the variables of the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fsacd.sim.phones import Caller, Line, Phone


class Calls(Protocol):
    """The switch, as somebody who calls a number there."""

    def call(self, caller: Caller, phone: Phone) -> Line:
        """A call comes in. The line is the caller's end of it."""


class Loopback:
    """The far end of the near leg: `rest` is NUMBER/CONTEXT, `variables` are those of the order."""

    def __init__(self, switch: Calls, rest: str, variables: Mapping[str, str]) -> None:
        number, _, context = rest.partition("/")
        self._switch = switch
        self._number, self._context = number, context or "default"
        self._variables = {name: value for name, value in variables.items() if name != "origination_uuid"}
        self._far: Line | None = None

    def invited(self, line: Line) -> None:
        """The number is executed; whoever it leads to rings."""
        caller = line.session.channel.profile.cid_number if line.session is not None else ""
        call = Caller(caller, self._number, context=self._context, variables=tuple(self._variables.items()))
        self._far = self._switch.call(call, _FarEnd(line))
        line.ring()

    def answered(self, line: Line) -> None:
        """It places no calls."""

    def talking(self, line: Line) -> None:
        """What is heard is said at the far leg."""

    def ended(self, line: Line, cause: str) -> None:  # noqa: ARG002 - the protocol has it
        """The far leg goes with the near one."""
        if self._far is not None:
            self._far.hang_up(cause)


class _FarEnd:
    """Whoever the far leg's answer and end are told to: the near leg."""

    def __init__(self, near: Line) -> None:
        self._near = near

    def invited(self, line: Line) -> None:
        """Nobody rings it."""

    def answered(self, line: Line) -> None:  # noqa: ARG002 - the protocol has it
        """The number is answered."""
        self._near.answer()

    def talking(self, line: Line) -> None:
        """What is heard is said at the near leg."""

    def ended(self, line: Line, cause: str) -> None:  # noqa: ARG002 - the protocol has it
        """The near leg goes with the far one."""
        self._near.hang_up(cause)
