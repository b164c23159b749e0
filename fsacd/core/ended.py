"""Ended calls are remembered for a while: a late announcement of one must not queue it a second time.

A busy centre remembers tens of thousands, and is asked of hardly any. So each is kept as bytes (`_packed`): as the
objects that it was made of, with another text for the same contact, an entry takes 530 bytes and not 215.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from marshal import dumps, loads
from typing import Any, NamedTuple

from fsacd.core.commands import EndCall, SendCall
from fsacd.core.events import Leg
from fsacd.core.rules import ToExtension
from fsacd.core.visit import Visit

_LIMIT = 50_000
_FOR_MS = 600_000
# An announcement later than this after the end means that the leg never got its final command.
_REPEAT_AFTER_MS = 3_000


class Before(NamedTuple):
    """What is known of a call that was lost sight of: how often it was offered, and its last visit."""

    offers: int
    visit: Visit | None


class _Ended(NamedTuple):
    at_ms: int
    final_command: SendCall | EndCall | None
    contact_id: str | None  # None: the call's own id, as of nearly all


def _packed(at_ms: int, contact_id: str | None, command: SendCall | EndCall | None) -> bytes:
    """The entry as this process reads it again; nothing else ever does."""
    if command is None:
        return dumps((at_ms, contact_id))
    leg = command.leg
    if isinstance(command, EndCall):
        return dumps((at_ms, contact_id, leg.switch, leg.uuid, command.cause))
    return dumps((at_ms, contact_id, leg.switch, leg.uuid, command.target.extension, command.target.context))


def _unpacked(call_id: str, packed: bytes) -> _Ended:
    at_ms, contact_id, *rest = _fields(packed)
    if not rest:
        return _Ended(at_ms, None, contact_id)
    switch, uuid, *where = rest
    leg = Leg(switch, uuid)
    command = SendCall(call_id, leg, ToExtension(*where)) if len(where) > 1 else EndCall(call_id, leg, *where)
    return _Ended(at_ms, command, contact_id)


def _at_ms(packed: bytes) -> int:
    return int(_fields(packed)[0])


def _contact_id(packed: bytes) -> str | None:
    contact_id: str | None = _fields(packed)[1]
    return contact_id


def _fields(packed: bytes) -> tuple[Any, ...]:
    fields: tuple[Any, ...] = loads(packed)  # noqa: S302 - `_packed` has made it, in this process
    return fields


class EndedCalls:
    """The ids of ended calls and the final command to each leg, which is repeated to a leg that missed it."""

    def __init__(self) -> None:
        self._calls: dict[str, bytes] = {}
        # The ids in the order in which they are forgotten; an ordered dict takes 80 bytes more for each. Those that are
        # forgotten before their turn, or remembered anew, leave an id behind, which is passed over: `_passed`.
        self._order: deque[str] = deque()
        self._passed: Counter[str] = Counter()
        self._oldest_ms = 0  # the first in the order has ended then, or later
        self._lost: dict[str, Before] = {}  # of those that we lost sight of
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
        self._add(call_id, now_ms, final_command, contact_id)
        while len(self._calls) > _LIMIT or now_ms - self._oldest_ms >= _FOR_MS:
            oldest_id = self._oldest()
            self._oldest_ms = _at_ms(self._calls[oldest_id])
            if len(self._calls) <= _LIMIT and now_ms - self._oldest_ms < _FOR_MS:
                break
            self.forget(oldest_id)

    def _add(self, call_id: str, at_ms: int, final_command: SendCall | EndCall | None, contact_id: str) -> None:
        if contact_id == call_id:
            self._calls[call_id] = _packed(at_ms, None, final_command)
        else:
            self._calls[call_id] = _packed(at_ms, contact_id, final_command)
            if contact_id:
                self._contacts[contact_id] += 1
        self._order.append(call_id)

    def _get(self, call_id: str) -> _Ended:
        return _unpacked(call_id, self._calls[call_id])

    def _oldest(self) -> str:
        order = self._order
        while self._passed and order[0] in self._passed:
            _one_less(self._passed, order.popleft())
        return order[0]

    def lose_sight(self, call_id: str, offers: int, visit: Visit | None) -> None:
        """Nobody saw the call's end: its leg may turn up again, recovered late or when the switch is ours again."""
        at_ms, _, contact_id = self._get(call_id)
        self._calls[call_id] = _packed(at_ms, contact_id, None)
        self._lost[call_id] = Before(offers, visit)

    def take_back(self, call_id: str) -> Before | None:
        """Take a call that was lost sight of for a live one again. Returns what is known of it."""
        before = self._lost.get(call_id)
        if before is not None:
            self.forget(call_id)
        return before

    def all(self) -> Iterator[tuple[str, int, SendCall | EndCall | None, int | None, Visit | None, str]]:
        """Every remembered call with its data; the first to be forgotten comes first."""
        for call_id in self._calls:
            (at_ms, command, contact_id), (offers, visit) = self._get(call_id), self._lost.get(call_id, (None, None))
            yield call_id, at_ms, command, offers, visit, call_id if contact_id is None else contact_id

    def forget(self, call_id: str) -> None:
        """Forget the call: if it is announced again, it is a new call."""
        packed = self._calls.pop(call_id, None)
        if packed is None:
            return
        if self._contacts and (contact_id := _contact_id(packed)):
            _one_less(self._contacts, contact_id)
        if self._lost:
            self._lost.pop(call_id, None)
        if self._order[0] == call_id:
            self._order.popleft()
        else:
            self._passed[call_id] += 1

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
        self._add(call_id, at_ms, final_command, contact_id)
        if offers is not None:
            self._lost[call_id] = Before(offers, visit)

    def announced_again(self, call_id: str, now_ms: int) -> SendCall | EndCall | None:
        """What to tell the leg of an ended call that announces itself; None if it may still be on its way."""
        at_ms, command, contact_id = self._get(call_id)
        if command is None or now_ms - at_ms < _REPEAT_AFTER_MS:
            return None
        self._calls[call_id] = _packed(now_ms, contact_id, command)
        return command

    def final_command(self, call_id: str) -> SendCall | EndCall | None:
        """What to tell the leg of an ended call that is back in the music; None for a call that is not remembered."""
        return self._get(call_id)[1] if call_id in self._calls else None


def _one_less(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
