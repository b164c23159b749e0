"""A whole daemon that has not been started, and its file: for tests of reloads. No switch, no database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fsacd.core import events as e
from fsacd.core.views import CallView, QueueView
from fsacd.daemon.main import Daemon
from fsacd.daemon.plugging import read
from fsacd.desk.rights import BY_SIGNAL, Principal, Role

CONFIG: dict[str, Any] = {
    "switches": {"fs1": {"password": "fine"}},
    "queues": {"support": {}, "sales": {}},
    "agents": {"1001": {"queues": ["support"]}},
}
BY = "api:x"
ADMIN = Principal(BY, Role.ADMIN.verbs)


class Reloaded:
    """A daemon that has not been started, and its file."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "fsacd.yaml"
        self.write()
        self.daemon = Daemon(self.file, read(self.file))

    def write(self, **changes: Any) -> None:
        self.file.write_text(yaml.safe_dump(CONFIG | changes), encoding="utf-8")

    def reload(self, *, dry_run: bool = False, even_so: bool = False, **changes: Any) -> str:
        self.write(**changes)
        return self.daemon.reload(BY_SIGNAL, dry_run=dry_run, even_so=even_so)

    def queues(self) -> dict[str, QueueView]:
        return {queue.name: queue for queue in self.daemon.runtime.snapshot().queues}

    def calls(self, call_id: str = "anna", queue: str = "support", **settings: Any) -> CallView | None:
        leg = e.Leg("fs1", f"leg-{call_id}")
        self.daemon.runtime.post(e.CallQueued(call_id, queue, self.daemon.runtime.snapshot().now_ms, leg, **settings))
        return next((call for call in self.daemon.runtime.snapshot().calls if call.call_id == call_id), None)
