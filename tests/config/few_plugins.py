"""A catalogue of a few plugins, for tests that read configurations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from fsacd.config.kinds import duration_ms
from fsacd.config.plugins import Catalogue, PluginKind
from fsacd.core.rules import Parameters
from fsacd.process.quoting import shown

NAMES: Mapping[PluginKind, tuple[str, ...]] = {
    "strategy": ("longest_idle", "ring_progressive"),
    "call order": ("newest_first",),
}


class WrongParameterError(Exception):
    """What the catalogue raises: one sentence, and the parameter's name."""

    def __init__(self, parameter: str | None, text: str) -> None:
        super().__init__(text)
        self.parameter = parameter


class FewPlugins:
    """ring_progressive takes `every`; the others take nothing."""

    def names(self, kind: PluginKind) -> Collection[str]:
        return NAMES[kind]

    def read_parameters(self, kind: PluginKind, name: str, raw: Mapping[str, object]) -> Parameters:
        for parameter in raw:
            if (name, parameter) != ("ring_progressive", "every"):
                raise WrongParameterError(parameter, f"{name} has no parameter '{parameter}'")
        if "every" not in raw:
            return ()
        every = raw["every"]
        every_ms = duration_ms(every) if isinstance(every, str) else None
        if every_ms is None:
            raise WrongParameterError("every", f"expected a duration, got {shown(every)}")
        if every_ms == 0:
            raise WrongParameterError(None, "every 0 s is all at once; take ring_all")
        return (("every", every_ms),)


def few_plugins(paths: Sequence[Path]) -> tuple[Catalogue, Sequence[object]]:
    """Give the catalogue; every directory that is named does not exist."""
    return FewPlugins(), [f"{path}: the directory cannot be read" for path in paths]
