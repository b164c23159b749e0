"""The upgrade from commit a0ed903 while callers wait and agents talk: its own daemon on its own files, then today's.

The daemon of then runs from that commit's tree, out of this repository's history, on today's dependencies. Today's
daemon is started on what it has left; then today's files are installed on the switch, as freeswitch/README.md says.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.conftest import AGENTS
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import DOMAIN, REPOSITORY, RealSwitch, await_true
from tests.e2e.rig.tones import Phone

pytestmark = pytest.mark.postgres
THEN = "a0ed903"
ANNA, BEN = AGENTS[:2]
AGENTS_HERE = (ANNA, BEN)
# Each with the agent they talk with; the others wait, in this order.
TALKING = {"4930101": ANNA, "4930102": BEN}
WAITING = ("4930103", "4930104")
NEWCOMER = "4930105"
SOON_S = 60.0
MORE_STEPS = 2
_HERTZ = (400, 550, 700, 850, 1_000, 1_150)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of then."""
    packed = subprocess.run(["git", "-C", REPOSITORY, "archive", THEN], capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"commit {THEN} is not in this clone: {packed.stderr.decode().strip()}")
    place = tmp_path_factory.mktemp(THEN)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(place, filter="data")
    return place


class Centre(Floor):
    """Two talk and two wait, all with a tone of their own; the daemon is that of then, until it is replaced."""

    def __init__(self, place: Path, switch: RealSwitch, database: str, tree: Path, installed: Path) -> None:
        link = {"port": switch.esl_port, "user": f"fsacd@{DOMAIN}", "password": "REPLACE-THIS-PASSWORD"}
        config: dict[str, Any] = {
            "switches": {"fs1": {**link, "allow_default_password": True}},
            "defaults": {"wrap_up": "2s", "ring_timeout": "2m"},
            "queues": {"support": {}},
            "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in AGENTS_HERE},
            "journal": {"directory": str(place / "journal")},
            "store": {"dsn": database, "spool": {"directory": str(place / "spool")}},
        }
        super().__init__(place, switch, config)
        self._installed = installed
        self.daemon.tree, self.daemon.environment = tree, {"PYTHONPATH": str(tree)}
        people = (*TALKING, *WAITING, ANNA, BEN)
        self.sounds = {user: Phone(self.phones, user, hertz) for user, hertz in zip(people, _HERTZ, strict=True)}

    def fill(self) -> None:
        """Two callers talk for longer than a moment, then two others wait."""
        for number, agent in TALKING.items():
            self.call(number, "support")
            ring = self.ring(number)
            assert ring.user == agent
            self.talk(ring)
        for number in WAITING:
            self.call(number, "support")
        for number in TALKING:
            await_true(partial(self._is_one, self.call_of(number)["leg_uuid"]), SOON_S, "the talk is one")
        self.all_hear()

    def _is_one(self, leg: str) -> bool:
        esl = self.switch.esl()
        answer = esl.api(f"uuid_getvar {leg} fsacd_over")
        esl.close()
        return answer == "true"

    def replace(self) -> None:
        """Start today's daemon on what the one before has left, and install today's files."""
        self.all_hear()
        self.daemon.tree, self.daemon.environment = None, {"PYTHONPATH": str(REPOSITORY)}
        self.daemon.start()
        self.all_hear()
        shutil.copytree(REPOSITORY / "freeswitch", self._installed, dirs_exist_ok=True)
        esl = self.switch.esl()
        assert "+OK" in esl.api("reloadxml")
        esl.close()

    def all_hear(self) -> None:
        """Wait until those who talk hear each other alone, and those who wait nobody."""
        pairs = {**TALKING, **{agent: number for number, agent in TALKING.items()}}
        for one in self.sounds:
            self.hears(one, pairs.get(one))

    def hears(self, one: str, other: str | None) -> None:
        """Wait until this phone hears that one and nobody else, by what comes from now on."""
        others = {name: name == other for name in self.sounds if name != one}
        sound = self.sounds[one]
        came = len(sound.frames)

        def heard() -> bool:
            is_new = len(sound.frames) > came + 1
            return is_new and sound.hears(*(self.sounds[name] for name in others)) == list(others.values())

        await_true(heard, SOON_S, f"{one} hears {other or 'music'} alone")

    def known(self) -> dict[str, dict[str, Any]]:
        """The live calls as the API shows them, by number."""
        return {call["number"]: call for call in self.daemon.get("calls?limit=1000")["calls"]}


@pytest.fixture
def centre(workplace: Path, tree: Path, database: str) -> Iterator[Centre]:
    """Open, and as the daemon of then has filled it."""
    installed = Path(shutil.copytree(tree / "freeswitch", workplace / "installed"))
    switch = RealSwitch(workplace / "freeswitch", AGENTS, dialplan=installed / "dialplan")
    switch.start()
    centre = Centre(workplace, switch, database, tree, installed)
    try:
        centre.start()
        centre.fill()
        yield centre
    finally:
        centre.stop()
        for sound in centre.sounds.values():
            sound.stop()
        switch.stop()


def told(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """What history tells; nothing before today's daemon has changed its tables."""
    queries = {
        "calls": "SELECT number, outcome, agent_id FROM calls ORDER BY number",
        "visits": "SELECT c.number, v.n, v.outcome FROM visits v JOIN calls c USING (call_id) ORDER BY 1, 2",
        "talks": "SELECT c.number, t.agent_id, t.ended_by FROM talks t JOIN calls c USING (call_id) ORDER BY 1",
        "offers": "SELECT c.number, o.agent_id, o.outcome FROM offers o JOIN calls c USING (call_id) ORDER BY 1",
        "log_ins": "SELECT agent_id, how_begun, by, how_ended, ended_by FROM log_ins ORDER BY 1",
    }
    with psycopg.connect(database) as connection:
        if connection.execute("SELECT to_regclass('log_ins') IS NOT NULL").fetchone() != (True,):
            return {}
        return {name: connection.execute(query.encode()).fetchall() for name, query in queries.items()}


def ended_log_ins(database: str) -> list[tuple[Any, ...]]:
    """The log-ins that history tells the end of."""
    return [one for one in told(database).get("log_ins", []) if "logged_out" in one]


ENDS: dict[str, Callable[[Centre], object]] = {
    "killed": lambda centre: centre.daemon.kill(),
    "stopped": lambda centre: centre.daemon.stop(),
}


@pytest.mark.parametrize("end", ENDS)
def test_callers_waiting_and_agents_talking_are_kept(centre: Centre, database: str, end: str) -> None:
    """Who waits keeps time and place and is served, each talk goes on and is wrapped up, and each is told once."""
    before = centre.known()
    assert [before[number]["position"] for number in WAITING] == [1, 2]
    ENDS[end](centre)
    centre.replace()
    centre.all_hear()
    after = centre.known()
    for number, call in before.items():
        same = ("id", "leg_uuid", "state", "position", "agents")
        assert {name: after[number][name] for name in same} == {name: call[name] for name in same}
        # Each daemon reckons it by its own wall clock.
        came, comes = (datetime.fromisoformat(one["arrived_at"]) for one in (call, after[number]))
        assert abs(comes - came) < timedelta(seconds=1)
    assert {agent_id: agent["state"] for agent_id, agent in centre.daemon.agents().items()} == {
        ANNA: "talking",
        BEN: "talking",
    }

    # The first call through the new dialplan tells of it; then a talk of then can be held by the means of now.
    centre.call(NEWCOMER, "support")
    assert centre.call_of(NEWCOMER)["position"] == len(WAITING) + 1
    centre.gives_up(NEWCOMER)
    talk_id = after["4930101"]["talk"]["id"]
    centre.daemon.post(f"talks/{talk_id}/hold")
    centre.hears("4930101", None)
    centre.daemon.post(f"talks/{talk_id}/resume")
    centre.hears("4930101", ANNA)

    # Whoever ends the talk: the agent wraps up, and the next in line is theirs.
    for number, agent, caller, ends in ((*first, WAITING[place], who) for place, (first, who) in enumerate(_ENDS)):
        centre.phones.hang_up(agent if ends == "agent" else number)
        centre.becomes("wrapping_up", agent)
        ring = centre.ring(caller)
        assert ring.user == agent
        centre.talk(ring)
        centre.hears(caller, agent)
    for number in WAITING:
        centre.phones.hang_up(number)
    centre.becomes("wrapping_up", ANNA, BEN)
    for agent in AGENTS_HERE:
        centre.daemon.post(f"agents/{agent}/logout")
    served = [*((number, agent) for number, agent in TALKING.items()), *zip(WAITING, AGENTS_HERE, strict=True)]
    # What is told last is written last.
    await_true(lambda: len(ended_log_ins(database)) == len(AGENTS_HERE), SOON_S, "history tells of the last of it")
    assert told(database) == {
        "calls": [*((number, "answered", agent) for number, agent in served), (NEWCOMER, "abandoned", None)],
        "visits": [*((number, 1, "answered") for number, _ in served), (NEWCOMER, 1, "abandoned")],
        "talks": [(number, agent, "agent" if number == "4930101" else "caller") for number, agent in served],
        "offers": [(number, agent, "answered") for number, agent in served],
        # Their journal says who has logged them in.
        "log_ins": [(agent, "logged_in", "configuration", "logged_out", "api:e2e") for agent in AGENTS_HERE],
    }


_ENDS = ((("4930101", ANNA), "agent"), (("4930102", BEN), "caller"))


def test_reading_the_switchs_files_again_lets_nobody_go(workplace: Path, switch: RealSwitch) -> None:
    """Also while no daemon runs: the lease goes on, whatever vars.xml says of it, over two steps of the music."""
    config: dict[str, Any] = {"queues": {"support": {}}, "journal": {"directory": str(workplace / "journal")}}
    floor = Floor(workplace, switch, config)
    floor.start()
    caller = floor.call(WAITING[0], "support")
    leg = floor.call_of(WAITING[0])["leg_uuid"]
    esl = switch.esl()
    # By then the lease of vars.xml, which is for a switch that has just started, is over.
    await_true(lambda: int(esl.api("uptime")) > 30, SOON_S, "the switch has run for a while")
    floor.daemon.kill()
    assert esl.api("global_getvar fsacd_lease") != "030"
    assert "+OK" in esl.api("reloadxml")
    assert esl.api("global_getvar fsacd_lease") == "030"
    steps = set[str]()

    def has_stepped() -> bool:
        steps.add(esl.api(f"uuid_getvar {leg} fsacd_stepped_at"))
        return len(steps) > MORE_STEPS

    await_true(has_stepped, SOON_S, "the caller has come to two more steps")
    assert caller.state == "talking"
    assert esl.api(f"uuid_getvar {leg} fsacd_over") == "false"
    esl.close()
    floor.daemon.start()
    assert floor.call_of(WAITING[0])["state"] == "waiting"
    floor.stop()
