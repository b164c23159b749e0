"""Everything is told late, or for a while nothing at all: no talk suffers from it, and nobody who waits."""

from __future__ import annotations

import time
from pathlib import Path

from tests.chaos.real.site import Site
from tests.e2e.rig.switch import RealSwitch, await_true

# Each way: a bridge is heard of two of these after it was ordered, which is after `limits.connect` (1.5 s) has passed.
LATE_S = 0.9
SOON_S = 20.0
# The talk: longer than `limits.settle` by the switch's clock, shorter by what the daemon hears of it.
TALK_S, HEARD_S = 1.2, 0.7
# Within this an agent hangs up who does so at once, however busy the machine.
SETTLE_S = 5
CONFIG = {
    "defaults": {"wrap_up": "0s", "hold_back": {"refused": "5s"}},
    "queues": {"support": {}},
    "agents": {"1001": {"queues": ["support"], "login_at_start": True}},
}


def test_a_talk_of_which_is_heard_late_is_one_all_the_same(workplace: Path, switch: RealSwitch) -> None:
    """It is not taken for a bridge that never came, nor, when the agent hangs up, for one that broke at once."""
    site = Site(workplace, switch, CONFIG)
    try:
        site.daemon.start()
        (wire,) = site.wires.values()
        wire.delay(LATE_S)
        site.call("4930001", "support")
        await_true(site.rings, SOON_S, "the agent is rung")
        (ring,) = site.rings()
        site.phones.answer(ring)
        await_true(lambda: ring.state == "talking", SOON_S, "the agent answers")
        # The agent's answer is heard after one of these, the bridge made after two, and heard of after three.
        time.sleep(2 * LATE_S + HEARD_S)
        # What is said now is not late any more: the end of the talk comes right behind its beginning.
        wire.delay(0)
        time.sleep(TALK_S - HEARD_S)
        assert ring.state == "talking", "the talk was not cut"
        site.phones.hang_up(ring.user)
        await_true(lambda: not site.there("4930001"), SOON_S, "the caller is released after the talk")
        site.call("4930002", "support")
        await_true(site.rings, SOON_S, "the agent is rung again")
        assert [ring.caller for ring in site.phones.rung] == ["4930001", "4930002"], "nobody was put back"
        offers = {key: count for key, count in site.daemon.metrics().items() if key.startswith("fsacd_offers_total")}
        assert {key for key, count in offers.items() if count} == {
            'fsacd_offers_total{outcome="answered",queue="support",reason="talk"}'
        }
    finally:
        site.stop()


def test_who_is_back_from_a_short_talk_while_the_wire_is_deaf_keeps_their_place(
    workplace: Path, switch: RealSwitch
) -> None:
    """The agent hangs up at once, which is the last that is heard: time alone makes no talk of it."""
    # The silence is not noticed before the time in which a short talk becomes one.
    patient = {"silence_timeout": "2m", "heartbeat_timeout": "5m", "command_timeout": "1m", "fence_term": "5m"}
    limits = {"settle": f"{SETTLE_S}s"}
    site = Site(workplace, switch, {**CONFIG, "limits": limits, "switches": {"fs1": patient}})
    try:
        site.daemon.start()
        (wire,) = site.wires.values()
        site.call("4930001", "support")
        await_true(site.rings, SOON_S, "the agent is rung")
        (ring,) = site.rings()
        site.phones.answer(ring)
        await_true(lambda: site.daemon.agents()["1001"]["state"] == "talking", SOON_S, "the talk is heard of")
        wire.swallow(b"fsacd::returned", b"fsacd::waiting")
        site.phones.hang_up(ring.user)
        await_true(lambda: wire.swallowed, SOON_S, "the caller is back in the music, and nobody hears of it")
        await_true(lambda: site.daemon.agents()["1001"]["state"] != "talking", SOON_S, "the agent's end is heard of")
        wire.blackhole()
        time.sleep(SETTLE_S + 1)
        assert site.daemon.metrics()['fsacd_calls_ended_total{outcome="answered",queue="support"}'] == 0
        wire.cut()
        wire.mend()
        await_true(site.rings, SOON_S, "the agent is rung again")
        (again,) = site.rings()
        site.phones.answer(again)
        await_true(lambda: again.state == "talking", SOON_S, "the agent answers")
        assert site.there("4930001"), "the caller was not released"
        assert [ring.caller for ring in site.phones.rung] == ["4930001", "4930001"]
    finally:
        site.stop()
