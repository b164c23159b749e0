"""`python -m tests.legs.way`: one call through a whole daemon, and the rooms that it enters on its way, as JSON.

The daemon stands on the simulated switch, with bytes between them, in virtual time: nothing else may run in this
process. What is told is calls from one room into another, not returns; the core's nouns, the log and the metrics are
left out.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402 - gevent's patching comes first
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from types import FrameType  # noqa: E402

import gevent  # noqa: E402

import fsacd  # noqa: E402
from fsacd.caller.number_plan import PLAIN  # noqa: E402
from fsacd.caller.recognition import Recognition  # noqa: E402
from tests.legs.stage import Deed, Stage  # noqa: E402

PACKAGE = Path(fsacd.__file__).parent
LEFT_OUT = {"log", "metrics", "sim"}


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
        self.ways: dict[str, list[str]] = {}
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
            self.ways.setdefault(type(frame.f_locals["event"]).__name__, entered)
            self._entered[id(gevent.getcurrent())] = entered
        elif here == "esl" and frame.f_code.co_name == "send":
            # A command is on its way: what follows is for the next packet.
            self._entered[id(gevent.getcurrent())] = []


DEEDS: list[Deed] = [
    ("call", "c1", "support"),
    ("wait", "1000"),
    ("answer", "1001a"),
    ("wait", "3000"),
    ("agent_hangs_up", "1001a"),
    ("wait", "1000"),
]


def main() -> int:
    """Play the call, and print the way of each kind of fact, the first time that it comes."""
    stage = Stage()
    try:
        stage.lives[-1].runtime.set_recognition(Recognition(limit=10, plan=PLAIN).recognise)
        stage.play([("wait", "1000")])
        trace = Trace()
        sys.setprofile(trace)
        try:
            stage.play(DEEDS)
        finally:
            sys.setprofile(None)
    finally:
        stage.close()
    print(json.dumps(trace.ways))
    return 0


if __name__ == "__main__":
    sys.exit(main())
