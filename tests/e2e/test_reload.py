"""Reloads while callers wait, on a real switch: nobody is thrown out unasked, and a renamed queue goes on."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

FIRST, SECOND = "4930111", "4930222"
SOON_S = 10.0


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    """Anna serves the queue that is renamed, and rings for the first caller; ben comes later."""
    agents = {"1001": {"queues": ["old"], "login_at_start": True}, "1002": {"queues": ["old"]}}
    config: dict[str, Any] = {
        "defaults": {"ring_timeout": "2m", "wrap_up": "0s"},
        "queues": {"old": {}, "other": {}},
        "agents": agents,
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    yield floor
    floor.stop()


def rewrite(floor: Floor, **settings: Any) -> None:
    """Other queues, with both agents in the first of them."""
    file = floor.daemon.directory / "fsacd.yaml"
    config = yaml.safe_load(file.read_text())
    config.update(settings)
    first = next(iter(settings["queues"]))
    for agent in config["agents"].values():
        agent["queues"] = [first]
    file.write_text(yaml.safe_dump(config, sort_keys=False))


def refusal(floor: Floor, **body: object) -> dict[str, Any]:
    """What the daemon says that does not do it."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        floor.daemon.post("reload", **body)
    with caught.value as answer:
        said: dict[str, Any] = json.loads(answer.read())
    return said


def test_a_reload_throws_nobody_out_unasked(floor: Floor) -> None:
    """It is refused, and says whom it would throw out and what to write; asked for even so, they take the fallback."""
    caller = floor.call(FIRST, "old")
    ring = floor.ring(FIRST)
    rewrite(floor, queues={"new": {}})
    asked = floor.daemon.post("reload", dry_run=True)["message"]
    assert "queue old is gone, and 1 caller waits in it: write was: old" in asked
    said = refusal(floor)
    assert "queue old is gone, and 1 caller waits" in json.dumps(said)
    assert (caller.state, ring.state) == ("talking", "ringing"), "nothing has happened to anybody"
    assert floor.call_of(FIRST)["queue"] == "old"
    floor.daemon.post("reload", even_so=True)
    await_true(lambda: caller.state == "over", SOON_S, "the fallback releases them")


def test_a_renamed_queue_goes_on(floor: Floor) -> None:
    """Its callers keep their places, a phone rings on and is connected, and the old name leads to it."""
    floor.call(FIRST, "old")
    ring = floor.ring(FIRST)
    second = floor.call(SECOND, "old")
    rewrite(floor, queues={"new": {"was": "old"}, "other": {}})
    said = floor.daemon.post("reload")["message"]
    assert "queue old is queue new now, and goes on: 2 callers wait in it" in said
    assert floor.call_of(FIRST)["queue"] == floor.call_of(SECOND)["queue"] == "new"
    assert (ring.state, second.state) == ("ringing", "talking")
    floor.talk(ring)
    floor.daemon.post("agents/1002/login")
    floor.talk(floor.ring(SECOND))
    # The dialplan has not been changed yet.
    floor.call("4930333", "old")
    assert floor.call_of("4930333")["queue"] == "new"


def test_callers_go_where_the_setting_says(floor: Floor) -> None:
    """From a queue that is no more into another one, where they are served."""
    floor.call(FIRST, "old")
    floor.ring(FIRST)
    rewrite(floor, queues={"other": {}}, when_queue_removed={"queue": "other"})
    said = floor.daemon.post("reload")["message"]
    assert "queue old is gone: 1 caller waits in it and goes to queue other" in said
    floor.talk(floor.ring(FIRST, 2))
    assert floor.call_of(FIRST)["queue"] == "other"
