"""Rendered things, kept while nothing changes but the time.

A call or an agent is rendered once for each of its changes. What changes without them (durations that run, a call's
position) is cut out of the text and filled in at each answer, which costs a twentieth of rendering.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from fsacd.core.show.feed import Kind

# The least that ten thousand agents and as many calls need, for readers with and without the right to see numbers.
LIMIT_BYTES = 32 << 20
# What a piece takes beside its text, about.
_OVERHEAD_BYTES = 400

# How many are looked at when one comes. A thing has two texts at most, with and without its number, and goes once.
_LOOKED_AT = 3

# What is kept, by kind, id and whether numbers are shown in full; and the version in which it was rendered.
Key = tuple[Kind, str, bool]
Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """One rendered thing. Between its parts stand figures: text, or since when a duration runs (the engine's clock)."""

    parts: tuple[bytes, ...]
    figures: tuple[bytes | int, ...]

    def filled(self, now_ms: int, *, durations: bool = True, first: bytes | None = None) -> bytes:
        """The whole, as it is now. Without `durations`, those that run are null. `first` replaces the first figure."""
        whole = []
        for part, figure in zip(self.parts, self.figures, strict=False):
            whole.append(part)
            if first is not None:
                whole.append(first)
                first = None
            elif isinstance(figure, bytes):
                whole.append(figure)
            else:
                # As the models write seconds: never negative, even if a clock was read a moment too early.
                whole.append(repr(max(0, now_ms - figure) / 1000).encode() if durations else b"null")
        whole.append(self.parts[-1])
        return b"".join(whole)


def cut(content: bytes, **since_ms: int | None) -> Piece:
    """Cut a JSON object at these members, which stand in it in this order, none of them last; each is a number.

    None: the figure stays as it is. Anything that others have written (names, say) stands behind them or in strings, in
    which no quotation mark is bare; so the first text that looks like a member is that member.
    """
    parts, figures = [], list[bytes | int]()
    for name, moment_ms in since_ms.items():
        before, member, rest = content.partition(b'"%b":' % name.encode())
        assert member, f"there is no {name}"
        figure, comma, rest = rest.partition(b",")
        parts.append(before + member)
        figures.append(figure if moment_ms is None else moment_ms)
        content = comma + rest
    return Piece((*parts, content), tuple(figures))


class Kept:
    """Pieces by what they show and to whom, at most so many bytes.

    What is no more goes soon (`look_at_oldest`); above the limit go those that were not asked for or looked at longest.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._pieces: OrderedDict[Key, tuple[Version, Piece, int]] = OrderedDict()
        self.bytes = 0

    def get(self, key: Key, version: Version) -> Piece | None:
        """The piece, if it is kept in this version."""
        found = self._pieces.get(key)
        if found is None or found[0] != version:
            return None
        self._pieces.move_to_end(key)
        return found[1]

    def put(self, key: Key, version: Version, piece: Piece) -> None:
        """Keep this in the place of what was kept under the key."""
        before = self._pieces.pop(key, None)
        if before is not None:
            self.bytes -= before[2]
        size = _OVERHEAD_BYTES + sum(map(len, piece.parts))
        self._pieces[key] = version, piece, size
        self.bytes += size
        while self.bytes > self._limit_bytes:
            self._drop_oldest()

    def look_at_oldest(self, is_there: Callable[[Kind, str], bool]) -> None:
        """Drop some of those that show what is no more; one round for each `put` keeps up with what goes."""
        for _ in range(min(_LOOKED_AT, len(self._pieces))):
            key = next(iter(self._pieces))
            if is_there(*key[:2]):
                self._pieces.move_to_end(key)
            else:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, (_, _, size) = self._pieces.popitem(last=False)
        self.bytes -= size
