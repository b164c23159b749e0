"""The configuration with the plugins it names, read together and swapped together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fsacd.config.model import Config
from fsacd.config.reader import load
from fsacd.core.rules import Parameters
from fsacd.plugins import Catalogue, PluginProblem
from fsacd.strategy import CallOrder, Strategy


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration without problems, and the plugins that were there when it was read."""

    config: Config
    catalogue: Catalogue


def read(path: Path) -> Reading:
    """Read the file and what its `strategy_path` holds. Raises ConfigErrors with everything that is wrong."""
    loaded: list[Catalogue] = []

    def catalogue_of(directories: Sequence[Path]) -> tuple[Catalogue, tuple[PluginProblem, ...]]:
        catalogue, problems = Catalogue.load(directories)
        loaded.append(catalogue)
        return catalogue, problems

    config = load(path, plugins=catalogue_of)
    return Reading(config, loaded[-1].with_limit(config.limits.plugin_call_ms))


class CurrentPlugins:
    """The plugins of the configuration in force (fsacd.core.plugins.Plugins); `catalogue` is set before its rules."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def strategy(self, name: str, parameters: Parameters) -> Strategy:
        """A ring strategy. PluginError if there is none."""
        return self.catalogue.strategy(name, parameters)

    def call_order(self, name: str, parameters: Parameters) -> CallOrder:
        """A call order. PluginError if there is none."""
        return self.catalogue.call_order(name, parameters)
