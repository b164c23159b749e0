"""The catalogue: all plugins that can be named in the configuration, fsacd's own and the users'."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any, Final

import strategies
from fsacd.core.match.plugins import PluginError
from fsacd.core.rules import Parameters
from fsacd.plugins.guard import Guard, GuardedCallOrder, GuardedKeyStrategy, GuardedRankStrategy
from fsacd.plugins.parameters import ParameterProblem, read_parameters
from fsacd.plugins.plugin import BadValue, Kind, Plugin, plugin_of
from fsacd.plugins.source import Unfit, check_text, read_any, read_file, run_text, said
from fsacd.process.quoting import did_you_mean, shown
from fsacd.process.trusted import users
from fsacd.strategy import CallOrder, Strategy

GROUP: Final = "fsacd.strategies"
# How long one call into a user's plugin may take.
LIMIT_MS: Final = 20

_SHIPPED: Final = Path(strategies.__file__ or "").parent
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FILES_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class PluginProblem:
    """Why a file is no plugin. A `line` of 0 means the file as a whole."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        """Give the problem as `file:line: sentence`, the form that editors jump to."""
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


@dataclass(frozen=True, slots=True)
class DescribedParameter:
    """A parameter in an operator's words; `default` as the configuration would write it."""

    name: str
    expects: str
    default: str


@dataclass(frozen=True, slots=True)
class Description:
    """A plugin in an operator's words. `summary` is the first sentence of its docstring, `text` all of it."""

    name: str
    kind: Kind
    file: str
    summary: str
    text: str
    parameters: tuple[DescribedParameter, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that should be a plugin. `file` is how sentences call it."""

    name: str
    file: str
    path: Path
    trusted: frozenset[int] | None  # None: whoever could write it could change fsacd itself as well
    shipped: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A plugin's file, for whoever may have this plugin already; `text` is None where they have."""

    name: str
    file: str
    shipped: bool
    text: str | None


class Catalogue:
    """Plugins by name (fsacd.core.match.plugins.Plugins). Does not change once it is loaded; a reload loads another."""

    def __init__(self, plugins: Iterable[Plugin], limit_ms: int = LIMIT_MS) -> None:
        self._plugins = {plugin.name: plugin for plugin in plugins}
        self._limit_ms = limit_ms

    @classmethod
    def load(
        cls,
        paths: Sequence[Path] = (),
        *,
        limit_ms: int = LIMIT_MS,
        installed: bool = True,
        known: Catalogue | None = None,
    ) -> tuple[Catalogue, tuple[PluginProblem, ...]]:
        """Load fsacd's own plugins, those in the directories and (if `installed`) those of installed packages.

        Args:
            paths: Directories; each file NAME.py in them is a plugin, but for test_….py, conftest.py and _….py.
            limit_ms: How long one call into a user's plugin may take.
            installed: Whether to look at the entry points of the group fsacd.strategies.
            known: Its plugins are kept where their file is the same: to run a file anew leaves its module for ever.

        Returns:
            The catalogue of all that could be loaded, and why the others could not.
        """
        plugins: dict[str, Plugin] = {}
        problems: list[PluginProblem] = []
        for found in _found(paths, installed=installed):
            if isinstance(found, PluginProblem):
                problems.append(found)
                continue
            try:
                plugins[found.name] = _load(found, plugins.get(found.name), known)
            except Unfit as unfit:
                problems.append(PluginProblem(found.file, unfit.line, unfit.text))
        return cls(plugins.values(), limit_ms), tuple(problems)

    def with_limit(self, limit_ms: int) -> Catalogue:
        """The same plugins, whose calls may take so long."""
        return Catalogue(self._plugins.values(), limit_ms)

    @classmethod
    def of(cls, sources: Iterable[Source], known: Catalogue, limit_ms: int) -> Catalogue:
        """The plugins of these files, which were checked already; those of `known` where they have no text.

        Raises:
            Unfit: A file is a plugin no more.
        """
        return cls((_again(source, known) for source in sources), limit_ms)

    def sources(self, known: Catalogue) -> tuple[Source, ...]:
        """The files of all plugins, with the text of those that `known` has not got."""
        return tuple(
            Source(one.name, one.file, one.shipped, None if known.has(one) else one.source)
            for one in self._plugins.values()
        )

    def has(self, plugin: Plugin) -> bool:
        """Whether this very plugin is among these."""
        return self._plugins.get(plugin.name) is plugin

    def is_of(self, sources: Sequence[Source]) -> bool:
        """Whether these are all its plugins, and no other."""
        return all(source.text is None for source in sources) and {one.name for one in sources} == self._plugins.keys()

    def others_than(self, before: Catalogue) -> frozenset[str]:
        """The plugins that do another thing than those of the same name before, or may take another time for it."""
        same_limit = self._limit_ms == before._limit_ms
        return frozenset(
            name
            for name, plugin in self._plugins.items()
            if not before.has(plugin) or not (same_limit or (plugin.shipped and not plugin.ranks))
        )

    def kept(self, name: str, file: str, text: str, *, shipped: bool) -> Plugin | None:
        """The plugin that was made of this text under this name."""
        plugin = self._plugins.get(name)
        if plugin is None or (plugin.file, plugin.source, plugin.shipped) != (file, text, shipped):
            return None
        return plugin

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The plugins of one kind, sorted."""
        return tuple(sorted(name for name, plugin in self._plugins.items() if plugin.kind == kind))

    def describe(self, name: str) -> Description:
        """One plugin in an operator's words. KeyError if there is none of this name."""
        plugin = self._plugins[name]
        return Description(
            name,
            plugin.kind,
            plugin.file,
            _summary(plugin),
            plugin.text,
            tuple(DescribedParameter(one.name, one.expects, one.show()) for one in plugin.parameters.values()),
        )

    def read_parameters(self, kind: Kind, name: str, raw: Mapping[str, object]) -> Parameters:
        """Read a plugin's parameters from the configuration's texts; the plugin itself has agreed to them.

        Raises:
            ParameterProblem: There is no such plugin, or it cannot be had with these parameters.
        """
        plugin = self._plugins.get(name)
        if plugin is None or plugin.kind != kind:
            raise ParameterProblem(None, self._unknown(kind, name))
        parameters = read_parameters(name, plugin.parameters, raw)
        try:
            plugin.make(parameters)
        except BadValue as error:
            # Most authors begin with the parameter's name; then its own line can be shown.
            first = str(error).partition(" ")[0].strip("'\":,")
            raise ParameterProblem(first if first in raw else None, str(error)) from error
        except Unfit as unfit:
            raise ParameterProblem(None, f"{plugin.file}: {unfit.text}") from unfit
        return parameters

    def strategy(self, name: str, parameters: Parameters) -> Strategy:
        """A guarded instance of a strategy: it raises PluginFailed alone. PluginError if it cannot be made."""
        plugin, instance = self._make("strategy", name, parameters)
        if plugin.ranks:
            return GuardedRankStrategy(instance, Guard(plugin.file, None if plugin.shipped else self._limit_ms / 1_000))
        return instance if plugin.shipped else GuardedKeyStrategy(instance, self._guard(plugin))

    def call_order(self, name: str, parameters: Parameters) -> CallOrder:
        """A guarded instance of a call order: it raises PluginFailed alone. PluginError if it cannot be made."""
        plugin, instance = self._make("call order", name, parameters)
        return instance if plugin.shipped else GuardedCallOrder(instance, self._guard(plugin))

    def _guard(self, plugin: Plugin) -> Guard:
        return Guard(plugin.file, self._limit_ms / 1_000)

    def _make(self, kind: Kind, name: str, parameters: Parameters) -> tuple[Plugin, Any]:
        plugin = self._plugins.get(name)
        if plugin is None or plugin.kind != kind:
            raise PluginError(self._unknown(kind, name))
        try:
            return plugin, plugin.make(parameters)
        except BadValue as error:
            raise PluginError(f"{name}: {error}") from error
        except Unfit as unfit:
            raise PluginError(f"{plugin.file}: {unfit.text}") from unfit

    def _unknown(self, kind: Kind, name: str) -> str:
        if name in self._plugins:
            return f"'{name}' is a {self._plugins[name].kind}, not a {kind}"
        return f"unknown {kind} {shown(name)}{did_you_mean(name, self.names(kind))}"


@cache
def shipped() -> Catalogue:
    """The catalogue of fsacd's own plugins alone."""
    catalogue, problems = Catalogue.load(installed=False)
    assert not problems, f"fsacd's own plugins must be fit: {problems[0]}"
    return catalogue


def _summary(plugin: Plugin) -> str:
    """The first sentence of a docstring, without the name that it may begin with."""
    sentence = " ".join(plugin.text.partition("\n\n")[0].split()).partition(". ")[0]
    if sentence.startswith(plugin.name):
        sentence = sentence.partition(": ")[2] or sentence
    return sentence.removesuffix(".")


# --- where plugins are ---


def _found(paths: Sequence[Path], *, installed: bool) -> Iterator[_Found | PluginProblem]:
    for path in sorted(_SHIPPED.glob("[!_]*.py")):
        yield _Found(path.stem, f"{_SHIPPED.name}/{path.name}", path, None, shipped=True)
    trusted = users()
    for directory in paths:
        yield from _in_directory(directory, trusted)
    if installed:
        yield from _in_packages()


def _in_directory(directory: Path, trusted: frozenset[int]) -> Iterator[_Found | PluginProblem]:
    try:
        names = sorted(path.name for path in directory.iterdir() if path.suffix == ".py")
    except OSError as error:
        yield PluginProblem(str(directory), 0, f"the directory cannot be read: {error.strerror}")
        return
    plugins = [name for name in names if not (name.startswith(("_", "test_", ".")) or name == "conftest.py")]
    if len(plugins) > _FILES_LIMIT:
        yield PluginProblem(str(directory), 0, f"it holds {len(plugins)} plugins; only {_FILES_LIMIT} are loaded")
    for name in plugins[:_FILES_LIMIT]:
        path = directory / name
        yield _Found(path.stem, str(path), path, trusted)


def _in_packages() -> Iterator[_Found | PluginProblem]:
    """The entry points. What stands where Python finds its packages could change fsacd itself: no look at owners."""
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        where = f"entry point {point.name} = {point.value}"
        try:
            spec = util.find_spec(point.module)
        except Exception as error:  # noqa: BLE001 - finding a module runs the packages around it: anything can happen
            yield PluginProblem(where, 0, f"its module cannot be found: {said(error)}")
            continue
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            yield PluginProblem(where, 0, "there is no module of this name with its source")
            continue
        yield _Found(point.name, spec.origin, Path(spec.origin), None)


def _load(found: _Found, taken: Plugin | None, known: Catalogue | None = None) -> Plugin:
    if not _NAME.fullmatch(found.name):
        raise Unfit(f"{shown(found.name)} is no name for a plugin: small letters, digits and _, a letter first")
    if taken is not None:
        owner = "fsacd's own" if taken.shipped else taken.file
        raise Unfit(f"the name {found.name} is taken by {owner}; choose another")
    text = read_any(found.path) if found.trusted is None else read_file(found.path, found.trusted)
    kept = known.kept(found.name, found.file, text, shipped=found.shipped) if known is not None else None
    if kept is not None:
        return kept
    check_text(text)
    return _made_of(text, found.name, found.file, shipped=found.shipped)


def _made_of(text: str, name: str, file: str, *, shipped: bool) -> Plugin:
    return replace(plugin_of(run_text(text, file, name), name, file, shipped=shipped), source=text)


def _again(source: Source, known: Catalogue) -> Plugin:
    if source.text is None:
        return known._plugins[source.name]  # noqa: SLF001 - it is one of ours
    return _made_of(source.text, source.name, source.file, shipped=source.shipped)


def load_file(path: Path) -> Plugin:
    """Load one file that is being worked on, whoever may have written it.

    Raises:
        Unfit: It is no plugin.
    """
    return _load(_Found(path.stem, str(path), path, None), None)
