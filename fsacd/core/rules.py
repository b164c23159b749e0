"""The rules the engine works by: frozen, made from the configuration, swapped whole by a reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

# (skill, level 1..10), sorted by skill, no skill twice: what an agent can do, or at least what a call needs.
from fsacd.core.choices import Choices
from fsacd.strategy import SkillLevels as SkillLevels  # noqa: PLC0414 - the way to hand a name on

# The values of a plugin's parameters, sorted by name: of a list its entries, of a map its pairs, sorted.
Scalar = int | float | str | bool
Value = Scalar | tuple[Scalar, ...] | tuple[tuple[str, Scalar], ...]
Parameters = tuple[tuple[str, Value], ...]

# All of an agent: what one can hold, in hundredths.
FULL = 100
VOICE = "voice"


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
class Overflow:
    """What becomes of calls while a condition holds: of those that come, and of those that wait.

    `after_ms`: only once the condition has held for so long without a break.
    """

    target: Target
    joining: bool = True
    waiting: bool = True
    after_ms: int = 0


class Cause(StrEnum):
    """Why an offer came to nothing by the agent, or by their phone."""

    REFUSED = "refused"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class HoldBack:
    """How long an agent is not rung again after an offer that came to nothing, in milliseconds."""

    refused_ms: int = 5_000
    busy_ms: int = 30_000
    no_answer_ms: int = 10_000
    unreachable_ms: int = 30_000

    def of(self, cause: Cause) -> int:
        """How long after an offer that came to nothing for this cause."""
        match cause:
            case Cause.REFUSED:
                return self.refused_ms
            case Cause.BUSY:
                return self.busy_ms
            case Cause.NO_ANSWER:
                return self.no_answer_ms
            case Cause.UNREACHABLE:
                return self.unreachable_ms


class WrapUp(StrEnum):
    """How after-call work ends: by its time alone; by its time or earlier by the agent; only by the agent."""

    FIXED = "fixed"
    CAPPED = "capped"
    UNTIL_READY = "until_ready"


@dataclass(frozen=True, slots=True)
class Step:
    """A change of what a waiting call requires, `after_ms` after it joined the queue it stands in.

    Steps add up: all whose time has come hold together, the later ones last.
    """

    after_ms: int
    lower: SkillLevels = ()  # these skills are required at no more than this level
    drop: tuple[str, ...] = ()  # these skills are not required
    backup: bool = False  # agents who serve the queue as backup may take it
    ring_at_once: int | None = None  # at least so many agents ring at once
    raise_by: int = 0  # priority classes
    overflow: Target | None = None  # it leaves


class StickyAgent(StrEnum):
    """Who comes first: the agent the caller talked with last, the one named for the customer, or named, else last."""

    LAST = "last"
    NAMED = "named"
    NAMED_OR_LAST = "named_or_last"


@dataclass(frozen=True, slots=True)
class Sticky:
    """For `for_ms` after the call has joined, one agent comes first for it.

    `wait`: nobody else gets it meanwhile, if the agent is logged in; otherwise they get it only if they are ready.
    `any_queue`: even if the agent does not serve this queue.
    """

    agent: StickyAgent = StickyAgent.LAST
    for_ms: int = 20_000
    wait: bool = False
    any_queue: bool = False


@dataclass(frozen=True, slots=True)
class QueueRules:
    """One queue's rules. A limit of None means: no limit of the queue's own; an overflow of None: there is none."""

    name: str
    # What it was called before: its callers, what was changed by hand and what is remembered come along.
    was: tuple[str, ...] = ()
    strategy: str = "longest_idle"
    strategy_parameters: Parameters = ()
    call_order: str | None = None  # None: class, then virtual arrival
    call_order_parameters: Parameters = ()
    # Whether better skilled agents go before others of their rank; if not, the strategy decides between all who suit.
    level_first: bool = True
    priority: int = 0
    required: SkillLevels = ()
    # The delays of its agents hold only while an agent with a shorter one is there who could take the call. The
    # configuration's default is the other one: what old journals tell was decided without it.
    no_agent_no_delay: bool = False
    # Variables of the caller's leg that go along to the agent's; see `core.variables`.
    agent_variables: tuple[str, ...] = ()
    agent_display: str = ""  # what an agent's phone shows as the caller's name; "": as `display.USUAL`
    ring_timeout_ms: int = 20_000
    ring_at_once: int = 1  # a strategy may ring more
    wrap_up_ms: int = 10_000
    wrap_up: WrapUp = WrapUp.CAPPED
    # Which of the wrap-up codes its talks take, by id or heading; (): all. Whether each talk needs one.
    wrap_up_codes: tuple[str, ...] = ()
    wrap_up_code_required: bool = False
    max_length: int = 500
    when_full: Target = ToHangup("USER_BUSY")
    # So many live calls of one number, or of one network address, over all queues; 0: any number of them.
    max_per_number: int = 10
    when_max_per_number: Target = ToHangup("CALL_REJECTED")
    max_per_source: int = 0
    when_max_per_source: Target = ToHangup("CALL_REJECTED")
    # Who hung up while they waited, and calls again within this time, gets their place back; 0: nobody does.
    abandoned_resume_ms: int = 0
    max_wait_ms: int | None = None
    when_max_wait: Target = ToHangup("NO_USER_RESPONSE")
    when_nobody_logged_in: Overflow | None = None
    when_nobody_ready: Overflow | None = None  # everybody logged in has asked for a break
    max_estimated_wait_ms: int = 0
    when_estimated_wait: Overflow | None = None
    when_closed: Overflow | None = None
    expected_handling_ms: int = 180_000  # talk and wrap-up, for the estimate, until enough calls are measured
    steps: tuple[Step, ...] = ()  # by after_ms
    sticky: Sticky | None = None
    show_withheld: bool = False  # its agents may see the number of a caller who asks that it be shown to nobody
    # None: hang the caller up after the talk; a target: the caller goes on there (a survey, say).
    after_talk: ToExtension | None = None
    hold_back: HoldBack = HoldBack()
    # So many offers in a row that came to nothing for one cause, and an agent is not ready; 0: never.
    not_ready_after: int = 0  # that they did not answer
    not_ready_after_others: Mapping[Cause, int] = field(default_factory=lambda: MappingProxyType({}))
    # What one of its calls is, and the share of an agent that it takes, in hundredths. A phone call takes all of them.
    channel: str = VOICE
    weight: int = FULL
    service_level_ms: int = 20_000
    short_abandon_ms: int = 5_000

    def not_ready_limit(self, cause: Cause) -> int:
        """How many offers in a row may come to nothing for this cause before an agent is not ready; 0: any number."""
        return self.not_ready_after if cause is Cause.NO_ANSWER else self.not_ready_after_others.get(cause, 0)

    @property
    def is_unconditional(self) -> bool:
        """Whether calls may always join, up to the maximum length."""
        return (
            self.when_nobody_logged_in is None
            and self.when_nobody_ready is None
            and self.when_estimated_wait is None
            and self.when_closed is None
        )


@dataclass(frozen=True, slots=True)
class Service:
    """How an agent serves one queue.

    Rank 1 before rank 2; helps only with calls that have waited `delay_ms`; with `backup`, only with calls that a step
    has opened to the backup; `weight` (1..100) is the agent's share where the strategy gives shares.
    """

    rank: int = 1
    delay_ms: int = 0
    backup: bool = False
    weight: int = 1


@dataclass(frozen=True, slots=True)
class PhoneRules:
    """How an agent's phones are rung.

    `refusal_ends`: one of several that refuses, or is busy, ends the ring at all of them. `diverted_to`: where the
    number is rung that the phone diverts to, as a contact with {number}; empty: a diversion is a refusal.
    `media_timeout_ms`: the switch ends a leg on which nothing was heard for so long; 0: never.
    """

    refusal_ends: bool = False
    diverted_to: str = ""
    media_timeout_ms: int = 0


@dataclass(frozen=True, slots=True)
class OwnPauses:
    """One agent's own settings, which go before the queue's; where one is not given, the queue's holds."""

    wrap_up_ms: int | None = None
    wrap_up: WrapUp | None = None
    hold_back_ms: Mapping[Cause, int] = field(default_factory=lambda: MappingProxyType({}))
    not_ready_after: Mapping[Cause, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class AgentRules:
    """One agent as configured."""

    agent_id: str
    name: str = ""
    contact: str = ""
    switch: str = ""
    queues: Mapping[str, Service] = field(default_factory=lambda: MappingProxyType({}))
    skills: SkillLevels = ()
    phone: PhoneRules = PhoneRules()
    own: OwnPauses = OwnPauses()
    # The switches at which the agent's phones register; (): calls of any switch ring them, as old journals have it.
    switches: tuple[str, ...] = ()
    standing_leg: bool = False  # their phone is rung when they log in, at `switch`, and stays answered


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds over all queues: what is beyond them is refused in one sentence and counted."""

    calls: int = 20_000
    # The pause before the engine repeats a command that has not been confirmed.
    cancel_retry_ms: int = 100
    # After this long without a bridge the switch is asked whether it stands; after as long again it is given up.
    connect_ms: int = 1_500
    # How long a leg that we are ending may take to end before we go on without it.
    offer_grace_ms: int = 5_000
    # An agent who is gone within this has not talked: the caller keeps their place. Until then the switch sends the
    # caller back to the music by itself; only then the leg is told that it talks.
    settle_ms: int = 1_000
    # How many agents may ring at once for one call, whatever its strategy says.
    ringing: int = 100
    # How many candidates a rank strategy is shown.
    rank_pool: int = 200
    # Wrap-up that only the agent ends: after so long the agent is not ready.
    longest_wrap_up_ms: int = 3_600_000
    # What an agent has done counts half after so long on duty (fewest_calls, least_talk_time, least_occupied).
    counters_half_life_ms: int = 4 * 3_600_000
    # How many callers' last agents are remembered.
    last_agents: int = 50_000
    # How many callers who hung up have their places kept.
    abandoned: int = 10_000
    # How many decisions can be explained from memory.
    decisions: int = 10_000
    # A plugin that has failed is tried again after so long; each further failure doubles it, up to the second.
    plugin_retry_ms: int = 10_000
    plugin_retry_most_ms: int = 600_000
    # A switch that has been away for so long is given up: its calls end, and its agents are free. 0: never, as in old
    # journals; the configuration knows no 0.
    switch_gone_ms: int = 0
    # How long after a talk's wrap-up its codes and note may be set, and one that is required is waited for.
    late_codes_ms: int = 1_800_000


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything the engine is told by the configuration."""

    queues: Mapping[str, QueueRules]
    agents: Mapping[str, AgentRules]
    limits: Limits = Limits()
    # Where a caller goes whom no queue takes, and where a talking caller goes who is put back into their queue.
    fallback: ToExtension = ToExtension("fsacd_fallback", "fsacd")
    when_queue_removed: Target | None = None  # where callers go whose queue is no more; None: to the fallback
    back: ToExtension = ToExtension("fsacd_back", "fsacd")
    # What agents choose from. Without reasons, any text is one.
    wrap_up_codes: Choices = ()
    not_ready_reasons: Choices = ()

    def asking_for_delays(self) -> frozenset[str]:
        """The queues in which delays hold only while somebody better is there."""
        return frozenset(name for name, queue in self.queues.items() if queue.no_agent_no_delay)

    def renamed(self) -> dict[str, str]:
        """The names that queues had before, each with its name now."""
        return {old: name for name, queue in self.queues.items() for old in queue.was if old not in self.queues}
