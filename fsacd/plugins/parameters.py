"""A plugin's parameters: found in its constructor's signature, read from the configuration's text."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, cast, get_args, get_origin, get_type_hints

from fsacd.config.kinds import duration_ms, duration_text
from fsacd.core.rules import Parameters, Scalar, Value
from fsacd.plugins.source import Unfit, said
from fsacd.process.quoting import did_you_mean, shown
from fsacd.strategy import Milliseconds

_TEXT_LIMIT: Final = 256
_ENTRIES_LIMIT: Final = 1_000
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,15}")
_REAL: Final = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,3})?")
# As the configuration's own yes and no.
_FLAGS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_TYPES: Final = (
    "int, float, bool, str, Milliseconds, a Literal of texts, or of these a Sequence[…] or a Mapping[str, …]"
)
# What a plugin is given where its type says so; the types by which it can say it.
_LISTS: Final[Mapping[object, Callable[[Any], object]]] = {Sequence: tuple, tuple: tuple, list: list}
_MAPS: Final[Mapping[object, Callable[[Any], object]]] = {
    Mapping: lambda pairs: MappingProxyType(dict(pairs)),
    dict: dict,
}


class ParameterProblem(Exception):  # noqa: N818 - named after what it tells, as the configuration's problems are
    """A plugin cannot be had with these parameters; `str` is one sentence.

    `parameter` is the one that is wrong; None if it is the plugin's name, or all of them together. `inner` is the entry
    in it, if it is a list or a map.
    """

    def __init__(self, parameter: str | None, sentence: str, inner: tuple[str | int, ...] = ()) -> None:
        super().__init__(sentence)
        self.parameter = parameter
        self.sentence = sentence
        self.inner = inner


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a plugin. `many`: it is a list of values of its type, or a map to such."""

    name: str
    type: Any  # int, float, bool, str, Milliseconds, or a tuple of the words it may be
    default: Value
    many: Literal["list", "map"] | None = None
    made: Callable[[Any], object] | None = None  # what the plugin is given of many

    @property
    def expects(self) -> str:
        """What is expected, to stand after 'expected'."""
        if self.many == "list":
            return f"a list; each entry: {_expects(self.type)}"
        return f"a map from texts to values; each value: {_expects(self.type)}" if self.many else _expects(self.type)

    def read(self, raw: object) -> Value:
        """The value of what the configuration gives: texts of YAML scalars, or what YAML would make of them.

        A list becomes a tuple, a map a tuple of pairs, sorted.

        Raises:
            ParameterProblem: It is something else.
        """
        match self.many, raw:
            case "list", list() | tuple():
                self._must_fit(len(raw))
                return tuple(self._read(entry, place) for place, entry in enumerate(raw))
            case "map", Mapping():
                self._must_fit(len(raw))
                return tuple(sorted((self._key(key), self._read(entry, str(key))) for key, entry in raw.items()))
            case None, _:
                return self._read(raw)
            case _:
                raise ParameterProblem(self.name, f"expected {self.expects}; got {shown(raw)}")

    def _must_fit(self, entries: int) -> None:
        if entries > _ENTRIES_LIMIT:
            raise ParameterProblem(self.name, f"at most {_ENTRIES_LIMIT} entries are allowed, got {entries}")

    def _key(self, key: object) -> str:
        if not isinstance(key, str) or not key or _read(str, key) is None:
            raise ParameterProblem(self.name, f"expected {_expects(str)} as the name of an entry, got {shown(key)}")
        return key

    def _read(self, raw: object, *inner: str | int) -> Scalar:
        text = str(raw).lower() if isinstance(raw, bool) else str(raw)
        value = None if not isinstance(raw, str | int | float) else _read(self.type, text)
        if value is None:
            hint = did_you_mean(text, self.type) if isinstance(self.type, tuple) else ""
            if self.type is Milliseconds and _WHOLE.fullmatch(text):
                hint = ": write the unit (s, m, h or ms)"
            raise ParameterProblem(self.name, f"expected {_expects(self.type)}, got {shown(raw)}{hint}", inner)
        return value

    def given(self, value: Value) -> object:
        """What the plugin's constructor gets for a value that was read. ValueError if it was read for another type."""
        if self.made is None:
            return value
        if not isinstance(value, tuple):
            raise ValueError(f"{self.name} must be {self.expects}")  # noqa: TRY004 - of the plugin, not of our caller
        return self.made(value)

    def show(self) -> str:
        """The default as the configuration would write it."""
        match self.many, self.default:
            case "list", tuple() as entries:
                return f"[{', '.join(_show(self.type, entry) for entry in entries)}]"
            case "map", tuple() as entries:
                pairs = cast("tuple[tuple[str, Scalar], ...]", entries)
                return f"{{{', '.join(f'{key}: {_show(self.type, entry)}' for key, entry in pairs)}}}"
            case _:
                return _show(self.type, self.default)


def _expects(kind: Any) -> str:
    if isinstance(kind, tuple):
        return f"one of {', '.join(kind)}"
    names: dict[object, str] = {
        Milliseconds: "a duration like 15s or 2m",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: f"a text of at most {_TEXT_LIMIT} characters",
    }
    return names[kind]


def _read(kind: Any, text: str) -> Scalar | None:
    if isinstance(kind, tuple):
        return text if text in kind else None
    if kind is Milliseconds:
        return duration_ms(text)
    if kind is bool:
        return _FLAGS.get(text.lower())
    if kind is int:
        return int(text) if _WHOLE.fullmatch(text) else None
    if kind is float:
        return _real(text)
    return text if len(text) <= _TEXT_LIMIT and text.isprintable() else None


def _show(kind: Any, value: object) -> str:
    if kind is Milliseconds:
        return duration_text(cast("int", value))
    return str(value).lower() if isinstance(value, bool) else str(value)


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
    many, made, inner = _many(hint)
    kind = _kind(inner)
    if kind is None:
        raise Unfit(f"parameter {found.name} has no type that a configuration can give: {_TYPES}")
    default = _plain(many, found.default)
    parameter = Parameter(found.name, kind, default, many, made)
    entries = default if many is not None and isinstance(default, tuple) else ()
    fits = all(_is_of(entry, kind) for entry in (dict(entries).values() if many == "map" else entries))
    if not (fits and isinstance(default, tuple) if many is not None else _is_of(default, kind)):
        raise Unfit(f"parameter {found.name}: its default {shown(found.default)} is not {parameter.expects}")
    return parameter


def _many(hint: object) -> tuple[Literal["list", "map"] | None, Callable[[Any], object] | None, object]:
    """Whether the type is one of many values, what a plugin is given then, and of which type each value is."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in _LISTS and (parts[1:] == (Ellipsis,) if origin is tuple else True):
        return "list", _LISTS[origin], parts[0]
    if origin in _MAPS and parts[0] is str:
        return "map", _MAPS[origin], parts[1]
    return None, None, hint


def _kind(hint: object) -> Any:
    """What a single value of this type must be, as `Parameter.type`; None if a configuration cannot give it."""
    if get_origin(hint) is Literal and all(isinstance(word, str) for word in get_args(hint)):
        return get_args(hint)
    return hint if hint in (int, float, bool, str, Milliseconds) else None


def _plain(many: Literal["list", "map"] | None, default: Any) -> Any:
    """A default as `Parameter.read` would give it, if it is one; else as it is."""
    if many == "list" and isinstance(default, list | tuple):
        return tuple(default)
    if many == "map" and isinstance(default, Mapping) and all(isinstance(key, str) for key in default):
        return tuple(sorted(default.items(), key=lambda entry: entry[0]))
    return None if many is not None else default


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
