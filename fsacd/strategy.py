"""The contract of plugins: types only, the bottom layer. `strategies/README.md` shows how to write one.

A ring strategy answers one question: **of the eligible ready agents, in which order would this call ring them, and how
many at once?** A call order answers another: of the calls of one queue, which goes first? A plugin is one file with
`API_VERSION = 1` and either a class `Strategy` or a class `CallOrder`. Its constructor's keyword arguments are the
parameters that the configuration may give; a ValueError from it is shown with the YAML's line.

A plugin is pure: no clock, no dice but the one it is given, no memory of its own. Whatever it could remember is in the
facts. All facts are immutable. Times are milliseconds of one monotonic clock, of no meaning but to be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, NewType, Protocol

# Raised when the contract changes in a way that a plugin must know of.
API_VERSION = 1

# A parameter of this type is written as a duration in the configuration: `every: 10s`.
Milliseconds = NewType("Milliseconds", int)

# What a strategy sorts by: numbers, smaller goes first. All keys of one plugin must have the same length.
Key = tuple[float, ...]

# (skill, level 1..10), sorted by skill.
SkillLevels = tuple[tuple[str, int], ...]

# As `Ring.at_once`: everybody who is eligible, up to the limit in the configuration.
EVERYBODY = 0


class AgentFacts(NamedTuple):
    """A ready agent, as they were when they became ready.

    The three `recent_…` say how much the agent has done lately, on a logarithmic scale: greater is more, -inf is
    nothing. The values of any two agents may be compared at any time, because all fade alike (halved each
    `limits.counters_half_life`). They fade only while the agent is on duty, so nobody gains or loses by a break.
    """

    agent_id: str
    idle_since_ms: int  # when their last talk ended, or when they logged in
    last_offered_ms: int  # when their phone was last rung; before all others if never
    recent_calls: float  # calls answered
    recent_talk: float  # time talked
    recent_work: float  # time not idle: ringing, talking, wrapping up
    skills: SkillLevels


class ServiceFacts(NamedTuple):
    """How an agent serves the queue that is asked about."""

    place: int  # in the configuration's list of the queue's agents: 0, 1, 2 …
    rank: int  # 1 goes first, whatever the strategy says
    weight: int  # 1..100, for strategies that give shares


class CallFacts(NamedTuple):
    """A waiting call."""

    call_id: str
    queue: str
    priority: int  # its class, higher first
    arrived_ms: int
    head_start_ms: int
    required: SkillLevels
    number: str
    customer: str
    language: str
    offers: int  # how often it has been offered
    last_place: int | None  # `ServiceFacts.place` of the agent it rang last in this queue; None: none yet


class Candidate(NamedTuple):
    """An eligible ready agent."""

    agent: AgentFacts
    service: ServiceFacts
    level: int  # the lowest of their levels in the skills that the call requires; 0 if it requires none


class Ring(NamedTuple):
    """How many agents ring for one call."""

    at_once: int = 1  # or EVERYBODY
    one_more_every_ms: int = 0  # the pause before one more is added while they ring; 0: none is added
    beyond_best: bool = True  # False: only agents of the first rank and level that has a ready one


class Chance(Protocol):
    """The die that is given to `rank`: the same decision gets the same throws when a journal is replayed."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


class Start(NamedTuple):
    """What a strategy that goes round may choose the start of its round by."""

    queue_last_place: int | None  # `ServiceFacts.place` of the agent whom this queue rang last; None: none yet
    call_last_place: int | None  # the same of this call


class KeyStrategy(Protocol):
    """A strategy that can say its order as a key, so that the engine keeps the agents sorted by it. Prefer it.

    `key` is called when an agent becomes ready, or a call asks, and must depend on its arguments alone. With `by_skill`
    it is called for each set of required skills in use, otherwise with an empty set. With `goes_round`, the order is a
    circle that begins behind the key which `start` returns (None: at its beginning).

    `by_sum`, beside `by_skill`, promises that the key is the negated sum of the agent's levels in what is required (of
    all their levels, if nothing is), and then numbers that do not depend on what is required. However many sets are in
    use, a decision costs the same then; otherwise one with a set beyond the first 64 costs a key for each candidate.
    """

    ring: Ring
    by_skill: bool
    by_sum: bool
    goes_round: bool

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """Smaller rings first."""
        ...

    def start(self, start: Start) -> Key | None:
        """Behind which key the circle begins; asked only if `goes_round`."""
        ...


class RankStrategy(Protocol):
    """A strategy that looks at all candidates of a decision together. Its pool is capped by `limits.rank_pool`.

    The candidates are of one rank and level (those decide before any strategy), longest idle first.
    """

    ring: Ring

    def rank(self, call: CallFacts, candidates: Sequence[Candidate], chance: Chance) -> Sequence[str]:
        """The ids of all candidates, each once, the first to be rung first."""
        ...


Strategy = KeyStrategy | RankStrategy


class CallOrder(Protocol):
    """The order of the calls of one queue. The default is: priority class (higher first), then virtual arrival."""

    def key(self, call: CallFacts) -> Key:
        """Smaller goes first; must depend on its argument alone."""
        ...


class BaseKeyStrategy:
    """The defaults for most key strategies. Derive from it and write `key`."""

    ring: Ring = Ring()
    by_skill: bool = False
    by_sum: bool = False
    goes_round: bool = False

    def start(self, start: Start) -> Key | None:  # noqa: ARG002 - the contract's name
        """Called only if `goes_round` is set."""
        return None


class BaseRankStrategy:
    """The defaults for most rank strategies. Derive from it and write `rank`."""

    ring: Ring = Ring()
