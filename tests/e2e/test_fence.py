"""One daemon at a time on a real switch: who is killed, who stands still, who comes too early."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller
from tests.e2e.rig.switch import Esl, RealSwitch, await_true

TERM_S = 4.0
# After the end of the term: the look of whoever stands by, and the sync.
SOON_S = 2.0
LEADER = "hash select/fsacd/leader"


class Site:
    """One switch and the daemons of a test, each in a directory of its own."""

    def __init__(self, workplace: Path, switch: RealSwitch) -> None:
        self._workplace = workplace
        self._switch = switch
        self._daemons: list[Daemon] = []
        self.agents = phones.run_agents(workplace / "agents", ["1001;200;0;9"])
        self._esl = switch.esl()

    def daemon(self, instance: str, *, looks: bool = True) -> Daemon:
        """A daemon that has been started; whether it serves is another question."""
        place = self._workplace / f"{instance}-{len(self._daemons)}"
        place.mkdir()
        fence = {"fence_term": f"{TERM_S:g}s", "fence_renewal": "1s"}
        contact = f"sofia/trunk/1001@127.0.0.1:{self.agents.port}"
        config: dict[str, Any] = {
            "instance": instance,
            "lease": "15s",
            "queues": {"support": {}},
            "agents": {"1001": {"contact": contact, "queues": ["support"], "login_at_start": True}},
        }
        daemon = Daemon(place, config, self._switch.esl_port)
        daemon.config["switches"] = {"fs1": {**daemon.switch, **fence}}
        daemon.start(ready=False)
        self._daemons.append(daemon)
        if looks:
            await_true(lambda: serves(daemon) or stands_by(daemon), 20, f"{instance} has looked at the fence")
        return daemon

    def leader(self) -> str:
        """Whom the switch names: the instance and its epoch."""
        instance, epoch, *_ = (*self._esl.api(LEADER).split(":"), "")
        return f"{instance.partition('@')[0]}:{epoch}"

    def stop(self) -> None:
        self._esl.close()
        for daemon in self._daemons:
            daemon.signal(signal.SIGCONT)
            daemon.stop()
        self.agents.stop()


@pytest.fixture
def site(workplace: Path, switch: RealSwitch) -> Iterator[Site]:
    site = Site(workplace, switch)
    yield site
    site.stop()


def fs1(daemon: Daemon) -> dict[str, Any]:
    switches: list[dict[str, Any]] = daemon.get("status")["switches"]
    return switches[0]


def serves(daemon: Daemon) -> bool:
    return bool(fs1(daemon)["connected"])


def stands_by(daemon: Daemon) -> bool:
    return bool(fs1(daemon)["standing_by"])


def within(condition: Any, limit_s: float, what: str) -> float:
    """Wait, and give how long it took."""
    began = time.monotonic()
    await_true(condition, limit_s, what)
    return time.monotonic() - began


def test_a_killed_leader_is_followed_by_another_instance_after_the_term(site: Site) -> None:
    """Refused while the first one lives, with a sentence; it takes over within the term and two seconds."""
    one = site.daemon("one")
    assert serves(one)
    two = site.daemon("two")
    assert stands_by(two)
    assert fs1(two)["detail"].startswith("standing by: instance one@")
    await_true(lambda: two.metrics().get('fsacd_switch_standing_by{switch="fs1"}') == 1, 3, "the metrics say so, too")
    assert not two.is_ready()
    one.kill()
    within(lambda: serves(two), TERM_S + SOON_S, "the other instance takes over")
    assert site.leader() == "two:2"


def test_the_same_instance_takes_over_at_once(site: Site) -> None:
    """A daemon that is started again after a kill does not wait for the term."""
    one = site.daemon("one")
    one.kill()
    killed = time.monotonic()
    again = site.daemon("one")
    await_true(lambda: serves(again), SOON_S, "it serves at once")
    assert not fs1(again)["standing_by"], f"it stood by for {time.monotonic() - killed:g} s"
    assert site.leader() == "one:2"


def test_a_clean_stop_lets_another_instance_in_at_once(site: Site) -> None:
    """Whoever waits need not wait for the term of a daemon that has ended in order."""
    one = site.daemon("one")
    two = site.daemon("two")
    one.stop()
    within(lambda: serves(two), SOON_S, "the other instance takes over")
    assert site.leader() == "two:2", "the epoch counts on, or of two rows of history nobody would know the later one"


def test_a_leader_that_stood_still_does_not_act(site: Site, workplace: Path, switch: RealSwitch) -> None:
    """Stopped and going on: the one who has taken over rings the agent, and the old one stands by."""
    one = site.daemon("one")
    two = site.daemon("two")
    one.signal(signal.SIGSTOP)
    within(lambda: serves(two), TERM_S + SOON_S, "the other instance takes over")
    caller = phones.run_callers(workplace / "caller", [Caller("4930001", "queue-support")], switch.trunk_port, 10)
    one.signal(signal.SIGCONT)
    await_true(lambda: two.agents()["1001"]["state"] == "talking", 10, "the call is served")
    await_true(lambda: stands_by(one), 5, "the old leader stands by")
    assert one.get("calls")["calls"] == []
    assert site.leader() == "two:2"
    caller.stop()


def test_alone_it_goes_on_after_standing_still(site: Site) -> None:
    """Nobody has taken over meanwhile: the same daemon serves again at once, with a higher epoch."""
    one = site.daemon("one")
    one.signal(signal.SIGSTOP)
    time.sleep(TERM_S + 1)  # what is tested is this very time, in which nothing can be awaited
    one.signal(signal.SIGCONT)
    within(lambda: site.leader() == "one:2" and serves(one), 3, "it serves again")


def test_exactly_one_of_several_who_start_at_once(site: Site) -> None:
    """Of three instances that find the fence free at the same moment one serves."""
    first = site.daemon("first")
    others = [site.daemon(name) for name in ("two", "three", "four")]
    first.stop()
    await_true(lambda: any(serves(daemon) for daemon in others), SOON_S, "one of them takes over")
    time.sleep(1.5)  # longer than a renewal: a second one would show itself
    assert [serves(daemon) for daemon in others].count(True) == 1
    assert [stands_by(daemon) for daemon in others].count(True) == 2


def test_a_switch_without_a_hash_table_is_not_served(site: Site, switch: RealSwitch) -> None:
    """The reason names the module that is missing; when it is there, the daemon serves."""
    one = site.daemon("one")
    one.stop()
    esl = switch.esl()
    assert "+OK" in esl.api("unload mod_hash")
    two = site.daemon("two", looks=False)
    await_true(lambda: "load mod_hash" in fs1(two)["detail"], 10, "it says what is missing")
    assert "+OK" in esl.api("load mod_hash")
    esl.close()
    await_true(lambda: serves(two), 5, "it serves")


def test_a_leader_that_stood_still_acts_on_nothing_of_that_time(
    site: Site, workplace: Path, switch: RealSwitch
) -> None:
    """What happened meanwhile waits in its socket: the other daemon's ring, whose talk goes on, is no stray one."""
    one = site.daemon("one")
    two = site.daemon("two")
    one.signal(signal.SIGSTOP)
    within(lambda: serves(two), TERM_S + SOON_S, "the other instance takes over")
    esl = switch.esl()
    for _ in range(20_000):  # so that it has not yet read all of that time when the fence is its own again
        esl.fire("fsacd::left")
    caller = phones.run_callers(workplace / "caller", [Caller("4930001", "queue-support")], switch.trunk_port, 30)
    await_true(lambda: two.agents()["1001"]["state"] == "talking", 20, "the call is served")
    await_true(lambda: talks(esl) == 2, 3, "the switch says so, too")
    two.stop()
    one.signal(signal.SIGCONT)
    await_true(lambda: serves(one), SOON_S, "the first instance serves again")
    time.sleep(3)  # for whatever it does about what it finds
    assert talks(esl) == 2
    esl.close()
    caller.stop()


def talks(esl: Esl) -> int:
    """How many legs are bridged."""
    rows: list[dict[str, Any]] = json.loads(esl.api("show channels as json")).get("rows", [])
    return sum(row["application"] == "uuid_bridge" for row in rows)
