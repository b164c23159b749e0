"""What is told of switches, queues, callers as persons, and the rules."""

from __future__ import annotations

from fsacd.core.events.legs import By
from fsacd.core.fact import fact
from fsacd.core.rules import Rules


@fact
class SwitchHeld:
    """The switch is ours to act on, and what it tells is true; `epoch` counts up each time it is anybody's.

    What has happened there before is found out until `SwitchConnected`.
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
    """Another daemon serves the switch: the calls there are that one's now, and it writes how they end."""

    switch: str


@fact
class QueueSetOpen:
    """A queue opens or closes: by its hours, or because somebody wants it so."""

    queue: str
    open: bool
    by: By


@fact
class LastAgentsKnown:
    """Whom these callers talked with last, by history: (number, agent), the oldest first. What is known stays."""

    pairs: tuple[tuple[str, str], ...]


@fact
class CallersForgotten:
    """Nobody shall know any more whom the callers with these numbers talked with; calls that go on do so unchanged."""

    numbers: tuple[str, ...]


@fact
class RulesChanged:
    """The configuration was reloaded."""

    rules: Rules


SwitchEvent = SwitchHeld | SwitchConnected | SwitchLost | SwitchRestarted | SwitchTaken


CallerEvent = LastAgentsKnown | CallersForgotten


WorldEvent = SwitchEvent | QueueSetOpen | CallerEvent | RulesChanged
