"""A log-in: an agent at work at one phone, from their log-in until they log out, move to another phone or are removed.

Whoever logs in at another phone while they are logged in ends one log-in and begins the next, which touches it. A talk
may outlast the log-in in which it began.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha1

from fsacd.core.fact import fact


class HowBegun(StrEnum):
    """The closed list of how a log-in begins."""

    LOGGED_IN = "logged_in"
    MOVED = "moved"  # they were logged in at another phone before
    FOUND = "found"  # an older fsacd, which told of no log-ins, has left them logged in


class HowEnded(StrEnum):
    """The closed list of how a log-in ends."""

    LOGGED_OUT = "logged_out"
    MOVED = "moved"  # they are logged in at another phone now
    REMOVED = "removed"  # a reload has taken the agent out of the configuration


@fact
class LogIn:
    """A log-in: told when it begins, with `ended_ms` None, and again, with the same id, when it has ended.

    Times are those of the engine's clock. `switches` are those that could ring the agent when it began; (): any.
    """

    log_in_id: str
    agent_id: str
    contact: str
    switches: tuple[str, ...]
    started_ms: int
    how_begun: HowBegun
    by: str  # who asked for it: phone:1001, api:desk, cli:root, configuration; empty: not known
    ended_ms: int | None = None
    how_ended: HowEnded | None = None
    ended_by: str = ""


def log_in_id(seed: int, edition: int, before: LogIn | None, agent_id: str, now_ms: int) -> str:
    """The name of a log-in: the same after a restart and in a replay, and another one for each.

    It is made of the agent's log-in before, too: two may begin within one millisecond. Whoever has had none may have
    been taken out of the configuration and put in again meanwhile, so it is made of the rules' `edition` then.
    """
    after = before.log_in_id if before is not None else str(edition)
    return sha1(f"{seed}/{after}/{agent_id}/{now_ms}".encode(), usedforsecurity=False).hexdigest()[:32]
