"""How long the link waits before it connects again: ever longer while the switch is away, briefly after a life."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from fsacd.esl.link import LinkSettings, SwitchLink

SETTINGS = LinkSettings(password="x", reconnect_min_ms=200, reconnect_max_ms=1_000, nonsense_pause_ms=700)


@dataclass
class Life:
    """One attempt: how long it took, whether the link was up, and whether what was heard was no FreeSWITCH."""

    seconds: float
    up: bool = False
    nonsense: bool = False


class Stopping:
    """Notes how long somebody waits for the end; it comes when nothing is left to try."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.over = False

    def is_set(self) -> bool:
        return self.over

    def wait(self, seconds: float) -> None:
        self.pauses.append(round(seconds, 3))


def _pauses(monkeypatch: pytest.MonkeyPatch, *lives: Life) -> list[float]:
    """The pause after each of these; chance makes each as long as it can be."""
    link = SwitchLink("fs1", SETTINGS, lambda _message: None, lambda _state: None, chance=lambda: 1.0)
    stopping, now, left = Stopping(), [1_000.0], list(lives)

    def live_once() -> str:
        life = left.pop(0)
        now[0] += life.seconds
        link._counters.connects += life.up
        link._distrusts = life.nonsense
        stopping.over = not left
        return "it is over"

    monkeypatch.setattr(link, "_stopping", stopping)
    monkeypatch.setattr(link, "_live_once", live_once)
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now[0])
        link._supervise()
    return stopping.pauses


@pytest.fixture(name="away")
def _away() -> tuple[Life, ...]:
    return (Life(0.0),) * 4


def test_it_waits_ever_longer(monkeypatch: pytest.MonkeyPatch, away: tuple[Life, ...]) -> None:
    """Up to the longest pause."""
    assert _pauses(monkeypatch, *away, *away) == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_after_a_life_that_lasted_it_begins_anew(monkeypatch: pytest.MonkeyPatch, away: tuple[Life, ...]) -> None:
    """A switch that served for hours and breaks is back in a moment, as a rule."""
    assert _pauses(monkeypatch, *away, Life(3_600.0, up=True), *away) == [0.2, 0.4, 0.8, 1.0, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_life_that_did_not_last_proves_nothing(monkeypatch: pytest.MonkeyPatch, away: tuple[Life, ...]) -> None:
    """A switch that takes each link and ends it at once is not asked five times a second."""
    assert _pauses(monkeypatch, *away, Life(1.0, up=True), Life(1.0, up=True)) == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


def test_a_long_attempt_is_no_life(monkeypatch: pytest.MonkeyPatch, away: tuple[Life, ...]) -> None:
    """A switch that lets every attempt wait was never there."""
    assert _pauses(monkeypatch, *away, Life(3_600.0), Life(3_600.0)) == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


def test_who_has_spoken_nonsense_is_given_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short the pause would be."""
    lives = (Life(0.0, nonsense=True), Life(3_600.0, up=True), Life(0.0, nonsense=True), Life(0.0, nonsense=True))
    assert _pauses(monkeypatch, *lives, Life(0.0)) == [0.7, 0.2, 0.7, 0.8, 1.0]
