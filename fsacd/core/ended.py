"""Ended calls are remembered for a while: a late announcement of one must not queue it a second time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from fsacd.core.commands import EndCall, SendCall

_LIMIT = 50_000
_FOR_MS = 600_000
# An announcement later than this after the end means that the leg never got its final command.
_REPEAT_AFTER_MS = 3_000


@dataclass(slots=True)
class _Ended:
    at_ms: int
    final_command: SendCall | EndCall | None
    offers: int | None = None  # of a call that we lost sight of: how often it was offered


class EndedCalls:
    """The ids of ended calls and the final command to each leg, which is repeated to a leg that missed it."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Ended] = OrderedDict()

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._calls

    def remember(self, call_id: str, final_command: SendCall | EndCall | None, now_ms: int) -> None:
        """The call is over."""
        self._calls[call_id] = _Ended(now_ms, final_command)
        while self._calls:
            oldest_id, oldest = next(iter(self._calls.items()))
            if len(self._calls) <= _LIMIT and now_ms - oldest.at_ms < _FOR_MS:
                break
            del self._calls[oldest_id]

    def lose_sight(self, call_id: str, offers: int) -> None:
        """Nobody saw the call's end: its leg may turn up again, recovered late or when the switch is ours again."""
        ended = self._calls[call_id]
        ended.final_command, ended.offers = None, offers

    def take_back(self, call_id: str) -> int | None:
        """Take a call that was lost sight of for a live one again. Returns how often it was offered before."""
        ended = self._calls.get(call_id)
        if ended is None or ended.offers is None:
            return None
        del self._calls[call_id]
        return ended.offers

    def all(self) -> Iterator[tuple[str, int, SendCall | EndCall | None, int | None]]:
        """Every remembered call with its data; the first to be forgotten comes first."""
        for call_id, ended in self._calls.items():
            yield call_id, ended.at_ms, ended.final_command, ended.offers

    def forget(self, call_id: str) -> None:
        """Forget the call: if it is announced again, it is a new call."""
        self._calls.pop(call_id, None)

    def restore(self, call_id: str, at_ms: int, final_command: SendCall | EndCall | None, offers: int | None) -> None:
        """Remember one entry that `all` has given."""
        self._calls[call_id] = _Ended(at_ms, final_command, offers)

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
