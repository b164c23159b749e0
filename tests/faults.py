"""A fault in a part of the daemon: it is raised at the first call of its work, and what is told of it is looked up."""

from __future__ import annotations

from typing import Any

import pytest

from fsacd.runtime import watched

# A part that has died works again by then.
DEADLINE_S = 20.0


class FaultError(Exception):
    """Raised by the test in a part's work."""


class Once:
    """Lets a method raise at its first call; it counts the calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, method: str) -> None:
        self.calls = 0
        original = getattr(owner, method)

        def patched(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise FaultError("expected by the test")
            return original(*arguments, **named)

        monkeypatch.setattr(owner, method, patched)


def told(part: str) -> list[str]:
    """Of what this part has died lately, as the troubles tell it."""
    return [trouble.detail for trouble in watched.troubles() if f", {part}," in trouble.words]
