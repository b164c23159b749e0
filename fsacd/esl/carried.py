"""The variables of a caller's leg that go along to agents' legs: read from its announcement. Pure.

They are read when the call is queued, not when an agent is rung: the announcement has them all, so no ring waits for an
answer of the switch. They are journalled with the fact. A daemon that takes over hears the same announcement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fsacd.core import variables
from fsacd.core.events import LegVariable
from fsacd.esl.codec import Message

_PREFIX = "variable_"
_EXPORTED = _PREFIX + variables.EXPORTED
_NOLOCAL = "nolocal:"


class Carried:
    """The variables to read: the union of all queues' lists. A queue's own list decides when an agent is rung."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._wanted = variables.Wanted(entries)

    def replace(self, entries: Iterable[str]) -> None:
        """Read these from now on."""
        self._wanted = variables.Wanted(entries)

    def of(self, message: Message) -> tuple[LegVariable, ...]:
        """The variables of the leg that may go along, by name; the first `variables.MOST`, each cut to its bound."""
        wanted = self._wanted
        exported = dict(_exported(message)) if wanted.exported and message.get(_EXPORTED) else {}
        if not exported and not wanted.by_name:
            return ()
        found = {name: message.get(header) for name, header in exported.items()}
        if wanted.by_name:
            named = [header for header in message.headers if header.startswith(_PREFIX)]
            found |= {header.removeprefix(_PREFIX): message.get(header) for header in named}
        return tuple(
            LegVariable(name, value[: variables.LONGEST], name in exported)
            for name, value in sorted(found.items())
            if value and wanted.wants(name, exported=name in exported)
        )[: variables.MOST]


def _exported(message: Message) -> Iterator[tuple[str, str]]:
    """The variables that the dialplan has exported: each name, and the header that has its value."""
    for entry in message.get(_EXPORTED).split(","):
        name = entry.strip()
        # A variable that is exported for the other leg alone (nolocal:) stands on this leg with that prefix in its
        # name.
        if name:
            yield name.removeprefix(_NOLOCAL), _PREFIX + name
