"""What is found wrong once may be a list that lags: only what a second look confirms is repaired."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gevent
import pytest

from fsacd.core.events import (
    AgentLoggedIn,
    CallQueued,
    Event,
    OfferUnheard,
    RulesChanged,
    SwitchConnected,
    SwitchHeld,
    SwitchTaken,
)
from fsacd.core.rules import AgentRules, QueueRules, Rules, Service
from fsacd.core.views import Underway
from fsacd.esl import differences, missed, reconciler, service
from fsacd.esl.differences import Absence, Difference, Finding
from fsacd.esl.pipeline import Round
from fsacd.esl.states import Down, Up
from fsacd.esl.wire import Outcome, Reply
from fsacd.process.monotonic import monotonic_ms
from fsacd.runtime.loop import Runtime
from tests.esl.control_rig import CALL, LEG, NOBODY, OFFER, HashTable, Rig
from tests.esl.fake_switch import until
from tests.esl.legs_rig import LEG as THEIRS
from tests.esl.legs_rig import OFFER as RUNG
from tests.esl.legs_rig import view

ANOTHER_LEG = LEG.uuid.replace("2222", "3333")
GONE = {"show": NOBODY, "uuid_exists": Reply(Outcome.OK, "false")}

Answers = dict[str, Reply]


class Naps:
    """Stands in for gevent in one module: sleeps are noted, and last no longer than they must."""

    def __init__(self, during: Callable[[float], object]) -> None:
        self._during = during

    def sleep(self, seconds: float) -> None:
        self._during(seconds)
        gevent.sleep(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(gevent, name)


def waits(leg: str = LEG.uuid, state: str = "CS_EXECUTE") -> Answers:
    """A caller's leg in the music, as the switch tells of it."""
    variables = {"leg": "caller", "over": "false", "call": CALL, "queue": "sales", "queued_at": "5000"}
    dump = {"Unique-ID": leg, **{f"variable_fsacd_{name}": value for name, value in variables.items()}}
    rows = [{"uuid": leg, "context": "fsacd", "state": state}]
    return {
        "show": Reply(Outcome.OK, json.dumps({"row_count": 1, "rows": rows})),
        "uuid_dump": Reply(Outcome.OK, json.dumps(dump)),
        "uuid_exists": Reply(Outcome.OK, "true"),
    }


class Compared:
    """What one comparing has told, when the switch says one thing first and another a little later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rig: Rig, first: Answers, later: Answers) -> None:
        self.slept: list[float] = []
        self.repaired: list[str] = []
        rig.link.answers = first

        def change(seconds: float) -> None:
            self.slept.append(seconds)
            rig.link.answers = later

        monkeypatch.setattr(reconciler, "gevent", Naps(change))
        looks = rig.control._service._reconciler
        looks.on_repair = self.repaired.append
        self.agrees = looks.compare()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def _somebody_is_rung(rig: Rig) -> None:
    """The engine has just ordered a leg, of which the switch has said nothing."""
    queues = {"sales": QueueRules("sales")}
    agent = AgentRules("1001", contact="user/1001", queues={"sales": Service()})
    rig.runtime.set_sender(lambda _command: None)
    for fact in (
        RulesChanged(Rules(queues, {"1001": agent})),
        SwitchConnected("fs1"),
        AgentLoggedIn("1001", "test"),
        CallQueued(CALL, "sales", 0, LEG),
    ):
        Runtime.post(rig.runtime, fact)
    assert [offer.state for offer in rig.runtime.snapshot().offers] == ["ringing"]


# --- before a repair -------------------------------------------------------------------------------------------------


def test_what_is_wrong_both_times_is_repaired(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look comes when the list has surely caught up; that something was wrong is no agreement."""
    compared = Compared(monkeypatch, rig, waits(), waits())
    assert (compared.slept, compared.repaired, compared.agrees) == ([reconciler.LIST_LAG_S], ["unknown_caller"], False)
    assert [type(fact).__name__ for fact in rig.runtime.facts] == ["CallQueued", "CallReturned"]


def test_what_is_wrong_once_is_not_repaired(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who had hung up already stood in the list still: nobody is to be rung for them."""
    compared = Compared(monkeypatch, rig, waits(), GONE)
    assert (compared.repaired, compared.agrees, rig.runtime.facts) == ([], False, [])


def test_another_leg_is_another_matter(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same is wrong with a leg that was not there before: it has had one look only."""
    compared = Compared(monkeypatch, rig, waits(), waits(ANOTHER_LEG))
    assert (compared.repaired, rig.runtime.facts) == ([], [])


def test_another_fault_of_the_same_leg_is_another_matter(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller hung between two things; a moment later their leg is not listed: that may be the list's lag."""
    Runtime.post(rig.runtime, CallQueued(CALL, "sales", 0, LEG))
    compared = Compared(monkeypatch, rig, waits(state="CS_RESET"), GONE)
    assert (compared.slept, compared.repaired, rig.runtime.facts) == ([reconciler.LIST_LAG_S], [], [])


def test_what_the_switch_is_not_ours_for_is_left_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fence is lost between the looks: what is wrong there is another daemon's to repair."""
    rig.link.answers = waits()
    monkeypatch.setattr(reconciler, "gevent", Naps(lambda _s: setattr(rig.control._service, "_fence_lost", True)))
    rig.control._service._reconciler.compare()
    assert rig.runtime.facts == []


def test_nothing_wrong_is_an_agreement(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look suffices for it."""
    compared = Compared(monkeypatch, rig, GONE, GONE)
    assert (compared.slept, compared.agrees) == ([], True)


@pytest.mark.parametrize("why", ["no answer", "no time", "a leg in the making"])
def test_nothing_found_is_no_agreement_yet(rig: Rig, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """It is asked again soon: the switch has said nothing, or not all, or may still make a leg that nobody has seen."""
    first = dict(GONE)
    if why == "no answer":
        first["show"] = Reply(Outcome.UNCONFIRMED, "no answer in time")
    elif why == "no time":
        monkeypatch.setattr(Round, "is_over", True)
    else:
        _somebody_is_rung(rig)
        first = waits()
    compared = Compared(monkeypatch, rig, first, first)
    assert (compared.slept, compared.repaired, compared.agrees) == ([], [], False)


def test_who_has_fallen_silent_is_asked_for_and_what_is_heard_meanwhile_is_newer(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their leg is gone, says the switch; the engine has learned meanwhile that an agent rings for them anew."""
    Runtime.post(rig.runtime, CallQueued(CALL, "sales", 0, LEG))
    rig.link.answers = GONE
    submit = rig.link.submit

    def hears(*asked: Any) -> None:
        submit(*asked)
        monkeypatch.setattr(rig.link, "submit", submit)
        _somebody_is_rung(rig)

    monkeypatch.setattr(rig.link, "submit", hears)
    rig.control._service._reconciler.ask_for({LEG.uuid})
    assert rig.runtime.facts == []
    rig.control._service._reconciler.ask_for({LEG.uuid})
    assert [type(fact).__name__ for fact in rig.runtime.facts] == ["CallerGone"], "nothing was heard meanwhile"


def _offered(call: str, offers: int, offer: str | None) -> Underway:
    """One call in this state that was offered so often, and what has become of its ring."""
    underway = view(call, offer)
    return replace(underway, calls=tuple(replace(one, offers=offers) for one in underway.calls))


@pytest.mark.parametrize(
    ("then", "since", "stands"),
    [
        (_offered("offered", 1, "ringing"), _offered("offered", 1, "ringing"), (THEIRS, RUNG)),
        (_offered("waiting", 1, None), _offered("offered", 2, "ringing"), ()),
        (_offered("offered", 1, "ringing"), _offered("offered", 2, "ringing"), (RUNG,)),
        (_offered("offered", 1, "ringing"), _offered("offered", 1, "ending"), (THEIRS,)),
    ],
    ids=["nothing", "somebody is rung", "another one is rung", "the ring is ended"],
)
def test_what_the_engine_has_learned_of_a_leg_is_newer(
    then: Underway, since: Underway, stands: tuple[str, ...]
) -> None:
    """Of each leg for itself; a call that was offered once more while the switch was asked has moved, too."""
    found = [Finding(Difference.CALL_WITHOUT_LEG, THEIRS), Finding(Difference.OFFER_WITHOUT_LEG, RUNG)]
    assert tuple(finding.leg for finding in missed.unchanged(found, then, since, "fs1")) == stands
    assert missed.unchanged(found, then, since, "fs2") == found, "what happens on another switch is another matter"


def _compared_at(rig: Rig, monkeypatch: pytest.MonkeyPatch, agrees: list[bool | None]) -> list[float]:
    """When it is compared, in seconds from the catching up on, if each comparing ends as said."""
    watching, now, at = rig.control._service, [1000.0], list[float]()

    def goes_on(wait_s: float) -> bool:
        now[0] += wait_s
        return len(at) < len(agrees)

    def compare() -> bool | None:
        at.append(now[0] - 1000.0)
        return agrees[len(at) - 1]

    monkeypatch.setattr(watching, "_goes_on", goes_on)
    monkeypatch.setattr(watching, "_ask_for_the_silent", lambda: None)
    monkeypatch.setattr(watching._reconciler, "compare", compare)
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now[0])
        watching._compare_again_and_again()
    return [round(moment, 3) for moment in at]


def test_until_all_agrees_it_is_compared_soon_and_ever_later(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second after the catching up, then after pauses twice as long each, and no longer than usual."""
    agrees = [False, False, None, False, False, False, True]
    assert _compared_at(rig, monkeypatch, agrees) == [1, 3, 7, 15, 31, 61, 91]


def test_two_agreements_are_as_far_apart_as_configured(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all is right the switch is asked now and then."""
    assert _compared_at(rig, monkeypatch, [True, True, True]) == [1, 31, 61]


def test_after_a_difference_it_is_compared_soon_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when all agreed for a long time before."""
    agrees: list[bool | None] = [True, True, False, False, True, True]
    assert _compared_at(rig, monkeypatch, agrees) == [1, 31, 61, 63, 67, 97]


# --- after a take-over -----------------------------------------------------------------------------------------------


def _catching_up(
    monkeypatch: pytest.MonkeyPatch, last: str, *, restarted: bool = False
) -> tuple[Rig, HashTable, list[object]]:
    """What is done from the link's coming up to the first moment of service, where `last` had the fence before us."""
    rig, table, done = Rig(fence_term_ms=10_000), HashTable(), list[object]()
    rig.link.hash, rig.link.answers = table.answer, {"show": NOBODY}
    if last:
        table.table["last"] = last
    monkeypatch.setattr(service, "gevent", Naps(done.append))
    looks, post = rig.control._service._reconciler, rig.runtime.post
    monkeypatch.setattr(looks, "look_on", lambda away: done.append(("looks on", away)))
    monkeypatch.setattr(looks, "catch_up", lambda away: done.append(("catches up", away)))

    def told(fact: Event) -> None:
        done.append(fact)
        post(fact)

    monkeypatch.setattr(rig.runtime, "post", told)
    rig.control._on_state(Up("core", "fs1", restarted=restarted, uptime_ms=0, at_ms=monotonic_ms()))
    until(lambda: rig.control.in_sync)
    served = done[: done.index(SwitchConnected("fs1")) + 1]
    rig.control._on_state(Down("the test is over"))
    return rig, table, served


def test_who_takes_over_looks_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another daemon may have rung somebody just now, whom the list shows at the second look; then service begins."""
    *_, done = _catching_up(monkeypatch, "other:6", restarted=True)
    away = Absence(restarted=True, lease_ended=True)
    assert done == [
        ("looks on", Absence(restarted=True)),
        SwitchTaken("fs1"),
        SwitchHeld("fs1", 7),
        ("catches up", away),
        service._TAKE_OVER_S,
        ("catches up", differences.HERE),
        SwitchConnected("fs1"),
    ]


@pytest.mark.parametrize(("last", "epoch"), [("", 1), ("fsacd:6", 7)])
def test_who_goes_on_looks_once(monkeypatch: pytest.MonkeyPatch, last: str, epoch: int) -> None:
    """Nobody else has served: nobody can have rung anybody, and callers wait no longer than they must."""
    *_, done = _catching_up(monkeypatch, last)
    held, looked, served = done
    assert (held, looked, served) == (
        SwitchHeld("fs1", epoch),
        ("catches up", Absence(lease_ended=True)),
        SwitchConnected("fs1"),
    )


def test_an_order_that_may_be_lost_with_its_link_is_told_of(rig: Rig) -> None:
    """Nothing was heard of it when the link broke, and there is no leg now that it is back: its caller goes on."""
    _somebody_is_rung(rig)
    (offer,) = rig.runtime.snapshot().offers
    rig.link.answers = waits() | {"uuid_exists": Reply(Outcome.OK, "false")}
    rig.control._service._reconciler.catch_up(differences.HERE)
    assert rig.runtime.facts == [OfferUnheard(offer.offer_id)]


def test_phones_hear_that_their_ring_has_ended_before_they_are_rung_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ring that nobody knows is ended; service begins a moment later, for the order and the end must not cross."""
    done: list[object] = []
    ring = {"Unique-ID": OFFER, "variable_fsacd_leg": "agent", "variable_fsacd_offer": OFFER}
    rows = [{"uuid": OFFER, "context": "default"}]
    rig.link.answers = {
        "show": Reply(Outcome.OK, json.dumps({"row_count": 1, "rows": rows})),
        "uuid_dump": Reply(Outcome.OK, json.dumps(ring)),
    }
    monkeypatch.setattr(reconciler, "gevent", Naps(done.append))
    monkeypatch.setattr(rig.control._service._reconciler, "_act", lambda wire: done.append(wire.text.split()[1]))
    rig.control._service._reconciler.catch_up(differences.HERE)
    assert done == ["uuid_kill", reconciler._PHONES_TOLD_S]
