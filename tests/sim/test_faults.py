"""What the simulated switch does when something goes wrong with it."""

from __future__ import annotations

import orjson

from tests.sim.model import AGENT_UUID, Model


def test_kill_and_restart_forgets_everything() -> None:
    """After kill -9 there is another Core-UUID, no leg, no variable; nobody hears of the legs' end, the phones do."""
    model = Model()
    line = model.call()
    core_uuid = model.switch.core_uuid
    model.client.api("global_setvar fsacd_lease=1")
    before = len(model.client.received())
    model.switch.faults.kill(down_ms=1_000)
    model.run(20)
    assert (line.open, model.switch.listeners, model.switch.faults.refusing) == (False, set(), True)
    model.run(1_100)
    assert (model.switch.faults.refusing, model.switch.sessions) == (False, {})
    assert model.switch.core_uuid != core_uuid
    assert "fsacd_lease" not in model.switch.globals
    assert len(model.client.received()) == before


def test_call_to_a_dead_switch_fails() -> None:
    """While it is down nobody gets through."""
    model = Model()
    model.switch.faults.kill(down_ms=1_000)
    line = model.call()
    assert (line.open, model.switch.sessions) == (False, {})


def test_originate_dies_with_the_switch() -> None:
    """A job that was running when the switch died never reports, not even after the restart."""
    model = Model()
    model.client.bgapi(f"originate {{origination_uuid={AGENT_UUID}}}user/1001 &park()", "ring")
    model.switch.faults.kill(down_ms=100)
    model.run(3_000)
    assert (model.client.job("ring"), model.switch.sessions) == (None, {})


def test_blackhole_swallows_both_directions() -> None:
    """Connections stay open, but nothing is answered and nothing told."""
    model = Model()
    model.switch.faults.blackhole(on=True)
    written = len(model.client.commands_on.out)
    model.client.commands_on.feed(b"api status\n\n")
    model.call()
    model.run(100)
    assert len(model.client.commands_on.out) == written
    assert model.client.received() == []
    assert not model.client.commands_on.closed


def test_delay_holds_back_events_but_not_replies() -> None:
    """Events come later by the delay."""
    model = Model()
    model.switch.faults.delay_events(200)
    model.call()
    model.run(100)
    assert model.client.received() == []
    assert model.client.api("echo hello") == "hello"
    model.run(150)
    assert model.client.received()[0]["Event-Name"] == "CHANNEL_STATE"


def test_dropped_connections_leave_calls_alone() -> None:
    """A broken link is the client's trouble; the legs go on."""
    model = Model()
    line = model.call()
    model.switch.faults.drop_connections()
    model.run(100)
    assert (line.open, model.switch.listeners, list(model.switch.sessions)) == (True, set(), [line.uuid])


def test_channel_list_is_stale() -> None:
    """A new leg appears up to 0.28 s late in `show channels`, and a dead one stays as long; uuid_exists is right."""
    late, dead = 0, 0
    for seed in range(10):
        model = Model(seed)
        uuid = model.call().uuid
        late += model.client.api("show channels as json") == '{"row_count": 0}\n'
        assert model.client.api(f"uuid_exists {uuid}") == "true"
        model.run(300)
        rows = orjson.loads(model.client.api("show channels as json"))["rows"]
        assert [(row["uuid"], row["state"], row["application"]) for row in rows] == [(uuid, "CS_EXECUTE", "park")]
        model.client.api(f"uuid_kill {uuid}")
        model.run(20)
        assert model.client.api(f"uuid_exists {uuid}") == "false"
        dead += orjson.loads(model.client.api("show channels as json"))["row_count"]
        model.run(300)
        assert model.client.api("show channels as json") == '{"row_count": 0}\n'
    assert late > 5
    assert dead > 5
