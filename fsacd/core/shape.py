"""The shape of a talk: who of caller, agent and third party hear each other, and what is being changed about it.

A talk begins with two together, and most end so: they have no `TalkShape` at all. The first wish makes one, or the
first hold by the agent's phone.

    together ⇄ held ──consult──> calling ──answer──> consulting ⇄ swapped
       └────────────consult────────^   └──refused──> together   └── complete ──> handed over

Consulting and swapped may become three-way: all three are in a room of the switch (a conference) and hear each other.

What is wanted (`wanted`) and who are bridged (`pair`) are kept apart: facts tell the second, wishes set the first, and
`core.life.shaping` orders the next step from one to the other. So a fact that is late, doubled or lost does no harm:
at the deadline the step is ordered again, and then given up for the shape that no caller is lost in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fsacd.core.call import Call
from fsacd.core.offer import Offer


class Shape(StrEnum):
    """What a talk is like. The caller hears music in held, calling, consulting.

    In `calling` the third party rings, or an agent of a queue is looked for.
    """

    TOGETHER = "together"
    HELD = "held"
    CALLING = "calling"
    CONSULTING = "consulting"
    SWAPPED = "swapped"  # caller and agent talk, and the third party hears music
    THREE_WAY = "three_way"  # all three hear each other
    HANDED_OVER = "handed_over"  # caller and third party talk: the agent's part is over


class Pair(StrEnum):
    """Which legs of a talk hear each other. Whoever is not among them hears music, or nothing while they ring."""

    NOBODY = "nobody"
    CALLER_AGENT = "caller_agent"
    AGENT_THIRD = "agent_third"
    CALLER_THIRD = "caller_third"
    ALL = "all"  # in the talk's room


# The pair that a shape needs.
PAIR_OF: Final[dict[Shape, Pair]] = {
    Shape.TOGETHER: Pair.CALLER_AGENT,
    Shape.HELD: Pair.NOBODY,
    Shape.CALLING: Pair.NOBODY,
    Shape.CONSULTING: Pair.AGENT_THIRD,
    Shape.SWAPPED: Pair.CALLER_AGENT,
    Shape.THREE_WAY: Pair.ALL,
    Shape.HANDED_OVER: Pair.CALLER_THIRD,
}

# The one table of what may become of which shape.
SHAPE_MOVES: Final[dict[Shape, frozenset[Shape]]] = {
    # Consulting: the colleague has answered before the caller was on hold.
    Shape.TOGETHER: frozenset({Shape.HELD, Shape.CALLING, Shape.CONSULTING}),
    Shape.HELD: frozenset({Shape.TOGETHER, Shape.CALLING, Shape.CONSULTING}),
    Shape.CALLING: frozenset({Shape.CONSULTING, Shape.TOGETHER}),
    Shape.CONSULTING: frozenset({Shape.SWAPPED, Shape.THREE_WAY, Shape.TOGETHER, Shape.HANDED_OVER}),
    Shape.SWAPPED: frozenset({Shape.CONSULTING, Shape.THREE_WAY, Shape.TOGETHER, Shape.HANDED_OVER}),
    # Consulting: the caller has hung up, and the other two talk on.
    Shape.THREE_WAY: frozenset({Shape.CONSULTING, Shape.TOGETHER, Shape.HANDED_OVER}),
    Shape.HANDED_OVER: frozenset(),
}

# In these shapes the caller hears music.
CALLER_HELD: Final = frozenset({Shape.HELD, Shape.CALLING, Shape.CONSULTING})

# In these they talk.
_NEXT_TALKS: Final = frozenset({Shape.TOGETHER, Shape.THREE_WAY, Shape.HANDED_OVER})


@dataclass(slots=True)
class TalkShape:
    """What a talk has become. `shape` is the last that was reached; `wanted` is under way.

    `third` is the third party: the offer that the colleague's talk will be, if the caller is handed over to them.
    """

    shape: Shape = Shape.TOGETHER
    since_ms: int = 0
    pair: Pair = Pair.CALLER_AGENT
    wanted: Shape | None = None
    tries: int = 0  # how often a step towards it was ordered
    ordered: str = ""  # the last of these
    asked: bool = False  # the switch was asked since who are bridged
    looks: int = 0  # how often it was asked since all were sent into the room, and which legs are in it
    inside: tuple[str, ...] = ()
    third: Offer | None = None
    asks: Call | None = None  # until whoever is next in a queue answers: the entry there (`core.life.asking`)
    caller_gone: bool = False  # the caller has hung up, and agent and third party talk on
    held_since_ms: int | None = None
    held_ms: int = 0
    holds: int = 0
    held_until_ms: int = 0  # the end of the last of these times
    consults: int = 0
    muted: bool = False  # nobody hears the agent
    silenced: bool = False  # the agent has been muted in this talk, perhaps not any more
    phone_since_ms: int | None = None  # since when the agent's phone holds the talk by itself
    # Nobody has moved a leg: the talk was only muted, or held by the agent's phone, and its one bridge has stood.
    untouched: bool = False


def room_of(talk_id: str) -> str:
    """The name of the talk's room on its switch."""
    return f"fsacd-{talk_id}"


def with_thirds(offers: Mapping[str, Offer], shapes: Mapping[str, TalkShape]) -> list[Offer]:
    """All these offers, and those that third parties of these talks would have."""
    return [*offers.values(), *(shape.third for shape in shapes.values() if shape.third is not None)]


def is_held(shape: TalkShape) -> bool:
    """Whether the caller is on hold: they talk with nobody, or their agent alone, whose phone holds them."""
    if shape.caller_gone:
        return False
    if shape.pair is Pair.NOBODY and shape.shape is Shape.SWAPPED and shape.wanted in _NEXT_TALKS:
        return False  # they talked until now, and are on the way to whom they talk with next
    with_agent_alone = shape.pair is Pair.CALLER_AGENT or (shape.pair is Pair.ALL and shape.third is None)
    return shape.pair in (Pair.NOBODY, Pair.AGENT_THIRD) or (with_agent_alone and shape.phone_since_ms is not None)
