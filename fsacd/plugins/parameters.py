"""A plugin's parameters: found in its constructor's signature, read from the configuration's text."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from fsacd.config.kinds import duration_ms, duration_text
from fsacd.config.problems import did_you_mean, shown
from fsacd.core.rules import Parameters
from fsacd.plugins.source import Unfit, said
from fsacd.strategy import Milliseconds

Value = int | float | bool | str

_TEXT_LIMIT: Final = 256
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,15}")
_REAL: Final = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,3})?")
# As the configuration's own yes and no.
_FLAGS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_TYPES: Final = "int, float, bool, str, Milliseconds or a Literal of texts"


class ParameterProblem(Exception):  # noqa: N818 - named after what it tells, as the configuration's problems are
    """A plugin cannot be had with these parameters; `str` is one sentence.

    `parameter` is the one that is wrong; None if it is the plugin's name, or all of them together.
    """

    def __init__(self, parameter: str | None, sentence: str) -> None:
        super().__init__(sentence)
        self.parameter = parameter
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a plugin."""

    name: str
    type: Any  # int, float, bool, str, Milliseconds, or a tuple of the words it may be
    default: Value

    @property
    def expects(self) -> str:
        """What is expected, to stand after 'expected'."""
        if isinstance(self.type, tuple):
            return f"one of {', '.join(self.type)}"
        names: dict[object, str] = {
            Milliseconds: "a duration like 15s or 2m",
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: f"a text of at most {_TEXT_LIMIT} characters",
        }
        return names[self.type]

    def read(self, raw: object) -> Value:
        """The value of what the configuration gives: the text of a YAML scalar, or what YAML would make of it.

        Raises:
            ParameterProblem: It is something else.
        """
        text = str(raw).lower() if isinstance(raw, bool) else str(raw)
        value = None if not isinstance(raw, str | int | float) else self._read(text)
        if value is None:
            hint = did_you_mean(text, self.type) if isinstance(self.type, tuple) else ""
            if self.type is Milliseconds and _WHOLE.fullmatch(text):
                hint = ": write the unit (s, m, h or ms)"
            raise ParameterProblem(self.name, f"expected {self.expects}, got {shown(raw)}{hint}")
        return value

    def _read(self, text: str) -> Value | None:
        if isinstance(self.type, tuple):
            return text if text in self.type else None
        if self.type is Milliseconds:
            return duration_ms(text)
        if self.type is bool:
            return _FLAGS.get(text.lower())
        if self.type is int:
            return int(text) if _WHOLE.fullmatch(text) else None
        if self.type is float:
            return _real(text)
        return text if len(text) <= _TEXT_LIMIT and text.isprintable() else None

    def show(self) -> str:
        """The default as the configuration would write it."""
        if self.type is Milliseconds:
            return duration_text(int(self.default))
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)


def _real(text: str) -> float | None:
    value = float(text) if _REAL.fullmatch(text) else math.nan
    return value if math.isfinite(value) else None


def parameters_of(plugin: type) -> Mapping[str, Parameter]:
    """The parameters that a plugin's constructor takes, by name.

    Raises:
        Unfit: One has no default, no type, or one that a configuration cannot give.
    """
    constructor = inspect.getattr_static(plugin, "__init__")
    if constructor is object.__init__:
        return {}
    signature = inspect.signature(plugin)
    try:
        hints = get_type_hints(constructor)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise Unfit(f"the types of the constructor's parameters cannot be read: {said(error)}") from error
    return {name: _parameter(found, hints.get(name)) for name, found in signature.parameters.items()}


def _parameter(found: inspect.Parameter, hint: object) -> Parameter:
    if found.kind not in {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}:
        raise Unfit(f"parameter {found.name}: a parameter must be given by its name")
    if found.default is inspect.Parameter.empty:
        raise Unfit(f"parameter {found.name} has no default; the strategy must work as soon as it is named")
    if get_origin(hint) is Literal and all(isinstance(word, str) for word in get_args(hint)):
        hint = get_args(hint)
    elif hint is None or hint not in {int, float, bool, str, Milliseconds}:
        raise Unfit(f"parameter {found.name} has no type that a configuration can give: {_TYPES}")
    parameter = Parameter(found.name, hint, found.default)
    if not _is_of(found.default, hint):
        raise Unfit(f"parameter {found.name}: its default {shown(found.default)} is not {parameter.expects}")
    return parameter


def _is_of(value: object, hint: object) -> bool:
    if isinstance(hint, tuple):
        return value in hint
    if hint is float:
        return type(value) in {int, float}
    return type(value) is (int if hint is Milliseconds else hint)


def read_parameters(plugin_name: str, known: Mapping[str, Parameter], raw: Mapping[str, object]) -> Parameters:
    """The values of the parameters that the configuration gives, sorted by name.

    Raises:
        ParameterProblem: One is not known, or its value is of another kind.
    """
    for name in raw:
        if name not in known:
            hint = did_you_mean(name, known) if known else "; it has none"
            raise ParameterProblem(name, f"unknown parameter of {plugin_name}{hint}")
    return tuple(sorted((name, known[name].read(value)) for name, value in raw.items()))
