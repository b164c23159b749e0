"""Plugins of a user, and the catalogue that is read from their files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsacd.plugins import Catalogue

FINE = '''\
"""fine: everybody alike. There is more to say.

And even more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fsacd.strategy import BaseKeyStrategy, Milliseconds, Ring


API_VERSION = 1


@dataclass(frozen=True)
class Strategy(BaseKeyStrategy):
    """Everybody alike."""

    every: Milliseconds = Milliseconds(90_000)
    most: int = 3
    share: float = 0.5
    loud: bool = False
    word: str = "hello"
    scope: Literal["best", "all"] = "best"

    def __post_init__(self) -> None:
        if self.most > 10:
            raise ValueError("most must be 10 or less")
        if self.word == "bye":
            raise ValueError("that is no way to begin")
        if self.word == "bug":
            raise KeyError(self.word)

    @property
    def ring(self):
        return Ring(self.most, self.every)

    def key(self, agent, service, required):
        return (1,)
'''
RANK = """\
from fsacd.strategy import BaseRankStrategy
API_VERSION = 1
class Strategy(BaseRankStrategy):
    def rank(self, call, candidates, chance):
        return [one.agent.agent_id for one in candidates]
"""
ORDER = """\
API_VERSION = 1
class CallOrder:
    def key(self, call):
        return (call.offers,)
"""


@contextmanager
def files_of_ones_own() -> Iterator[None]:
    """Where a new file is its group's to write, as on many desktops, it would be refused."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def users_catalogue(directory: Path) -> Catalogue:
    """Plugins of a user: fine, ranking and order."""
    for name, text in (("fine", FINE), ("ranking", RANK), ("order", ORDER)):
        (directory / f"{name}.py").write_text(text, encoding="utf-8")
    found, problems = Catalogue.load([directory], installed=False)
    assert problems == ()
    return found
