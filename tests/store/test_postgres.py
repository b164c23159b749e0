"""Records become rows in a real PostgreSQL: each once, whole, and as the best witness tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime
from itertools import product

import psycopg
import pytest
from structlog.testing import capture_logs

from fsacd.core.evidence import Evidence, standing
from fsacd.core.records import AgentWorkEnded, CallEnded, CallOutcome, OfferClosed, Record
from fsacd.store import lines
from fsacd.store.rows import CALLS, OFFERS, decision, row
from tests.store.records import CALL, CHANGE, DECISION, OFFER, PRESENCE, WORK, at, running, wall
from tests.store.rig import await_true, rows

pytestmark = pytest.mark.postgres


def test_rows_are_exact(database: str) -> None:
    """A finished call, an offer, an agent's presence and work, a change and a decision: one row each, all fields."""
    with running(database) as store:
        store.put([replace(CALL, customer_id=7), OFFER, PRESENCE, WORK, CHANGE, DECISION])
        store.put_rows([decision(DECISION, b'{"chosen":"anna","eligible":[]}', wall)])
        await_true(lambda: store.state().written == 6)
    january = datetime(2026, 1, 1, tzinfo=UTC)
    assert rows(database, "SELECT * FROM calls") == [(
        "c1", "support", "answered", "NORMAL_CLEARING", at(1_000), at(65_001), 4_000, 60_001, "anna", 2, 3,
        "+4930123456", "Zoë 😀", "K-1", "fs1", "11-22", "survey", "fr", "saw_end", 0, False, "c0", 7, "K-7",
        january,
    )]  # fmt: skip
    assert rows(database, "SELECT * FROM offers") == [(
        "o1", "c1", "support", "anna", 1, "unanswered", "no_answer", at(1_500), None, None, at(3_000),
        "saw_end", 0, "K-7", january,
    )]  # fmt: skip
    assert rows(database, "SELECT * FROM agent_presence") == [("anna", "not_ready", "lunch", at(0), None, "phone:1001")]
    assert rows(database, "SELECT * FROM agent_work") == [
        ("anna", "talking", "", at(200), at(1_000), "", "o1", "c1", "support", "voice", 100)
    ]
    assert rows(database, "SELECT * FROM changes") == [
        ("call_changed", "c1", "priority 0 → 3", "api:wallboard", at(1_234))
    ]
    assert rows(database, "SELECT * FROM decisions") == [
        ("o1", "c1", 7, "support", "anna", at(1_500), {"chosen": "anna", "eligible": []}, january)
    ]


def test_every_field_of_a_call_is_kept() -> None:
    """A field added to CallEnded needs a column."""
    columns = [name.replace("_at", "_ms") for name, _ in CALLS.columns]
    assert columns == [field.name for field in fields(CallEnded)]


def test_every_field_of_an_offer_is_kept() -> None:
    """A field added to OfferClosed needs a column."""
    columns = [name.replace("_at", "_ms") for name, _ in OFFERS.columns]
    assert columns == [field.name for field in fields(OfferClosed)]


def test_the_calls_of_a_contact_are_found_by_its_id(database: str) -> None:
    """Two calls of a caller have one id; a row that an older fsacd has left in the spool has none."""
    older = tuple(name for name, _ in CALLS.columns if name != "contact_id")
    spooled = row(replace(CALL, call_id="c3"), wall)
    assert spooled is not None
    left = lines.decoded(lines.encoded_values("calls", spooled.values[:-1]), {"calls": older})
    assert left is not None
    with running(database) as store:
        store.put([CALL, replace(CALL, call_id="c2", queue="sales")])
        store.put_rows([left])
        await_true(lambda: store.state().written == 3)
    found = rows(database, "SELECT call_id, contact_id FROM calls ORDER BY call_id")
    assert found == [("c1", "K-7"), ("c2", "K-7"), ("c3", "")]


def test_same_row_twice(database: str) -> None:
    """A row that comes again, now or after a restart, is stored once and counted as a duplicate."""
    told = decision(DECISION, b"{}", wall)
    with running(database) as store:
        store.put([CALL, OFFER, WORK, CALL, CHANGE, CHANGE])
        store.put_rows([told, told])
        await_true(lambda: store.state().queued == 0)
        assert (store.state().written, store.state().duplicates) == (5, 3)
    with running(database) as store:
        store.put([CALL, OFFER, WORK, CHANGE])
        store.put_rows([told])
        await_true(lambda: store.state().duplicates == 5)
        assert store.state().written == 0
    assert rows(database, "SELECT count(*) FROM calls") == [(1,)]


TELLINGS = [(evidence, epoch, ended) for evidence in Evidence for epoch in (0, 1, 2) for ended in (0, 9_000)]


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_the_database_decides_as_the_engine_would(database: str, *, together: bool) -> None:
    """Of every two tellings of one end the row stands that stands higher, whichever comes first; offers alike."""
    expected: dict[str, tuple[str, int, datetime]] = {}
    first: list[Record] = []
    second: list[Record] = []
    for number, (one, two) in enumerate(product(TELLINGS, TELLINGS)):
        stands = two if standing(*two) > standing(*one) else one
        expected[f"x{number}"] = (stands[0].value, stands[1], at(CALL.ended_ms + stands[2]))
        for told, (evidence, epoch, later_ms) in ((first, one), (second, two)):
            key, ended_ms = f"x{number}", CALL.ended_ms + later_ms
            told.append(replace(CALL, call_id=key, evidence=evidence, epoch=epoch, ended_ms=ended_ms))
            told.append(replace(OFFER, offer_id=key, evidence=evidence, epoch=epoch, ended_ms=ended_ms))
    with running(database) as store:
        for portion in [[*first, *second]] if together else [first, second]:
            store.put(portion)
            await_true(lambda: store.state().queued == 0)
    for table, key in (("calls", "call_id"), ("offers", "offer_id")):
        stored = rows(database, f"SELECT {key}, evidence, epoch, ended_at FROM {table}")
        assert {row[0]: row[1:] for row in stored} == expected


def test_a_row_without_evidence_was_written_by_who_saw_the_end(database: str) -> None:
    """It is of a time before there was any: a guess does not replace it, and whoever had the call later does."""
    guess = replace(CALL, outcome=CallOutcome.LOST, evidence=Evidence.GUESSED, ended_ms=CALL.ended_ms + 9_000)
    with running(database) as store:
        store.put([replace(CALL, call_id="a"), replace(CALL, call_id="b")])
        await_true(lambda: store.state().queued == 0)
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE calls SET evidence = NULL, epoch = NULL")
    with running(database) as store:
        store.put([replace(guess, call_id="a"), replace(guess, call_id="b", epoch=1)])
        await_true(lambda: store.state().queued == 0)
    assert rows(database, "SELECT outcome FROM calls ORDER BY call_id") == [("answered",), ("lost",)]


def test_work_within_one_millisecond(database: str) -> None:
    """Intervals of no length, begun in the same millisecond as a real one, hide nothing."""
    passed = [
        AgentWorkEnded("anna", "held_back", "busy", 5, 5),
        AgentWorkEnded("anna", "busy", "", 5, 5),
        AgentWorkEnded("anna", "held_back", "busy", 5, 900),
    ]
    with running(database) as store:
        store.put(passed)
        await_true(lambda: store.state().queued == 0)
        assert store.state().written == 3


def test_hostile_text(database: str) -> None:
    """NUL, half surrogates and endless numbers of a caller are stored in a tamed form, not refused."""
    with running(database) as store:
        store.put([replace(CALL, name="a\x00\ud83d", number="9" * 60_000, customer="'); DROP TABLE calls; --")])
        await_true(lambda: store.state().written == 1)
    assert rows(database, "SELECT name, length(number), customer FROM calls") == [
        ("a\ufffd\ufffd", 256, "'); DROP TABLE calls; --")
    ]


def test_bad_rows_do_not_hold_up_the_others(database: str) -> None:
    """Of a thousand rows the three that cannot be stored are found, counted and logged without values."""
    many = [replace(CALL, call_id=f"c{number}") for number in range(1_000)]
    many[377] = replace(many[377], offers=2**40)
    many[640] = replace(many[640], ended_ms=10**18)
    many[641] = replace(many[641], waited_ms=2**70)
    with capture_logs() as logs, running(database) as store:
        store.put(many)
        await_true(lambda: store.state().queued == 0)
        assert (store.state().written, store.state().refused, store.state().connected) == (997, 3, True)
    told = [line for line in logs if line["log_level"] == "error"]
    assert [line["table"] for line in told] == ["calls", "calls", "calls"]
    assert "out of range for type integer" in told[0]["why"]
    assert CALL.number not in repr(told)


def test_refuses_to_stop_the_world() -> None:
    """Without gevent's patches psycopg would hold every call; the store says so and does not start."""
    program = (
        "from fsacd.store.postgres import Store, StoreSettings, StoreError\n"
        "try:\n    Store(StoreSettings('dbname=x'), lambda ms: ms)\n"
        "except StoreError as error:\n    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert "before gevent's monkey-patching" in told.stdout
