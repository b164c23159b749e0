"""What the API takes of customers. Units and names are those of `customer_models`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fsacd.caller.customers import FIELDS_MOST, NAME_LONGEST, NUMBERS_MOST, SKILLS_MOST
from fsacd.caller.own_fields import LONGEST
from fsacd.http.bodies import Body, Level, Query

_TEXT = 128
ROWS_MOST = 500
_PAGE_MAX = 1_000

Number = Annotated[str, Field(max_length=_TEXT)]
Value = Annotated[str, Field(max_length=LONGEST)]
Key = Annotated[str, Field(max_length=_TEXT)]


class CustomerSaid(Body):
    """A customer's data. An omitted field stays as it is; a new customer has none of it."""

    name: str | None = Field(default=None, max_length=NAME_LONGEST, description="The customer's name; null: not known.")
    priority: int | None = Field(
        default=None, ge=-100, le=100, description="The class of their calls; null: the queue's."
    )
    head_start_seconds: float | None = Field(
        default=None, ge=0, le=86_400, description="Their calls count as having arrived this much earlier."
    )
    skills: dict[Key, Level] | None = Field(
        default=None,
        max_length=SKILLS_MOST,
        description="Skills that their agents need besides the queue's, with levels.",
    )
    agent: str | None = Field(
        default=None, max_length=_TEXT, description="Their own agent, who is tried first; null: none."
    )
    language: str | None = Field(
        default=None, max_length=_TEXT, description="Their language, like fr; null: not known."
    )
    own: dict[Key, Value | None] | None = Field(
        default=None, max_length=FIELDS_MOST, description="Own fields to their values; null takes a value away."
    )


class CustomerNew(CustomerSaid):
    """A new customer."""

    numbers: list[Number] = Field(
        min_length=1, max_length=NUMBERS_MOST, description="Their numbers, however written; the first names them."
    )


class CustomerChange(CustomerSaid):
    """What shall be another; what is left out stays as it is."""

    numbers: list[Number] | None = Field(
        default=None, min_length=1, max_length=NUMBERS_MOST, description="All their numbers; others are taken away."
    )
    more_numbers: list[Number] = Field(
        default=[], max_length=NUMBERS_MOST, description="Numbers that come to those that they have."
    )


class CustomerMerge(Body):
    """Who becomes part of the customer."""

    customer: str = Field(
        pattern="^c[0-9]{1,18}$", description="The id of the other one, which then means the one who is left."
    )


class CustomerLine(Body):
    """One line of a table."""

    line: int = Field(ge=1, le=1_000_000_000, description="Its number, for what is said of it.")
    cells: dict[Key, Annotated[str, Field(max_length=2_048)]] = Field(
        max_length=FIELDS_MOST + 10, description="Column to text; see `fsacd customer import`."
    )


class CustomerImport(Body):
    """A part of a table, which is taken whole or not at all."""

    lines: list[CustomerLine] = Field(min_length=1, max_length=ROWS_MOST)
    dry_run: bool = Field(default=False, description="Change nothing, and say what would become of it.")


class CustomerQuery(Query):
    """Which customers: all, or those who fit one condition; small and large letters are the same."""

    number: Annotated[str, Field(max_length=_TEXT)] | None = Field(
        default=None, description="Whose number this is, however it is written."
    )
    number_begins: Annotated[str, Field(max_length=_TEXT)] | None = Field(
        default=None, description="Of whom a number begins so, however it is written."
    )
    name_begins: Annotated[str, Field(max_length=NAME_LONGEST)] | None = Field(
        default=None, description="Whose name begins so."
    )
    field: Annotated[str, Field(max_length=_TEXT)] | None = Field(
        default=None, description="Who have a value in this own field."
    )
    value_begins: Annotated[str, Field(max_length=LONGEST)] | None = Field(
        default=None, description="Whose value in the field begins so."
    )
    limit: int = Field(default=100, ge=1, le=_PAGE_MAX)
    after: Annotated[str, Field(max_length=2_048)] | None = Field(
        default=None, description="What the page before has given as `next`."
    )

    @model_validator(mode="after")
    def _one_condition(self) -> CustomerQuery:
        given = [self.number, self.number_begins, self.name_begins, self.field]
        if sum(one is not None for one in given) > 1:
            raise PydanticCustomError(
                "conditions", "one condition at a time: number, number_begins, name_begins or field"
            )
        if self.value_begins is not None and self.field is None:
            raise PydanticCustomError("conditions", "value_begins means nothing without field")
        return self
