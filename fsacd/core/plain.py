"""Values as plain data, fit for JSON, and back again: by the type hints of their classes.

Made so that a newer fsacd reads what an older one has written: a field that is not known any more is passed over, one
that has another name by now is found by its old one (`old_names`), and one that is missing takes its default. One of
several classes is written with its name, as {"is": "ToQueue", …}.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from math import isfinite
from typing import Any, Union, get_args, get_origin, get_type_hints

from fsacd.core.old_names import before

IS = "is"

Convert = Callable[[Any], Any]


class Unreadable(Exception):  # noqa: N818 - what was found, not a fault of ours
    """The plain data does not fit the class; one sentence."""


def to_plain(value: object, hint: Any) -> Any:
    """What JSON can hold of a value of this type. TypeError for a type that is not known here."""
    return _writer(hint)(value)


def from_plain(plain: object, hint: Any) -> Any:
    """The value again. Unreadable if the data does not fit; TypeError for a type that is not known here."""
    return _reader(hint)(plain)


def is_plain_as_it_is(hint: Any) -> bool:
    """Whether a JSON writer that knows dataclasses and enums needs no help with values of this type."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in (int, str, bool, types.NoneType) or (isinstance(hint, type) and issubclass(hint, StrEnum)):
        return True
    if origin is tuple:
        return all(is_plain_as_it_is(part) for part in parts if part is not Ellipsis)
    if origin in _UNIONS:
        return sum(map(is_dataclass, parts)) <= 1 and all(map(is_plain_as_it_is, parts))
    return is_dataclass(hint) and all(is_plain_as_it_is(field) for field in _hints(hint).values())


_UNIONS = (Union, types.UnionType)
_SCALARS = (int, str, bool, float)
_SHOWN_CHARACTERS = 60


def _hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


# --- to plain data ---


@cache
def _writer(hint: Any, /) -> Convert:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is float:
        return _write_float
    if hint in (int, str, bool, types.NoneType):
        return _as_it_is
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return str
    if origin is tuple:
        return _tuple_writer(parts)
    if origin in (dict, Mapping, _MAPPING):
        write = _writer(parts[1])
        return lambda value: {str(key): write(item) for key, item in value.items()}
    if origin in _UNIONS:
        return _union_writer(parts)
    if is_dataclass(hint):
        return _dataclass_writer(hint)
    raise TypeError(f"values of {hint} cannot be written down")


_MAPPING = get_origin(Mapping[str, int])


def _as_it_is(value: Any) -> Any:
    return value


def _write_float(value: float) -> float | str:
    # JSON has no infinity, which is what the counters of a new agent hold.
    return value if isfinite(value) else repr(value)


def _tuple_writer(parts: tuple[Any, ...]) -> Convert:
    if parts[1:] == (Ellipsis,):
        write = _writer(parts[0])
        return list if write is _as_it_is else lambda value: [write(item) for item in value]
    writers = tuple(map(_writer, parts))
    if all(write is _as_it_is for write in writers):
        return list
    return lambda value: [write(item) for write, item in zip(writers, value, strict=True)]


def _union_writer(parts: tuple[Any, ...]) -> Convert:
    classes: dict[Any, Convert] = {
        part: _writer(part) for part in parts if isinstance(part, type) and is_dataclass(part)
    }
    rest = [part for part in parts if part not in classes and part is not types.NoneType]
    if not classes and all(part in _SCALARS for part in rest):
        return _as_it_is if float not in rest else _write_scalar
    if len(classes) + len(rest) == 1:
        write = _writer((*classes, *rest)[0])
        return lambda value: None if value is None else write(value)
    if not classes and _are_plain_or_tuples(rest):
        return _write_nested
    if rest:
        raise TypeError(f"values of {parts} cannot be told apart")

    def write_one(value: Any) -> Any:
        return None if value is None else {IS: type(value).__name__, **classes[type(value)](value)}

    return write_one


def _are_plain_or_tuples(parts: list[Any]) -> bool:
    """Whether both kinds are among them: a single tuple type is written by what it holds."""
    return all(part in _SCALARS or get_origin(part) is tuple for part in parts)


def _write_nested(value: Any) -> Any:
    return [_write_nested(item) for item in value] if isinstance(value, tuple) else _write_scalar(value)


def _write_scalar(value: Any) -> Any:
    return {"float": repr(value)} if isinstance(value, float) and not isfinite(value) else value


def _dataclass_writer(cls: Any) -> Convert:
    writers = [(name, _writer(hint)) for name, hint in _hints(cls).items()]
    plain = [name for name, write in writers if write is _as_it_is]
    other = [(name, write) for name, write in writers if write is not _as_it_is]

    def write(value: Any) -> dict[str, Any]:
        written = {name: getattr(value, name) for name in plain}
        for name, convert in other:
            written[name] = convert(getattr(value, name))
        return written

    return write


# --- and back ---


@cache
def _reader(hint: Any) -> Convert:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is float:
        return _read_float
    if hint in (int, str, bool, types.NoneType):
        return _scalar_reader((hint,))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _enum_reader(hint)
    if origin is tuple:
        return _tuple_reader(parts)
    if origin in (dict, Mapping, _MAPPING):
        return _mapping_reader(parts, frozen=origin is not dict)
    if origin in _UNIONS:
        return _union_reader(parts)
    if is_dataclass(hint):
        return _dataclass_reader(hint)
    raise TypeError(f"values of {hint} cannot be read back")


def _scalar_reader(kinds: tuple[Any, ...]) -> Convert:
    def read(plain: Any) -> Any:
        if type(plain) not in kinds:
            raise Unreadable(f"{' or '.join(kind.__name__ for kind in kinds)} was expected, not {_shown(plain)}")
        return plain

    return read


def _read_float(plain: Any) -> float:
    if type(plain) in (int, float):
        return float(plain)
    if plain in ("inf", "-inf", "nan"):
        return float(plain)
    raise Unreadable(f"a number was expected, not {_shown(plain)}")


def _enum_reader(cls: type[StrEnum]) -> Convert:
    def read(plain: Any) -> StrEnum:
        try:
            return cls(plain)
        except ValueError:
            raise Unreadable(f"{_shown(plain)} is no {cls.__name__}") from None

    return read


def _list(plain: Any) -> list[Any]:
    if type(plain) is not list:
        raise Unreadable(f"a list was expected, not {_shown(plain)}")
    return plain


def _tuple_reader(parts: tuple[Any, ...]) -> Convert:
    if parts[1:] == (Ellipsis,):
        read = _reader(parts[0])
        return lambda plain: tuple([read(item) for item in _list(plain)])
    readers = tuple(map(_reader, parts))

    def read_all(plain: Any) -> tuple[Any, ...]:
        if len(_list(plain)) != len(readers):
            raise Unreadable(f"{len(readers)} values were expected, not {len(plain)}")
        return tuple([read(item) for read, item in zip(readers, plain, strict=True)])

    return read_all


def _mapping_reader(parts: tuple[Any, ...], *, frozen: bool) -> Convert:
    read_key, read = _reader(parts[0]), _reader(parts[1])

    def read_mapping(plain: Any) -> Mapping[Any, Any]:
        if type(plain) is not dict:
            raise Unreadable(f"a mapping was expected, not {_shown(plain)}")
        found = {read_key(key): read(item) for key, item in plain.items()}
        return types.MappingProxyType(found) if frozen else found

    return read_mapping


def _union_reader(parts: tuple[Any, ...]) -> Convert:
    classes: dict[str, Convert] = {
        part.__name__: _reader(part) for part in parts if isinstance(part, type) and is_dataclass(part)
    }
    rest = [part for part in parts if not is_dataclass(part) and part is not types.NoneType]
    if not classes and all(part in _SCALARS for part in rest):
        return _scalar_union_reader((*rest, types.NoneType) if types.NoneType in parts else tuple(rest))
    if len(classes) + len(rest) == 1:
        read = _reader(next(part for part in parts if part is not types.NoneType))
        return lambda plain: None if plain is None else read(plain)
    if not classes and _are_plain_or_tuples(rest):
        return _nested_reader([part for part in parts if get_origin(part) is not tuple], rest)

    def read_one(plain: Any) -> Any:
        if plain is None and types.NoneType in parts:
            return None
        name = plain.get(IS) if type(plain) is dict else None
        if name not in classes:
            raise Unreadable(f"one of {', '.join(classes)} was expected, not {_shown(name)}")
        return classes[name](plain)

    return read_one


def _nested_reader(scalars: list[Any], parts: list[Any]) -> Convert:
    """For single values, and for tuples of them of several shapes: a list is of the first shape that it fits."""
    read_scalar = _scalar_union_reader(tuple(scalars))
    readers = [_reader(part) for part in parts if get_origin(part) is tuple]

    def read(plain: Any) -> Any:
        if type(plain) is not list:
            return read_scalar(plain)
        for read_tuple in readers:
            try:
                return read_tuple(plain)
            except Unreadable:
                continue
        raise Unreadable(f"values or pairs of values were expected, not {_shown(plain)}")

    return read


def _scalar_union_reader(kinds: tuple[Any, ...]) -> Convert:
    read = _scalar_reader(kinds)

    def read_scalar(plain: Any) -> Any:
        if float in kinds and type(plain) is dict:
            return _read_float(plain.get("float"))
        return read(plain)

    return read_scalar


def _dataclass_reader(cls: Any) -> Convert:
    hints = _hints(cls)
    known = [
        (field.name, before(cls.__name__, field.name), _reader(hints[field.name]), _optional(field))
        for field in fields(cls)
    ]

    def read(plain: Any) -> Any:
        if type(plain) is not dict:
            raise Unreadable(f"{cls.__name__} was expected, not {_shown(plain)}")
        given = {}
        for name, old_name, convert, optional in known:
            there = name if name in plain else old_name
            if there in plain:
                try:
                    given[name] = convert(plain[there])
                except Unreadable as error:
                    raise Unreadable(f"{cls.__name__}.{there}: {error}") from None
            elif not optional:
                raise Unreadable(f"{cls.__name__} has no {name}")
        return cls(**given)

    return read


def _optional(field: Any) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _shown(plain: object) -> str:
    text = repr(plain)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
