"""Immutable values, as cheap as Python makes them.

`dataclass(frozen=True)` sets each field of a new object through `object.__setattr__`; with twenty objects per call
that was a quarter of the engine's time. So immutability is left to the type checker, which sees the same frozen class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, dataclass_transform

T = TypeVar("T")

# What nearly everybody has nothing in: one for all, which nobody changes. An empty dict of their own for each of 10,000
# agents and each of their fields takes 0.8 MB.
NOTHING: Final[Mapping[Any, Any]] = {}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def fact(cls: type[T]) -> type[T]:
    """A slotted dataclass that nobody changes; hashable by its fields."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
