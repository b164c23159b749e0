"""The rules the engine works by: frozen, made from the configuration, swapped whole by a reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

# (skill, level 1..10), sorted by skill, no skill twice: what an agent can do, or at least what a call needs.
SkillLevels = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ToQueue:
    """Overflow into another queue, keeping the waiting time."""

    queue: str


@dataclass(frozen=True, slots=True)
class ToExtension:
    """Overflow into the dialplan."""

    extension: str
    context: str = "default"


@dataclass(frozen=True, slots=True)
class ToHangup:
    """Overflow by ending the call with this hangup cause."""

    cause: str = "NORMAL_CLEARING"


Target = ToQueue | ToExtension | ToHangup


@dataclass(frozen=True, slots=True)
class HoldBack:
    """How long an agent is not rung again after an offer that came to nothing, in milliseconds."""

    refused_ms: int = 5_000
    busy_ms: int = 30_000
    no_answer_ms: int = 10_000
    unreachable_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class QueueRules:
    """One queue's rules. A limit of None means: no limit of the queue's own."""

    name: str
    strategy: str = "longest_idle"
    priority: int = 0
    required: SkillLevels = ()
    ring_timeout_ms: int = 20_000
    wrap_up_ms: int = 10_000
    max_length: int = 500
    when_full: Target = ToHangup("USER_BUSY")
    max_wait_ms: int | None = None
    when_max_wait: Target = ToHangup("NO_USER_RESPONSE")
    # None: hang the caller up after the talk; a target: the caller goes on there (a survey, say).
    after_talk: ToExtension | None = None
    hold_back: HoldBack = HoldBack()
    service_level_ms: int = 20_000
    short_abandon_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Service:
    """How an agent serves one queue: rank 1 before rank 2; helps only with calls that have waited `delay_ms`."""

    rank: int = 1
    delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class AgentRules:
    """One agent as configured."""

    agent_id: str
    name: str = ""
    contact: str = ""
    switch: str = ""
    queues: Mapping[str, Service] = field(default_factory=lambda: MappingProxyType({}))
    skills: SkillLevels = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds over all queues: what is beyond them is refused in one sentence and counted."""

    calls: int = 20_000
    # How often the engine repeats a command that has not been confirmed, and when it gives up waiting.
    cancel_retry_ms: int = 100
    connect_ms: int = 1_500
    # How long a leg that we are ending may take to end before we go on without it.
    offer_grace_ms: int = 5_000
    # An agent who is gone within this has not talked: his caller keeps his place. Until then the switch sends the
    # caller back to the music by itself; only then the leg is told that it talks.
    settle_ms: int = 1_000


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything the engine is told by the configuration."""

    queues: Mapping[str, QueueRules]
    agents: Mapping[str, AgentRules]
    limits: Limits = Limits()
    # Where a caller goes whom no queue takes, and where a talking caller goes who is put back into his queue.
    fallback: ToExtension = ToExtension("fsacd_fallback", "fsacd")
    back: ToExtension = ToExtension("fsacd_back", "fsacd")
