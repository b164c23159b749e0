"""What works less well than it should: words that anybody may read, and a detail for those with the right to it.

Every part that can be in trouble without ending the daemon has a function that returns its present troubles
(`Daemon.add_troubles`); /readyz, the status page and `fsacd status` show them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

# Longer text from outside is cut when the trouble is made, so that whoever shows it need not do so.
MAX_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong now.

    `words`: one sentence of our own for everybody, with nothing in it that came from outside. `detail`: what else is
    known, perhaps in somebody else's words, for those who may read; at most 300 characters. `blocking`: while it holds
    no call is distributed, and the daemon is not ready.
    """

    words: str
    detail: str = ""
    blocking: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", shortened(self.detail))


Troubles = Callable[[], Iterable[Trouble]]


def shortened(text: str, limit: int = MAX_DETAIL) -> str:
    """One line of at most `limit` characters: what does not print becomes a blank, and the end is cut off."""
    line = "".join(char if char.isprintable() else " " for char in text[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"
