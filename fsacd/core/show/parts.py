"""A computation in parts: whoever runs it lets calls go first between them (fsacd.runtime.pace)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
# Each part takes less than a millisecond. The world may be another after each: a part looks at it anew.
InParts = Generator[None, None, T]

# How many things are looked at in one part.
_PART = 128


def whole(parts: InParts[T], between: Callable[[], None] = lambda: None) -> T:
    """The result of all parts, with this done after each of them."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            told: T = end.value
            return told
        between()


def batches(things: Mapping[str, T], ids: Iterable[str] | None = None) -> Iterator[list[T]]:
    """The things of these ids (all that are there now, if None is given), some at a time, in order.

    A batch holds what is still there when the batch is asked for.
    """
    left = iter(list(things) if ids is None else ids)
    while some := list(islice(left, _PART)):
        yield [things[one] for one in some if one in things]
