"""What the API sends and takes: stable, documented, one unit per name.

Times are RFC 3339 in UTC (`…_at`), durations are seconds (`…_seconds`). Fields are added, never renamed or re-used.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from fsacd.config.forms import contact_is_safe

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-01T12:00:00.000Z"])]
Seconds = Annotated[float, Field(ge=0)]

CallStateName = Literal["waiting", "offered", "connecting", "talking"]
AgentStateName = Literal[
    "logged_out", "not_ready", "ready", "offered", "talking", "wrapping_up", "held_back", "leaving"
]

# A limit on each answer: a page this long is still built within some ten milliseconds.
PAGE_DEFAULT = 1_000
PAGE_MAX = 5_000


class Answer(BaseModel):
    """The base of everything the API sends."""

    model_config = ConfigDict(frozen=True)


class Service(Answer):
    """How an agent serves one queue."""

    queue: str
    rank: int = Field(description="1 is served before 2.")
    delay_seconds: Seconds = Field(description="The agent helps only with calls that have waited this long.")


class Call(Answer):
    """One live call. Numbers are shown in full to supervisors and administrators only."""

    id: str = Field(description="fsacd's own id; six or more of its first characters name it in a path.")
    queue: str
    state: CallStateName
    position: int = Field(description="1 is the next; 0 when the caller talks.")
    priority: int
    arrived_at: Timestamp
    waited_seconds: Seconds
    talked_seconds: Seconds
    number: str
    name: str
    customer: str
    required_skills: dict[str, int] = Field(description="Skill to least level, 1 to 10.")
    agents: list[str] = Field(description="The agents who are rung for it, or the one who talks with the caller.")
    offers: int = Field(description="How many times it has been offered to an agent.")
    switch: str | None
    leg_uuid: str | None


class Agent(Answer):
    """One configured agent."""

    id: str
    name: str
    state: AgentStateName
    reason: str = Field(description="Why not ready, or why held back; empty otherwise.")
    since_at: Timestamp
    state_seconds: Seconds = Field(description="How long he has been in this state.")
    until_at: Timestamp | None = Field(description="When wrap-up or holding back ends by itself.")
    then: str = Field(description="What was asked for meanwhile and will follow; empty when nothing was.")
    contact: str = Field(description="Where he is rung: a dial string without variables.")
    queues: list[Service]
    skills: dict[str, int] = Field(description="Skill to level, 1 to 10.")
    call_id: str | None


class Queue(Answer):
    """One queue now."""

    name: str
    waiting: int
    offered: int = Field(description="Calls for which an agent is rung or being connected.")
    talking: int
    oldest_wait_seconds: Seconds | None = Field(description="Null when nobody waits.")
    agents_logged_in: int
    agents_ready: int
    answered: int = Field(description="Calls answered by an agent, since the daemon's start; talks under way count.")
    abandoned: int = Field(description="Calls whose callers gave up, since the daemon's start.")


class QueueDetail(Queue):
    """One queue with the calls in it and the agents who serve it."""

    calls: list[Call] = Field(description=f"In the order of arrival, at most {PAGE_MAX}.")
    agents: list[Agent]


class Queues(Answer):
    """All queues, by name."""

    queues: list[Queue]


class Agents(Answer):
    """One page of the agents, by id."""

    agents: list[Agent]
    total: int = Field(description="How many there are that match, on all pages.")


class Calls(Answer):
    """One page of the live calls, in the order of arrival."""

    calls: list[Call]
    total: int = Field(description="How many there are that match, on all pages.")


class Switch(Answer):
    """One FreeSWITCH and our link to it."""

    name: str
    connected: bool = Field(description="In sync and taking commands.")
    detail: str = Field(description="One sentence on why it is not connected; empty when it is.")
    since_at: Timestamp | None
    event_lag_seconds: Seconds | None = Field(description="Measured with an event of our own; null before the first.")
    events: int
    reconnects: int
    pending_commands: int


class Store(Answer):
    """The database behind the calls. It never delays one."""

    configured: bool
    connected: bool
    detail: str
    queued: int
    written: int
    dropped: int


class Status(Answer):
    """The daemon at a glance."""

    instance: str
    version: str
    ready: bool
    at: Timestamp
    started_at: Timestamp
    uptime_seconds: Seconds
    configuration_loaded_at: Timestamp
    switches: list[Switch]
    store: Store
    calls: dict[CallStateName, int] = Field(description="How many calls are in each state.")
    agents: dict[AgentStateName, int] = Field(description="How many agents are in each state; only those there are.")


class Done(Answer):
    """It was done; `message` says what, in one sentence."""

    message: str


class Live(Answer):
    """The process turns."""

    live: bool


class Readiness(Answer):
    """Whether calls are distributed. `degraded` names what is missing without stopping them."""

    ready: bool
    reasons: list[str]
    degraded: list[str]


class Problem(Answer):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="A URN that is stable for programs, `urn:fsacd:problem:unknown-agent`, say.")
    title: str
    status: int
    detail: str = Field(description="One sentence for a person.")
    did_you_mean: list[str] | None = None
    problems: list[str] | None = Field(default=None, description="The single faults when there are several.")
    retry_after_seconds: float | None = None


class Body(BaseModel):
    """The base of everything the API takes: unknown fields and near-miss types are refused, not guessed at."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NoBody(Body):
    """Nothing to say."""


def _one_endpoint(contact: str) -> str:
    if not contact_is_safe(contact):
        raise PydanticCustomError("contact", "a contact is one endpoint like user/1001")
    return contact


class Login(Body):
    """Where and how the agent comes to work."""

    # A dial string goes into a command; whatever separates or sets variables there cannot be part of a contact.
    contact: Annotated[str, AfterValidator(_one_endpoint)] | None = Field(
        default=None,
        pattern=r"^[A-Za-z][A-Za-z0-9_.]{0,31}/[A-Za-z0-9_.@/:;=+*#~-]{1,200}$",
        description="Overrides the configured contact until the agent logs out. Anything but `user/ID` or "
        "`user/ID@DOMAIN` needs the role supervisor, because it can be a number that costs money.",
    )
    ready: bool = Field(default=True, description="False: log in not ready.")


class NotReady(Body):
    """Why the agent wants no calls."""

    reason: str = Field(default="", pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,64}$")


class Requeue(Body):
    """Where the call goes back to."""

    queue: str | None = Field(default=None, max_length=64, description="Another queue; by default the call's own.")


class Query(BaseModel):
    """The base of query strings. Numbers arrive as text, so types are not strict here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoQuery(Query):
    """No query string."""


class CallQuery(Query):
    """Which calls."""

    queue: str | None = Field(default=None, max_length=64)
    state: CallStateName | None = None
    limit: int = Field(default=PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    offset: int = Field(default=0, ge=0, le=10_000_000)


class AgentQuery(Query):
    """Which agents."""

    queue: str | None = Field(default=None, max_length=64)
    state: AgentStateName | None = None
    limit: int = Field(default=PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    offset: int = Field(default=0, ge=0, le=10_000_000)
