"""What the engine shows of itself: frozen views for the API, the metrics and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from fsacd.core.commands import Command
from fsacd.core.events import Leg
from fsacd.core.fact import fact
from fsacd.core.records import Record
from fsacd.core.rules import Service, SkillLevels
from fsacd.strategy import Key

V = TypeVar("V")


@fact
class Step:
    """The outcome of one fact: commands to send, records to hand on, and why the fact was refused, if it was.

    `calls`, `agents` and `queues` name what has changed, each once, in the order in which it did, and with it what came
    and what is gone. Whatever is not named shows the same view as before the step, but for what time does to it (see
    the views). What is named may show the same, too.
    """

    commands: tuple[Command, ...] = ()
    records: tuple[Record, ...] = ()
    refused: str | None = None
    calls: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()


@fact
class TalkView:
    """The talk of a call: its id, and its `shape` since `since_ms`.

    `shape`: together, held, calling (a colleague is rung), consulting (agent and colleague talk, the caller hears
    music), swapped (caller and agent talk, the colleague hears music), three_way (all three talk). `becoming` is the
    shape that is under way, if any. `third` is the colleague, empty if there is none, `number` the number if it is not
    a colleague who is asked, `queue` the queue whose next agent is asked, until somebody answers. `muted`: nobody hears
    the agent. `phone_holds`: the agent's phone holds the talk by itself, whatever its shape.
    """

    talk_id: str
    agent_id: str
    shape: str
    since_ms: int
    becoming: str = ""
    third: str = ""
    muted: bool = False
    phone_holds: bool = False
    number: str = ""
    queue: str = ""


@fact
class CallView:
    """One live call. `state`: waiting, offered, connecting, talking. `position` is 1 for the next; 0 when talking.

    `required` and `priority` are what holds now, steps included. `reserved_for` is the agent whom it waits for.
    `number_believed`: whether the number is taken for the caller's own.

    `waited_ms` is the time since `waits_since_ms`, and `talked_ms` that since `talks_since_ms`, where these are set.
    That they grow is no change. `position` follows from the calls of the queue: it is part of the queue's changes, not
    of the call's own.
    """

    call_id: str
    queue: str
    state: str
    position: int
    priority: int
    arrived_ms: int
    waited_ms: int
    talked_ms: int
    number: str
    name: str
    customer: str
    required: SkillLevels
    agent_ids: tuple[str, ...]
    offers: int
    leg: Leg | None
    head_start_ms: int = 0
    language: str = ""
    reserved_for: str | None = None
    number_believed: bool = True
    resumes: str = ""  # the abandoned call whose place it got
    customer_id: int = 0  # of the database's customers; 0: none
    contact_id: str = ""
    waits_since_ms: int | None = None  # while it waits: earlier talks are left out, so it may lie after the arrival
    talks_since_ms: int | None = None  # while it talks: earlier talks are counted in, so it may lie before the answer
    talk: TalkView | None = None  # while it talks


@fact
class WorkView:
    """One piece of work that an agent holds. `state`: offered, talking, wrapping_up; `weight`: hundredths of the agent.

    `caller` is the customer's name, else the caller's; of wrap-up no call is known any more.
    """

    offer_id: str
    call_id: str
    queue: str
    channel: str
    weight: int
    state: str
    since_ms: int
    until_ms: int | None = None
    caller: str = ""
    codes: tuple[str, ...] = ()  # the wrap-up codes that it has by now


@fact
class LastTalkView:
    """An agent's last talk, once its wrap-up is over."""

    offer_id: str
    call_id: str
    queue: str
    ended_ms: int  # when the wrap-up was over
    codes: tuple[str, ...]


@fact
class AgentView:
    """One configured agent: their presence, their work, and in `state` the first of what they are and do.

    `state`: logged_out, not_ready, ready, offered, talking, wrapping_up, held_back, busy. `reason` says more (the
    not-ready reason, why held back); `then` is the presence that shows after their work, if that is not ready. Time
    alone changes nothing of it.
    """

    agent_id: str
    name: str
    state: str
    reason: str
    since_ms: int
    until_ms: int | None
    then: str
    contact: str
    queues: tuple[tuple[str, Service], ...]
    skills: SkillLevels
    call_id: str | None
    caller: str = ""  # with whom they talk, or for whom they are rung: the customer's name, else the caller's
    not_ready_for: tuple[tuple[str, str], ...] = ()  # the queues whose calls they do not take for now, and why
    presence: str = "logged_out"  # logged_out, not_ready, ready
    presence_reason: str = ""
    presence_since_ms: int = 0
    work: tuple[WorkView, ...] = ()  # in the order in which it came
    room: int = 0  # how much more they may be offered now, in hundredths
    standing_leg: str = ""  # of an agent who has one: down, ringing, stands, used, returning, ending, given_up
    last_talk: LastTalkView | None = None  # where wrap-up codes are configured, or something was said of it


@fact
class Substituted:
    """A plugin of a queue that has failed, and what does its work until it is tried again at `again_ms`.

    `post` is strategy or call_order; `by` is longest_idle, or empty for the usual order; `why` is one sentence.
    """

    queue: str
    post: str
    plugin: str
    by: str
    why: str
    failures: int  # in a row
    since_ms: int
    again_ms: int


@fact
class QueueView:
    """One queue now. `oldest_wait_ms` is None when nobody waits; `answered` and `abandoned` count on over restarts.

    `strategy` and `call_order` are what the rules name; `substituted` are those of them that are out of service.

    What time alone does is no change: to `oldest_wait_ms`, the time since `oldest_since_ms`; and to
    `estimated_wait_ms` of a queue with a call order of its own, by which it may depend on the time whom a newcomer
    goes before.
    """

    name: str
    waiting: int
    offered: int
    talking: int
    oldest_wait_ms: int | None
    agents_logged_in: int
    agents_ready: int
    answered: int = 0
    abandoned: int = 0
    is_open: bool = True
    estimated_wait_ms: int | None = None  # what a call that joined now would wait; None: nobody is on duty
    strategy: str = ""
    call_order: str | None = None
    substituted: tuple[Substituted, ...] = ()
    agents_not_ready: int = 0  # agents at work who take no calls of this one queue for now
    oldest_since_ms: int | None = None  # since when the caller waits who waits for longest


@fact
class OfferView:
    """One live offer, or one whose leg is still being ended (`state` ending). `offer_id` is the leg's UUID, too.

    `legs` are the legs that may be there, where these are not the offer's own leg alone.
    """

    offer_id: str
    call_id: str
    agent_id: str
    switch: str
    state: str
    started_ms: int
    heard_of: bool = False  # the switch has told something of its leg: that it rings, or was answered
    legs: tuple[str, ...] = ()
    # Of a talk that somebody has changed: which two of caller, agent and third party are bridged, and the third's leg.
    pair: str = ""
    third_leg: str = ""
    phone_holds: bool = False

    @property
    def live_legs(self) -> tuple[str, ...]:
        """The legs that may be there."""
        return self.legs or (self.offer_id,)


class WhyNot(StrEnum):
    """The closed list of reasons why an agent of the queue is not rung for a call; the first that holds is told."""

    RESERVED = "reserved"  # the call waits for another agent
    SKILL = "skill"  # the agent lacks a required skill, or has too low a level
    SWITCH = "switch"  # the agent's phone cannot be rung from the switch of the call
    BACKUP = "backup"  # the agent is backup, and no step has opened the call to the backup
    DELAY = "delay"  # the agent helps this queue only with calls that have waited longer
    LOGGED_OUT = "logged_out"
    NOT_READY = "not_ready"
    HELD_BACK = "held_back"
    BUSY = "busy"
    OFFERED = "offered"
    TALKING = "talking"
    WRAPPING_UP = "wrapping_up"
    SCOPE = "scope"  # the strategy rings the first rank and level alone


@fact
class RankedAgent:
    """An eligible ready agent with their key, each part: smaller goes first."""

    agent_id: str
    missed: int  # how often they were rung for this very call and have not taken it: RONA, and refusals, too
    rank: int
    level: int  # greater goes first; 0 where the queue leaves levels to the strategy
    key: Key  # the strategy's; empty for one that ranks


@fact
class Rejected:
    """An agent of the queue who was not rung, and the one reason why not; `detail` says more."""

    agent_id: str
    why: WhyNot
    detail: str = ""


@fact
class Explanation:
    """One decision, or (with `decision` None) why the call still waits at `at_ms`.

    `eligible` is in the order in which the call would ring them; the first is `chosen`.
    """

    call_id: str
    queue: str
    at_ms: int
    decision: int | None
    chosen: str | None
    strategy: str
    required: SkillLevels
    priority: int
    waited_ms: int
    eligible: tuple[RankedAgent, ...]
    rejected: tuple[Rejected, ...]
    sentence: str
    # How many agents of the first rank and level there were; how many a ranking strategy was shown (None: not asked).
    candidates: int | None = None
    shown: int | None = None
    contact_id: str = ""


class Listed(NamedTuple, Generic[V]):
    """One page of a list: the keys of what is on it, and how many there are on all pages.

    `view` shows the thing of a key as it is when it is asked for, or None if it is gone by then. `position`: where a
    call stands in its queue, as `CallView.position`.
    """

    keys: Sequence[str]
    view: Callable[[str], V | None]
    total: int
    position: Callable[[str], int] = lambda _: 0

    @property
    def views(self) -> Iterator[V]:
        """What is still there, each made when it is asked for."""
        return (seen for key in self.keys if (seen := self.view(key)) is not None)


@fact
class Counts:
    """How many there are: calls and agents by state (a state with none may be missing), and all queues by name.

    `held`: calls in talk whose caller is on hold, by the call's queue; a queue with none may be missing.
    """

    queues: tuple[QueueView, ...]
    calls: Mapping[str, int]
    agents: Mapping[str, int]
    switches: tuple[tuple[str, bool], ...]
    held: Mapping[str, int]
    standing_legs: Mapping[str, int] = field(default_factory=dict)  # by state


@fact
class StandingLegView:
    """A standing leg that may be there; `state`: ringing, stands, used, returning, ending. Times as everywhere."""

    leg: str
    agent_id: str
    switch: str
    state: str
    since_ms: int


@fact
class Underway:
    """What is under way at one moment, in milliseconds of the engine's clock: calls by queue and position, offers."""

    now_ms: int
    calls: tuple[CallView, ...]
    offers: tuple[OfferView, ...]
    standing_legs: tuple[StandingLegView, ...] = field(default=(), kw_only=True)


@fact
class Snapshot(Underway):
    """Everything the engine knows at one moment."""

    agents: tuple[AgentView, ...]
    queues: tuple[QueueView, ...]
    switches: tuple[tuple[str, bool], ...]
