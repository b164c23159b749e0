"""The customers whom the configuration knows by their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from typing_extensions import override

from fsacd.caller.number_plan import NumberPlan
from fsacd.caller.recognition import Customer, normalised
from fsacd.config.blocks import Settings
from fsacd.config.forms import AGENT_OR_NULL, NAME_OR_NULL
from fsacd.config.kinds import Duration, Kind, Number, Text
from fsacd.config.problems import Complaint, Loc, wrong
from fsacd.config.routing import Levels
from fsacd.core.skills import levels_of
from fsacd.process.quoting import shown

_LONGEST = 64


@dataclass(frozen=True)
class CallerNumber(Kind):
    """A caller's number, kept as it is written."""

    @property
    @override
    def expects(self) -> str:
        return f"a caller's number of up to {_LONGEST} characters, like +4930123456"

    @override
    def read(self, text: str) -> str:
        if not text.isprintable() or not 0 < len(normalised(text)) <= _LONGEST:
            raise wrong(f"expected {self.expects}, got {shown(text)}")
        return text


class CustomerSettings(Settings):
    """How a customer's calls are treated. What the dialplan says of a call goes before these settings."""

    INLINE = True
    EXPECTS = "a block of settings like {priority: 2, head_start: 60s}"

    priority: Annotated[int | None, Number(-100, 100, null=True)] = Field(
        default=None, description="The class of the customer's calls; null: the queue's."
    )
    head_start_ms: Annotated[int, Duration("0s", "1d")] = Field(
        default=0, description="The customer's calls count as if they had arrived this much earlier."
    )
    skills: Levels = Field(
        default={}, max_length=32, description="Skills that the customer's calls require in addition, {french: 3}."
    )
    agent: Annotated[str | None, AGENT_OR_NULL] = Field(
        default=None,
        description="The customer's own agent, who comes first in queues with sticky: named or named_or_last.",
    )
    language: Annotated[str | None, NAME_OR_NULL] = Field(default=None, description="The customer's language, like fr.")
    name: Annotated[str, Text("a name")] = Field(default="", description="The customer's name, in views and history.")

    def customer(self, number: str) -> Customer:
        """Give the customer as recognition takes one."""
        return Customer(
            number=normalised(number),
            priority=self.priority,
            head_start_ms=self.head_start_ms,
            skills=levels_of(self.skills),
            agent=self.agent or "",
            language=self.language or "",
            name=self.name,
        )


def check_numbers(customers: dict[str, CustomerSettings], loc: Loc, plan: NumberPlan) -> Iterator[Complaint]:
    """Complain of numbers that differ only in the way they are written, and of numbers that are nobody's."""
    seen: dict[str, str] = {}
    for number in customers:
        identity = plan.identity(number)
        if not identity:
            yield Complaint((*loc, number), "a caller without a number shows this: it is nobody's", at_key=True)
            continue
        first = seen.setdefault(identity, number)
        if first != number:
            yield Complaint((*loc, number), f"the same number as {shown(first)}", at_key=True)
