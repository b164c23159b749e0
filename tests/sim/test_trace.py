"""How recordings are compared: what counts as a difference and what as a race."""

from __future__ import annotations

import orjson
import pytest

from fsacd.sim.agenda import Agenda
from fsacd.sim.trace import TraceLine, differences, read, trace, write

STORY = [
    TraceLine(0, "reply", "command/reply +OK accepted"),
    TraceLine(0, "caller1", "CHANNEL_PARK", (("state", "CS_EXECUTE"),)),
    TraceLine(20, "agent1", "CHANNEL_PARK"),
    TraceLine(500, "agent1", "CHANNEL_HANGUP", (("cause", "USER_BUSY"),)),
    TraceLine(520, "caller1", "CHANNEL_UNBRIDGE"),
]


def changed(index: int, line: TraceLine) -> list[TraceLine]:
    return [line if at == index else each for at, each in enumerate(STORY)]


def test_story_equals_itself_and_survives_writing() -> None:
    """A trace written down and read again is the same trace."""
    assert (differences(STORY, STORY), read(write(STORY))) == ([], STORY)


def test_legs_that_race_may_change_places() -> None:
    """Lines of different legs a moment apart have no order."""
    assert differences(STORY, [STORY[0], STORY[2], STORY[1], STORY[4], STORY[3]]) == []


@pytest.mark.parametrize(
    "other",
    [
        STORY[:-1],
        [*STORY, STORY[-1]],
        changed(3, TraceLine(500, "agent1", "CHANNEL_HANGUP", (("cause", "NO_ANSWER"),))),
        changed(3, TraceLine(700, "agent1", "CHANNEL_HANGUP", (("cause", "USER_BUSY"),))),
        changed(0, TraceLine(0, "reply", "command/reply -ERR invalid")),
        [STORY[0], STORY[1], STORY[3], STORY[2], STORY[4]],
        [STORY[0], STORY[2], STORY[3], STORY[1], STORY[4]],
    ],
)
def test_everything_else_is_a_difference(other: list[TraceLine]) -> None:
    """A missing or extra line, another cause, time or reply, another order."""
    assert differences(STORY, other) != []


def test_uuids_become_names() -> None:
    """Callers are numbered as they arrive, rung legs by their uuids, and unfinished frames are left out."""
    ids = {name: f"{number}0000000-0000-4000-8000-000000000000" for number, name in enumerate(("a", "b", "c"), 1)}

    def event(name: str, uuid: str, direction: str) -> bytes:
        names = {"Event-Name": name, "Unique-ID": uuid, "Call-Direction": direction, "Application-Data": ids["b"]}
        body = orjson.dumps(names).decode()
        return f"Content-Length: {len(body)}\nContent-Type: text/event-json\n\n{body}".encode()

    raw = event("X", ids["c"], "outbound") + event("X", ids["a"], "inbound") + event("X", ids["b"], "outbound")
    assert [(line.who, line.about) for line in trace(raw + b"Content-Length: 99\n\nhalf")] == [
        ("agent2", (("data", "agent1"),)),
        ("caller1", (("data", "agent1"),)),
        ("agent1", (("data", "agent1"),)),
    ]


def test_timers_fire_in_order_and_at_their_own_time() -> None:
    """However late the agenda is run, each timer sees the time it was set for."""
    agenda = Agenda()
    seen: list[tuple[str, int]] = []
    agenda.at(30, lambda: seen.append(("b", agenda.now_us)))

    def plan() -> None:
        agenda.after(5, lambda: seen.append(("a", agenda.now_us)))

    agenda.at(10, plan)
    agenda.at(20, lambda: seen.append(("never", agenda.now_us))).cancel()
    agenda.run(1_000)
    assert (seen, agenda.now_us) == ([("a", 15), ("b", 30)], 1_000)


def test_work_without_end_is_noticed() -> None:
    """A timer that sets itself again for the same moment would stop the world; it stops the program instead."""
    agenda = Agenda()

    def again() -> None:
        agenda.after(0, again)

    again()
    with pytest.raises(RuntimeError, match="without end"):
        agenda.run(1)
