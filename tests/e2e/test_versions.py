"""A real switch on which an older dialplan or fewer rights are installed: it is served, and told in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fsacd.config.installed import too_old
from tests.e2e.conftest import AGENTS
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import DOMAIN, REPOSITORY, RealSwitch, await_true
from tests.e2e.test_refer import CALLER, SECOND, SOON_S, floor_on, is_over, nobody_was_dialled, outside, refers, talking

SHIPPED = REPOSITORY / "freeswitch"
OLD_DIALPLAN = REPOSITORY / "tests" / "sim" / "data" / "dialplan_1.xml"
OLD = f"Switch fs1 runs {too_old(1)}."
FEWER = ("CHANNEL_CREATE", "CHANNEL_HOLD", "fsacd::feature")


@pytest.fixture
def files(workplace: Path) -> Path:
    """A copy of what is installed, for a test to change."""
    return Path(shutil.copytree(SHIPPED, workplace / "installed"))


@pytest.fixture
def switch(workplace: Path, files: Path) -> Iterator[RealSwitch]:
    """A switch on which these files are installed; not started yet."""
    switch = RealSwitch(workplace / "freeswitch", AGENTS, dialplan=files / "dialplan")
    yield switch
    switch.stop()


def told(floor: Floor) -> list[str]:
    """What /readyz says is less than it should be."""
    answer = json.loads(floor.daemon._fetch("/readyz"))
    assert answer["ready"]
    return [str(sentence) for sentence in answer["degraded"]]


def test_an_old_dialplan_is_served_and_told(workplace: Path, files: Path, switch: RealSwitch) -> None:
    """Calls are answered, a caller's REFER dials nothing there either; once the new one is installed that is known."""
    shutil.copy(OLD_DIALPLAN, files / "dialplan" / "fsacd.xml")
    switch.start()
    floor = floor_on(workplace, switch)
    assert told(floor) == [OLD]
    caller, _ = talking(floor, CALLER, "support")
    assert told(floor) == [OLD]
    # That one knows nothing of contacts: the daemon notes on the leg to which it belongs.
    call, esl = floor.call_of(CALLER), switch.esl()
    assert call["contact_id"] == call["id"]
    on_leg = f"uuid_getvar {call['leg_uuid']} fsacd_contact_id"
    await_true(lambda: esl.api(on_leg) == call["id"], SOON_S, "the leg says whose contact it is")
    esl.close()
    refers(floor, caller, outside(floor))
    is_over(floor, "1001")
    nobody_was_dialled(floor, 2)

    shutil.copy(SHIPPED / "dialplan" / "fsacd.xml", files / "dialplan" / "fsacd.xml")
    esl = switch.esl()
    esl.api("reloadxml")
    floor.call(SECOND, "empty")
    await_true(lambda: told(floor) == [], SOON_S, "the new dialplan is known from the first call")

    # The old file again: its global variable has stayed, but the next call tells.
    shutil.copy(OLD_DIALPLAN, files / "dialplan" / "fsacd.xml")
    esl.api("reloadxml")
    floor.call("4930333", "empty")
    await_true(lambda: told(floor) == [OLD], SOON_S, "the old dialplan is known from the first call")
    esl.close()
    floor.stop()


def test_the_present_one_is_known_before_the_first_call(workplace: Path, switch: RealSwitch) -> None:
    """The global variable tells it when the link comes up."""
    switch.start()
    floor = floor_on(workplace, switch)
    assert told(floor) == []
    floor.stop()


def test_fewer_rights_are_served_and_told(workplace: Path, files: Path, switch: RealSwitch) -> None:
    """A user who may not hear all that this daemon would: calls are answered, and no missing probe ends the link."""
    link = files / "directory" / "fsacd_link.xml"
    text = link.read_text(encoding="utf-8")
    for word in FEWER:
        text = text.replace(f"{word} ", "", 1) if f"{word} " in text else text.replace(f" {word}", "", 1)
    link.write_text(text, encoding="utf-8")
    switch.start()
    floor = floor_on(workplace, switch)
    floor.daemon.stop()
    user = {"user": f"fsacd@{DOMAIN}", "password": "REPLACE-THIS-PASSWORD", "allow_default_password": True}
    # Far longer than a busy machine keeps the daemon from reading what the switch says.
    patient = {"probe_interval": "500ms", "silence_timeout": "4s"}
    floor.daemon.config["switches"] = {"fs1": {"port": switch.esl_port, **user, **patient}}
    floor.daemon.start()
    (sentence,) = told(floor)
    assert "denies fsacd rights that directory/fsacd_link.xml grants" in sentence
    warned = [line for line in floor.daemon.log.read_text(encoding="utf-8").splitlines() if "older than" in line]
    assert sorted(json.loads(warned[-1])["detail"].split(", ")) == sorted(FEWER)
    _, agent = talking(floor, CALLER, "support")
    floor.hang_up(agent, talk_s=10.0)
    is_over(floor, "1001")
    assert floor.daemon.metrics().get('fsacd_link_reconnects_total{switch="fs1"}', 0) == 0
    floor.stop()
