"""Bugs of legs, planted on purpose: a machine that finds none of them would find no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from unittest.mock import PropertyMock, patch

from fsacd.core import offer
from fsacd.core.events import CallerReplaced, OfferAnswered
from fsacd.core.life import leaving, talks
from fsacd.core.life.world import World
from fsacd.esl import agents_leg, ringing, translate
from fsacd.esl.attendance import Attendance
from fsacd.esl.reconciler import Reconciler


@dataclass(frozen=True)
class Planted:
    """A bug and how to plant it; it is seen as one of these kinds of faults, and these hard sequences show it."""

    name: str
    plant: Callable[[], AbstractContextManager[object]]
    seen_as: frozenset[str]
    shown_by: tuple[str, ...]


def _first_answer_alone(world: World, one: offer.Offer | None, event: OfferAnswered) -> None:
    if one is not None and event.leg not in ("", one.offer_id):
        return
    _answered(world, one, event)


_answered = talks._answered
_variables = ringing._variables


@contextmanager
def _one_leg_ends() -> Iterator[None]:
    """And the end of one is not the end of all."""
    with (
        patch.object(offer.Offer, "named_legs", new_callable=PropertyMock, return_value=()),
        patch.object(ringing, "_ends_all", lambda _rules: "none"),
    ):
        yield


@contextmanager
def _nobody_asks() -> Iterator[None]:
    """And engine and switch are not compared, which would find it a little later."""
    with (
        patch.object(Attendance, "silent", lambda _attendance, _now_ms: []),
        patch.object(Reconciler, "compare", lambda _reconciler: True),
    ):
        yield


def _adopts_nobody(world: World, event: CallerReplaced) -> None:
    del world, event


PLANTED = (
    Planted(
        "who takes the caller is not heard",
        lambda: patch.object(leaving, "taken", lambda _world, _event: None),
        frozenset({"rings for who is elsewhere", "torn", "untrue end", "lost caller"}),
        ("bridged with one, then with another",),
    ),
    Planted(
        "nobody is adopted after an INVITE with Replaces",
        lambda: patch.object(leaving, "replaced", _adopts_nobody),
        frozenset({"nobody's hands"}),
        ("a place is handed on before it is taken",),
    ),
    Planted(
        "of several phones only the first may answer",
        lambda: patch.object(talks, "_answered", _first_answer_alone),
        frozenset({"agent alone"}),
        ("the second phone answers, and the agent talks for long",),
    ),
    Planted(
        "an answer is taken for the first phone's",
        lambda: patch.object(agents_leg, "legs_rung", lambda _leg: 1),
        frozenset({"agent alone", "losers ring", "lost caller", "two offers"}),
        ("refused by one, diverted by the other, and answered by the next",),
    ),
    Planted(
        "a caller who moves to another phone has hung up",
        lambda: patch.object(translate, "_REPLACED", frozenset({"ATTENDED_TRANSFER"})),
        frozenset({"lost caller"}),
        ("the caller of a talk moves to another phone",),
    ),
    Planted(
        "nobody asks for who has fallen silent",
        _nobody_asks,
        frozenset({"rings for who is elsewhere"}),
        ("parked for long, put back, and taken by an agent who moves",),
    ),
    Planted(
        "a phone that forwards its calls is invited again",
        lambda: patch.object(ringing, "_variables", lambda command: _without(_variables(command))),
        frozenset({"invited again"}),
        ("refused by one, diverted by the other, and answered by the next",),
    ),
    Planted(
        "only the first of several legs is ended",
        _one_leg_ends,
        frozenset({"rings for who is elsewhere", "two offers", "two at one phone"}),
        ("a place is handed on before it is taken",),
    ),
)


def _without(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name != "outbound_redirect_fatal"}
