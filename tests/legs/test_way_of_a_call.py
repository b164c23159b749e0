"""One call from packet to packet, through the real modules: which rooms it enters, as ARCHITECTURE.md tells it.

The daemon stands on the simulated switch, with bytes between them, in virtual time; so nothing else may run in this
process. What is counted is calls from one room into another, not returns; the core's nouns, the log and the metrics are
left out.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import gevent
import pytest

import fsacd
from fsacd.caller.number_plan import PLAIN
from fsacd.caller.recognition import Recognition
from fsacd.core.events import CallerGone, CallQueued, Event, OfferAnswered, OfferConnected
from tests.legs.stage import Stage

PACKAGE = Path(fsacd.__file__).parent
LEFT_OUT = {"log", "metrics", "sim"}
# So often a room is entered at most between two packets.
MOST = 3


def room(frame: FrameType) -> str:
    """The room that a frame's code stands in; nothing for what is not counted."""
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(PACKAGE):
        return ""
    first, *more = path.relative_to(PACKAGE).parts
    if first in LEFT_OUT or not more:
        return ""
    if first != "core":
        return first
    if len(more) > 1:
        return f"core/{more[0]}" if more[0] != "events" else ""
    return "core" if more[0] == "engine.py" else ""


class Trace:
    """Every entry of a room from another one, by the greenlet that makes it; `ways` has those of each fact."""

    def __init__(self) -> None:
        self.ways: dict[type[Event], list[str]] = {}
        self._entered: dict[int, list[str]] = {}

    def __call__(self, frame: FrameType, what: str, _argument: object) -> None:
        if what != "call" or not (here := room(frame)):
            return
        if here == "esl" and frame.f_code.co_name == "_dispatch":
            self._entered[id(gevent.getcurrent())] = ["esl"]  # a packet was read, and is looked at
            return
        back, before = frame.f_back, ""
        while back is not None and not (before := room(back)):
            back = back.f_back
        if here == before:
            return
        entered = self._entered.setdefault(id(gevent.getcurrent()), [])
        entered.append(here)
        if frame.f_code.co_name == "handle" and here == "core":
            self.ways.setdefault(type(frame.f_locals["event"]), entered)
            self._entered[id(gevent.getcurrent())] = entered
        elif here == "esl" and frame.f_code.co_name == "send":
            # A command is on its way: what follows is for the next packet.
            self._entered[id(gevent.getcurrent())] = []


@pytest.fixture(scope="module")
def ways() -> Iterator[dict[type[Event], list[str]]]:
    """The way of each kind of fact, the first time that it comes."""
    stage = Stage()
    try:
        life = stage.lives[-1]
        life.runtime.set_recognition(Recognition(limit=10, plan=PLAIN).recognise)
        trace = Trace()
        stage.play([("wait", "1000")])
        sys.setprofile(trace)
        stage.play(
            [
                ("call", "c1", "support"),
                ("wait", "1000"),
                ("answer", "1001a"),
                ("wait", "3000"),
                ("agent_hangs_up", "1001a"),
                ("wait", "1000"),
            ]
        )
        sys.setprofile(None)
        yield trace.ways
    finally:
        sys.setprofile(None)
        stage.close()


# Before a fact is posted the clock is looked at, and the journal's, by which the engine counts; the engine is asked
# whether the fact changes anything, and afterwards when it has to be looked at again.
_POSTED = ["runtime", "runtime", "runtime"]
_WRITTEN = ["journal", "core"]
WAYS: dict[type[Event], list[str]] = {
    # The caller has acknowledged our answer: they are recognised, put into their queue, matched, and a phone is rung.
    CallQueued: [
        *_POSTED,
        "caller",
        *("journal", "core"),
        *_WRITTEN,
        *("core/life", "core/life", "core/match", "core/match", "esl"),
    ],
    OfferAnswered: ["esl", *_POSTED, "journal", "core", *_WRITTEN, "core/life", "core/match", "esl"],
    OfferConnected: ["esl", *_POSTED, "journal", "core", "core/life", *_WRITTEN, "core/life", "core/match", "core"],
    CallerGone: ["esl", *_POSTED, "journal", "core", *_WRITTEN, "core/life", "core"],
}


@pytest.mark.parametrize("fact", WAYS, ids=lambda fact: fact.__name__)
def test_the_way_is_the_one_that_is_told(ways: dict[type[Event], list[str]], fact: type[Event]) -> None:
    """From the packet that tells the fact to the one that follows from it."""
    assert ways[fact] == WAYS[fact]


@pytest.mark.parametrize("fact", WAYS, ids=lambda fact: fact.__name__)
def test_no_room_is_entered_again_and_again(ways: dict[type[Event], list[str]], fact: type[Event]) -> None:
    """Whoever follows a call by reading has to come back to no room more than twice."""
    assert {name: times for name, times in Counter(ways[fact]).items() if times > MOST} == {}
