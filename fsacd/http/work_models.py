"""The documents about what an agent does: talks and other pieces of work."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fsacd.http.answer import Answer, Timestamp

TalkShapeName = Literal["together", "held", "calling", "consulting", "swapped", "three_way"]
WorkStateName = Literal["offered", "talking", "wrapping_up"]


class Talk(Answer):
    """One agent's part in a call; `becoming` is the shape that is under way, handed_over among them."""

    id: str
    agent: str
    shape: TalkShapeName
    shape_since_at: Timestamp
    becoming: str
    colleague: str | None = Field(default=None, description="The agent who is the third party.")
    number: str | None = Field(default=None, description="The number that is the third party, if it is no agent.")
    queue: str | None = Field(default=None, description="The queue whose next agent is asked, until somebody answers.")
    muted: bool = Field(default=False, description="Whether nobody hears the agent, who hears everybody.")
    held_by_phone: bool = Field(
        default=False, description="The agent's phone holds the talk by itself: the caller hears music in any shape."
    )


class Work(Answer):
    """One piece of work that an agent holds."""

    offer_id: str
    call_id: str = Field(description="Empty where it is not known any more.")
    queue: str
    channel: str = Field(description="voice.")
    weight: int = Field(description="The share of the agent that it takes, in hundredths: a phone call takes 100.")
    state: WorkStateName
    since_at: Timestamp
    until_at: Timestamp | None = Field(description="When wrap-up ends by itself.")
    caller: str = Field(description="The customer's name, else the caller's.")
    codes: list[str] = Field(description="The wrap-up codes that it has by now.")


class LastTalk(Answer):
    """An agent's last talk, once its wrap-up is over; its codes may still be set for a while."""

    offer_id: str
    call_id: str
    queue: str
    ended_at: Timestamp = Field(description="When the wrap-up was over.")
    codes: list[str]
