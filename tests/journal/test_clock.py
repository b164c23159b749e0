"""The engine's clock goes on: over a restart, a reboot, and whatever is done to the wall clock."""

from __future__ import annotations

import pytest

from fsacd.journal.clock import BOOT_VARIABLE, Anchor, Clocks, EngineClock, clocks, go_on_after

HOUR_MS = 3_600_000
# The engine's time 5,000 was 3,000 of the machine's, and noon; the journal ends a second later.
ANCHOR = Anchor(5_000, "monday", 3_000, 12 * HOUR_MS)
LAST_MS = 6_000


@pytest.mark.parametrize("stepped_ms", [0, HOUR_MS, -HOUR_MS])
def test_within_a_boot_the_wall_clock_does_not_matter(stepped_ms: int) -> None:
    """Ten seconds without a daemon are ten seconds, whatever somebody has done to the wall clock meanwhile."""
    now = Clocks("monday", 14_000, ANCHOR.wall_ms + 11_000 + stepped_ms)
    assert now.monotonic_ms + go_on_after(ANCHOR, LAST_MS, now) == LAST_MS + 10_000


def test_over_a_reboot_the_wall_clock_counts() -> None:
    """A minute by the wall clock has passed, though the machine's own clock has begun anew."""
    now = Clocks("tuesday", 9_000, ANCHOR.wall_ms + 61_000)
    assert now.monotonic_ms + go_on_after(ANCHOR, LAST_MS, now) == LAST_MS + 60_000


def test_time_never_goes_back_over_a_reboot() -> None:
    """A machine whose wall clock has lost its battery says nothing of the time: none has passed."""
    now = Clocks("tuesday", 9_000, 0)
    assert now.monotonic_ms + go_on_after(ANCHOR, LAST_MS, now) == LAST_MS


def test_a_monotonic_clock_that_is_behind_is_not_believed() -> None:
    """The same boot by name, but a clock from before: the wall clock counts, and time does not go back."""
    now = Clocks("monday", 10, ANCHOR.wall_ms + 2_000)
    assert now.monotonic_ms + go_on_after(ANCHOR, LAST_MS, now) == LAST_MS + 1_000


@pytest.mark.parametrize(("wall_ms", "expected_ms"), [(11_000, LAST_MS + 10_000), (HOUR_MS, LAST_MS + HOUR_MS - 1_000)])
def test_without_a_name_for_the_boot_the_clocks_are_compared(wall_ms: int, expected_ms: int) -> None:
    """Where the boot's id is hidden, two clocks that agree tell that the machine was not started anew."""
    now = Clocks("", 14_000, ANCHOR.wall_ms + wall_ms)
    assert expected_ms == now.monotonic_ms + go_on_after(ANCHOR, LAST_MS, now)


def test_the_service_manager_may_name_the_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel's file is hidden from a service, systemd passes the id on."""
    monkeypatch.setenv(BOOT_VARIABLE, "wednesday")
    assert clocks().boot == "wednesday"


def test_the_clock_is_ahead_by_its_offset() -> None:
    """An anchor and the clock itself say the same."""
    clock = EngineClock(1_000_000)
    before_ms = clock()
    anchor = clock.anchor()
    assert before_ms <= anchor.engine_ms <= clock()
    assert anchor.engine_ms - anchor.monotonic_ms == 1_000_000
