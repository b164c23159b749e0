"""The documents that the API sends: stable, documented, one unit per name. `bodies` has those that it takes.

Times are RFC 3339 in UTC (`…_at`), durations are seconds (`…_seconds`). Fields are added, never re-used. A renamed
field stays under its old name, too, for one version, deprecated.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, computed_field

from fsacd.core.old_names import before
from fsacd.http.answer import Answer, Seconds, Timestamp
from fsacd.http.work_models import LastTalk, Talk, Work

CallStateName = Literal["waiting", "offered", "connecting", "talking"]
AgentStateName = Literal[
    "logged_out", "not_ready", "ready", "offered", "talking", "wrapping_up", "held_back", "busy", "leaving"
]

StandingLeg = Literal["down", "ringing", "stands", "used", "returning", "ending", "given_up"]
PresenceName = Literal["logged_out", "not_ready", "ready"]
WhyNotName = Literal[
    "reserved", "skill", "switch", "backup", "delay", "logged_out", "not_ready", "held_back", "busy", "offered",
    "talking", "wrapping_up", "scope",
]  # fmt: skip
ReloadResultName = Literal["waiting", "running", "in_force", "tried", "refused", "failed"]
PostName = Literal["strategy", "call_order"]
# JSON has no number for "before all others".
KeyPart = int | float | Literal["-infinity", "infinity"]

_NULL = "Null where the request said `durations=false` and it runs: it is the time since `{}`."

# The longest page: it is still built within some ten milliseconds.
PAGE_DEFAULT = 1_000
PAGE_MAX = 5_000


class Service(Answer):
    """How an agent serves one queue."""

    queue: str
    rank: int = Field(description="1 is served before 2.")
    delay_seconds: Seconds = Field(description="The agent helps only with calls that have waited this long.")
    backup: bool = Field(description="The agent helps only with calls that a step has opened to the backup.")
    weight: int = Field(description="The agent's share where the strategy gives shares, 1 to 100.")
    ready: bool = Field(description="False: not ready for this one queue, while calls of the others go on.")
    reason: str = Field(description="Why not; empty otherwise, or where no reason was given.")


class Call(Answer):
    """One live call. Numbers are shown in full to supervisors and administrators only."""

    id: str = Field(description="fsacd's own id; six or more of its first characters name it in a path.")
    contact_id: str = Field(
        description="The contact that it is part of, over queues, transfers and returns: the id of the contact's first "
        "call, unless the dialplan has brought one."
    )
    queue: str
    state: CallStateName
    position: int = Field(description="1 is the next; 0 when the caller talks.")
    priority: int = Field(description="Its class now, steps included; a higher one goes first.")
    head_start_seconds: Seconds = Field(description="It counts as having arrived this much earlier.")
    arrived_at: Timestamp
    waited_seconds: Seconds | None = Field(description=_NULL.format("waiting_since_at"))
    talked_seconds: Seconds | None = Field(description=_NULL.format("talking_since_at"))
    waiting_since_at: Timestamp | None = Field(
        description="While it waits: since when `waited_seconds` runs. Talks before that are left out."
    )
    talking_since_at: Timestamp | None = Field(
        description="While it talks: since when `talked_seconds` runs. Talks before that are counted in."
    )
    number: str
    number_believed: bool = Field(
        description="Whether the number is taken for the caller's own; if not, nobody is recognised by it."
    )
    name: str
    customer: str
    customer_id: str | None = Field(default=None, description="The customer's id in the database, as at /customers.")
    language: str
    required_skills: dict[str, int] = Field(description="Skill to least level, 1 to 10, steps included.")
    reserved_for: str | None = Field(description="The only agent whom it waits for; null: any.")
    agents: list[str] = Field(description="The agents who are rung for it, or the one who talks with the caller.")
    offers: int = Field(
        description="How many times it has been offered to an agent; the count goes on over restarts of the daemon."
    )
    resumes: str = Field(description="The abandoned call whose place it got, its caller having called again in time.")
    switch: str | None
    leg_uuid: str | None
    talk: Talk | None = Field(default=None, description="While it talks; null before and between talks.")


class Agent(Answer):
    """One configured agent: what they want, what they do, and in `state` the first of both."""

    id: str
    name: str
    presence: PresenceName = Field(description="What the agent wants, whatever they do meanwhile.")
    presence_reason: str = Field(description="Why they are not ready; empty otherwise.")
    presence_since_at: Timestamp
    work: list[Work] = Field(description="What they hold, in the order in which it came; it may be several pieces.")
    room: int = Field(description="How much more they may be offered now, in hundredths.")
    standing_leg: StandingLeg | None = Field(description="How their standing leg is; null: they have none.")
    last_talk: LastTalk | None = Field(description="Null: none is known, or nobody asks for wrap-up codes.")
    state: AgentStateName = Field(description="Of several the first: talking, offered, wrapping_up, then presence.")
    reason: str = Field(description="Why not ready, or why held back; empty otherwise.")
    since_at: Timestamp
    state_seconds: Seconds | None = Field(
        description="How long the agent has been in this state. " + _NULL.format("since_at")
    )
    until_at: Timestamp | None = Field(description="When wrap-up or holding back ends by itself.")
    then: str = Field(description="What was asked for meanwhile and will follow; empty when nothing was.")
    contact: str = Field(description="The dial string at which the agent is rung.")
    queues: list[Service]
    skills: dict[str, int] = Field(description="Skill to level, 1 to 10.")
    call_id: str | None
    caller: str = Field(
        description="With whom the agent talks, or for whom they are rung: the customer's name, else the caller's."
    )


class Substituted(Answer):
    """A strategy or call order of a queue that has failed, until it is tried again."""

    kind: PostName
    plugin: str
    by: str = Field(description="What does its work meanwhile: longest_idle or the usual order.")
    why: str = Field(description="How it failed, in one sentence.")
    failures: int = Field(description="How often in a row it has failed.")
    since_at: Timestamp
    again_at: Timestamp = Field(description="When it is tried again.")


class Queue(Answer):
    """One queue now."""

    name: str
    waiting: int
    offered: int = Field(description="Calls for which an agent is rung or being connected.")
    talking: int
    oldest_wait_seconds: Seconds | None = Field(description="Null when nobody waits.")
    agents_logged_in: int
    agents_not_ready: int = Field(description="Agents at work who are not ready for this one queue.")
    agents_ready: int
    open: bool = Field(description="Closed by its hours or by hand, a queue takes no calls.")
    estimated_wait_seconds: Seconds | None = Field(
        description="The estimated wait of a call that joins now; null while nobody is on duty."
    )
    strategy: str = Field(description="Which of the ready agents is rung first, as configured.")
    call_order: str | None = Field(description="Which of the calls goes first, as configured; null: the usual order.")
    substituted: list[Substituted] = Field(description="Which of these two have failed and are out of service.")
    answered: int = Field(
        description="Calls answered by an agent; talks under way count. The count goes on over restarts of the daemon, "
        "as far back as its journal does; where the journal is lost, or there is none, it begins at nought."
    )
    abandoned: int = Field(
        description="Calls whose callers gave up. The count goes on over restarts of the daemon, likewise."
    )


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
    """One FreeSWITCH and fsacd's link to it."""

    name: str
    connected: bool = Field(description="In sync and taking commands.")
    detail: str = Field(description="One sentence on why it is not connected; empty when it is.")
    standing_by: bool = Field(description="Another daemon serves the switch, and this one waits for its end.")
    since_at: Timestamp | None
    event_lag_seconds: Seconds | None = Field(description="Measured with a probe event; null before the first.")
    events: int = Field(description="Events heard from it since the daemon was started.")
    reconnects: int = Field(description="Connections after the first since the daemon was started.")
    pending_commands: int = Field(description="Commands that await their answers now.")


class Store(Answer):
    """The database behind the calls. It never delays one."""

    configured: bool
    connected: bool
    detail: str
    queued: int = Field(description="Rows that wait to be written now, with those that earlier daemons left on disk.")
    written: int = Field(description="Rows written since the daemon was started.")
    dropped: int = Field(description="Rows lost since the daemon was started, because too many waited.")


class Trouble(Answer):
    """One thing that is wrong now."""

    words: str = Field(description="One sentence, which /readyz shows everybody.")
    detail: str = Field(description="More about it, at most 300 characters; may be empty.")
    blocking: bool = Field(description="While it holds no call is distributed.")


class ReloadState(Answer):
    """One reload of the configuration."""

    number: int = Field(description="It is followed by this number; the first one since the daemon was started is 1.")
    by: str = Field(description="Who has asked for it.")
    dry_run: bool = Field(description="It changes nothing, and says what would happen to whom.")
    result: ReloadResultName = Field(
        description="waiting: others have their turn; running; in_force: the file is; tried: the end of a dry run; "
        "refused: nothing was changed; failed: the message says why."
    )
    message: str = Field(description="What came of it, in one sentence; empty until its end.")
    asked_at: Timestamp
    began_at: Timestamp | None = Field(description="When it read the file; null: it has not yet.")
    ended_at: Timestamp | None


class ReloadDetail(ReloadState):
    """One reload of the configuration, with the problems of its file."""

    problems: list[str] = Field(description="All that is wrong with a file that was refused, each with its place.")


class Status(Answer):
    """The daemon at a glance."""

    instance: str
    version: str
    ready: bool
    at: Timestamp
    started_at: Timestamp
    uptime_seconds: Seconds
    configuration_loaded_at: Timestamp
    last_reload: ReloadState | None = Field(
        description="The last reload that has begun since the daemon's start, dry runs left out."
    )
    switches: list[Switch]
    store: Store
    troubles: list[Trouble] = Field(
        description="All that is wrong now; the daemon is ready unless one of them is blocking."
    )
    calls: dict[CallStateName, int] = Field(description="How many calls are in each state.")
    agents: dict[AgentStateName, int] = Field(
        description="How many agents are in each state; states without agents are left out."
    )


class Eligible(Answer):
    """A ready agent who could have the call. The least key is rung first, compared part by part."""

    agent: str
    missed: int = Field(
        validation_alias=AliasChoices("missed", before("Eligible", "missed")),
        description="How often the agent has missed this very call: their phone rang, and nobody answered (RONA, ring "
        "on no answer). An offer of it that they refused, or for which they were busy or not reached, counts, too.",
    )
    rank: int = Field(description="The agent's rank for the queue; 1 goes first.")
    level: int = Field(description="The lowest of the agent's levels in the required skills; the highest goes first.")
    key: list[KeyPart] = Field(description="The strategy's key; empty when it ranks all together.")

    @computed_field(  # type: ignore[prop-decorator]  # mypy does not know of properties that are fields
        description="What `missed` was called; it goes with version 0.2.", json_schema_extra={"deprecated": True}
    )
    @property
    def let_pass(self) -> int:
        """The same figure under its old name."""
        return self.missed


class NotRung(Answer):
    """An agent of the queue who could not have the call, and the first reason why not."""

    agent: str
    why: WhyNotName
    detail: str


class Explanation(Answer):
    """Why one agent was chosen for a call; or, with `decision` null, why nobody rings for it."""

    decision: int | None = Field(
        description="The daemon counts its decisions; the count goes on over restarts, as far back as its journal does."
    )
    at: Timestamp
    queue: str
    chosen: str | None
    strategy: str
    sentence: str = Field(description="The whole in one sentence, for a person.")
    priority: int = Field(description="The call's class at that moment.")
    required_skills: dict[str, int] = Field(description="What the call needed at that moment.")
    waited_seconds: Seconds
    eligible: list[Eligible] = Field(description="In the order in which the call would ring them; at most `agents`.")
    eligible_total: int
    not_rung: list[NotRung] = Field(description="The other agents of the queue; at most `agents`.")
    not_rung_total: int
    reasons: dict[WhyNotName, int] = Field(description="How many were not rung for each reason.")
    candidates: int | None = Field(
        default=None,
        description="How many agents of the first rank and level there were for a strategy that ranks; else null.",
    )
    shown: int | None = Field(
        default=None, description="How many of these the strategy was shown, those idle for longest; else null."
    )
    contact_id: str = Field(default="", description="The call's contact; empty where an older fsacd has noted none.")


class Explanations(Answer):
    """A call's decisions."""

    call_id: str
    decisions: list[Explanation] = Field(description="The latest, the oldest of them first.")
    waiting: Explanation | None = Field(description="Why the call still waits; null when it does not.")
    note: str = Field(description="One sentence on what may be missing; empty when nothing is.")


class Done(Answer):
    """The answer to a change: `message` says in one sentence what was done."""

    message: str


class Live(Answer):
    """The process runs."""

    live: bool


class Readiness(Answer):
    """Whether calls are distributed. `degraded` names what is missing without stopping them.

    Without a token both lists hold fixed sentences; with one, details too.
    """

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
