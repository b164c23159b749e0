"""One life of a daemon: journal, engine, runtime and call control, put together as the daemon does it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gevent import GreenletExit

from fsacd.core.commands import Command
from fsacd.core.engine import Engine
from fsacd.core.events import AgentEvent, Event
from fsacd.core.records import Record
from fsacd.core.rules import Rules
from fsacd.daemon.resume import Continuation
from fsacd.desk.rights import Principal
from fsacd.esl.control import CallControl
from fsacd.esl.features import Desk, Member
from fsacd.esl.settings import LinkSettings
from fsacd.journal.journal import Journal
from fsacd.journal.settings import JournalSettings
from fsacd.process.monotonic import monotonic_ms
from fsacd.runtime.loop import Runtime
from fsacd.testing import PLUGINS
from tests.chaos.net import Net
from tests.chaos.virtual import Frozen, spawn_for

SWITCH = "fs1"
LEASE_MS = 60_000
TERM_MS = 10_000


class Killed(GreenletExit):  # type: ignore[misc]  # gevent is untyped
    """The process ends here, in the middle of whatever it does; gevent says nothing of it."""


class Disk:
    """Where journals are: it can be full."""

    def __init__(self) -> None:
        self.full = False


class VirtualJournal(Journal):
    """The journal without its thread and without its child process: in virtual time both would be somewhere else."""

    disk: Disk

    def _snapshot_beside(self) -> None:
        self._since_snapshot = 0
        if self._fd >= 0:
            self._snapshot_here()

    def _write(self, line: bytes) -> None:
        if self.disk.full and self._fd >= 0:
            os.write(self._fd, line[: len(line) // 2])
            self._broken(os.strerror(errno.ENOSPC))
            return
        super()._write(line)

    def _open(self, *, after_gap: bool) -> None:
        if self.disk.full:
            self._broken(os.strerror(errno.ENOSPC))
            return
        super()._open(after_gap=after_gap)


class InlineSyncer:
    """The journal's thread, done at once: what reaches the disk matters only to power cuts."""

    def __init__(self) -> None:
        self.error = ""
        self.syncs = 0
        self.lag_ms = self.longest_lag_ms = 0.0
        self._fd = -1

    def start(self) -> None:
        """Nothing to start."""

    def follow(self, fd: int) -> None:
        before, self._fd = self._fd, fd
        if before >= 0:
            os.close(before)

    def written(self) -> None:
        """It is there."""

    def do(self, chore: Callable[[], None]) -> None:
        chore()

    def unsynced_ms(self) -> float:
        return 0.0

    def stop(self) -> None:
        self.follow(-1)


class Life(Frozen):
    """From the start to the kill. `doom`: it dies by itself at this point of a coming step."""

    def __init__(
        self,
        instance: str,
        directory: Path,
        rules: Rules,
        net: Net,
        disk: Disk,
        on_row: Callable[..., None],
        on_count: Callable[[Sequence[Record]], None],
        on_dead: Callable[[Life], None],
        on_command: Callable[[Life, Command], None],
        *,
        logs_in: bool,
        seed: int,
    ) -> None:
        super().__init__()
        self.instance, self.directory, self.net, self.rules = instance, directory, net, rules
        self._disk = disk
        self._on_row = on_row
        self._on_count = on_count
        self._on_dead = on_dead
        self._on_command = on_command
        self._logs_in = logs_in
        self._seed = seed
        self.alive = True
        self.doom: str | None = None
        self.began = False
        self.control: CallControl | None = None
        self.root = spawn_for(self, self._run)

    def _run(self) -> None:
        settings = JournalSettings(self.directory, snapshot_entries=60, snapshot_pause_s=2.0, retry_s=1.0)
        self.journal = VirtualJournal(settings)
        self.journal.disk = self._disk
        last = Continuation(self.journal, self.rules, PLUGINS, self._seed)
        self.engine = last.engine
        self.runtime = Runtime(self.engine, clock=last.clock, journal=Doomed(self), ahead_ms=last.ahead_ms)
        self.runtime.set_sender(self._send)
        self.runtime.add_sink(self._on_count)
        self.runtime.add_sink(self._write)
        desk = Desk(self._ask, monotonic_ms)
        desk.members = {agent_id: Member(agent_id, rule.contact, None) for agent_id, rule in self.rules.agents.items()}
        link = LinkSettings(
            password="ClueCon",
            wake_up_ms=0,
            fence_term_ms=TERM_MS,
            host=self.instance,
        )
        self.control = CallControl(SWITCH, link, self.runtime, LEASE_MS, desk, instance=self.instance)
        self._on_row(self.instance, last.unwritten, again=True)
        self.journal.begin(self.engine)
        self.began = True
        last.tell(self.runtime, {SWITCH: self.control}, list(self.rules.agents) if self._logs_in else [])
        desk.phones.sit(last.contacts())
        self.control.start()
        last.keep_time(self.runtime, [self.control])

    def _write(self, records: Sequence[Record]) -> None:
        self._on_row(self.instance, records)

    def _ask(self, event: AgentEvent, _principal: Principal) -> None:
        self.runtime.ask(event)

    def _send(self, command: Command) -> None:
        if self.doom == "sending":
            self.die_here()
        assert self.control is not None
        self.control.send(command)
        self._on_command(self, command)
        if self.doom == "sent":
            self.die_here()

    @property
    def serves(self) -> bool:
        """Whether it is alive, awake, and the one who serves the switch."""
        return self.alive and not self.frozen and self.control is not None and self.control.in_sync

    def die_here(self) -> None:
        """In the middle of a step."""
        self.kill()
        raise Killed

    def kill(self) -> None:
        """As kill -9: nothing of it runs any more, and the kernel closes what it had open."""
        if not self.alive:
            return
        self.alive, self.frozen = False, True
        if hasattr(self, "runtime"):
            self.runtime._stopped = True
        if hasattr(self, "journal"):
            self.journal._fd = -1
            self.journal._syncer.follow(-1)
            self.journal._directory.close()
        for sock in [sock for sock in self.net.sockets if sock._life is self]:
            sock.abandon()
        self._on_dead(self)

    def stop(self) -> None:
        """SIGSTOP."""
        self.frozen = True

    def go_on(self) -> None:
        """SIGCONT."""
        if not self.alive:
            return
        self.frozen = False
        kept, self.kept = self.kept, []
        for timer in kept:
            timer.late()
        for sock in list(self.net.sockets):
            sock.thaw()

    def end(self) -> None:
        """The schedule is over: whatever is left of it goes."""
        self.kill()
        self.kept.clear()


class Doomed:
    """The journal of a life that may die right behind an entry, before the engine has seen it."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._journal = life.journal

    def put(self, now_ms: int, event: Event | None) -> None:
        if self._life.doom == "before the journal":
            self._life.die_here()
        self._journal.put(now_ms, event)
        if self._life.doom == "journaled":
            self._life.die_here()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def put_plugin_failures(self, now_ms: int, failures: Any) -> None:
        self._journal.put_plugin_failures(now_ms, failures)

    def put_engine_failure(self, now_ms: int) -> None:
        self._journal.put_engine_failure(now_ms)


DOOMS = ("before the journal", "journaled", "sending", "sent")


def shown(engine: Engine) -> dict[str, Any]:
    """All that the engine knows, but for the time."""
    plain = engine.dump()
    del plain["now_ms"]
    return plain
