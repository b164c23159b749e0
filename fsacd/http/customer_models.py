"""What the API sends of customers. Names are stable; fields are added, never renamed."""

from __future__ import annotations

from pydantic import Field

from fsacd.http.answer import Answer, Seconds, Timestamp


class Customer(Answer):
    """One customer of the database. A customer of the configuration is not among them, and goes before them."""

    id: str = Field(
        description="Stays theirs for ever; of a customer who has become one with another it means that one."
    )
    numbers: list[str] = Field(description="By each of them they are recognised; the first names who has no name.")
    name: str
    priority: int | None = Field(description="The class of their calls; null: the queue's.")
    head_start_seconds: Seconds = Field(description="Their calls count as having arrived this much earlier.")
    skills: dict[str, int] = Field(description="What their agents must have besides, with least levels.")
    agent: str | None = Field(description="The agent who is their own.")
    language: str
    own: dict[str, str] = Field(description="Own fields: texts, numbers, dates like 2026-01-31, yes or no.")
    changed_at: Timestamp
    changed_by: str
    merged: list[str] = Field(description="The ids of those who have become one with them.")


class Customers(Answer):
    """A page of customers."""

    customers: list[Customer]
    next: str | None = Field(description="Where the next page begins (`after`); null: this is the last.")
    fields: dict[str, str] = Field(description="The own fields that are declared, with their types.")


class CustomerMerged(Answer):
    """Two customers who are one now."""

    customer: Customer
    not_kept: str = Field(description="What of the other one found no place; it stands in the changes.")


class CustomersImported(Answer):
    """What became of a part of a table."""

    added: int
    changed: int
    unchanged: int
    numbers: list[list[str]] = Field(description="The numbers of each line, as they are compared.")
    customers: list[str | None] = Field(description="The customer whom each line is about; null: somebody new.")
