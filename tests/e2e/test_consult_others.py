"""An agent asks whoever has a number, on a real switch: they refuse, answer, are asked in threes, get the caller.

Each phone has a tone of its own, so that each says whom it hears. Whoever hangs up or dies at whatever step, and a
daemon that is killed there: nobody is lost, nobody hears whom they should not, and no leg stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.e2e.rig.tones import Phone
from tests.e2e.test_link_user import EASY, PASSWORD, USER
from tests.e2e.test_talks import ANNA, BEN, CALLER, SOON_S, Talk, floor_of_two

OUTSIDE = "7000"
# Numbers that nobody has, and one behind which nobody listens.
NOWHERE, DEAF = "4711", "001"


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    """Their daemon has the rights of the link's user, and no others."""
    link = {"port": switch.esl_port, "user": USER, "password": PASSWORD, **EASY}
    floor = floor_of_two(workplace, switch, switches={"fs1": link})
    yield floor
    floor.stop()


class Heard(Talk):
    """Anna's talk, in which she may ask somebody outside."""

    def __init__(self, floor: Floor) -> None:
        tones = {CALLER: 400, ANNA: 700, BEN: 1_000, OUTSIDE: 1_300}
        self.sounds = {name: Phone(floor.phones, name, hertz) for name, hertz in tones.items()}
        super().__init__(floor)
        self.hear(CALLER, ANNA)

    def hear(self, *together: str) -> None:
        """Wait until these hear each other and nobody else."""
        for one in together:
            should = {name: name in together for name in self.sounds if name != one}
            await_true(partial(self._hears, one, should), SOON_S, f"{one} hears {should}")

    def is_alone(self, who: str) -> None:
        """Wait until they hear nobody, but music perhaps."""
        others = dict.fromkeys((name for name in self.sounds if name != who), False)
        await_true(partial(self._hears, who, others), SOON_S, f"{who} hears nobody")

    def _hears(self, one: str, should: dict[str, bool]) -> bool:
        return self.sounds[one].hears(*(self.sounds[other] for other in should)) == list(should.values())

    def dials(self) -> Dialog:
        """Anna asks whoever is outside: their phone, which rings."""
        before = self.floor.phones.latest(OUTSIDE, "ringing")
        assert before is None
        self.asks("consult", number=f"00{self.floor.phones.port}")
        await_true(lambda: self.floor.phones.latest(OUTSIDE, "ringing"), SOON_S, "it rings outside")
        phone = self.floor.phones.latest(OUTSIDE, "ringing")
        assert phone is not None
        return phone

    def outside(self) -> Dialog:
        """They are asked, and answer: their phone."""
        phone = self.dials()
        self.becomes("calling")
        assert self.floor.call_of(CALLER)["talk"]["number"] == f"00{self.floor.phones.port}"
        self.floor.phones.answer(phone)
        self.becomes("consulting")
        self.hear(ANNA, OUTSIDE)
        self.is_alone(CALLER)
        return phone

    def goes_on(self) -> None:
        """Caller and anna talk, and nobody else; the talk can be changed, and ends."""
        self.becomes("together")
        self.is_with(self.leg, self.talk_id)
        self.hear(CALLER, ANNA)
        self.asks("hold")
        self.becomes("held")
        self.floor.gives_up(CALLER)
        self.ends()

    def is_theirs(self, phone: Dialog, by: str) -> None:
        """The caller talks with whoever is outside, in no call of ours, until one of them hangs up."""
        self.hear(CALLER, OUTSIDE)
        self.floor.becomes("wrapping_up", ANNA)
        await_true(lambda: self.anna.state == "over", SOON_S, "her phone is released")
        await_true(lambda: self.floor.daemon.get("calls")["calls"] == [], SOON_S, "the call is over")
        self.hear(CALLER, OUTSIDE)
        self.floor.phones.hang_up(by)
        self.ends()
        assert (self.caller.state, phone.state) == ("over", "over")


@pytest.mark.parametrize("how", ["refuses", "busy", "nobody has it", "nobody listens", "cancelled"])
def test_nobody_is_reached(floor: Floor, how: str) -> None:
    """Caller and agent talk again; so they do when the agent takes it back while it rings."""
    talk = Heard(floor)
    if how in ("refuses", "busy"):
        floor.phones.refuse(talk.dials(), "USER_BUSY" if how == "busy" else "CALL_REJECTED")
    elif how == "cancelled":
        phone = talk.dials()
        talk.becomes("calling")
        talk.is_alone(CALLER)
        talk.asks("cancel")
        await_true(lambda: phone.state == "over", SOON_S, "it rings no more")
    else:
        talk.asks("consult", number=NOWHERE if how == "nobody has it" else DEAF)
    talk.goes_on()


@pytest.mark.parametrize("swapped", [False, True], ids=["consulting", "swapped"])
@pytest.mark.parametrize("by", [CALLER, OUTSIDE])
def test_to_and_fro_and_handed_over(floor: Floor, by: str, swapped: bool) -> None:
    """The agent goes to and fro; then the two talk, whoever hangs up first."""
    talk = Heard(floor)
    phone = talk.outside()
    for _ in range(2):
        talk.asks("swap")
        talk.becomes("swapped")
        talk.hear(CALLER, ANNA)
        talk.is_alone(OUTSIDE)
        talk.asks("swap")
        talk.becomes("consulting")
        talk.hear(ANNA, OUTSIDE)
        talk.is_alone(CALLER)
    if swapped:
        talk.asks("swap")
        talk.becomes("swapped")
    talk.asks("complete")
    talk.is_theirs(phone, by)


@pytest.mark.parametrize("swapped", [False, True], ids=["consulting", "swapped"])
@pytest.mark.parametrize("who", [OUTSIDE, CALLER, ANNA, "cancel"])
def test_somebody_goes(floor: Floor, who: str, swapped: bool) -> None:
    """Whoever is left talks on, or waits again; nobody else is left."""
    talk = Heard(floor)
    phone = talk.outside()
    if swapped:
        talk.asks("swap")
        talk.becomes("swapped")
    if who == "cancel":
        talk.asks("cancel")
    else:
        floor.phones.hang_up(who)
    match who:
        case "cancel" | "7000":
            talk.goes_on()
        case "1001" if not swapped:
            await_true(lambda: floor.call_of(CALLER)["state"] == "waiting", SOON_S, "they wait again")
            floor.gives_up(CALLER)
        case "4930111" if not swapped:
            talk.hear(ANNA, OUTSIDE)
            floor.phones.hang_up(ANNA)
    talk.ends()
    assert phone.state == "over"


@pytest.mark.parametrize("who", [CALLER, ANNA])
def test_somebody_goes_while_it_rings(floor: Floor, who: str) -> None:
    """It rings no more; a caller who is left waits again."""
    talk = Heard(floor)
    phone = talk.dials()
    talk.becomes("calling")
    floor.phones.hang_up(who)
    await_true(lambda: phone.state == "over", SOON_S, "it rings no more")
    if who == ANNA:
        await_true(lambda: floor.call_of(CALLER)["state"] == "waiting", SOON_S, "they wait again")
        floor.gives_up(CALLER)
    talk.ends()
    floor.becomes("wrapping_up", ANNA)


@pytest.mark.parametrize("how", ["leave", ANNA, OUTSIDE, "drop", CALLER])
def test_in_threes(floor: Floor, how: str) -> None:
    """All hear all; whoever leaves or hangs up, the other two talk on, and end it."""
    talk = Heard(floor)
    phone = talk.outside()
    talk.asks("three-way")
    talk.becomes("three_way")
    talk.hear(CALLER, ANNA, OUTSIDE)
    if how in ("leave", "drop"):
        talk.asks(how)
    else:
        floor.phones.hang_up(how)
    match how:
        case "leave" | "1001":
            talk.is_theirs(phone, CALLER if how == "leave" else OUTSIDE)
        case "drop" | "7000":
            talk.goes_on()
        case _:
            talk.hear(ANNA, OUTSIDE)
            floor.phones.hang_up(OUTSIDE)
            talk.ends()


@pytest.mark.parametrize("shape", ["calling", "consulting", "swapped", "three_way"])
@pytest.mark.parametrize("then", ["complete", "cancel"])
def test_the_daemon_is_killed(floor: Floor, shape: str, then: str) -> None:
    """Another daemon goes on with the talk as it is."""
    talk = Heard(floor)
    phone = talk.dials() if shape == "calling" else talk.outside()
    if shape == "calling":
        talk.becomes("calling")
    elif shape != "consulting":
        talk.asks("swap" if shape == "swapped" else "three-way")
        talk.becomes(shape)
    floor.daemon.kill()
    floor.daemon.start()
    talk.becomes(shape)
    if shape == "calling" and then == "complete":
        floor.phones.answer(phone)
        talk.becomes("consulting")
        talk.hear(ANNA, OUTSIDE)
    talk.asks(then)
    if then == "complete":
        talk.is_theirs(phone, OUTSIDE)
    else:
        await_true(lambda: phone.state == "over", SOON_S, "their phone is released")
        talk.goes_on()


@pytest.mark.parametrize("step", ["complete", "three-way"])
def test_the_daemon_is_killed_at_once(floor: Floor, step: str) -> None:
    """As soon as the wish is taken: the next daemon finds who are with whom."""
    talk = Heard(floor)
    phone = talk.outside()
    talk.asks(step)
    floor.daemon.kill()
    floor.daemon.start()
    if step == "three-way":
        talk.becomes("three_way")
        talk.hear(CALLER, ANNA, OUTSIDE)
        floor.phones.hang_up(ANNA)
    talk.is_theirs(phone, CALLER)


@pytest.mark.parametrize("who", [ANNA, OUTSIDE, CALLER])
@pytest.mark.parametrize("shape", ["consulting", "three_way"])
def test_somebody_goes_while_no_daemon_runs(floor: Floor, who: str, shape: str) -> None:
    """The next daemon finds it out: nobody stays alone, in the hold or in the room."""
    talk = Heard(floor)
    talk.outside()
    if shape == "three_way":
        talk.asks("three-way")
        talk.becomes("three_way")
    floor.daemon.kill()
    floor.phones.hang_up(who)
    floor.daemon.start()
    if who == OUTSIDE:
        talk.goes_on()
        return
    if who == CALLER:
        talk.hear(ANNA, OUTSIDE)
        floor.phones.hang_up(ANNA)
    elif shape == "three_way":
        talk.hear(CALLER, OUTSIDE)
        floor.phones.hang_up(CALLER)
    else:
        await_true(lambda: floor.call_of(CALLER)["state"] == "waiting", SOON_S, "they wait again")
        floor.gives_up(CALLER)
    talk.ends()


def test_a_daemon_that_remembers_nothing(floor: Floor) -> None:
    """Without a journal nobody knows what the caller is on hold for: they wait again, and the others are released."""
    talk = Heard(floor)
    phone = talk.dials()
    talk.becomes("calling")
    floor.daemon.kill()
    shutil.rmtree(floor.daemon.directory / "journal")
    floor.daemon.start()
    await_true(lambda: floor.call_of(CALLER)["state"] in {"waiting", "offered"}, SOON_S, "they wait again")
    await_true(lambda: phone.state == "over", SOON_S, "it rings no more")
    floor.gives_up(CALLER)
    talk.ends()


def test_whoever_is_next_in_a_queue_is_asked(floor: Floor) -> None:
    """Ben serves it: not ready, he is waited for; he refuses, is waited for again, answers, and gets the caller."""
    floor.daemon.post(f"agents/{BEN}/not-ready")
    floor.becomes("not_ready", BEN)
    talk = Heard(floor)
    talk.asks("consult", queue="sales")
    talk.becomes("calling")
    talk.is_alone(CALLER)
    assert floor.call_of(CALLER)["talk"]["queue"] == "sales"
    for refuses in (True, False):
        floor.daemon.post(f"agents/{BEN}/ready")
        await_true(lambda: floor.phones.latest(BEN, "ringing"), SOON_S, "ben's phone rings")
        phone = floor.phones.latest(BEN, "ringing")
        assert phone is not None
        if refuses:
            floor.phones.refuse(phone, "CALL_REJECTED")
            floor.becomes("held_back", BEN)
        else:
            floor.phones.answer(phone)
    talk.becomes("consulting")
    talk.hear(ANNA, BEN)
    talk.is_alone(CALLER)
    talk.asks("complete")
    await_true(lambda: floor.call_of(CALLER)["agents"] == [BEN], SOON_S, "the talk is ben's")
    talk.hear(CALLER, BEN)
    floor.gives_up(CALLER)
