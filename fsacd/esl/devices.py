"""Remembers which users have one device at most: their ring need not wait for the switch's list of their devices.

The devices of a user with several are asked for before each ring, because each device is rung by its own address. A
user with one device is rung by name, and the switch itself knows where. So a memory becomes wrong only by a new
registration, and of that the switch tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from fsacd.esl.codec import Message

SUBCLASSES: Final = ("sofia::register",)
# A memory expires: of registrations that switches share in a database, only the switch that took one tells.
_REMEMBERED_MS: Final = 600_000
# No site has more agents on one switch; a memory that has grown to this size is emptied.
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
        """Forget all users: the link has come up or is down. `told`: the switch tells of registrations from now on."""
        self._seen_ms.clear()
        self._told = told
        self.changes += 1

    def heard(self, message: Message) -> None:
        """Forget the user of a registration, if the message is one: they may have one more device."""
        if message.subclass in SUBCLASSES:
            self.changes += 1
            self._seen_ms.pop(message.get("from-user"), None)

    def answered(self, user: str, count: int, changes: int) -> None:
        """The switch knows `count` devices of the user; `changes` is the attribute as it was at the question."""
        name = _name(user)
        if count > 1 or changes != self.changes or not self._told:
            self._seen_ms.pop(name, None)
            return
        if len(self._seen_ms) >= _MOST:
            self._seen_ms.clear()
        self._seen_ms.setdefault(name, {})[user] = self._now_ms()

    def have_one_each(self, users: Iterable[str]) -> bool:
        """Whether all these users are known to have one device at most."""
        earliest_ms = self._now_ms() - _REMEMBERED_MS
        seen = (self._seen_ms.get(_name(user), {}).get(user) for user in users)
        return all(seen_ms is not None and seen_ms >= earliest_ms for seen_ms in seen)


def _name(user: str) -> str:
    return user.partition("@")[0]
