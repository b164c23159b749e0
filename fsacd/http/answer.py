"""What all documents that the API sends are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-01T12:00:00.000Z"])]
Seconds = Annotated[float, Field(ge=0)]


class Answer(BaseModel):
    """The base of everything the API sends."""

    model_config = ConfigDict(frozen=True)
