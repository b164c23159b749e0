"""The directory user of freeswitch/directory/fsacd_link.xml may do what fsacd does, and nothing else."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller
from tests.e2e.rig.switch import DOMAIN, RealSwitch, await_true

USER, PASSWORD = f"fsacd@{DOMAIN}", "REPLACE-THIS-PASSWORD"


def test_its_rights_are_enough(switch: RealSwitch, workplace: Path) -> None:
    """With these rights the daemon connects, measures its event lag, serves, cancels and sends away calls."""
    agents = phones.run_agents(workplace / "agents", ["1001;200;1500;9", "1002;3600000;0;9"])
    config = {
        "switches": {"fs1": {"port": switch.esl_port, "user": USER, "password": PASSWORD, "probe_interval": "500ms"}},
        "defaults": {"wrap_up": "0s", "ring_timeout": "1s", "max_wait": "4s"},
        "queues": {
            "support": {},
            "silent": {"when_max_wait": {"extension": "lab_fallback", "context": "public"}},
        },
        "agents": {
            user: {
                "contact": f"sofia/trunk/{user}@127.0.0.1:{agents.port}",
                "queues": [queue],
                "login_at_start": True,
            }
            for user, queue in (("1001", "support"), ("1002", "silent"))
        },
    }
    daemon = Daemon(workplace, config, switch.esl_port)
    daemon.start()
    served = phones.run_callers(workplace / "served", [Caller("49301", "queue-support")], switch.trunk_port, 1)
    sent_away = phones.run_callers(workplace / "sent", [Caller("49302", "queue-silent")], switch.trunk_port, 1)
    served.wait(20)
    sent_away.wait(20)
    await_true(lambda: daemon.get("calls")["calls"] == [], 5, "both calls are over")
    metrics = daemon.metrics()
    status = daemon.get("status")["switches"][0]
    log = daemon.log.read_text(encoding="utf-8")
    daemon.stop()
    agents.stop()
    assert metrics['fsacd_calls_answered_total{queue="support"}'] == 1
    assert metrics['fsacd_calls_overflowed_total{queue="silent",why="max_wait"}'] == 1
    assert status["event_lag_seconds"] is not None
    assert "permission denied" not in log.lower()


def test_it_may_do_nothing_else(switch: RealSwitch) -> None:
    """A stranger who got hold of its password can neither run programs on the switch nor stop it."""
    with socket.create_connection(("127.0.0.1", switch.esl_port), timeout=10) as esl, esl.makefile("rb") as answers:
        esl.sendall(f"userauth {USER}:{PASSWORD}\n\n".encode())
        for command in ("api system id", "api fsctl shutdown", "bgapi system id", "api reload mod_sofia", "exit"):
            esl.sendall(f"{command}\n\n".encode())
        heard = answers.read().decode("utf-8", "replace")
    assert "+OK accepted" in heard
    assert heard.count("-ERR permission denied") == 4, heard
