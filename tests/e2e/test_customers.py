"""Customers changed by the command line while a real switch takes their calls: they are known at their next call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.rig.daemon import TOKEN
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch
from tests.store.rig import await_true, rows

ACME, BRANCH = "4930111111", "4930222222"


def test_a_customer_is_known_at_the_next_call(workplace: Path, switch: RealSwitch, database: str) -> None:
    """The name is on the agent's phone, after a merge at a call from the other's number, too, and with the last agent.

    The command has neither the configuration nor the database's password.
    """
    config = {
        "store": {"dsn": database},
        "number_plan": {"country": "DE"},
        "customer_fields": {"contract": "text"},
        "defaults": {"wrap_up": "0s"},
        "queues": {"support": {"sticky": {"agent": "last", "for": "10s"}}},
        "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in ("1001", "1002")},
    }
    floor = Floor(workplace, switch, config)
    floor.start()

    def fsacd(*args: str) -> str:
        environment = {**os.environ, "FSACD_URL": f"http://127.0.0.1:{floor.daemon.port}", "FSACD_TOKEN": TOKEN}
        command = [sys.executable, "-m", "fsacd", "customer", *args]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def is_read() -> bool:
        """Whether the daemon has read what the database says now."""
        lines = [json.loads(line) for line in floor.daemon.log.read_text().splitlines() if line.startswith("{")]
        read = [line["revision"] for line in lines if line.get("event") == "customers are known"]
        return bool(read) and rows(database, "SELECT revision FROM customers_revision") == [(read[-1],)]

    try:
        await_true(is_read)
        floor.call(ACME, "support")
        assert floor.ring(ACME).far.startswith(f'"{ACME}" <sip:{ACME}@')
        floor.talk(floor.ring(ACME))
        first = floor.ring(ACME).user
        floor.hang_up(floor.ring(ACME))
        floor.becomes("ready", "1001", "1002")
        fsacd("create", "030 111111", "--name", "Acme Ltd", "--field", "contract=K-1")
        await_true(is_read)
        floor.call(ACME, "support")
        assert floor.ring(ACME, 2).far.startswith(f'"Acme Ltd" <sip:{ACME}@')
        assert floor.ring(ACME, 2).user == first
        floor.talk(floor.ring(ACME, 2))
        floor.hang_up(floor.ring(ACME, 2))
        floor.becomes("ready", "1001", "1002")
        fsacd("create", BRANCH, "--name", "Acme, branch")
        assert "not kept of c2: name Acme, branch" in fsacd("merge", ACME, BRANCH)
        await_true(is_read)
        floor.call(BRANCH, "support")
        # Not the one who has been idle for longest, but whom the customer has talked with by the other number.
        assert floor.ring(BRANCH).far.startswith(f'"Acme Ltd" <sip:{BRANCH}@')
        assert floor.ring(BRANCH).user == first
        assert floor.call_of(BRANCH)["customer_id"] == "c1"
        floor.gives_up(BRANCH)
        await_true(lambda: len(rows(database, "SELECT FROM calls")) == 3)
        assert rows(database, "SELECT customer_id FROM calls ORDER BY arrived_at") == [(None,), (1,), (1,)]
    finally:
        floor.stop()
