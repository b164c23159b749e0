"""The configuration and its plugins, read together and swapped together; and the plugins that have failed since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fsacd.config.model import Config
from fsacd.config.reader import load
from fsacd.core.rules import Parameters
from fsacd.core.views import Substituted
from fsacd.plugins import Catalogue, PluginProblem
from fsacd.process.trouble import Trouble
from fsacd.strategy import CallOrder, Strategy

# A sentence names at most so many queues; the others are counted.
_QUEUES_NAMED = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration without problems, and the plugins that were there when it was read."""

    config: Config
    catalogue: Catalogue


def read(path: Path, known: Catalogue | None = None) -> Reading:
    """Read the file and what its `strategy_path` holds. Raises ConfigErrors with everything that is wrong.

    A plugin of `known` whose file is the same is kept.
    """
    loaded: list[Catalogue] = []

    def catalogue_of(directories: Sequence[Path]) -> tuple[Catalogue, tuple[PluginProblem, ...]]:
        catalogue, problems = Catalogue.load(directories, known=known)
        loaded.append(catalogue)
        return catalogue, problems

    config = load(path, plugins=catalogue_of)
    return Reading(config, loaded[-1].with_limit(config.limits.plugin_call_ms))


class CurrentPlugins:
    """The plugins of the configuration in force (a core `Plugins`); `catalogue` is set before its rules."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def strategy(self, name: str, parameters: Parameters) -> Strategy:
        """A ring strategy. PluginError if there is none."""
        return self.catalogue.strategy(name, parameters)

    def call_order(self, name: str, parameters: Parameters) -> CallOrder:
        """A call order. PluginError if there is none."""
        return self.catalogue.call_order(name, parameters)


def troubles(substituted: Iterable[Substituted]) -> tuple[Trouble, ...]:
    """The plugins that are out of service, a trouble for each."""
    queues: dict[tuple[str, str], list[Substituted]] = {}
    for one in substituted:
        queues.setdefault((one.plugin, one.by), []).append(one)
    return tuple(
        Trouble(
            f"The plugin {plugin} has failed; {by or 'the usual order'} does its work in {_named(found)}, "
            "until it is tried again.",
            detail=found[0].why,
        )
        for (plugin, by), found in queues.items()
    )


def _named(found: Sequence[Substituted]) -> str:
    names = [one.queue for one in found[:_QUEUES_NAMED]]
    if len(found) > _QUEUES_NAMED:
        names.append(f"{len(found) - _QUEUES_NAMED} more")
    return f"{', '.join(names[:-1])} and {names[-1]}" if names[1:] else names[0]
