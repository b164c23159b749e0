"""Facts about switches, queues, callers as persons, and the rules."""

from __future__ import annotations

from fsacd.core.events.legs import By
from fsacd.core.fact import fact
from fsacd.core.rules import Rules


@fact
class SwitchHeld:
    """This daemon holds the switch's fence, so what the switch tells is true. `epoch` grows whenever a daemon takes it.

    Between this and `SwitchConnected` it is found out what has happened there before.
    """

    switch: str
    epoch: int


@fact
class SwitchConnected:
    """The switch is there, in sync, and takes commands."""

    switch: str


@fact
class SwitchLost:
    """The link to the switch is down: its calls go on without us, and no new offer can be made there."""

    switch: str


@fact
class SwitchRestarted:
    """The switch has started anew (its Core-UUID changed): every leg on it is gone."""

    switch: str


@fact
class SwitchTaken:
    """Another daemon serves the switch: the calls there are that daemon's now, and it writes how they end."""

    switch: str


@fact
class QueueSetOpen:
    """A queue opens or closes: by its hours, or because somebody wants it so."""

    queue: str
    open: bool
    by: By


@fact
class LastAgentsKnown:
    """The last agents of these callers, by history: (number, agent), the oldest first. What is known already stays."""

    pairs: tuple[tuple[str, str], ...]


@fact
class CallersForgotten:
    """The last agents of the callers with these numbers are to be forgotten; live calls do not change."""

    numbers: tuple[str, ...]


@fact
class RulesChanged:
    """The configuration was reloaded."""

    rules: Rules


SwitchEvent = SwitchHeld | SwitchConnected | SwitchLost | SwitchRestarted | SwitchTaken


CallerEvent = LastAgentsKnown | CallersForgotten


WorldEvent = SwitchEvent | QueueSetOpen | CallerEvent | RulesChanged
