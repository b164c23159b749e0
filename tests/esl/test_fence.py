"""The fence: one daemon at a time on a switch, whatever stands still, dies, or is late."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence

import pytest

from fsacd.esl.fence import Fence, FenceError, Held, Taken
from fsacd.esl.wire import Outcome, Reply, Wire

TERM_MS = 10_000
ACTS_MS = 8_000  # after a renewal


class Switch:
    """Its hash table and its clock, which goes on whoever stands still. `before` is called ahead of each command.

    It takes `takes_ms` for answers asked for at once, and gives none to whoever waits for less.
    """

    def __init__(self) -> None:
        self.now_ms = 50_000
        self.table: dict[str, str] = {}
        self.refusal: Reply | None = None
        self.takes_ms = 0
        self.before: Callable[[str], None] = lambda _verb: None

    def all(self, wires: Sequence[Wire], limit_s: float | None = None) -> list[Reply]:
        if limit_s is not None and self.takes_ms > limit_s * 1_000:
            self.now_ms += int(limit_s * 1_000)
            return [Reply(Outcome.UNCONFIRMED, "no answer in time")] * len(wires)
        self.now_ms += self.takes_ms
        return [self.do(wire) for wire in wires]

    def do(self, wire: Wire) -> Reply:
        verb, realm, key, *value = wire.data.decode().removeprefix("api hash ").strip().split("/")
        assert realm == "fsacd"
        self.before(verb)
        if self.refusal is not None:
            return self.refusal
        there = self.table.get(key)
        match verb:
            case "select":
                return Reply(Outcome.OK, there) if there else Reply(Outcome.ERR, "-ERR no reply")
            case "insert_ifempty" if there is not None:
                return Reply(Outcome.ERR, "-ERR key already exists")
            case "insert" | "insert_ifempty":
                self.table[key] = value[0]
            case "delete_ifmatch" if there != value[0]:
                return Reply(Outcome.ERR, "-ERR Doesn't match")
            case "delete" | "delete_ifmatch":
                self.table.pop(key, None)
        return Reply(Outcome.OK, "+OK")

    def daemon(self, instance: str) -> Fence:
        token = uuid.uuid4().hex[:16]
        return Fence(instance, token, TERM_MS, self, lambda: self.now_ms, lambda now_ms: now_ms + 7_000)


@pytest.fixture
def switch() -> Switch:
    return Switch()


def test_the_first_gets_it(switch: Switch) -> None:
    """Nobody holds the fence: it is ours, for the term less a margin."""
    one = switch.daemon("one")
    assert one.acquire() == Held(1, "")
    assert one.left_ms() == ACTS_MS
    switch.now_ms += ACTS_MS - 1
    assert one.holds()
    switch.now_ms += 1
    assert not one.holds()


def test_another_instance_waits_for_its_end(switch: Switch) -> None:
    """Refused until the term of the last renewal has passed by the switch's uptime, and not a moment longer."""
    one, two = switch.daemon("one"), switch.daemon("two")
    one.acquire()
    switch.now_ms += 5_000
    assert one.renew()
    assert two.acquire() == Taken("one", TERM_MS)
    switch.now_ms += TERM_MS - 1
    assert two.acquire() == Taken("one", 1)
    switch.now_ms += 1
    assert two.acquire() == Held(2, "one")
    assert not one.holds()


def test_the_same_instance_takes_over_at_once(switch: Switch) -> None:
    """A daemon that was killed and starts again need not wait."""
    switch.daemon("one").acquire()
    assert switch.daemon("one").acquire() == Held(2, "one")


def test_two_of_the_same_instance_do_not_take_turns(switch: Switch) -> None:
    """A daemon that was replaced by its own instance has to wait for that one's end, as a stranger would."""
    one = switch.daemon("one")
    one.acquire()
    again = switch.daemon("one")
    again.acquire()
    assert not one.renew()
    assert one.acquire() == Taken("one", TERM_MS)
    switch.now_ms += TERM_MS
    assert one.acquire() == Held(3, "one")


def test_a_clean_end_lets_the_next_one_in_at_once(switch: Switch) -> None:
    """A fence that was given up is nobody's; what stays in the switch is who had it, and how often it was anybody's."""
    one, two = switch.daemon("one"), switch.daemon("two")
    one.acquire()
    one.renew()
    one.release()
    assert switch.table == {"last": "one:1"}
    assert not one.holds()
    assert two.acquire() == Held(2, "one")


def test_who_comes_back_learns_of_one_who_served_and_left_in_order(switch: Switch) -> None:
    """Their fence is nobody's again; all the same, what is on the switch is not what it was."""
    one, two = switch.daemon("one"), switch.daemon("two")
    one.acquire()
    switch.now_ms += TERM_MS
    assert two.acquire() == Held(2, "one")
    two.release()
    assert one.acquire() == Held(3, "two")


def test_the_epoch_counts_up_over_a_crash_of_the_switch(switch: Switch) -> None:
    """The switch has forgotten it: who stood by has noted it, and a daemon is told that of the one before it."""
    one, two, three = (switch.daemon(name) for name in ("one", "two", "three"))
    one.remember(6)
    assert one.acquire() == Held(7, "")
    assert two.acquire() == Taken("one", TERM_MS)
    switch.table.clear()
    assert two.acquire() == Held(8, "")
    switch.table.clear()
    three.remember(8)
    assert three.acquire() == Held(9, "")


def test_who_stood_still_does_not_act_with_an_old_epoch(switch: Switch) -> None:
    """Stopped for longer than the term and going on: it may do nothing before it has acquired the fence anew."""
    one = switch.daemon("one")
    one.acquire()
    switch.now_ms += 30_000
    assert not one.holds()
    assert not one.renew()
    assert one.acquire() == Held(2, "one")
    assert one.holds()


def test_who_stood_still_for_too_long_finds_another(switch: Switch) -> None:
    """Meanwhile another has taken over: the old one stands by, and leaves the other's fence alone."""
    one, two = switch.daemon("one"), switch.daemon("two")
    one.acquire()
    switch.now_ms += 30_000
    two.acquire()
    assert not one.renew()
    assert one.acquire() == Taken("two", TERM_MS)
    assert two.renew()


def test_a_confirmation_that_comes_too_late_is_none(switch: Switch) -> None:
    """A renewal that was under way when the right ended may have come after somebody else had begun to take over."""
    one = switch.daemon("one")
    one.acquire()
    switch.now_ms += 5_000

    def stall(_verb: str) -> None:
        switch.now_ms += 2_000

    switch.before = stall
    assert not one.renew()
    assert not one.holds()


def test_a_slow_switch_keeps_its_daemon(switch: Switch) -> None:
    """Each answer takes seconds, as on a machine that is too busy: the fence is kept as long as its term allows."""
    one = switch.daemon("one")
    one.acquire()
    switch.takes_ms = ACTS_MS // 2 - 1
    for _ in range(20):
        assert one.renew()
        assert one.holds()
    switch.takes_ms += 500
    assert not one.renew(), "half of what a renewal gives does not suffice for the next"


def test_no_answer_changes_nothing(switch: Switch) -> None:
    """A renewal without an answer neither lengthens nor ends the right to act."""
    one = switch.daemon("one")
    one.acquire()
    switch.now_ms += 2_500
    switch.refusal = Reply(Outcome.UNCONFIRMED, "no answer in time")
    assert one.renew()
    assert one.left_ms() == ACTS_MS - 2_500
    assert switch.daemon("two").acquire() == Taken("", 0, known=False)


def test_a_restart_of_the_switch_forgets_the_fence(switch: Switch) -> None:
    """The switch's memory is empty: whoever held the fence finds out at the next renewal, and acquires it anew."""
    one = switch.daemon("one")
    one.acquire()
    switch.table.clear()
    assert not one.renew()
    assert one.acquire() == Held(2, "")


@pytest.mark.parametrize(
    ("answer", "says"),
    [("-ERR hash Command not found!", "load mod_hash"), ("-ERR permission denied", "esl-allowed-api")],
)
def test_a_switch_that_offers_no_fence(switch: Switch, answer: str, says: str) -> None:
    """The operator is told what to do; without a fence nobody serves."""
    switch.refusal = Reply(Outcome.ERR, answer)
    with pytest.raises(FenceError, match=says):
        switch.daemon("one").acquire()


def test_what_is_no_entry_of_ours_is_replaced(switch: Switch) -> None:
    """Somebody has typed nonsense there: it belongs to nobody."""
    switch.table["leader"] = "what is 'this' ?"
    assert switch.daemon("one").acquire() == Held(1, "")


@pytest.mark.parametrize("seed", range(200))
def test_never_two_at_once(seed: int) -> None:
    """Four daemons that stand still, die and start at any moment, between any two commands: at most one may act."""
    chance = random.Random(seed)
    switch = Switch()
    instances = ["one", "two", "three", "four"]
    daemons = [switch.daemon(instance) for instance in instances]
    asleep = [0, 0, 0, 0]
    depth = 0

    def others(_verb: str) -> None:
        nonlocal depth
        switch.now_ms += chance.choice((0, 1, 20, 700))
        if depth < 3 and chance.random() < 0.2:
            depth += 1
            act(chance.randrange(4))
            depth -= 1

    busy: set[int] = set()

    def act(who: int) -> None:
        if who in busy or asleep[who] > switch.now_ms:
            return
        busy.add(who)
        if daemons[who].holds():
            daemons[who].renew()
        else:
            daemons[who].acquire()
        busy.discard(who)
        assert sum(daemon.holds() for daemon in daemons) <= 1

    switch.before = others
    held = 0
    for _ in range(60):
        who = chance.randrange(4)
        match chance.randrange(10):
            case 0:
                asleep[who] = switch.now_ms + 30_000
            case 1 if who not in busy:
                # Killed, and started again when the old process cannot act any more: it is the same disk.
                asleep[who] = 0
                if not daemons[who].holds():
                    daemons[who] = switch.daemon(instances[who])
            case _:
                act(who)
        switch.now_ms += chance.choice((0, 100, 2_500, 5_000))
        held += sum(daemon.holds() for daemon in daemons)
        assert sum(daemon.holds() for daemon in daemons) <= 1
    assert held > 0
