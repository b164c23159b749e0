"""How legs sounded, in a real PostgreSQL: beside their talks, in any order, and no longer than these."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from fsacd.core.records import LegMeasured
from fsacd.store import lines
from fsacd.store.persons import erase, of_person, person
from fsacd.store.rows import row
from tests.store.records import CALL, at, wall
from tests.store.rig import rows
from tests.store.test_talks import FIRST, SECOND
from tests.store.test_visits import write

pytestmark = pytest.mark.postgres

AGENT = LegMeasured("o1", "agent", "o1", "c1", 61_000, 437, 2_950, 12, 9)
CALLER = LegMeasured("leg", "caller", "", "c1", 90_000, 450, 4_400, 0, None)


def test_a_talk_has_what_both_legs_say(database: str) -> None:
    """Whichever comes first; twice is once; a talk of which nothing is known is empty."""
    write(database, CALLER, FIRST, AGENT, SECOND, AGENT)
    assert rows(database, "SELECT * FROM leg_quality ORDER BY leg") == [
        ("leg", "caller", "", "c1", at(90_000), 450, 4_400, 0, None),
        ("o1", "agent", "o1", "c1", at(61_000), 437, 2_950, 12, 9),
    ]
    found = rows(database, "SELECT * FROM v_talk_quality ORDER BY started_at")
    callers = (450, 4_400, 0, None)
    assert found == [
        ("o1", "anna", "support", at(1_000), 437, 2_950, 12, 9, *callers),
        ("o2", "ben", "support", at(61_000), None, None, None, None, *callers),
    ]


def test_a_line_of_the_spool_is_the_same_row() -> None:
    """What waits on disk is what would have been written."""
    for measured in (AGENT, CALLER, replace(AGENT, jitter_ms=None)):
        told = row(measured, wall)
        assert told is not None
        assert lines.decoded(lines.encoded(told)) == told


def test_how_an_erased_callers_legs_sounded_is_erased(database: str) -> None:
    """Their leg's name leads to the switch's own log; of the agent's leg the figures stay."""
    write(database, CALL, CALLER, AGENT, replace(CALLER, leg="other", call_id="c9"))
    with psycopg.connect(database, autocommit=True) as connection:
        found = person(connection, [CALL.number])
        with connection.transaction():
            legs = {one["leg"] for one in of_person(connection, "leg_quality", found)}
        assert legs == {"leg", "o1"}
        done = erase(connection, [CALL.number], "api:test")
    assert done["leg_quality"] == 1
    assert rows(database, "SELECT leg FROM leg_quality ORDER BY leg") == [("o1",), ("other",)]
