"""The own fields of customers that the configuration declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import override

from fsacd.caller.own_fields import FieldType
from fsacd.config.blocks import Settings
from fsacd.config.kinds import Choice
from fsacd.config.problems import Complaint, Loc

# The built-in columns of a table of customers. An own field of the same name could not be told from them.
RESERVED: Final = frozenset(
    ("id", "customer", "number", "numbers", "name", "priority", "head_start", "skills", "agent", "language", "own")
)


class OwnFieldSettings(Settings):
    """One own field of customers."""

    INLINE = True
    EXPECTS = "a type (text, number, date or flag), or a block of settings like {type: date}"

    type: Annotated[str, Choice(tuple(FieldType))] = Field(
        default="text",
        description="What it holds: a text of up to 256 letters, a number, a date like 2026-01-31, or yes or no.",
    )

    @classmethod
    @override
    def short_form(cls, value: object) -> object:
        """`contract: date` is `contract: {type: date}`."""
        return {"type": value} if isinstance(value, str) else value


def check_own_fields(fields: dict[str, OwnFieldSettings], loc: Loc) -> Iterator[Complaint]:
    """Complain of fields with the name of what every customer has."""
    for name in fields:
        if name.lower() in RESERVED:
            yield Complaint((*loc, name), "every customer has this already; choose another name", at_key=True)
