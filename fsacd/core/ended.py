"""Ended calls are remembered for a while: a late announcement of one must not queue it a second time."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fsacd.core.commands import EndCall, SendCall
from fsacd.core.visit import Visit

_LIMIT = 50_000
_FOR_MS = 600_000
# An announcement later than this after the end means that the leg never got its final command.
_REPEAT_AFTER_MS = 3_000


@dataclass(slots=True)
class _Ended:
    at_ms: int
    final_command: SendCall | EndCall | None
    offers: int | None = None  # of a call that we lost sight of: how often it was offered
    visit: Visit | None = None  # of such a call: the last one
    contact_id: str = ""


class Before(NamedTuple):
    """What is known of a call that was lost sight of: how often it was offered, and its last visit."""

    offers: int
    visit: Visit | None


class EndedCalls:
    """The ids of ended calls and the final command to each leg, which is repeated to a leg that missed it."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Ended] = OrderedDict()
        # By contact, where it has not the id of the call itself: how many of its calls are remembered.
        self._contacts: Counter[str] = Counter()

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._calls

    def has_of_contact(self, contact_id: str) -> bool:
        """Whether a call of this contact is remembered."""
        return contact_id in self._calls or contact_id in self._contacts

    def remember(
        self, call_id: str, final_command: SendCall | EndCall | None, now_ms: int, contact_id: str = ""
    ) -> None:
        """The call is over."""
        if call_id in self._calls:
            self.forget(call_id)
        self._add(call_id, _Ended(now_ms, final_command, None, None, contact_id))
        while self._calls:
            oldest_id, oldest = next(iter(self._calls.items()))
            if len(self._calls) <= _LIMIT and now_ms - oldest.at_ms < _FOR_MS:
                break
            self.forget(oldest_id)

    def _add(self, call_id: str, ended: _Ended) -> None:
        self._calls[call_id] = ended
        if ended.contact_id not in ("", call_id):
            self._contacts[ended.contact_id] += 1

    def lose_sight(self, call_id: str, offers: int, visit: Visit | None) -> None:
        """Nobody saw the call's end: its leg may turn up again, recovered late or when the switch is ours again."""
        ended = self._calls[call_id]
        ended.final_command, ended.offers, ended.visit = None, offers, visit

    def take_back(self, call_id: str) -> Before | None:
        """Take a call that was lost sight of for a live one again. Returns what is known of it."""
        ended = self._calls.get(call_id)
        if ended is None or ended.offers is None:
            return None
        self.forget(call_id)
        return Before(ended.offers, ended.visit)

    def all(self) -> Iterator[tuple[str, int, SendCall | EndCall | None, int | None, Visit | None, str]]:
        """Every remembered call with its data; the first to be forgotten comes first."""
        for call_id, ended in self._calls.items():
            yield call_id, ended.at_ms, ended.final_command, ended.offers, ended.visit, ended.contact_id

    def forget(self, call_id: str) -> None:
        """Forget the call: if it is announced again, it is a new call."""
        ended = self._calls.pop(call_id, None)
        if ended is not None and ended.contact_id in self._contacts:
            self._contacts[ended.contact_id] -= 1
            if not self._contacts[ended.contact_id]:
                del self._contacts[ended.contact_id]

    def restore(
        self,
        call_id: str,
        at_ms: int,
        final_command: SendCall | EndCall | None,
        offers: int | None,
        visit: Visit | None = None,
        contact_id: str = "",
    ) -> None:
        """Remember one entry that `all` has given."""
        self._add(call_id, _Ended(at_ms, final_command, offers, visit, contact_id))

    def announced_again(self, call_id: str, now_ms: int) -> SendCall | EndCall | None:
        """What to tell the leg of an ended call that announces itself; None if it may still be on its way."""
        ended = self._calls[call_id]
        if ended.final_command is None or now_ms - ended.at_ms < _REPEAT_AFTER_MS:
            return None
        ended.at_ms = now_ms
        return ended.final_command

    def final_command(self, call_id: str) -> SendCall | EndCall | None:
        """What to tell the leg of an ended call that is back in the music; None for a call that is not remembered."""
        ended = self._calls.get(call_id)
        return ended.final_command if ended is not None else None
