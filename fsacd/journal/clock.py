"""The engine's clock, which goes on over restarts and reboots.

Within one boot of the machine it follows the monotonic clock, so nobody who sets the wall clock changes anything. Only
over a reboot, when the monotonic clock begins anew, the wall clock says how much time has passed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# systemd can hide the kernel's files from a service, and can tell it the boot by this name.
BOOT_VARIABLE = "FSACD_BOOT_ID"
_BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")
# Where the boot is not known: the wall clock less the monotonic one says when the machine was started, as long as
# nobody sets the wall clock by more than this.
_SAME_BOOT_MS = 2_000


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the machine's clocks say at one moment. `boot` is empty where it is not known."""

    boot: str
    monotonic_ms: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """The engine's clock and the machine's clocks at one moment."""

    engine_ms: int
    boot: str
    monotonic_ms: int
    wall_ms: int


def clocks() -> Clocks:
    """The machine's clocks, now."""
    return Clocks(_boot(), time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000)


def _boot() -> str:
    given = os.environ.get(BOOT_VARIABLE, "")
    if given:
        return given
    try:
        return _BOOT_FILE.read_text(encoding="ascii").strip()
    except OSError:
        return ""  # hidden from this service: the other clocks must tell


class EngineClock:
    """Milliseconds that never go back: the monotonic clock plus `offset_ms`. `read` gives the machine's clocks."""

    def __init__(self, offset_ms: int = 0, read: Callable[[], Clocks] = clocks) -> None:
        self._offset_ms = offset_ms
        self._read = read
        self._boot = read().boot

    def __call__(self) -> int:
        """The engine's time, now."""
        return time.monotonic_ns() // 1_000_000 + self._offset_ms

    @property
    def ahead_ms(self) -> int:
        """How far the engine's clock is ahead of the monotonic clock: more than 0 after a reboot."""
        return self._offset_ms

    def anchor(self) -> Anchor:
        """The engine's time, and the machine's."""
        now = self._read()
        return Anchor(now.monotonic_ms + self._offset_ms, self._boot, now.monotonic_ms, now.wall_ms)


def go_on_after(anchor: Anchor, last_ms: int, now: Clocks) -> int:
    """How far the engine's clock must be ahead of the monotonic clock to go on after the last daemon's.

    `anchor` is the last one known, `last_ms` the engine's time in the journal's last entry.
    """
    offset_ms = anchor.engine_ms - anchor.monotonic_ms
    if _same_boot(anchor, now) and now.monotonic_ms + offset_ms >= last_ms:
        return offset_ms
    last_wall_ms = anchor.wall_ms + last_ms - anchor.engine_ms
    # A wall clock that has been set back says nothing: then no time counts as passed.
    away_ms = max(0, now.wall_ms - last_wall_ms)
    return last_ms + away_ms - now.monotonic_ms


def _same_boot(anchor: Anchor, now: Clocks) -> bool:
    if anchor.boot and now.boot:
        return anchor.boot == now.boot
    began_ms, begins_ms = anchor.wall_ms - anchor.monotonic_ms, now.wall_ms - now.monotonic_ms
    return abs(began_ms - begins_ms) <= _SAME_BOOT_MS
