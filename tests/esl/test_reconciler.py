"""How long a crashed switch is given to bring back its calls."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
import pytest

from fsacd.core.engine import Engine
from fsacd.core.events import CallQueued, Leg
from fsacd.core.rules import QueueRules, Rules
from fsacd.esl import translate
from fsacd.esl.pipeline import Pipeline
from fsacd.esl.reconciler import Reconciler
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.runtime.loop import Runtime
from fsacd.testing import PLUGINS

WAIT_MS = 2_000
LEGS = 300


class Recovering:
    """A switch that brings one leg back every `each_s` seconds, up to `most`, in a time of its own."""

    def __init__(self, each_s: float, most: int = LEGS) -> None:
        self.now_s = 0.0
        self.asked = 0
        self._each_s, self._most = each_s, most

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def submit(self, wire: Wire, on_reply: Callable[[Reply], object], timeout_s: float) -> None:
        self.asked += 1
        back = min(self._most, int(self.now_s / self._each_s))
        number = int(wire.text.rpartition("-")[2])
        on_reply(Reply(Outcome.OK, "true" if number < back else "false"))


def waited_s(switch: Recovering, monkeypatch: pytest.MonkeyPatch) -> float:
    """For how long a daemon that knows 300 waiting callers waits for them."""
    engine = Engine(Rules({"support": QueueRules("support")}, {}), PLUGINS)
    for number in range(LEGS):
        leg = Leg("fs1", f"00000000-0000-4000-8000-{number:012}")
        engine.handle(CallQueued(f"10000000-0000-4000-8000-{number:012}", "support", number, leg), number)
    monkeypatch.setattr(time, "monotonic", switch.monotonic)
    monkeypatch.setattr(gevent, "sleep", switch.sleep)
    looks = Reconciler(
        "fs1",
        Runtime(engine, clock=lambda: LEGS),
        translate.Reader("fs1", lambda _sentence: None),
        None,
        Pipeline(switch.submit, 5.0),
        WAIT_MS,
        clock=lambda: SwitchClock(0, 0),
        set_clock=lambda _clock: None,
        is_ours=lambda: True,
        act=lambda _wire: None,
        on_repair=lambda _kind: None,
    )
    looks._await_recovery()
    return switch.now_s


def test_as_long_as_one_more_comes_back_the_others_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hundred legs, 20 ms each: six seconds, thrice the time that the switch may be quiet."""
    switch = Recovering(each_s=0.02)
    assert LEGS * 0.02 <= waited_s(switch, monkeypatch) <= LEGS * 0.02 + 0.5
    assert switch.asked < LEGS * 20, "who is back is not asked for again"


@pytest.mark.parametrize("back", [0, 100])
def test_a_quiet_switch_is_waited_for_no_longer_than_it_says(back: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the last leg that came back, or from the start."""
    last_s = back * 0.02
    assert last_s + 2 <= waited_s(Recovering(0.02, back), monkeypatch) <= last_s + 2.5


def test_who_is_back_does_not_wait_for_the_others_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """One leg a second and a half would be seven minutes."""
    assert 60 <= waited_s(Recovering(1.5), monkeypatch) <= 60.5
