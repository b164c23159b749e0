"""Who has one device at most, remembered: their ring need not wait for what the switch says of their devices.

Whoever has several is asked about before each ring, for each is rung where it is. Whoever has one is rung by name, and
the switch itself knows where. So only a device more makes a memory wrong, and of that the switch tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from fsacd.esl.codec import Message

SUBCLASSES: Final = ("sofia::register",)
# Registrations that switches share in a database are told of by the one alone that took them.
_REMEMBERED_MS: Final = 600_000
# Nobody has more agents on one switch; a memory that is larger begins anew.
_MOST: Final = 20_000


class Devices:
    """What is remembered of one switch's users. `now_ms` is the time of any clock that does not go back."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        # When they were last seen to have one device at most: by name, and by the whole user as the contact has it.
        self._seen_ms: dict[str, dict[str, int]] = {}
        self._told = True
        self.changes = 0

    def begin(self, *, told: bool) -> None:
        """The link has come up or is down: nobody has told of what happened meanwhile. `told`: from now on it is."""
        self._seen_ms.clear()
        self._told = told
        self.changes += 1

    def heard(self, message: Message) -> None:
        """Take a registration, if the message is one: whoever it is of may have a device more."""
        if message.subclass in SUBCLASSES:
            self.changes += 1
            self._seen_ms.pop(message.get("from-user"), None)

    def answered(self, user: str, count: int, changes: int) -> None:
        """The switch knows so many devices of the user; `changes` was the number of them when it was asked."""
        name = _name(user)
        if count > 1 or changes != self.changes or not self._told:
            self._seen_ms.pop(name, None)
            return
        if len(self._seen_ms) >= _MOST:
            self._seen_ms.clear()
        self._seen_ms.setdefault(name, {})[user] = self._now_ms()

    def have_one_each(self, users: Iterable[str]) -> bool:
        """Whether it is known of all of them that they have one device at most."""
        earliest_ms = self._now_ms() - _REMEMBERED_MS
        seen = (self._seen_ms.get(_name(user), {}).get(user) for user in users)
        return all(seen_ms is not None and seen_ms >= earliest_ms for seen_ms in seen)


def _name(user: str) -> str:
    return user.partition("@")[0]
