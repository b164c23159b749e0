"""What the switch does without the daemon: talks go on, waiting callers take the fallback when the lease has ended."""

from __future__ import annotations

import time
from pathlib import Path

from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller
from tests.e2e.rig.switch import RealSwitch, await_true

LEASE_S = 15
STEP_S = 10  # the dialplan looks at the lease this often


def test_the_lease_ends_and_no_talk_with_it(workplace: Path, switch: RealSwitch) -> None:
    """The daemon is killed: the caller who waits leaves after the lease, the one who talks goes on talking."""
    agents = phones.run_agents(workplace / "agents", ["1001;200;0;9"])
    config = {
        "lease": f"{LEASE_S}s",
        "queues": {"support": {}},
        "agents": {
            "1001": {
                "contact": f"sofia/trunk/1001@127.0.0.1:{agents.port}",
                "queues": ["support"],
                "login_at_start": True,
            }
        },
    }
    daemon = Daemon(workplace, config, switch.esl_port)
    daemon.start()
    talking = phones.run_callers(
        workplace / "talking", [Caller("4930001", "queue-support", hang_up_ms=50_000)], switch.trunk_port, 10
    )
    await_true(lambda: daemon.agents()["1001"]["state"] == "talking", 10, "the first caller talks")
    waiting = phones.run_callers(workplace / "waiting", [Caller("4930002", "queue-support")], switch.trunk_port, 10)
    await_true(lambda: len(daemon.get("calls")["calls"]) == 2, 10, "the second caller waits")
    daemon.kill()
    killed = time.monotonic()
    esl = switch.esl()
    await_true(lambda: waiting.process.poll() is not None, LEASE_S + STEP_S + 5, "the waiting caller is released")
    waited_s = time.monotonic() - killed
    assert waited_s > LEASE_S * 3 / 4 - 1, "he was released before the lease that the daemon last wrote could end"
    assert "3 total" not in esl.api("show channels")
    assert talking.process.poll() is None, "the talk goes on"
    assert "lab_fallback" in (switch.directory / "log" / "freeswitch.log").read_text(encoding="utf-8", errors="replace")
    esl.close()
    for sipp in (talking, waiting, agents):
        sipp.stop()
