"""What differs between two values, in messages of bounded size; whoever has the old one makes the new one of them.

Mappings are taken apart by their keys, and the dataclasses of `_PARTED` by their fields. What is the same is sent
nowhere, and stays the very object that it was.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from fsacd.core.rules import Rules
from fsacd.daemon.in_force import InForce
from fsacd.desk.rights import Places

T = TypeVar("T")

_PARTED: Final = (InForce, Rules, Places)
# So many entries of a mapping go in one message: the reader takes less than a millisecond for them.
_ENTRIES: Final = 32

Path = tuple[str, ...]


class Message(NamedTuple):
    """What differs at the place to which these fields lead: a whole value, or something about a mapping there."""

    path: Path
    whole: tuple[object, ...] = ()  # one value, or none
    entries: Mapping[Any, object] = MappingProxyType({})
    gone: tuple[object, ...] = ()
    order: tuple[object, ...] | None = None


def messages(old: T, new: T, path: Path = ()) -> Iterator[Message]:
    """What differs in `new`; nothing where they are the same."""
    if old is new:
        return
    if isinstance(new, _PARTED) and type(old) is type(new):
        for part in fields(new):
            yield from messages(getattr(old, part.name), getattr(new, part.name), (*path, part.name))
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _of_mappings(old, new, path)
    elif old != new:
        yield Message(path, (new,))


def _of_mappings(old: Mapping[Any, object], new: Mapping[Any, object], path: Path) -> Iterator[Message]:
    some: dict[Any, object] = {}
    for key, value in new.items():
        if key not in old or old[key] != value:
            some[key] = value
            if len(some) >= _ENTRIES:
                yield Message(path, entries=some)
                some = {}
    gone = tuple(key for key in old if key not in new)
    usual = [*(key for key in old if key in new), *(key for key in new if key not in old)]
    order = None if usual == list(new) else tuple(new)
    if some or gone or order is not None:
        yield Message(path, entries=some, gone=gone, order=order)


@dataclass(slots=True)
class _Here:
    """All that was told of one place."""

    whole: tuple[Any, ...] = ()
    entries: dict[Any, object] = field(default_factory=dict)
    gone: tuple[object, ...] = ()
    order: tuple[object, ...] | None = None


class Collected:
    """The messages of one difference, as they come in."""

    def __init__(self) -> None:
        self._places: dict[Path, _Here] = {}

    @property
    def size(self) -> int:
        """How many things have changed."""
        return sum(max(1, len(here.entries)) for here in self._places.values())

    def add(self, message: Message) -> None:
        """Take one message."""
        here = self._places.setdefault(message.path, _Here())
        here.whole = message.whole
        here.entries.update(message.entries)
        here.gone += message.gone
        here.order = message.order if here.order is None else here.order

    def made_of(self, old: T, between: Callable[[], None] = lambda: None) -> T:
        """The new value. `between` is called between its parts, of which each takes some milliseconds at most."""
        made: T = self._made(old, (), between)
        return made

    def _made(self, old: Any, path: Path, between: Callable[[], None]) -> Any:
        if not any(place[: len(path)] == path for place in self._places):
            return old
        if isinstance(old, _PARTED):
            parts = {part.name: getattr(old, part.name) for part in fields(old)}
            made = {name: self._made(value, (*path, name), between) for name, value in parts.items()}
            return replace(old, **{name: value for name, value in made.items() if value is not parts[name]})
        here = self._places[path]
        if here.whole:
            return here.whole[0]
        between()
        gone = set(here.gone)
        merged = {key: value for key, value in old.items() if key not in gone} if gone else dict(old)
        merged.update(here.entries)
        if here.order is not None:
            merged = {key: merged[key] for key in here.order}
        return MappingProxyType(merged)


def _proxy(of: dict[Any, object]) -> Mapping[Any, object]:
    """What is pickled by its name: the class of proxies has none that can be found."""
    return MappingProxyType(of)


class _Pickler(pickle.Pickler):
    """Knows mappings that nobody can change, too."""

    dispatch_table = copyreg.dispatch_table | {MappingProxyType: lambda proxy: (_proxy, (dict(proxy),))}


def pickled(value: object) -> bytes:
    """The value for another process that is a copy of this one; `pickle.loads` reads it."""
    text = io.BytesIO()
    _Pickler(text, pickle.HIGHEST_PROTOCOL).dump(value)
    return text.getvalue()
