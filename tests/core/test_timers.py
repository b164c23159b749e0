from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.core.timers import TimerKey, Timers

OWNERS = st.sampled_from("abcdef")
TIMES = st.integers(min_value=0, max_value=50)
CHANGES = st.lists(st.one_of(st.tuples(OWNERS, TIMES), st.tuples(OWNERS, st.none()), st.tuples(st.none(), TIMES)))


def test_deadlines_come_in_their_order() -> None:
    """Deadlines come by time, equal ones by their key, and only once they are due."""
    timers = Timers()
    timers.set("offer", "b", 20)
    timers.set("agent", "z", 20)
    timers.set("offer", "a", 10)
    assert timers.pop_due(9) is None
    assert [timers.pop_due(20) for _ in range(4)] == [
        TimerKey("offer", "a"),
        TimerKey("agent", "z"),
        TimerKey("offer", "b"),
        None,
    ]


def test_setting_again_moves_a_deadline() -> None:
    """A key has one deadline: the last one set, earlier or later than before."""
    timers = Timers()
    timers.set("offer", "a", 10)
    timers.set("offer", "a", 30)
    assert timers.next_ms() == 30
    timers.set("offer", "a", 5)
    assert timers.next_ms() == 5
    assert timers.pop_due(50) == TimerKey("offer", "a")
    assert timers.pop_due(50) is None


def test_a_cleared_deadline_never_comes() -> None:
    """What is cleared is gone, and clearing what is not there does nothing."""
    timers = Timers()
    timers.set("offer", "a", 10)
    timers.clear("offer", "a")
    timers.clear("offer", "nobody")
    assert timers.next_ms() is None
    assert timers.pop_due(100) is None


def test_moved_deadlines_do_not_pile_up() -> None:
    """Moving one deadline for ever takes no more memory than a few entries."""
    timers = Timers()
    for at_ms in range(100_000):
        timers.set("offer", "a", 1_000_000 + at_ms)
    assert len(timers) == 1
    assert len(timers._heap) < 100
    assert timers.next_ms() == 1_099_999


def test_an_overgrown_heap_is_left_little_by_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many deadlines are live, setting one looks at a few others at most."""
    moved: list[object] = []
    monkeypatch.setattr("fsacd.core.timers.heapq.heappush", _counting(moved))
    timers, most = Timers(), 0
    for round_ in range(4):
        for owner in range(5_000):
            del moved[:]
            timers.set("offer", str(owner), 10_000 * round_ + owner)
            most = max(most, len(moved))
    assert 1 < most <= 9, "the heap never overgrew, or was left in one go"
    assert len(timers) == 5_000
    assert len(timers._heap) + len(timers._overgrown) < 4 * 5_000
    assert [timers.pop_due(40_000) for _ in range(3)] == [TimerKey("offer", str(owner)) for owner in range(3)]


def _counting(moved: list[object]) -> Callable[[list[Any], Any], None]:
    push = heapq.heappush

    def count(heap: list[Any], entry: Any) -> None:
        moved.append(entry)
        push(heap, entry)

    return count


@pytest.mark.parametrize("spare", [0, 64])
@given(changes=CHANGES)
def test_like_a_plain_dict(spare: int, changes: list[tuple[str | None, int | None]]) -> None:
    """Whatever is set, moved, cleared and taken, the timers agree with a plain dict that is searched through."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fsacd.core.timers._SPARE", spare)
        patch.setattr("fsacd.core.timers._AT_A_TIME", 2)
        _compare(changes)


def _compare(changes: list[tuple[str | None, int | None]]) -> None:
    timers, model = Timers(), dict[TimerKey, int]()
    for owner, at_ms in changes:
        if owner is None:
            assert at_ms is not None
            due = sorted((at, key) for key, at in model.items() if at <= at_ms)
            expected = due[0][1] if due else None
            assert expected == timers.pop_due(at_ms)
            model.pop(expected, None) if expected else None
        elif at_ms is None:
            timers.clear("t", owner)
            model.pop(TimerKey("t", owner), None)
        else:
            timers.set("t", owner, at_ms)
            model[TimerKey("t", owner)] = at_ms
        assert timers.next_ms() == min(model.values(), default=None)
        assert timers.keys() == model.keys()
