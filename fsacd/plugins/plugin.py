"""One plugin: a class of a checked file, with its parameters. Makes instances of it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Final, Literal

from fsacd.core.rules import Parameters, Value
from fsacd.plugins.guard import why_not_ring
from fsacd.plugins.parameters import Parameter, parameters_of
from fsacd.plugins.source import RUN_LIMIT_S, Unfit, line_of, said
from fsacd.plugins.time_limit import TookTooLong, within

Kind = Literal["strategy", "call order"]

_CLASSES: Final[tuple[tuple[str, Kind], ...]] = (("Strategy", "strategy"), ("CallOrder", "call order"))
# What each method is called with.
_ARGUMENTS: Final = {
    ("strategy", "key"): ("agent", "service", "required"),
    ("strategy", "rank"): ("call", "candidates", "chance"),
    ("strategy", "start"): ("start",),
    ("call order", "key"): ("call",),
}


class BadValue(Exception):  # noqa: N818 - it never leaves this package
    """The plugin's constructor refused its parameters, in its own words."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A strategy or call order that can be named. `file` is how sentences call it."""

    name: str
    kind: Kind
    file: str
    text: str  # its docstring
    made_of: type
    parameters: Mapping[str, Parameter]
    shipped: bool
    source: str = ""  # the text of its file

    @property
    def ranks(self) -> bool:
        """Whether it looks at all candidates together, and has no key."""
        return hasattr(self.made_of, "rank")

    def make(self, parameters: Parameters = ()) -> Any:
        """A new instance, not guarded.

        Raises:
            BadValue: The constructor refused the parameters.
            Unfit: The constructor failed.
        """
        try:
            given = {name: self._given(name, value) for name, value in parameters}
            return within(RUN_LIMIT_S, partial(self.made_of, **given))
        except ValueError as error:
            raise BadValue(said(error).removeprefix("ValueError: ")) from error
        except TookTooLong as error:
            raise Unfit(f"its constructor took longer than {RUN_LIMIT_S:g} s") from error
        except (Exception, SystemExit) as error:
            line = line_of(error.__traceback__, self.file)
            raise Unfit(f"its constructor raised {said(error)}", line) from error

    def _given(self, name: str, value: Value) -> object:
        # A journal may know a parameter that the plugin has no more: its constructor will say so.
        known = self.parameters.get(name)
        return value if known is None else known.given(value)


def plugin_of(module: ModuleType, name: str, file: str, *, shipped: bool) -> Plugin:
    """The plugin that a module holds.

    Raises:
        Unfit: It holds none, or two, or one that lacks something.
    """
    found = [(made, kind) for class_name, kind in _CLASSES if (made := _own_class(module, class_name))]
    if not found:
        raise Unfit("it defines no class Strategy and no class CallOrder")
    if len(found) > 1:
        raise Unfit("it defines both Strategy and CallOrder; a file is one plugin", _line(found[1][0]))
    made_of, kind = found[0]
    return checked(made_of, kind, name, file, text=module.__doc__ or made_of.__doc__ or "", shipped=shipped)


def checked(made_of: type, kind: Kind, name: str, file: str, *, text: str = "", shipped: bool = False) -> Plugin:
    """The plugin that a class is.

    Raises:
        Unfit: It lacks something.
    """
    try:
        plugin = Plugin(name, kind, file, inspect.cleandoc(text), made_of, parameters_of(made_of), shipped)
        instance = plugin.make()
        why_not = _why_not(plugin, instance)
    except BadValue as error:
        raise Unfit(f"its constructor refuses its own defaults: {error}", _line(made_of)) from error
    except Unfit as error:
        raise Unfit(error.text, error.line or _line(made_of)) from error
    if why_not:
        raise Unfit(why_not, _line(made_of))
    return plugin


def _own_class(module: ModuleType, name: str) -> type | None:
    """The class of this name, unless it was imported: the contract's own are called so, too."""
    found = getattr(module, name, None)
    return found if isinstance(found, type) and found.__module__ == module.__name__ else None


def _line(made_of: type) -> int:
    """The line of a class's first method; Python does not keep the line of the class itself."""
    codes = (vars(made_of).get(name) for name in ("__init__", "key", "rank", "start"))
    return min((code.__code__.co_firstlineno for code in codes if inspect.isfunction(code)), default=0)


def _why_not(plugin: Plugin, instance: Any) -> str:
    """What an instance lacks, or an empty text."""
    has = {name: callable(getattr(instance, name, None)) for name in ("key", "rank")}
    if plugin.kind == "call order":
        return _why_not_callable(plugin, instance, "key") if has["key"] else "CallOrder has no method key(call)"
    if has["key"] == has["rank"]:
        which = "both key() and rank(); it may have one" if has["key"] else "neither key() nor rank()"
        return f"Strategy has {which}"
    base = "BaseKeyStrategy" if has["key"] else "BaseRankStrategy"
    if not hasattr(instance, "ring"):
        return f"Strategy has no ring; derive it from {base}"
    if why_not := why_not_ring(instance.ring):
        return why_not
    if has["rank"]:
        return _why_not_callable(plugin, instance, "rank")
    for flag, default in (("by_skill", None), ("by_sum", False), ("goes_round", None)):
        if type(getattr(instance, flag, default)) is not bool:
            return f"{flag} must be True or False; derive Strategy from {base}"
    if not callable(getattr(instance, "start", None)):
        return f"Strategy has no start(); derive it from {base}"
    return _why_not_callable(plugin, instance, "key") or _why_not_callable(plugin, instance, "start")


def _why_not_callable(plugin: Plugin, instance: Any, method: str) -> str:
    arguments = _ARGUMENTS[plugin.kind, method]
    try:
        inspect.signature(getattr(instance, method)).bind(*arguments)
    except (TypeError, ValueError):
        return f"{method}() must take (self, {', '.join(arguments)})"
    return ""
