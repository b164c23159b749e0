"""A call centre with a journal, that can be killed and started again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fsacd.core import events as e
from fsacd.core.engine import Engine
from fsacd.core.match.plugins import Plugins
from fsacd.core.rules import Rules
from fsacd.journal.journal import Journal
from fsacd.journal.settings import JournalSettings
from fsacd.runtime.loop import Runtime
from fsacd.testing import PLUGINS, agent, queue, rules_of

RULES = rules_of(queue("q", ring_timeout_ms=20_000), agent("a", "q"), agent("b", "q"))


class Centre:
    """One life of a daemon's inside: journal, engine, runtime. Each further one goes on where the last was killed."""

    def __init__(self, directory: Path, rules: Rules = RULES, *, plugins: Plugins = PLUGINS, **settings: Any) -> None:
        self.journal = Journal(JournalSettings(directory, **settings))
        self.recovered = self.journal.recover(plugins)
        if self.recovered is not None:
            self.engine = self.recovered.engine
        else:
            self.engine = Engine(rules, plugins, self.journal.clock(), seed=7)
        self.runtime = Runtime(self.engine, clock=self.journal.clock, journal=self.journal)
        self.journal.begin(self.engine, self.runtime.forget)
        self.runtime.set_sender(lambda _: None)

    def tell(self, *events: e.Event) -> None:
        """Let facts enter."""
        for event in events:
            self.runtime.post(event)
            assert not self.runtime.failure

    def shown(self) -> object:
        """What the engine shows, but for the time."""
        plain = self.engine.dump()
        del plain["now_ms"]
        return plain

    def kill(self) -> None:
        """End as a killed process does: nothing is said, nothing is written any more."""
        self.runtime.stop()
        self.journal.close()
