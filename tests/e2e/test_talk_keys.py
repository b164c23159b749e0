"""What an agent wishes in a talk on a real switch: to be muted, to send digits, to hang up.

Each phone has a tone of its own, so that each says whom it hears; and a daemon that is killed knows it all again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.e2e.rig.tones import Phone
from tests.e2e.test_link_user import EASY, PASSWORD, USER
from tests.e2e.test_talks import ANNA, BEN, CALLER, SOON_S, Talk, floor_of_two

# A card's number, say.
SECRET = "4929001234567"


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    """Their daemon has the rights of the link's user, and no others."""
    link = {"port": switch.esl_port, "user": USER, "password": PASSWORD, **EASY}
    floor = floor_of_two(workplace, switch, switches={"fs1": link})
    yield floor
    floor.stop()


class Heard(Talk):
    """Anna's talk, of whom everybody hears whom they should."""

    def __init__(self, floor: Floor, *, keys: bool = True) -> None:
        self.sounds = {
            CALLER: Phone(floor.phones, CALLER, 400, keys=keys),
            ANNA: Phone(floor.phones, ANNA, 700),
            BEN: Phone(floor.phones, BEN, 1_000),
        }
        super().__init__(floor)
        self.hear(CALLER, ANNA)

    def hear(self, *together: str) -> None:
        """Wait until these hear each other, but for anna where she is muted, and nobody else."""
        muted = self.floor.call_of(CALLER)["talk"]["muted"]
        for one in together:
            should = {name: name in together and not (name == ANNA and muted) for name in self.sounds if name != one}
            await_true(partial(self._hears, one, should), SOON_S, f"{one} hears {should}")

    def _hears(self, one: str, should: dict[str, bool]) -> bool:
        return self.sounds[one].hears(*(self.sounds[other] for other in should)) == list(should.values())

    def mutes(self, *together: str) -> None:
        """Nobody hears anna any more."""
        self.asks("mute")
        assert self.floor.call_of(CALLER)["talk"]["muted"]
        self.hear(*together)

    def unmutes(self, *together: str) -> None:
        """Anna is heard again."""
        self.asks("unmute")
        assert not self.floor.call_of(CALLER)["talk"]["muted"]
        self.hear(*together)

    def stop(self) -> None:
        for sound in self.sounds.values():
            sound.stop()


def test_muted_in_every_shape(floor: Floor) -> None:
    """Held and back, with a colleague, in threes: whom she talks with does not hear her until she is unmuted."""
    talk = Heard(floor)
    talk.mutes(CALLER, ANNA)
    talk.unmutes(CALLER, ANNA)
    talk.mutes(CALLER, ANNA)
    talk.asks("hold")
    talk.becomes("held")
    talk.asks("resume")
    talk.becomes("together")
    talk.hear(CALLER, ANNA)
    talk.consults()
    talk.hear(ANNA, BEN)
    talk.asks("three-way")
    talk.becomes("three_way")
    talk.hear(CALLER, ANNA, BEN)
    talk.unmutes(CALLER, ANNA, BEN)
    talk.mutes(CALLER, ANNA, BEN)
    talk.asks("drop")
    talk.becomes("together")
    talk.hear(CALLER, ANNA)
    talk.unmutes(CALLER, ANNA)
    floor.gives_up(CALLER)
    talk.ends()
    talk.stop()


def test_muted_while_the_caller_is_on_hold(floor: Floor) -> None:
    """Her leg is alone then; and she is muted when both are together again."""
    talk = Heard(floor)
    talk.asks("hold")
    talk.becomes("held")
    talk.asks("mute")
    talk.asks("resume")
    talk.becomes("together")
    talk.hear(CALLER, ANNA)
    talk.unmutes(CALLER, ANNA)
    floor.gives_up(CALLER)
    talk.ends()
    talk.stop()


@pytest.mark.parametrize("shape", ["together", "three_way"])
def test_the_daemon_is_killed_while_she_is_muted(floor: Floor, shape: str) -> None:
    """The next daemon knows that nobody hears her, and lets her be heard again."""
    talk = Heard(floor)
    who = [CALLER, ANNA]
    if shape == "three_way":
        talk.consults()
        talk.asks("three-way")
        talk.becomes("three_way")
        who.append(BEN)
    talk.mutes(*who)
    floor.daemon.kill()
    floor.daemon.start()
    talk.becomes(shape)
    assert floor.call_of(CALLER)["talk"]["muted"]
    talk.hear(*who)
    talk.unmutes(*who)
    floor.gives_up(CALLER)
    floor.phones.hang_up(ANNA)
    talk.ends()
    talk.stop()


def test_a_daemon_that_remembers_nothing(floor: Floor) -> None:
    """It reads of her leg that nobody hears her."""
    talk = Heard(floor)
    talk.mutes(CALLER, ANNA)
    floor.daemon.kill()
    shutil.rmtree(floor.daemon.directory / "journal")
    floor.daemon.start()
    talk.becomes("together")
    talk.hear(CALLER, ANNA)
    assert floor.call_of(CALLER)["talk"]["muted"]
    await_true(partial(_is_granted, talk, "unmute"), SOON_S, "she may unmute herself")
    talk.hear(CALLER, ANNA)
    floor.gives_up(CALLER)
    talk.ends()
    talk.stop()


def _is_granted(talk: Talk, verb: str) -> bool:
    """A talk that was found is new to its daemon, which refuses wishes in its first moment."""
    with suppress(HTTPError):
        talk.asks(verb)
        return True
    return False


def test_digits(floor: Floor) -> None:
    """They come to whoever hears her, as events of RFC 2833, and stand neither in a log nor in the journal."""
    talk = Heard(floor)
    caller, ben = talk.sounds[CALLER], talk.sounds[BEN]
    talk.asks("dtmf", digits=SECRET + "w#")
    await_true(lambda: caller.keys == SECRET + "#", SOON_S, "the caller has the digits")
    talk.hear(CALLER, ANNA)
    talk.consults()
    talk.asks("dtmf", digits="*1")
    await_true(lambda: ben.keys == "*1", SOON_S, "ben has the digits")
    talk.asks("three-way")
    talk.becomes("three_way")
    talk.asks("dtmf", digits="D")
    await_true(lambda: caller.keys[-1:] == ben.keys[-1:] == "D", SOON_S, "both have the digit")
    talk.becomes("three_way")
    assert (talk.sounds[ANNA].keys, caller.keys, ben.keys) == ("", SECRET + "#D", "*1D")
    floor.gives_up(CALLER)
    floor.phones.hang_up(ANNA)
    talk.ends()
    talk.stop()
    floor.daemon.stop()
    ours = [path for path in floor.daemon.directory.rglob("*") if path.is_file() and "freeswitch" not in path.parts]
    assert any(path.stat().st_size for path in ours)
    assert [path for path in ours if SECRET.encode() in path.read_bytes()] == []


def test_digits_to_a_phone_without_events(floor: Floor) -> None:
    """The switch tells it of digits by SIP INFO."""
    pressed = list[str]()
    floor.phones.pressed = pressed
    talk = Heard(floor, keys=False)
    talk.asks("dtmf", digits="12*#")
    await_true(lambda: "".join(pressed) == "12*#", SOON_S, "the caller has the digits")
    assert talk.sounds[CALLER].keys == ""
    floor.gives_up(CALLER)
    talk.ends()
    talk.stop()


@pytest.mark.parametrize("shape", ["together", "held", "consulting", "three_way", "caller_gone"])
def test_she_hangs_up(floor: Floor, shape: str) -> None:
    """It ends as by her phone: the caller is released, waits again if they were on hold, or goes on with ben."""
    talk = Talk(floor)
    if shape == "held":
        talk.asks("hold")
        talk.becomes("held")
    elif shape != "together":
        ben = talk.consults()
        if shape == "three_way":
            talk.asks("three-way")
            talk.becomes("three_way")
        elif shape == "caller_gone":
            floor.phones.hang_up(CALLER)
            await_true(lambda: talk.caller.state == "over", SOON_S, "the caller has gone")
    talk.asks("hangup")
    await_true(lambda: talk.anna.state == "over", SOON_S, "anna's phone is released")
    assert talk.anna.by_switch
    if shape in ("held", "consulting"):
        await_true(lambda: floor.call_of(CALLER)["state"] == "waiting", SOON_S, "they wait again")
        floor.gives_up(CALLER)
    elif shape == "three_way":
        await_true(lambda: floor.call_of(CALLER)["agents"] == [BEN], SOON_S, "the talk is ben's")
        floor.hang_up(ben, 1.0)
    talk.ends()
    assert talk.caller.state == "over"
    floor.becomes("wrapping_up", ANNA)
