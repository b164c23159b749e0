"""A switch that has fallen silent is given up, a busy one is not: heartbeats, probes, and newlines that wake it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import gevent
import pytest

from fsacd.esl import encoder
from fsacd.esl.link import Connecting, SwitchLink
from tests.esl.fake_switch import event, named, until
from tests.esl.link_rig import Rig, linked


@pytest.fixture(name="rig")
def _rig() -> Iterator[Rig]:
    with linked() as rig:
        yield rig


def test_a_silent_switch_is_given_up(rig: Rig) -> None:
    """Without any byte for the heartbeat timeout the link is taken for dead."""
    rig.start(heartbeat_timeout_ms=30)
    until(rig.down)
    assert re.fullmatch(r"FreeSWITCH sent nothing for \d+\.\d s", rig.down()[0])


def test_heartbeats_keep_it_alive(rig: Rig) -> None:
    """Every event puts the heartbeat timeout off."""
    rig.start(heartbeat_timeout_ms=200)
    until(rig.up)
    for _ in range(10):
        gevent.sleep(0.04)
        rig.switch.fire(event('{"Event-Name":"HEARTBEAT"}'))
    assert rig.down() == []


def test_probes_measure_the_lag(rig: Rig) -> None:
    """The own event makes the round trip over both connections; nobody else hears of it, nor of others' probes."""
    link = rig.start(probe_interval_ms=5)
    until(lambda: link.stats().probes >= 5)
    rig.switch.fire(named("CUSTOM", **{"Event-Subclass": "fsacd::left", "fsacd_probe": "somebody else's"}))
    rig.switch.fire(named("LAST"))
    until(lambda: rig.story[-1] == "LAST")
    stats = link.stats()
    assert rig.story == [Connecting(), rig.up()[0], "LAST"]
    assert stats.lag_ms is not None
    assert 0 < stats.lag_ms <= stats.lag_max_ms


def test_probes_that_do_not_come_back(rig: Rig) -> None:
    """A switch that answers commands and delivers no events is given up."""
    rig.switch.echoes = False
    link = rig.start(probe_interval_ms=10, silence_timeout_ms=60)
    until(rig.down)
    assert re.fullmatch(r"FreeSWITCH sent nothing for \d+\.\d s", rig.down()[0])
    assert link.stats().probes_missed >= 3


def down_while_it_talks(rig: Rig) -> bool:
    """Whether the link is given up although one more event comes; who has gone does not hear it."""
    with suppress(OSError):
        rig.switch.fire(named("A"))
    return bool(rig.down())


def test_a_switch_that_does_not_answer_commands(rig: Rig) -> None:
    """A connection that is half open is given up although the other one is well."""
    rig.start(probe_interval_ms=10, silence_timeout_ms=100)
    until(rig.up)
    rig.switch.answers = False
    until(lambda: down_while_it_talks(rig))
    assert re.fullmatch(r"FreeSWITCH sent nothing for \d+\.\d s", rig.down()[0])


def test_late_probes_are_no_death(rig: Rig) -> None:
    """A busy switch, whose other events come before the probe, is left alone; one that never echoes is not."""
    rig.switch.echoes = False
    link = rig.start(probe_interval_ms=10, silence_timeout_ms=500, heartbeat_timeout_ms=1_500)
    until(rig.up)
    while link.stats().probes_missed < 20:
        rig.switch.fire(named("A"))
        gevent.sleep(0.005)
    assert rig.down() == []
    until(lambda: down_while_it_talks(rig))
    assert re.fullmatch(r"FreeSWITCH has echoed no probe event for \d+\.\d s", rig.down()[0])


def test_the_wake_up_only_while_busy(rig: Rig) -> None:
    """Newlines go out while the link is busy, and stop when it is not; 0 turns them off."""
    link = rig.start(wake_up_ms=1)
    until(rig.up)
    gevent.sleep(0.01)
    assert link.stats().wake_ups == 0
    link.set_busy(True)
    until(lambda: link.stats().wake_ups > 5)
    link.set_busy(False)
    gevent.sleep(0.01)
    before = link.stats().wake_ups
    gevent.sleep(0.01)
    assert link.stats().wake_ups == before
    link.set_busy(True)
    rig.switch.cut()
    until(lambda: len(rig.up()) == 2)
    until(lambda: link.stats().wake_ups > before)
    assert link.call(encoder.status()).ok


def _hear_one(rig: Rig, link: SwitchLink) -> None:
    before = link.stats().events
    rig.switch.fire(named("A"))
    until(lambda: link.stats().events > before)


def test_what_is_heard_puts_the_next_wake_up_off(rig: Rig) -> None:
    """A switch that has just sent something has looked at its events: only a silence of an interval is woken."""
    interval_s = 0.04
    link = rig.start(wake_up_ms=int(interval_s * 1000))
    until(rig.up)
    link.set_busy(True)
    until(lambda: link.stats().wake_ups == 1)
    heard_s = [time.monotonic()]
    while heard_s[-1] < heard_s[0] + 10 * interval_s:
        _hear_one(rig, link)
        heard_s.append(time.monotonic())
    silences = sum(int(2 * (later - earlier) / interval_s) for earlier, later in pairwise(heard_s))
    assert link.stats().wake_ups <= 2 + silences
    until(lambda: link.stats().wake_ups > 3 + silences)


def test_no_wake_up(rig: Rig) -> None:
    """An interval of 0 never wakes the switch."""
    link = rig.start(wake_up_ms=0)
    link.set_busy(True)
    until(rig.up)
    gevent.sleep(0.01)
    assert link.stats().wake_ups == 0
