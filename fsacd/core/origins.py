"""Where the live calls come from: how many there are of each number, and of each network address."""

from __future__ import annotations

from fsacd.core import call as c


class Origins:
    """Counts live calls, be it that they wait, ring or talk.

    A count that comes to nought is forgotten, so that there are never more of them than calls. Numbers that are
    withheld are nobody's, and so is an address that is not known.
    """

    def __init__(self) -> None:
        self._number_of: dict[str, str] = {}  # by call: reading a number once is enough
        self._numbers: dict[str, int] = {}
        self._sources: dict[str, int] = {}

    def add(self, call: c.Call) -> None:
        """The call is here."""
        if number := call.who:
            self._number_of[call.call_id] = number
            self._numbers[number] = self._numbers.get(number, 0) + 1
        if call.source:
            self._sources[call.source] = self._sources.get(call.source, 0) + 1

    def remove(self, call: c.Call) -> None:
        """The call has ended."""
        number = self._number_of.pop(call.call_id, None)
        if number is not None:
            _one_less(self._numbers, number)
        if call.source:
            _one_less(self._sources, call.source)

    def of_number(self, call: c.Call) -> int:
        """How many live calls have this call's number, itself included; 0 when the number is withheld."""
        number = self._number_of.get(call.call_id)
        return 0 if number is None else self._numbers[number]

    def of_source(self, call: c.Call) -> int:
        """How many live calls come from this call's address, itself included; 0 when the address is not known."""
        return self._sources.get(call.source, 0)

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """All of them: by number, by address."""
        return dict(self._numbers), dict(self._sources)


def _one_less(counts: dict[str, int], key: str) -> None:
    count = counts[key]
    if count > 1:
        counts[key] = count - 1
    else:
        del counts[key]
