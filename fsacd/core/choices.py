"""Lists that the configuration has agents choose from: wrap-up codes, and reasons for not being ready. Pure.

A tree of two levels is kept flat: what stands below a heading has an id like `sale/new`; headings cannot be chosen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

# Between a heading and what stands below it.
BELOW: Final = "/"
# Of one talk: how many wrap-up codes it has at most, and how many letters its note.
MOST_CODES: Final = 8
LONGEST_NOTE: Final = 1_000
# So many are named in a sentence.
_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """What can be chosen: by its id, or on a phone by its digits (empty: not there). `name` is for people."""

    choice_id: str
    name: str = ""
    digits: str = ""


Choices = tuple[Choice, ...]


def find(choices: Choices, given: str) -> str | None:
    """The id of what is meant by an id or by digits; None if there is no such choice. An id goes before digits."""
    for choice in choices:
        if choice.choice_id == given:
            return given
    return next((choice.choice_id for choice in choices if given and choice.digits == given), None)


def among(choices: Choices, names: Iterable[str]) -> Choices:
    """Those that are named, by themselves or by their heading; all if none is named."""
    named = frozenset(names)
    if not named:
        return choices
    return tuple(
        choice for choice in choices if choice.choice_id in named or choice.choice_id.partition(BELOW)[0] in named
    )


def told(choices: Choices) -> str:
    """Which there are, for a sentence: `lunch, meeting or training/sales`."""
    ids = [choice.choice_id for choice in choices[:_NAMED]]
    if len(choices) > _NAMED:
        return f"{', '.join(ids)} and {len(choices) - _NAMED} more"
    return " or ".join((", ".join(ids[:-1]), ids[-1])) if len(ids) > 1 else "".join(ids)


def refusal(choices: Choices, given: str, what: str) -> str:
    """Why this cannot be chosen. `what` names the kind: reason, or wrap-up code."""
    if not given:
        return f"a {what} is needed: {told(choices)}"
    below = [choice for choice in choices if choice.choice_id.partition(BELOW)[0] == given]
    if below:
        return f"{given!r} is a heading; the {what}s below it are {told(tuple(below))}"
    return f"there is no {what} {given!r}; there is {told(choices)}"
