"""Today's daemon goes on where one of a0ed903 was killed, on a switch with the legs of that moment; see then.py.

31 callers wait, one is being rung for, nine talk, one is about to, and three agents have calls of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from fsacd.daemon.plugging import read
from fsacd.sim.workload import configuration
from tests.older.then import SWITCH, Then

# The look when the link comes up, and the comparison that follows it.
COMPARED_MS = 10_000
# What was just ordered is there soon.
SOON_MS = 5_000
QUIET_MS = 45_000

Start = Callable[[str], Then]


@pytest.fixture
def start(left: Path, tmp_path: Path) -> Iterator[Start]:
    """Start the daemon on the files of a directory of `left`."""
    file = tmp_path / "fsacd.yaml"
    file.write_text(yaml.safe_dump({"switches": {SWITCH: {"password": "unguessable"}}, **configuration()}))
    rules = read(file).config.rules()
    stories = []

    def begin(what: str) -> Then:
        journal = tmp_path / "journal"
        journal.mkdir(mode=0o700)
        for path in (left / what).iterdir():
            (journal / path.name).write_bytes(path.read_bytes())
            (journal / path.name).chmod(0o600)
        then = Then(left, journal, rules)
        stories.append(then)
        assert (len(then.callers_there()), len(then.talks()), len(then.rings())) == (42, 10, 1)
        then.start()
        then.let(COMPARED_MS)
        return then

    yield begin
    for then in stories:
        then.close()


def callers_known(then: Then) -> list[tuple[str, str]]:
    """Each call's leg and id, as the daemon shows them."""
    return sorted((call.leg.uuid if call.leg is not None else "", call.call_id) for call in then.shown.calls)


def doing(then: Then, state: str) -> dict[str, str]:
    """The call of each agent who is in this state, as the daemon shows it."""
    calls = {agent_id: call.call_id for call in then.shown.calls for agent_id in call.agent_ids}
    return {agent.agent_id: calls.get(agent.agent_id, "") for agent in then.shown.agents if agent.state == state}


def waited(then: Then) -> set[str]:
    """Which calls waited when the daemon was killed."""
    return {call["call_id"] for call in then.state["calls"] if call["state"]["is"] in {"Waiting", "Ringing"}}


def test_from_a_snapshot_all_goes_on(start: Start) -> None:
    """Nobody is lost or counted twice, each agent does what the switch says, and each call is told once."""
    then = start("taken")
    before = {call["leg"]["uuid"]: call["call_id"] for call in then.state["calls"]}
    assert then.callers_there() == callers_known(then) == sorted(before.items())
    talks = then.talks()
    assert len(talks) == 10
    assert talks == doing(then, "talking")
    assert then.until(lambda: then.rings() == doing(then, "offered"), SOON_MS)
    states = {agent.agent_id: agent.state for agent in then.shown.agents}
    assert {agent_id for agent_id, state in states.items() if state == "not_ready"} == {"1001", "1009", "1017"}
    assert (states["1004"], states["1014"]) == ("logged_out", "busy")
    assert then.ended == []
    ends_once(then)
    assert {row.agent_id: row.call_id for row in then.ended if row.outcome == "answered"} == talks


def test_from_the_journal_nobody_who_waits_is_lost(start: Start) -> None:
    """Whatever newer rules make of its last facts: who waits is known once, and each call is told once."""
    then = start("journal")
    assert then.callers_there() == callers_known(then)
    assert waited(then) <= {call_id for _, call_id in callers_known(then)}
    assert not waited(then) & {row.call_id for row in then.ended}
    ends_once(then)


# Replayed by newer rules, some offers of the journal go to other agents than then. Call and attempt are the same, so
# that their ids differ from those of then in the last digit alone, and legs of then could pass for further legs of
# them: whose a leg is, it says itself (`missed.mistaken`).


def test_from_the_journal_no_talk_is_cut(start: Start) -> None:
    """Whoever talks on the switch talks on."""
    assert len(start("journal").talks()) == 10


def test_from_the_journal_agents_do_what_the_switch_says(start: Start) -> None:
    """Who talks is known to talk, about that call, and no phone rings beside a talk."""
    then = start("journal")
    talks, rings = then.talks(), then.rings()
    assert talks == doing(then, "talking")
    assert not talks.keys() & rings.keys()
    assert not {*talks.values()} & {*rings.values()}


def ends_once(then: Then) -> None:
    """All hang up: then each call has its one row, nobody is left, and agents are free."""
    then.all_hang_up()
    then.let(QUIET_MS)
    calls = {call["call_id"] for call in then.state["calls"]}
    assert Counter(row.call_id for row in then.ended) == Counter(calls)
    # What ended just before the kill may be told again; nobody of those is among the living.
    assert not calls & {row.record.call_id for row in then.rows if row.again and row.record in then.ended}
    assert (then.shown.calls, then.shown.offers, then.callers_there(), then.faults) == ((), (), [], [])
    assert {agent.state for agent in then.shown.agents} == {"ready", "not_ready", "logged_out"}
    then.lives[-1].engine.check()
