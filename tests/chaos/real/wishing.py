"""Agents on a real switch who hold their callers, ask colleagues and hand callers over, by the daemon's API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import gevent

from fsacd.core.events import TalkVerb
from tests.chaos.real.people import QUEUES
from tests.chaos.real.site import Site
from tests.chaos.wishing import GIVES_AWAY, VERBS, WISHES
from tests.e2e.rig.daemon import Daemon

EVERY_S = 0.5


class Wishing:
    """A wish that is refused, or that no daemon hears, is no fault. `granted` are those that were taken."""

    def __init__(self, site: Site, seed: int, agents: Sequence[str]) -> None:
        self._site = site
        self._agents = agents
        self._chance = Random(f"wishes {seed}")
        self._greenlets: list[gevent.Greenlet] = []
        self.granted: Counter[str] = Counter()  # by what they are, as the API calls them

    def start(self) -> None:
        """From now on."""
        self._greenlets.append(gevent.spawn(self._go_on))

    def stop(self) -> None:
        """Nobody wishes anything any more."""
        gevent.killall(self._greenlets)

    def _go_on(self) -> None:
        while True:
            gevent.sleep(EVERY_S)
            if (daemon := self._site.serving()) is None:
                continue
            try:
                calls = daemon.get("calls?limit=1000")["calls"]
            except (OSError, ValueError):
                continue  # it was killed while we asked
            self._greenlets = [greenlet for greenlet in self._greenlets if not greenlet.dead]
            for call in calls:
                if call["talk"] is not None and self._chance.random() < WISHES:
                    path, body = self._wish(call["talk"])
                    self._greenlets.append(gevent.spawn(self._ask, daemon, path, body))

    def _ask(self, daemon: Daemon, path: str, body: dict[str, Any]) -> None:
        try:
            daemon.post(path, **body)
        except (OSError, ValueError):
            return
        self.granted[path.rpartition("/")[2]] += 1

    def _wish(self, talk: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        chance, path = self._chance, f"talks/{talk['id']}"
        if chance.random() < GIVES_AWAY:
            into_queue = chance.random() < 0.5
            return f"{path}/transfer", {"queue": chance.choice(QUEUES)} if into_queue else {"agent": self._colleague()}
        verbs = VERBS.get(talk["shape"], ())
        if not verbs or chance.random() < 0.3:
            if chance.random() < 0.6:
                in_queue = chance.random() < 0.3
                return f"{path}/consult", {"queue": chance.choice(QUEUES)} if in_queue else {"agent": self._colleague()}
            verbs = verbs or (TalkVerb.HOLD,)
        return f"{path}/{chance.choice(verbs)}", {}

    def _colleague(self) -> str:
        return self._chance.choice(self._agents)
