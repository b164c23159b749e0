"""The bodies and query strings that the API takes. Units and names are those of `models`."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator
from pydantic_core import PydanticCustomError

from fsacd.config.forms import NAME, contact_is_safe
from fsacd.core.choices import LONGEST_NOTE, MOST_CODES
from fsacd.http.models import PAGE_DEFAULT, PAGE_MAX, AgentStateName, CallStateName

_NAME_LENGTH = 64
_AGENT_LENGTH = 128
_SKILLS_MAX = 32
_QUEUES_MAX = 64
_DAY_S = 86_400
_WHOLE = re.compile(r"-?[0-9]{1,9}")

QueueName = Annotated[str, Field(max_length=_NAME_LENGTH)]
Level = Annotated[int, Field(ge=1, le=10)]


class Body(BaseModel):
    """The base of all bodies: unknown fields and wrong types are refused, not converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _at_least(*names: str) -> dict[str, JsonValue]:
    """Check that at least one of these fields is given and not empty."""
    return {"anyOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]}


def _exactly_one(*names: str) -> dict[str, JsonValue]:
    """Check that one of these fields is given, and no other."""
    return {"oneOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]}


class NoBody(Body):
    """An empty body."""


def _contact(contact: str) -> str:
    if not contact_is_safe(contact):
        raise PydanticCustomError(
            "contact", "a contact is a phone like user/1001, or several as the configuration has them"
        )
    return contact


def _skill(name: str) -> str:
    # The alphabet of the configuration, so that a skill given here can be written there, too.
    if re.fullmatch(NAME.pattern, name) is None:
        raise PydanticCustomError("skill", "a skill is {says}", {"says": NAME.says})
    return name


Skill = Annotated[str, AfterValidator(_skill)]


class Reload(Body):
    """How the configuration is read again."""

    dry_run: bool = Field(default=False, description="Change nothing, and say what would happen to whom.")
    even_so: bool = Field(
        default=False,
        description="Also if callers lose their queue and have no place to go; they take the dialplan's fallback.",
    )


class BeginReload(Reload):
    """How the configuration is read again, and how long the answer may wait for the end of that."""

    wait_seconds: float = Field(
        default=0,
        ge=0,
        le=5,
        description="The answer comes at the reload's end, or after this time, with how far the reload is; at most "
        "half of `api.request_timeout`.",
    )


class Login(Body):
    """Where and how the agent comes to work."""

    # A dial string goes into a command; whatever separates or sets variables there cannot be part of a contact.
    contact: Annotated[str, AfterValidator(_contact)] | None = Field(
        default=None,
        pattern=r"^[A-Za-z][A-Za-z0-9_.]{0,31}/[A-Za-z0-9_.@/:;=+*#~-]{1,200}$",
        description="Where the agent is rung until they log out, instead of their own contact: the contact of another "
        "configured agent, or one that `allowed_contacts` of the configuration allows.",
    )
    ready: bool = Field(default=True, description="False: log in not ready.")


class Ready(Body):
    """For which calls the agent becomes ready."""

    queue: QueueName | None = Field(
        default=None,
        description="Ready again for this one queue, after not-ready for it; without it, for calls at all.",
    )


class NotReady(Body):
    """Why the agent wants no calls, and of which."""

    queue: QueueName | None = Field(
        default=None,
        description="For this one of the agent's queues alone, at once and until ready for it or the log-out; calls of "
        "the others go on. Without it, for all.",
    )

    reason: str = Field(default="", pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,64}$")


class WrapUp(Body):
    """What came of a talk. Omitted fields stay as they are."""

    model_config = ConfigDict(json_schema_extra=_at_least("codes", "note"))

    codes: list[Annotated[str, Field(max_length=_AGENT_LENGTH + 1)]] | None = Field(
        default=None,
        max_length=MOST_CODES,
        description="All wrap-up codes of the talk, in the place of those before: ids of the configuration like "
        "complaint or sale/new, or their digits. []: none.",
    )
    note: str | None = Field(
        default=None,
        max_length=LONGEST_NOTE,
        pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]*$",
        description="A note for people, in several lines if need be. It is erased with the caller.",
    )
    offer_id: str | None = Field(
        default=None,
        max_length=_NAME_LENGTH,
        description="Which talk; by default the one that goes on, else the one that is wrapped up, else the last one.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.codes is None and self.note is None:
            raise PydanticCustomError("nothing", "should say something: codes or note")
        return self


class ServiceChange(Body):
    """How an agent is to serve one queue. Omitted fields stay as they are, or are usual for a new queue of theirs."""

    rank: int | None = Field(default=None, ge=1, le=1_000, description="1 goes before 2; 1 is usual.")
    delay_seconds: float | None = Field(
        default=None,
        ge=0,
        le=_DAY_S,
        description="The agent helps only with calls that have waited this long; 0 is usual.",
    )
    backup: bool | None = Field(default=None, description="Only for calls that a step has opened to the backup.")
    weight: int | None = Field(
        default=None, ge=1, le=100, description="The agent's share where the strategy gives shares; 1 is usual."
    )


class AgentChange(Body):
    """What an agent can do and serves, until the configuration says something new of the agent."""

    model_config = ConfigDict(json_schema_extra=_at_least("skills", "queues"))

    skills: dict[Skill, Level | None] | None = Field(
        default=None, max_length=_SKILLS_MAX, description="Skill to level, 1 to 10; null takes the skill away."
    )
    queues: dict[QueueName, ServiceChange | None] | None = Field(
        default=None, max_length=_QUEUES_MAX, description="Queue to how the agent serves it; null takes the queue away."
    )
    only: bool = Field(
        default=False,
        description="True: `skills`, if given, is all the agent can do, and `queues`, if given, all they serve. "
        "False: what is not named stays as it is.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.skills is None and self.queues is None:
            raise PydanticCustomError("nothing", "should change something: skills or queues")
        return self


class Requeue(Body):
    """Where the call goes back to."""

    queue: QueueName | None = Field(default=None, description="Another queue; by default the call's own.")


class Consult(Body):
    """Who is consulted: exactly one of these."""

    model_config = ConfigDict(json_schema_extra=_exactly_one("agent", "queue", "number"))

    agent: str | None = Field(
        default=None,
        max_length=_NAME_LENGTH,
        description="A colleague who is logged in and in no call; they need not be ready.",
    )
    queue: QueueName | None = Field(
        default=None,
        description="Whoever is next in this queue, for a minute at most: among its callers, as one who comes now.",
    )
    number: Annotated[str, Field(pattern=r"^[0-9*#+]{1,32}$")] | None = Field(
        default=None,
        description="An extension or number, up to 32 of 0-9 * # +, in the dialplan's context of agents' numbers.",
    )

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if [self.agent, self.queue, self.number].count(None) != 2:  # noqa: PLR2004 - of three
            raise PydanticCustomError("one", "should name exactly one of agent, queue and number")
        return self


class Digits(Body):
    """What is sent to whoever hears the agent."""

    digits: str = Field(
        pattern=r"^[wW]{0,63}[0-9A-D*#][0-9A-D*#wW]{0,63}$",
        max_length=_NAME_LENGTH,
        description="Up to 64 of 0-9, A-D, * and #, with pauses of half a second (w) and a second (W) if need be. They "
        "are in no log, history or journal.",
    )


class Transfer(Body):
    """To whom the caller goes: exactly one of these."""

    model_config = ConfigDict(json_schema_extra=_exactly_one("agent", "queue", "number"))

    agent: str | None = Field(
        default=None,
        max_length=_NAME_LENGTH,
        description="A colleague who is logged in. The caller waits for them alone for a minute, then for all again.",
    )
    queue: QueueName | None = Field(default=None, description="The caller waits there, with the time that they have.")
    number: Annotated[str, Field(pattern=r"^[0-9*#+]{1,32}$")] | None = Field(
        default=None,
        description="An extension or number, up to 32 of 0-9 * # +, in the dialplan's context of agents' numbers. "
        "If nobody has it, the caller waits again.",
    )

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if [self.agent, self.queue, self.number].count(None) != 2:  # noqa: PLR2004 - of three
            raise PydanticCustomError("one", "should name exactly one of agent, queue and number")
        return self


class CallChange(Body):
    """A call's priority, head start and required skills; omitted fields stay as they are."""

    model_config = ConfigDict(json_schema_extra=_at_least("priority", "required_skills", "head_start_seconds"))

    priority: int | None = Field(default=None, ge=-100, le=100, description="Its class; higher goes first.")
    required_skills: dict[Skill, Level] | None = Field(
        default=None,
        max_length=_SKILLS_MAX,
        description="All that the call itself needs, skill to least level; what its queue requires is added.",
    )
    head_start_seconds: float | None = Field(
        default=None, ge=0, le=_DAY_S, description="It counts as having arrived this much earlier."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.priority is None and self.required_skills is None and self.head_start_seconds is None:
            raise PydanticCustomError(
                "nothing", "should change something: priority, required_skills or head_start_seconds"
            )
        return self


class CallSend(Body):
    """To which agent the call goes."""

    agent: str = Field(max_length=_AGENT_LENGTH, description="The agent's id; they need not serve the call's queue.")
    for_seconds: float = Field(
        default=60.0, ge=1, le=3_600, description="The call waits for this agent alone so long, then for all again."
    )


class Query(BaseModel):
    """The base of query strings. Numbers arrive as text, so types are not strict here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("limit", "offset", "agents", mode="before", check_fields=False)
    @classmethod
    def _digits(cls, value: object) -> object:
        # pydantic by itself also accepts 1_0, +5 and surrounding spaces.
        if isinstance(value, str) and not _WHOLE.fullmatch(value):
            raise PydanticCustomError("whole_number", "should be a whole number")
        return value


class NoQuery(Query):
    """No query string."""


class DurationsQuery(Query):
    """Whether durations that run are shown."""

    durations: bool = Field(
        default=True,
        description="False: durations that run are null, and follow from the moment since when they do. The document "
        "and its ETag are then the same until something changes; otherwise an ETag holds for a second at most.",
    )


class CallQuery(DurationsQuery):
    """Which calls."""

    queue: QueueName | None = None
    state: CallStateName | None = None
    limit: int = Field(default=PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    offset: int = Field(default=0, ge=0, le=10_000_000)


class AgentQuery(DurationsQuery):
    """Which agents."""

    queue: QueueName | None = None
    state: AgentStateName | None = None
    limit: int = Field(default=PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    offset: int = Field(default=0, ge=0, le=10_000_000)


class ExplainQuery(Query):
    """How much is told of a call's decisions."""

    # Together these limits bound the time for one answer: some tens of milliseconds, a few at a time.
    limit: int = Field(default=20, ge=1, le=50, description="The latest so many decisions.")
    agents: int = Field(
        default=100, ge=1, le=250, description="Of each decision, so many eligible agents and so many others."
    )
