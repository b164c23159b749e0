"""FreeSWITCH itself crashes under three hundred waiting callers and fifty talks, and recovers its calls.

What the operator's unit does (`sofia recover` after the start, track-calls on) is done here. Nothing can be done for a
leg that the switch has not written down, or for a phone that only rang. All others go on where they were.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.real.centre import PTIME_MS, RINGING, SOON_S, TALKING, WAITING, Centre
from tests.chaos.real.site import calls_of, order_of
from tests.e2e.conftest import AGENTS, a_place
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.switch import RealSwitch, await_true

# From the moment at which the switch has asked the last phone for its call anew, in time that the processors had.
# Two seconds (`recovery_wait`) are for legs that may still come. Held to the second where nothing else runs
# (FSACD_QUIET=1).
SERVED_S = 5.0 if "FSACD_QUIET" in os.environ else 20.0


@pytest.fixture
def centre() -> Iterator[Centre]:
    """A full one, on a switch that can recover its calls."""
    with a_place() as place:
        switch = RealSwitch(place / "freeswitch", AGENTS, track_calls=True, ptime_ms=PTIME_MS)
        switch.start()
        centre = Centre(place, switch)
        centre.fill()
        yield centre
        centre.site.stop()
        switch.stop()


# It only ends what hangs: how long it takes to fill the centre is the machine's affair.
@pytest.mark.timeout(900)
def test_a_crash_costs_recovered_callers_nothing(centre: Centre) -> None:
    """Calls keep id and place, talks go on, phones that rang are rung anew; who hung up meanwhile is gone."""
    site, switch = centre.site, centre.site.switch
    legs = WAITING + RINGING + 2 * TALKING
    await_true(lambda: switch.tracked() == legs, SOON_S, f"the switch has written all {legs} legs down")
    before, order = calls_of(site.daemon), order_of(site.daemon)
    talks = {talk.user: talk for talk in site.talks()}

    switch.kill()
    site.phones.switch_died()
    leaving = order[50:60]
    agents_leaving = sorted(talks)[:3]
    callers_leaving = [talks[agent].caller for agent in sorted(talks)[3:6]]
    for user in (*leaving, *agents_leaving, *callers_leaving):
        site.phones.hang_up(user)
    gone = {*leaving, *callers_leaving}
    kept = [agent for agent in talks if agent not in agents_leaving and talks[agent].caller not in gone]

    switch.start()
    began_s = time.time()
    assert f"Recovered {legs} call(s)" in switch.recover()
    recovered_s = time.time()
    await_true(site.daemon.is_ready, SERVED_S, "the daemon serves again, and waits for nobody who does not come back")
    served_s = time.time()
    await_true(lambda: len(site.rings()) == RINGING + len(gone) - len(leaving) + len(agents_leaving), SOON_S, "rings")
    print(f"\n{legs} legs recovered in {recovered_s - began_s:.1f} s, served {served_s - recovered_s:.1f} s after that")
    check(centre, before, [number for number in order if number not in gone], [talks[agent] for agent in kept])
    # A caller who hung up while the switch was dead may be told as lost: if their leg is gone before the daemon can ask
    # for it, nobody knows whether the crash ended it. Everybody else is there, as `check` has seen.
    assert site.daemon.metrics()["fsacd_lost_callers_total"] <= len(gone)
    assert centre.twice == [], "agents who were rung twice at once, or while they talked"


def check(centre: Centre, before: dict[str, Any], order: list[str], talks: list[Dialog]) -> None:
    """Who stayed is where they were, by the daemon's own word and by their phones."""
    site = centre.site
    now = calls_of(site.daemon)
    assert [number for number in now if now[number]["id"] != before[number]["id"]] == []
    assert order_of(site.daemon) == order
    assert all(site.there(number) for number in order)
    assert [talk.user for talk in talks if talk.state != "talking"] == []
    agents = site.daemon.agents()
    assert {talk.user: agents[talk.user]["call_id"] for talk in talks} == {
        talk.user: before[talk.caller]["id"] for talk in talks
    }
    assert sorted(now) == sorted([*order, *(talk.caller for talk in talks)])
