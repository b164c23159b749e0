"""Facts about switches, queues, callers as persons, and the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from fsacd.core.choices import Choices
from fsacd.core.events.legs import By
from fsacd.core.fact import fact
from fsacd.core.rules import AgentRules, Limits, QueueRules, Rules, Target, ToExtension


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
    """Other rules are in force: the whole of them."""

    rules: Rules


@fact
class RulesAmended:
    """The configuration was reloaded: how its rules differ from those of this edition (fsacd.core.amending).

    `queues` and `agents` are those that are new or have changed. An order names all that there are now; None: those of
    before stand as they stood, and the new ones behind them. `anew` are queues whose plugins begin anew although their
    rules are the same.
    """

    edition: int
    limits: Limits
    fallback: ToExtension
    back: ToExtension
    when_queue_removed: Target | None = None
    queues: Mapping[str, QueueRules] = field(default_factory=lambda: MappingProxyType({}))
    agents: Mapping[str, AgentRules] = field(default_factory=lambda: MappingProxyType({}))
    gone_queues: tuple[str, ...] = ()
    gone_agents: tuple[str, ...] = ()
    order_of_queues: tuple[str, ...] | None = None
    order_of_agents: tuple[str, ...] | None = None
    anew: tuple[str, ...] = ()
    wrap_up_codes: Choices = ()
    not_ready_reasons: Choices = ()


SwitchEvent = SwitchHeld | SwitchConnected | SwitchLost | SwitchRestarted | SwitchTaken


CallerEvent = LastAgentsKnown | CallersForgotten


RulesEvent = RulesChanged | RulesAmended


WorldEvent = SwitchEvent | QueueSetOpen | CallerEvent | RulesEvent
