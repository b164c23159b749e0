"""A phone whose keys are used in a talk: hold, transfer, consultation, digits. Scripted, like all phones here."""

from __future__ import annotations

from dataclasses import dataclass, field

from fsacd.sim.agenda import MS
from fsacd.sim.phones import Caller, Line, ScriptedPhone
from fsacd.sim.switch import Switch


@dataclass(slots=True)
class DeskPhone(ScriptedPhone):
    """Follows its script once in each call, from the moment at which the first talk of the call begins.

    Times are in milliseconds after that moment (None: never): `holds_ms` and `unholds_ms` a re-INVITE, `refers_ms` a
    REFER to the number `refers_to`, `presses_ms` the keys `presses`. `consults_ms` holds the talk and calls as the
    caller `consults`, and `hands_over_ms` sends the REFER that replaces that call: an attended transfer.
    Who consults or hands over needs the `switch`, at which they place the call.
    """

    holds_ms: float | None = None
    unholds_ms: float | None = None
    refers_ms: float | None = None
    refers_to: str = ""
    presses_ms: float | None = None
    presses: str = ""
    switch: Switch | None = None
    consults_ms: float | None = None
    consults: Caller | None = None
    hands_over_ms: float | None = None
    # The calls that are under way, and the consultation of each.
    begun: dict[Line, Line | None] = field(default_factory=dict)

    def talking(self, line: Line) -> None:
        """The talk begins, or begins again after a hold."""
        ScriptedPhone.talking(self, line)
        if line in self.begun:
            return
        self.begun[line] = None
        for at_ms, deed in (
            (self.holds_ms, line.hold),
            (self.unholds_ms, lambda: line.hold(off=True)),
            (self.refers_ms, lambda: line.refer(self.refers_to)),
            (self.presses_ms, lambda: line.press(self.presses)),
            (self.consults_ms, lambda: self._consult(line)),
            (self.hands_over_ms, lambda: self._hand_over(line)),
        ):
            if at_ms is not None:
                line.switch.agenda.after(at_ms * MS, deed)

    def ended(self, line: Line, cause: str) -> None:
        """The call is over, and its consultation too if it has one."""
        del cause
        second = self.begun.pop(line, None)
        if second is not None and second.open:
            second.hang_up()

    def _consult(self, line: Line) -> None:
        if line.open and self.switch is not None and self.consults is not None:
            line.hold()
            self.begun[line] = self.switch.call(self.consults, ScriptedPhone())

    def _hand_over(self, line: Line) -> None:
        second = self.begun.get(line)
        if second is not None:
            line.refer(self.consults.destination if self.consults else "", second)
