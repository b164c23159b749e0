"""What agents do by the keys of their own phones, on a real switch: they hold, and give callers away (REFER).

The daemon orders none of it, and hears of it: history says of each talk what really happened. With a profile that fires
events of transfers, and without.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.e2e.conftest import AGENTS
from tests.e2e.rig.dialog import Dialog, replaces
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.e2e.test_refer import outside, rung_outside
from tests.e2e.test_talks import ANNA, BEN, CALLER, SOON_S, Talk

Row = dict[str, Any]
# A phone that was refused tries again after this.
AGAIN_S = 1.0
# A hold that begins sooner after the last one goes on with it.
LATER_S = 0.5
# History stores whole milliseconds of one clock, and the test reads another one.
ROUNDED_MS = 2


def config_of(workplace: Path, database: str) -> Row:
    """Anna serves support, and ben sales."""
    return {
        "defaults": {"wrap_up": "1h", "ring_timeout": "2m"},
        "queues": {"support": {}, "sales": {}, "empty": {}},
        "agents": {
            ANNA: {"queues": ["support"], "login_at_start": True},
            BEN: {"queues": ["sales"], "login_at_start": True},
        },
        "journal": {"directory": str(workplace / "journal")},
        "store": {"dsn": database},
    }


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch, database: str) -> Iterator[Floor]:
    floor = Floor(workplace, switch, config_of(workplace, database))
    floor.start()
    yield floor
    floor.stop()


@pytest.fixture(params=[False, True], ids=["untold", "told"])
def refers(request: pytest.FixtureRequest, workplace: Path, database: str) -> Iterator[Floor]:
    """A floor on a switch that tells of transfers by events of their own, or does not."""
    switch = RealSwitch(workplace / "freeswitch", AGENTS, transfer_events=request.param)
    switch.start()
    floor = Floor(workplace, switch, config_of(workplace, database))
    floor.start()
    yield floor
    floor.stop()
    switch.stop()


class Holding:
    """A phone that holds, and when it did: from some moment of `began_s` to some moment of `ended_s`."""

    def __init__(self, floor: Floor, phone: Dialog) -> None:
        self._floor, self._phone = floor, phone
        self.began_s = self._press(off=False)
        self.ended_s = (0.0, 0.0)

    def _press(self, *, off: bool) -> tuple[float, float]:
        esl, leg = self._floor.switch.esl(), leg_of(self._phone)
        before_s, pressed_s = time.time(), 0.0

        def is_so() -> bool:
            nonlocal pressed_s
            if time.time() - pressed_s > AGAIN_S:
                # The switch refuses a second re-INVITE while it answers the first one (491), and takes its time.
                self._floor.phones.hold(self._phone, off=off)
                pressed_s = time.time()
            return ("Channel-Call-State: HELD" in esl.api(f"uuid_dump {leg}")) is not off

        await_true(is_so, SOON_S, "the switch knows")
        esl.close()
        return before_s, time.time()

    def ends(self) -> None:
        """The phone takes the call back."""
        self.ended_s = self._press(off=True)

    def until(self, before_s: float, after_s: float) -> None:
        """The hold ended otherwise, between these moments."""
        self.ended_s = before_s, after_s


def leg_of(phone: Dialog) -> str:
    assert phone.invite is not None
    return phone.invite.headers["x-fsacd-offer"]


def spans(*holdings: Holding) -> tuple[float, float]:
    """The shortest and the longest time that these can have taken together, in milliseconds."""
    shortest = sum(one.ended_s[0] - one.began_s[1] for one in holdings)
    longest = sum(one.ended_s[1] - one.began_s[0] for one in holdings)
    return 1_000 * shortest - ROUNDED_MS, 1_000 * longest + ROUNDED_MS


def talks_in(database: str, count: int = 1) -> list[Row]:
    """The talks in history, in their order, as soon as there are so many."""
    found: list[Row] = []

    def are_there() -> bool:
        with psycopg.connect(database, row_factory=dict_row) as connection:
            if connection.execute("SELECT 1 FROM pg_tables WHERE tablename = 'talks'").fetchone():  # made meanwhile
                found[:] = connection.execute("SELECT * FROM talks ORDER BY started_at").fetchall()
        return len(found) >= count

    await_true(are_there, SOON_S, f"{count} talks are in history")
    return found


def row_of(database: str, table: str, call_id: str) -> Row:
    """The row of a call that is over."""
    with psycopg.connect(database, row_factory=dict_row) as connection:
        (row,) = connection.execute(f"SELECT * FROM {table} WHERE call_id = %s", (call_id,)).fetchall()
    return row


def shows(floor: Floor, *, held: bool) -> None:
    """Wait until the API and the metrics say whether the phone holds."""
    await_true(lambda: floor.call_of(CALLER)["talk"]["held_by_phone"] is held, SOON_S, f"it is held: {held}")
    assert floor.daemon.metrics()['fsacd_calls_held{queue="support"}'] == held


def test_held_and_taken_back(floor: Floor, database: str) -> None:
    """Twice, and the phone hangs up in the second time: the switch ends the hold first, and releases the caller."""
    talk = Talk(floor)
    first = Holding(floor, talk.anna)
    shows(floor, held=True)
    first.ends()
    shows(floor, held=False)
    time.sleep(LATER_S)
    second = Holding(floor, talk.anna)
    before_s = time.time()
    floor.phones.end(talk.anna)
    talk.ends()
    second.until(before_s, time.time())
    (row,) = talks_in(database)
    assert (row["ended_by"], row["kind"], row["holds"], row["consults"]) == ("agent", "", 2, 0)
    shortest_ms, longest_ms = spans(first, second)
    assert shortest_ms <= row["held_ms"] <= longest_ms
    all_ms = (row["ended_at"] - row["started_at"]).total_seconds() * 1_000
    assert row["talked_ms"] == pytest.approx(all_ms - row["held_ms"], abs=ROUNDED_MS)


def test_the_caller_hangs_up_on_hold(floor: Floor, database: str) -> None:
    """The talk ends with the hold."""
    talk = Talk(floor)
    holding = Holding(floor, talk.anna)
    before_s = time.time()
    floor.phones.hang_up(CALLER)
    await_true(lambda: talk.anna.state == "over", SOON_S, "the talk is over")
    talk.ends()
    holding.until(before_s, time.time())
    (row,) = talks_in(database)
    shortest_ms, longest_ms = spans(holding)
    assert (row["ended_by"], row["holds"]) == ("caller", 1)
    assert shortest_ms <= row["held_ms"] <= longest_ms


def test_what_happened_while_no_daemon_ran(floor: Floor, database: str) -> None:
    """The next one finds out that the phone holds, and another one that it does not any more."""
    talk = Talk(floor)
    floor.daemon.kill()
    holding = Holding(floor, talk.anna)
    floor.daemon.start()
    shows(floor, held=True)
    floor.daemon.kill()
    holding.ends()
    floor.daemon.start()
    shows(floor, held=False)
    floor.phones.end(talk.anna)
    talk.ends()
    (row,) = talks_in(database)
    shortest_ms, longest_ms = spans(holding)
    assert (row["ended_by"], row["holds"]) == ("agent", 1)
    assert shortest_ms <= row["held_ms"] <= longest_ms


def test_held_by_phone_and_by_us_counts_once(floor: Floor, database: str) -> None:
    """The agent holds by their phone, then by us, and the phone is taken back first: from the first to the last."""
    talk = Talk(floor)
    holding = Holding(floor, talk.anna)
    talk.asks("hold")
    talk.becomes("held")
    holding.ends()
    before_s = time.time()
    talk.asks("resume")
    talk.becomes("together")
    talk.is_with(talk.leg, talk.talk_id)
    holding.until(before_s, time.time())
    floor.hang_up(talk.anna, 1.0)
    talk.ends()
    (row,) = talks_in(database)
    shortest_ms, longest_ms = spans(holding)
    assert row["holds"] == 1
    assert shortest_ms <= row["held_ms"] <= longest_ms


def second_line(floor: Floor, number: str) -> Dialog:
    """The agent calls this number from their desk: the switch rings their phone and puts it through."""
    esl = floor.switch.esl()
    phone = f"sofia/trunk/{ANNA}@127.0.0.1:{floor.phones.port}"
    esl.api(f"bgapi originate {{origination_caller_id_number={ANNA}}}{phone} {number} XML public")
    esl.close()
    await_true(lambda: floor.phones.latest(ANNA, "ringing"), SOON_S, "her second line rings")
    line = floor.phones.latest(ANNA, "ringing")
    assert line is not None
    floor.phones.answer(line)
    return line


def to_queue(floor: Floor, queue: str) -> str:
    return f"sip:queue-{queue}@127.0.0.1:{floor.switch.trunk_port}"


def test_blind_to_a_number(refers: Floor, database: str) -> None:
    """The talk has ended by a transfer, the call has gone to that number, and talks hold nobody's number."""
    talk = Talk(refers)
    number = f"00{refers.phones.port}"
    refers.phones.refer(talk.anna, f"sip:{number}@127.0.0.1:{refers.switch.trunk_port}")
    rung_outside(refers)
    refers.becomes("wrapping_up", ANNA)
    (row,) = talks_in(database)
    assert (row["ended_by"], row["kind"], row["transferred_to"]) == ("transfer", "blind", "a number")
    call = row_of(database, "calls", talk.call_id)
    assert (call["outcome"], call["detail"], call["after"]) == ("answered", "transferred", f"number {number}")
    assert row_of(database, "visits", talk.call_id)["went_to"] == ""


@pytest.mark.parametrize("by", ["the caller's line", "the other line"])
def test_attended(refers: Floor, database: str, by: str) -> None:
    """The agent holds, asks somebody on another line, and joins the two: the talk ends then, not with the leg."""
    talk = Talk(refers)
    holding = Holding(refers, talk.anna)
    consult = refers.phones.call(ANNA, f"outside-{refers.phones.port}")
    phone = rung_outside(refers)
    await_true(lambda: consult.state == "talking", SOON_S, "they talk")
    first, second = (talk.anna, consult) if by == "the caller's line" else (consult, talk.anna)
    before_s = time.time()
    refers.phones.refer(first, outside(refers), replaces(second))
    refers.becomes("wrapping_up", ANNA)
    holding.until(before_s, time.time())
    (row,) = talks_in(database)
    # On the other line the switch does not say with whom; it is no call of which we know that it is hers.
    to = "a number" if by == "the caller's line" else ""
    assert (row["ended_by"], row["kind"], row["transferred_to"]) == ("transfer", "attended", to)
    shortest_ms, longest_ms = spans(holding)
    assert shortest_ms <= row["held_ms"] <= longest_ms
    assert row_of(database, "calls", talk.call_id)["detail"] == "transferred"
    await_true(lambda: (talk.caller.state, phone.state) == ("talking", "talking"), SOON_S, "the two talk")


@pytest.mark.parametrize("by", ["the caller's line", "the other line"])
def test_attended_into_a_queue(refers: Floor, database: str, by: str) -> None:
    """The caller gets the place in which the agent has waited, in one contact."""
    talk = Talk(refers)
    refers.phones.hold(talk.anna)
    waits = second_line(refers, "queue-empty")
    place = refers.call_of(ANNA)
    first, second = (talk.anna, waits) if by == "the caller's line" else (waits, talk.anna)
    refers.phones.refer(first, to_queue(refers, "empty"), replaces(second))
    await_true(lambda: refers.call_of(CALLER)["queue"] == "empty", SOON_S, "the caller waits there")
    now = refers.call_of(CALLER)
    assert (now["id"], now["contact_id"]) == (place["id"], talk.call_id)
    (row,) = talks_in(database)
    assert (row["ended_by"], row["kind"], row["transferred_to"]) == ("transfer", "attended", "queue empty")


@pytest.mark.parametrize("by", ["the caller's line", "the other line"])
def test_attended_to_a_colleague_from_a_queue(refers: Floor, database: str, by: str) -> None:
    """The colleague's talk is the caller's from then on, in their contact."""
    talk = Talk(refers)
    refers.phones.hold(talk.anna)
    asks = second_line(refers, "queue-sales")
    await_true(lambda: refers.phones.latest(BEN, "ringing"), SOON_S, "ben is rung")
    ben = refers.phones.latest(BEN, "ringing")
    assert ben is not None
    refers.talk(ben)
    esl = refers.switch.esl()
    await_true(lambda: esl.api(f"uuid_getvar {leg_of(ben)} bridge_to") not in {"", "_undef_"}, SOON_S, "they talk")
    esl.close()
    first, second = (talk.anna, asks) if by == "the caller's line" else (asks, talk.anna)
    refers.phones.refer(first, to_queue(refers, "sales"), replaces(second))
    refers.becomes("wrapping_up", ANNA)
    talk.is_with(talk.leg, leg_of(ben))
    if asks.state == "talking":
        refers.phones.end(asks)
    refers.hang_up(ben, 1.0)
    talk.ends()
    annas, bens = talks_in(database, 2)
    assert (annas["ended_by"], annas["kind"], annas["transferred_to"]) == ("transfer", "attended", BEN)
    assert (bens["ended_by"], bens["contact_id"]) == ("agent", talk.call_id)


def test_one_after_the_other(refers: Floor, database: str) -> None:
    """From queue to queue and out by two phones: two talks of two agents, each as it was, and one contact."""
    talk = Talk(refers)
    refers.phones.refer(talk.anna, to_queue(refers, "sales"))
    ben = refers.ring(CALLER, 2)
    refers.talk(ben)
    refers.becomes("wrapping_up", ANNA)
    esl = refers.switch.esl()
    await_true(lambda: esl.api(f"uuid_getvar {talk.leg} fsacd_over") == "true", SOON_S, "the talk is one")
    esl.close()
    refers.phones.refer(ben, f"sip:00{refers.phones.port}@127.0.0.1:{refers.switch.trunk_port}")
    rung_outside(refers)
    refers.becomes("wrapping_up", BEN)
    annas, bens = talks_in(database, 2)
    assert [(one["agent_id"], one["kind"]) for one in (annas, bens)] == [(ANNA, "blind"), (BEN, "blind")]
    assert annas["contact_id"] == bens["contact_id"] == talk.call_id
    assert row_of(database, "visits", bens["call_id"])["how_in"] == "transferred"
