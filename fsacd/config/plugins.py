"""The settings that name a queue's plugins, with their parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from pydantic import GetCoreSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import CoreSchema, InitErrorDetails, core_schema
from typing_extensions import override

from fsacd.config.forms import NAME
from fsacd.config.kinds import Kind, quoted
from fsacd.config.problems import wrong
from fsacd.core.rules import Parameters
from fsacd.process.quoting import did_you_mean, shown

PluginKind = Literal["strategy", "call order"]


class Catalogue(Protocol):
    """The plugins there are (fsacd.plugins)."""

    def names(self, kind: PluginKind) -> Collection[str]:
        """The names of all plugins of a kind."""
        ...

    def read_parameters(self, kind: PluginKind, name: str, raw: Mapping[str, object]) -> Parameters:
        """The parameters as the plugin takes them, from the texts of the file.

        Raises an exception whose text is one sentence. Its `parameter` names the wrong parameter (None: the plugin as a
        whole), and its `inner` the wrong entry of a list or a map.
        """
        ...


# Reads the plugins of these directories and all installed ones; gives a sentence for each that is refused.
Loader = Callable[[Sequence[Path]], tuple[Catalogue, Sequence[object]]]

DEFAULT_STRATEGY: Final = "longest_idle"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A plugin by its name, with the parameters that the file gives."""

    name: str
    parameters: Parameters = ()


@dataclass(frozen=True)
class Plugin(Kind):
    """A plugin: its name, or {name: NAME} with its parameters beside. The catalogue comes as pydantic's context."""

    kind: PluginKind
    null: bool = False

    @property
    @override
    def expects(self) -> str:
        return f"the name of a {self.kind}, or {{name: NAME, PARAMETER: VALUE}}"

    @override
    def show(self, value: Any) -> str:
        return "null" if value is None else quoted(value.name)

    @override
    def read(self, text: str) -> Chosen:
        NAME.read(text)
        return Chosen(text)

    @override
    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self._choose)

    def _choose(self, value: object, info: ValidationInfo) -> Chosen | None:
        if isinstance(value, Chosen) or (value is None and self.null):
            return value
        if not isinstance(value, dict):
            return self._known(self.parse(value), {}, info.context, ())
        if value.get("name") is None:
            raise _at(("name",), f"missing; write {{name: NAME, PARAMETER: VALUE}} with the name of a {self.kind}")
        if not isinstance(value["name"], str):
            raise _at(("name",), f"expected the name of a {self.kind}, got {shown(value['name'])}")
        raw = {name: given for name, given in value.items() if name != "name"}
        for name, given in raw.items():
            if given is None:
                raise _at((name,), f"expected a value, got {shown(given)}")
        return self._known(Chosen(value["name"]), raw, info.context, ("name",))

    def _known(
        self, chosen: Chosen, raw: Mapping[str, object], catalogue: Catalogue | None, loc: tuple[str, ...]
    ) -> Chosen:
        if catalogue is None:  # settings made by a program, which checks the names itself
            return chosen
        names = catalogue.names(self.kind)
        if chosen.name not in names:
            hint = did_you_mean(chosen.name, names) or f"; there is {', '.join(sorted(names)) or 'none'}"
            raise _at(loc, f"unknown {self.kind} {shown(chosen.name)}{hint}")
        try:
            return Chosen(chosen.name, catalogue.read_parameters(self.kind, chosen.name, raw))
        except Exception as problem:
            # The catalogue's own exception is no class of this layer; it is known by its attribute.
            if not hasattr(problem, "parameter"):
                raise
            parameter = problem.parameter
            inner = getattr(problem, "inner", ())
            raise _at(loc[:0] if parameter is None else (str(parameter), *inner), str(problem)) from None


def _at(loc: tuple[str | int, ...], text: str) -> Exception:
    """Make the error of a part of the value: pydantic appends this path to the value's own."""
    if not loc:
        return wrong(text)
    return ValidationError.from_exception_data("plugin", [InitErrorDetails(type=wrong(text), loc=loc, input=None)])
