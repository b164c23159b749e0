"""What the engine shows of itself: frozen views for the API, the metrics and the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from fsacd.core.commands import Command
from fsacd.core.events import Leg
from fsacd.core.records import Record
from fsacd.core.rules import Service, SkillLevels


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one fact: commands to send, records to hand on, and why the fact was refused, if it was."""

    commands: tuple[Command, ...] = ()
    records: tuple[Record, ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class CallView:
    """One live call. `state`: waiting, offered, connecting, talking. `position` is 1 for the next; 0 when talking."""

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


@dataclass(frozen=True, slots=True)
class AgentView:
    """One configured agent. `state`: logged_out, not_ready, ready, offered, talking, wrapping_up, held_back, leaving.

    `reason` says more (the not-ready reason, why held back); `then` is what was asked for meanwhile.
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


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue now. `oldest_wait_ms` is None when nobody waits; `answered` and `abandoned` count since the start."""

    name: str
    waiting: int
    offered: int
    talking: int
    oldest_wait_ms: int | None
    agents_logged_in: int
    agents_ready: int
    answered: int = 0
    abandoned: int = 0


@dataclass(frozen=True, slots=True)
class OfferView:
    """One live offer, or one whose leg is still being ended (`state` ending). `offer_id` is the leg's UUID, too."""

    offer_id: str
    call_id: str
    agent_id: str
    switch: str
    state: str
    started_ms: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the engine knows at one moment, in milliseconds of its own clock."""

    now_ms: int
    calls: tuple[CallView, ...]
    agents: tuple[AgentView, ...]
    queues: tuple[QueueView, ...]
    offers: tuple[OfferView, ...]
    switches: tuple[tuple[str, bool], ...]
