"""One call from packet to packet, through the real modules: which rooms it enters, as ARCHITECTURE.md tells it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

# So often a room is entered at most between two packets.
MOST = 3
# For a process that starts beside others.
_PATIENCE_S = 100


@pytest.fixture(scope="module")
def ways() -> dict[str, list[str]]:
    """The way of each kind of fact, from a process where nothing else runs."""
    command = [sys.executable, "-m", "tests.legs.way"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    assert told.returncode == 0, told.stderr
    found: dict[str, list[str]] = json.loads(told.stdout.splitlines()[-1])
    return found


# What a step has given and changed is taken out of the world in one place; the feed is told when the commands are sent.
_TAKEN = ["core/life"]
_TOLD = ["core/show", "core"]
# Before a fact is posted the clock is looked at, and the journal's, by which the engine counts; the engine is asked
# whether the fact changes anything, and afterwards when it has to be looked at again.
_POSTED = ["process", "process", "runtime"]
_WRITTEN = ["journal", "core"]
WAYS = {
    # The caller has acknowledged our answer: they are recognised, put into their queue, matched, and a phone is rung.
    "CallQueued": [
        *_POSTED,
        "caller",
        *("journal", "core"),
        *_WRITTEN,
        *("core/life", "core/life", "core/match", "core/match", *_TAKEN, "esl"),
    ],
    "OfferAnswered": ["esl", *_POSTED, "journal", "core", *_WRITTEN, "core/life", "core/match", *_TAKEN, "esl"],
    "OfferConnected": [
        "esl",
        *_POSTED,
        "journal",
        "core",
        "core/life",
        *_WRITTEN,
        "core/life",
        "core/match",
        *_TAKEN,
        *_TOLD,
    ],
    "CallerGone": ["esl", *_POSTED, "journal", "core", *_WRITTEN, "core/life", *_TAKEN, *_TOLD],
}


@pytest.mark.parametrize("fact", WAYS)
def test_the_way_is_the_one_that_is_told(ways: dict[str, list[str]], fact: str) -> None:
    """From the packet that tells the fact to the one that follows from it."""
    assert ways[fact] == WAYS[fact]


@pytest.mark.parametrize("fact", WAYS)
def test_no_room_is_entered_again_and_again(ways: dict[str, list[str]], fact: str) -> None:
    """Whoever follows a call by reading has to come back to no room more than twice."""
    assert {name: times for name, times in Counter(ways[fact]).items() if times > MOST} == {}
