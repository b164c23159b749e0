"""Foreign text in our sentences: quoted so that it does no harm, and with the nearest known word suggested."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_SHOWN_CHARACTERS = 60
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def shown(value: object, longest: int = _SHOWN_CHARACTERS) -> str:
    """Quote a value for a sentence: never longer than a line, never with characters that control a terminal."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a block of settings"
        case list() | tuple():
            return "a list"
        case _:
            text = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))
            return f"'{text}'" if len(text) <= longest else f"'{text[: longest - 1]}…'"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give the end of a sentence that offers the nearest known word, or nothing when none is near."""
    near = {candidate.lower(): candidate for candidate in sorted(known)}
    found = difflib.get_close_matches(word.lower(), near, n=1, cutoff=0.6)
    return f"; did you mean '{near[found[0]]}'?" if found else ""
