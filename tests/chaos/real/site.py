"""A call centre on a real FreeSWITCH that can be broken everywhere: switch, wires, daemons; and all its phones."""

from __future__ import annotations

import time
import urllib.error
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.real.proxy import Proxy
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch

_NO_WIRE_S = 2.0


class Site:
    """Daemons by the names of their instances, each with a wire and a directory of its own, all on one switch.

    `config` is what they have in common. Every agent's phone, and every caller, is one of `phones`.
    """

    def __init__(
        self,
        place: Path,
        switch: RealSwitch,
        config: Mapping[str, Any],
        instances: Sequence[str] = ("one",),
        *,
        program: str = "fsacd",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.switch = switch
        self.phones = Telephones(switch.trunk_port)
        self.wires: dict[str, Proxy] = {}
        self.daemons: dict[str, Daemon] = {}
        # Every caller who has ever called, by number, in the order of their calls.
        self.callers: dict[str, Dialog] = {}
        for name in instances:
            own = place / name
            own.mkdir(parents=True, exist_ok=True)
            self.wires[name] = wire = Proxy(switch.esl_port)
            mine = {
                "instance": name,
                "journal": {"directory": str(own / "journal")},
                "agent_contact": f"sofia/trunk/{{agent}}@127.0.0.1:{self.phones.port}",
                **config,
            }
            if "store" in mine:
                mine["store"] = {**mine["store"], "spool": {"directory": str(own / "spool")}}
            daemon = Daemon(own, mine, wire.port, program=program, environment=environment or {})
            if "switches" in mine:
                daemon.config["switches"] = {"fs1": {**daemon.switch, **mine["switches"]["fs1"]}}
            self.daemons[name] = daemon

    def stop(self) -> None:
        """Close; nothing is left."""
        for daemon in self.daemons.values():
            daemon.end()
        for wire in self.wires.values():
            wire.stop()
        self.phones.stop()

    # --- people ---

    def call(self, number: str, queue: str) -> Dialog:
        """Somebody calls a queue."""
        self.callers[number] = caller = self.phones.call(number, f"queue-{queue}")
        return caller

    def there(self, number: str) -> bool:
        """Whether this caller has neither hung up nor been hung up on, as their own phone has it."""
        return number in self.callers and self.callers[number].state == "talking"

    def rings(self) -> list[Dialog]:
        """The phones that ring now."""
        return [ring for ring in self.phones.rung if ring.state == "ringing"]

    def talks(self) -> list[Dialog]:
        """The agents' phones that are answered now."""
        return [ring for ring in self.phones.rung if ring.state == "talking"]

    def live(self) -> list[Dialog]:
        """The agents' phones at which there is anything."""
        return [ring for ring in self.phones.rung if ring.state in {"ringing", "talking"}]

    # --- the daemons ---

    @property
    def daemon(self) -> Daemon:
        """The first one."""
        return next(iter(self.daemons.values()))

    def serving(self) -> Daemon | None:
        """The daemon that says that it serves the switch; None if none says so, or more than one."""
        found = [daemon for daemon in self.daemons.values() if serves(daemon)]
        return found[0] if len(found) == 1 else None


def serves(daemon: Daemon) -> bool:
    """Whether this daemon says that it serves its switch."""
    if not daemon.pid or daemon.stopped:
        return False
    try:
        return bool(daemon.get("status")["switches"][0]["connected"])
    except (OSError, urllib.error.URLError):
        return False


def calls_of(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """Its live calls by the callers' numbers, in the order of arrival."""
    return {call["number"]: call for call in daemon.get("calls?limit=1000")["calls"]}


def order_of(daemon: Daemon) -> list[str]:
    """Everybody who does not talk yet, in the daemon's order."""
    return [number for number, call in calls_of(daemon).items() if call["state"] != "talking"]


def by(moment_s: float) -> float:
    """For how long to wait from now until that moment (Unix time, s)."""
    return max(0.0, moment_s - time.time())
