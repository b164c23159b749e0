"""How the engine gets and uses plugins. Finding, checking and guarding them is the shell's work."""

from __future__ import annotations

from typing import Protocol

from fsacd.core.rules import Parameters
from fsacd.strategy import CallOrder, Strategy


class PluginError(Exception):
    """There is no such plugin, or its parameters are wrong; one sentence."""


class PluginFailed(Exception):  # noqa: N818 - a fact, not a fault of ours
    """A call into a plugin raised, took too long or returned nonsense; one sentence, which names the plugin.

    The only exception that the engine expects from a plugin. The queue goes on with longest_idle, or the usual order.
    `calls` is how many calls had been made into this instance, this one included: a replay fails at the same one
    (`failing`).
    """

    def __init__(self, why: str, calls: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.calls = calls


class Plugins(Protocol):
    """Makes the plugins that the rules name. An instance belongs to one queue, from one reload to the next."""

    def strategy(self, name: str, parameters: Parameters) -> Strategy:
        """A ring strategy. PluginError if there is none."""
        ...

    def call_order(self, name: str, parameters: Parameters) -> CallOrder:
        """A call order. PluginError if there is none."""
        ...
