"""A standing leg: an agent's phone that is rung once, when they log in, and stays answered for all their calls.

DOWN ──rung──> RINGING ──answered──> STANDS ──offered a call──> USED ──offer over──> RETURNING ──back──> STANDS

Each state but STANDS, USED and GIVEN_UP has a deadline. A leg that ends is DOWN, until it is rung anew; after some
times in a row it is GIVEN_UP, until its agent says that they are ready. ENDING: they want none any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fsacd.core.fact import fact


class Stand(StrEnum):
    """What a standing leg is about."""

    DOWN = "down"
    RINGING = "ringing"
    STANDS = "stands"
    USED = "used"
    RETURNING = "returning"
    ENDING = "ending"
    GIVEN_UP = "given_up"


# These wait for something that may never come.
WITH_DEADLINE: Final = frozenset({Stand.DOWN, Stand.RINGING, Stand.RETURNING, Stand.ENDING})
# In these there may be a leg on the switch.
LIVE: Final = frozenset({Stand.RINGING, Stand.STANDS, Stand.USED, Stand.RETURNING, Stand.ENDING})


@dataclass(slots=True)
class StandingLeg:
    """The standing leg of one agent, or the next one while there is none. Times are milliseconds."""

    leg: str  # its name on the switch
    switch: str
    contact: str
    state: Stand
    since_ms: int
    stands_since_ms: int = 0  # since when the present leg is answered
    failures: int = 0  # how often in a row it was not answered, or has ended soon
    tries: int = 0  # how often the order of the present state was given
    offer_id: str = ""  # the offer that uses it
    is_back: bool = False  # told to be back before the leg of its offer was told to have ended
    fell_silent: bool = False  # its phone has sent nothing for its `media_timeout`, in the talk of `offer_id`


@fact
class StandingLegLost:
    """An agent's standing leg has ended that was still wanted, or was not answered (`cause` says why not)."""

    agent_id: str
    cause: str
    at_ms: int
