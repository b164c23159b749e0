"""What became of a call, seen from the switch alone, and whether its row of history says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fsacd.core.records import CallEnded, CallOutcome
from fsacd.sim.agenda import MS, SECOND
from fsacd.sim.session import Session


class Phase(StrEnum):
    """Where a caller's leg is, or how it ended."""

    WAITING = "waiting"
    BETWEEN = "between"
    AGENT = "with an agent"
    STRANGER = "with others"
    PARKED = "parked"
    MOVED = "moved"
    REPLACED = "replaced"
    HUNG_UP = "hung up"
    ENDED = "ended by the switch"


_OVER = frozenset({Phase.HUNG_UP, Phase.ENDED})
# `limits.settle` and the way of its words; a talk that is surely one, and one that is surely none.
A_TALK_US = 1_300 * MS
NO_TALK_US = 700 * MS
# Of a bridge every event tells; of a parking none, and it is found out later.
HEARD_US = 1 * SECOND
FOUND_US = 27 * SECOND
# From what happens to the daemon that hears of it.
ON_ITS_WAY_US = 50 * MS


@dataclass(slots=True)
class Stay:
    """One phase, from when until when."""

    phase: Phase
    from_us: int
    until_us: int
    heard: bool = False  # a daemon has heard of it; of a talk that no daemon has, nothing is left when both have gone

    @property
    def us(self) -> int:
        """How long it lasted."""
        return self.until_us - self.from_us


@dataclass(slots=True)
class Biography:
    """The phases of one call, over all legs that have borne its id."""

    stays: list[Stay] = field(default_factory=list)
    # It gave its place away when no daemon heard the switch, whose list of legs shows the other one a little late.
    unheard: bool = False
    _leg: str = ""

    def see(self, phase: Phase, session: Session, now_us: int, *, heard: bool) -> None:
        """It is seen to be there now. A leg that was replaced says nothing more once another one has the call.

        `heard`: a daemon serves the switch and hears it.
        """
        leg = session.channel.uuid
        if phase is Phase.REPLACED and leg != self._leg:
            return
        if phase in _OVER and leg != self._leg:
            return
        self._leg = leg
        if self.stays:
            self.stays[-1].until_us = now_us
        if not self.stays or self.stays[-1].phase is not phase:
            self.stays.append(Stay(phase, now_us, now_us))
        stay = self.stays[-1]
        stay.heard = stay.heard or (heard and stay.us > ON_ITS_WAY_US)

    def nobody_hears(self, now_us: int) -> None:
        """No daemon hears the switch, or only just does."""
        if any(stay.phase is Phase.REPLACED and now_us - stay.from_us < HEARD_US for stay in self.stays):
            self.unheard = True

    def __str__(self) -> str:
        return ", ".join(f"{stay.phase} {stay.us / SECOND:.2f} s" for stay in self.stays)

    def contradicts(self, row: CallEnded | None) -> str:
        """Why this row cannot be true; nothing, if it can."""
        if row is None:
            return "it has no end"
        possible = self._possible()
        told = (row.outcome, row.detail if row.outcome is CallOutcome.LEFT else "")
        if told in possible:
            return ""
        return f"it is told as {row.outcome} ({row.detail}), and can only be {sorted(possible)}"

    def _possible(self) -> set[tuple[CallOutcome, str]]:
        answered, abandoned = (CallOutcome.ANSWERED, ""), (CallOutcome.ABANDONED, "")
        possible: set[tuple[CallOutcome, str]] = set()
        if self.unheard:
            possible |= {abandoned, (CallOutcome.LEFT, "transferred")}
        stays = [stay for stay in self.stays if stay.phase is not Phase.BETWEEN]
        for stay, after in zip(stays, [*stays[1:], None], strict=True):
            match stay.phase:
                case Phase.AGENT if stay.us >= A_TALK_US:
                    return {answered} if stay.heard else {answered, abandoned}
                case Phase.AGENT if stay.us >= NO_TALK_US or after is None or after.phase is not Phase.WAITING:
                    possible.add(answered)  # a short talk is one, if the caller is not back in the music after it
        last = next((stay for stay in reversed(stays) if stay.phase not in _OVER), None)
        how = stays[-1].phase if stays else None
        if last is None:
            return possible | {abandoned}
        match last.phase:
            case Phase.WAITING:
                possible.add(abandoned)
            case Phase.AGENT:
                possible |= {abandoned, answered}
            case Phase.REPLACED:
                possible |= {(CallOutcome.LEFT, "transferred"), *_taken_before(stays, last)}
            case Phase.STRANGER | Phase.PARKED | Phase.MOVED:
                name = {"with others": "picked_up"}.get(last.phase, str(last.phase))
                possible.add((CallOutcome.LEFT, name))
                # What was so for a moment may have ended before anybody asked.
                if not last.heard or _may_be_unheard(stays, last) or how is None:
                    possible.add(abandoned)
                    if how is Phase.ENDED:  # another leg has taken their place there
                        possible.add((CallOutcome.LEFT, "transferred"))
                possible |= _taken_before(stays, last)
        return possible


def _may_be_unheard(stays: list[Stay], last: Stay) -> bool:
    """Whether nobody need have heard of it: the bridge of somebody who was moved away before is told to nobody."""
    before = stays[stays.index(last) - 1] if last is not stays[0] else last
    if last.phase is Phase.STRANGER and before.phase not in (Phase.PARKED, Phase.MOVED):
        return last.us < HEARD_US
    since_us = before.from_us if before.phase in (Phase.PARKED, Phase.MOVED) else last.from_us
    return last.until_us - since_us < FOUND_US


def _taken_before(stays: list[Stay], last: Stay) -> set[tuple[CallOutcome, str]]:
    """Who was taken away and then handed on has left when they were taken, and as they were."""
    found: set[tuple[CallOutcome, str]] = set()
    for stay in stays[: stays.index(last)]:
        match stay.phase:
            case Phase.WAITING if stay.us > HEARD_US:
                found.clear()
            case Phase.STRANGER:
                found.add((CallOutcome.LEFT, "picked_up"))
            case Phase.PARKED | Phase.MOVED:
                found.add((CallOutcome.LEFT, str(stay.phase)))
    return found
