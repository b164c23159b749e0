"""Bugs, planted on purpose: a bench that finds none of them would find no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from fsacd.core import offer as o
from fsacd.core.events import OfferEnd
from fsacd.core.life import offers, phone_hold, visits
from fsacd.core.life.world import World
from fsacd.core.show import memory as m
from fsacd.esl.reconciler import Reconciler
from fsacd.sim import program
from tests.chaos.schedule import Schedule, Verdict


@dataclass(frozen=True)
class Planted:
    """A bug and how to plant it: `plant` holds while the schedule is made and run."""

    name: str
    plant: Callable[[Path], AbstractContextManager[None]]
    seen_as: frozenset[str]  # the judge sees at least one of these kinds
    only: Callable[[Schedule], None] | None = None  # the one kind of fault that brings it out, if it is a seldom one
    first: int = 1  # the schedule that finds it first; those before it would be run in vain


@contextmanager
def kill_not_retried(_place: Path) -> Iterator[None]:
    """A leg's end is asked for once; after that it is only waited for."""

    def waits(world: World, offer: o.Offer, ending: o.OfferEnding) -> None:
        if world.now_ms < ending.give_up_ms:
            world.timers.set("offer", offer.offer_id, ending.give_up_ms)
            return
        offers.write_end(world, offer, OfferEnd.CANCELLED)
        offers.over(world, offer, OfferEnd.CANCELLED)

    with patch.object(offers, "repeat_cancel", waits):
        yield


@contextmanager
def bridge_variable_missing(place: Path) -> Iterator[None]:
    """The caller's leg is armed with one of the two variables that keep a caller whose agent's leg dies."""
    directory = place / "dialplan"
    (directory / "default").mkdir(parents=True)
    for name in ("fsacd.xml", "default/fsacd.xml"):
        text = (program.DIALPLAN / name).read_text(encoding="utf-8")
        changed = text.replace(";uuid_bridge_continue_on_cancel=true", "")
        assert (changed != text) == (name == "fsacd.xml")
        (directory / name).write_text(changed, encoding="utf-8")
    shipped = program.fsacd_dialplan
    with patch("tests.chaos.schedule.fsacd_dialplan", lambda plan: shipped(plan, directory)):
        yield


@contextmanager
def order_not_restored(_place: Path) -> Iterator[None]:
    """After a restart every call has arrived just now."""
    restore = m._restore_calls

    def forgets(world: World, memory: m.Memory) -> None:
        late = tuple(memory.calls)
        for call in late:
            call.arrived_ms, call.head_start_ms = memory.now_ms, 0
        restore(world, replace(memory, calls=late))

    with patch.object(m, "_restore_calls", forgets):
        yield


@contextmanager
def calls_not_followed(_place: Path) -> Iterator[None]:
    """Who stands by hands its calls over at once: who goes before the other daemon knows them is told as lost."""
    with patch.object(Reconciler, "look_on", lambda _reconciler, _away: None):
        yield


@contextmanager
def hold_not_counted(_place: Path) -> Iterator[None]:
    """The time that callers hear music in a talk counts as talk."""
    with patch.object(phone_hold, "count", lambda _world, _shape: None):
        yield


@contextmanager
def answer_forgotten(_place: Path) -> Iterator[None]:
    """The visit of a caller who was handed over was answered by whoever had them last."""
    with patch.object(visits, "handed_over", lambda _call: None):
        yield


PLANTED = (
    Planted(
        "kill not retried", kill_not_retried, frozenset({"ring for nobody", "unknown agent leg", "two offers"}), first=4
    ),
    Planted("one of the two bridge variables missing", bridge_variable_missing, frozenset({"lost caller"}), first=3),
    Planted("order key not restored", order_not_restored, frozenset({"order"}), first=2),
    Planted(
        "calls not followed to the other daemon",
        calls_not_followed,
        frozenset({"told as lost"}),
        only=Schedule.second_daemon,
    ),
    Planted("hold not counted", hold_not_counted, frozenset({"another talk"})),
    Planted("answer forgotten", answer_forgotten, frozenset({"another visit"}), first=2),
)


def found_within(planted: Planted, schedules: int, place: Path) -> Verdict | None:
    """The first schedule, from `planted.first` on, that finds the bug as what it is; None if none of so many does."""
    for seed in range(planted.first, planted.first + schedules):
        directory = place / str(seed)
        directory.mkdir()
        with planted.plant(directory):
            verdict = Schedule(seed, directory, only=planted.only).run()
        if planted.seen_as & verdict.kinds:
            return verdict
    return None
