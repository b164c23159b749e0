"""The memory of ended calls, against a plain list that does the same."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.core import ended
from fsacd.core.commands import EndCall, SendCall
from fsacd.core.ended import Before, EndedCalls
from fsacd.core.events import Leg
from fsacd.core.rules import ToExtension
from fsacd.core.visit import HowIn, Visit

Command = SendCall | EndCall | None
IDS = st.sampled_from("abcd")
CONTACTS = st.sampled_from(["", "a", "b", "kundin"])
VISIT = Visit(1, "support", 0, HowIn.DIRECT, (), 0, 0, "", "", 20_000, 5_000)


@dataclass
class Entry:
    """One ended call as it was told."""

    call_id: str
    at_ms: int
    command: Command
    contact_id: str
    before: Before | None = None


class Model:
    """All entries in a list: what the memory is to do, without any care for its size."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def get(self, call_id: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.call_id == call_id), None)

    def forget(self, call_id: str) -> None:
        self.entries = [entry for entry in self.entries if entry.call_id != call_id]

    def remember(self, entry: Entry) -> None:
        self.forget(entry.call_id)
        self.entries.append(entry)
        while len(self.entries) > ended._LIMIT or entry.at_ms - self.entries[0].at_ms >= ended._FOR_MS:
            del self.entries[0]


def command_of(kind: str, call_id: str) -> Command:
    leg = Leg("fs1", f"leg of {call_id}, \x00 ü")
    if kind == "none":
        return None
    return EndCall(call_id, leg, "USER_BUSY") if kind == "end" else SendCall(call_id, leg, ToExtension("7100", "fsacd"))


REMEMBER = st.tuples(st.just("remember"), IDS, st.sampled_from(["none", "end", "send"]), CONTACTS)
DEEDS = st.one_of(
    REMEMBER,
    REMEMBER,
    REMEMBER,
    st.tuples(st.just("lose"), IDS),
    st.tuples(st.just("take back"), IDS),
    st.tuples(st.just("forget"), IDS),
    st.tuples(st.just("again"), IDS),
    st.tuples(st.just("wait"), st.sampled_from([1_000, 3_000, 250_000])),
    st.tuples(st.just("restart")),
)


def _restored(memory: EndedCalls) -> EndedCalls:
    other = EndedCalls()
    for one in memory.all():
        other.restore(*one)
    return other


def _again(memory: EndedCalls, model: Model, call_id: str, now_ms: int) -> None:
    known = model.get(call_id)
    assert (call_id in memory) == (known is not None)
    assert memory.final_command(call_id) == (known.command if known else None)
    if known is not None:
        late = known.command is not None and now_ms - known.at_ms >= ended._REPEAT_AFTER_MS
        assert memory.announced_again(call_id, now_ms) == (known.command if late else None)
        known.at_ms = now_ms if late else known.at_ms


@given(st.lists(DEEDS, max_size=40))
def test_it_is_as_a_list_would_be(deeds: list[tuple[str, ...]]) -> None:
    """Whatever is remembered, lost sight of, taken back or forgotten: the same is known, and in the same order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ended, "_LIMIT", 2)
        memory, model, now_ms = EndedCalls(), Model(), 0
        for deed, *rest in deeds:
            match deed, rest:
                case "remember", [call_id, kind, contact_id]:
                    memory.remember(call_id, command_of(kind, call_id), now_ms, contact_id)
                    model.remember(Entry(call_id, now_ms, command_of(kind, call_id), contact_id))
                case "lose", [call_id] if (known := model.get(call_id)) is not None:
                    memory.lose_sight(call_id, 2, VISIT)
                    known.command, known.before = None, Before(2, VISIT)
                case "take back", [call_id]:
                    known = model.get(call_id)
                    before = known.before if known is not None else None
                    assert memory.take_back(call_id) == before
                    if before is not None:
                        model.forget(call_id)
                case "forget", [call_id]:
                    memory.forget(call_id)
                    model.forget(call_id)
                case "again", [call_id]:
                    _again(memory, model, call_id, now_ms)
                case "wait", [time_ms]:
                    now_ms += int(time_ms)
                case "restart", []:
                    memory = _restored(memory)
            found = [_entry(*one) for one in memory.all()]
            assert found == model.entries
            for contact_id in ("a", "b", "kundin"):
                known_to = any(contact_id in (entry.call_id, entry.contact_id) for entry in model.entries)
                assert memory.has_of_contact(contact_id) == known_to


def _entry(
    call_id: str, at_ms: int, command: Command, offers: int | None, visit: Visit | None, contact_id: str
) -> Entry:
    return Entry(call_id, at_ms, command, contact_id, None if offers is None else Before(offers, visit))


def _taken(fill: object, count: int) -> int:
    """The memory that these calls leave behind, in bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(count):
            call_id = str(UUID(int=number))
            command = EndCall(call_id, Leg("fs1", str(UUID(int=count + number))), "NORMAL_CLEARING")
            fill(call_id, command, number, str(UUID(int=number)))  # type: ignore[operator] # a function of these four
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_it_takes_half_of_what_it_is_told() -> None:
    """What it keeps of a call takes less than half of the objects that it was told of."""
    memory, told = EndedCalls(), dict[str, object]()
    kept = _taken(memory.remember, 5_000)
    as_told = _taken(lambda call_id, *rest: told.__setitem__(call_id, rest), 5_000)
    assert len(list(memory.all())) == len(told)
    assert kept < as_told / 2
