"""A database with many calls, and one caller who is named in every place where a number may stand."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psycopg
import yaml

from fsacd.core.records import CallEnded, CallOutcome

# One caller; in Germany these are one number.
NUMBER: Final = "+49307654321"
WAYS: Final = ("+49 30 765-4321", "0307654321", "004930/7654321", "+49 (0)30 7654321", "49307654321")
NAME: Final = "Zoë Quandt"
# What is left of the number in any of them when the punctuation is gone; and of the name.
WORDS: Final = ("307654321", "Quandt")
SPOOLED = CallEnded(
    call_id="s1", queue="support", outcome=CallOutcome.ABANDONED, detail="", arrived_ms=1_000, ended_ms=65_001,
    waited_ms=4_000, talked_ms=0, agent_id=None, offers=0, priority=3, number=WAYS[0], name=NAME, customer="",
    switch="fs1", leg_uuid="11-22", after="", language="",
)  # fmt: skip
# The calls from one to another, each with its place i. Nobody of them is the caller, though some numbers end alike.
_BASE: Final = """
    FROM (SELECT i, timestamptz '2026-01-10 08:00Z' + make_interval(secs => mod(i, 5000000)) AS began,
        '+4940' || lpad(mod(i * 7, 10000000)::text, 7, '0') AS number FROM generate_series(%s::int, %s::int) i) base
"""
# What belongs to each of them.
_MANY: Final = (
    """INSERT INTO calls (call_id, queue, outcome, detail, arrived_at, ended_at, waited_ms, talked_ms, agent_id, offers,
        priority, number, name, customer, switch, leg_uuid, after, contact_id, month)
    SELECT 'c' || i, 'support', 'answered', '', began, began + interval '65 s', 4000, 60000, 'anna', 1, 0, number,
        'Caller ' || i, '', 'fs1', 'leg-' || i, CASE mod(i, 5) WHEN 0 THEN 'extension 2000 default' ELSE '' END,
        'c' || i, date_trunc('month', began, 'UTC')""",
    """INSERT INTO visits (call_id, n, contact_id, queue, joined_at, ended_at, how_in, outcome, detail, went_to,
        waited_ms, offers, required, priority, head_start_ms, named_agent, language, service_level_ms,
        short_abandon_ms, month)
    SELECT 'c' || i, 1, 'c' || i, 'support', began, began + interval '65 s', 'direct', 'answered', '', '', 4000, 1, '',
        0, 0, '', '', 20000, 5000, date_trunc('month', began, 'UTC')""",
    """INSERT INTO offers (offer_id, call_id, queue, agent_id, attempt, outcome, reason, started_at, ended_at,
        month)
    SELECT 'o' || i, 'c' || i, 'support', 'anna', 1, 'answered', 'talk', began, began + interval '65 s',
        date_trunc('month', began, 'UTC')""",
    """INSERT INTO talks (offer_id, call_id, visit, contact_id, queue, agent_id, started_at, ended_at, talked_ms,
        held_ms, holds, consults, ended_by, transferred_to, month)
    SELECT 'o' || i, 'c' || i, 1, 'c' || i, 'support', 'anna', began, began + interval '65 s', 60000, 0, 0, 0,
        'caller', '', date_trunc('month', began, 'UTC')""",
    """INSERT INTO wrap_ups (offer_id, started_at, ended_at, agent_id, call_id, queue, contact_id, codes, note, by,
        number, changes)
    SELECT 'o' || i, began, began, 'anna', 'c' || i, 'support', 'c' || i, '{sale}',
        'Order ' || i || ', grüßt; call back ' || number, 'api:desk', number, 0""",
    """INSERT INTO decisions (offer_id, call_id, number, queue, agent_id, at, explanation, month)
    SELECT 'o' || i, 'c' || i, i, 'support', 'anna', began, '{"chosen": "anna", "sentence": "idle longest"}',
        date_trunc('month', began, 'UTC')""",
    """INSERT INTO changes (kind, subject, detail, by, at)
    SELECT 'call_priority', 'c' || i, 'priority 0 → 3', 'api:desk', began""",
    """INSERT INTO agent_work (agent_id, state, reason, started_at, ended_at, by, offer_id, call_id, queue, channel,
        weight)
    SELECT 'anna', 'talking', '', began, began + interval '60 s', '', 'o' || i, 'c' || i, 'support', 'voice', 100""",
)
_CUSTOMERS: Final = "INSERT INTO customers (number, name) SELECT number, 'Customer ' || i"
_MONTHS: Final = """
    SELECT fsacd_partition(parent, month)
    FROM unnest(ARRAY['calls', 'offers', 'decisions', 'visits', 'talks', 'wrap_ups', 'agent_work', 'agent_presence',
        'log_ins']) parent,
        generate_series(timestamptz '2026-01-01 00:00Z', '2026-04-01 00:00Z', '1 month') month
"""


def fill(connection: psycopg.Connection, calls: int) -> None:
    """Fill history with this many calls of others, each with all that belongs to it; a tenth are customers."""
    connection.execute(_MONTHS)
    _insert(connection, _CUSTOMERS, 1, min(calls, 1_000_000) // 10)
    for statement in _MANY:
        _insert(connection, statement, 1, calls)


def _insert(connection: psycopg.Connection, statement: str, first: int, last: int) -> None:
    connection.execute((statement + _BASE).encode(), (first, last))


def plant(connection: psycopg.Connection) -> set[str]:
    """Name the caller wherever history can; returns the tables (and views) that name them now."""
    connection.execute(_MONTHS)
    for place, number in enumerate(WAYS, 9_000_001):
        for statement in _MANY:
            _insert(connection, statement, place, place)
        mine = (number, NAME, number, f"c{place}")
        connection.execute("UPDATE calls SET number = %s, name = %s, customer = %s WHERE call_id = %s", mine)
        said = (number, f"{NAME} asks for a refund", f"c{place}")
        connection.execute("UPDATE wrap_ups SET number = %s, note = %s WHERE call_id = %s", said)
        told = json.dumps({"chosen": "anna", "sentence": f"{NUMBER} has called before"})
        connection.execute("UPDATE decisions SET explanation = %s WHERE call_id = %s", (told, f"c{place}"))
    connection.execute("INSERT INTO customers (number, name) VALUES (%s, %s)", (NUMBER, NAME))
    connection.execute(
        "INSERT INTO customer_fields SELECT customer_id, 'vip', %s FROM customer_numbers WHERE number = %s",
        (NAME, NUMBER),
    )
    note = "INSERT INTO changes (kind, subject, detail, by, at) VALUES (%s, %s, %s, 'api:desk', now())"
    connection.execute(note, ("customer_set", WAYS[0], f"name {NAME}"))
    # Whom others were sent to, what agents wrote of others, and whose phone was used.
    connection.execute(note, ("call_sent", "c1", f"to extension {WAYS[1]} default"))
    sent = f"extension {WAYS[1]} default"
    connection.execute("UPDATE calls SET after = %s, detail = %s WHERE call_id = 'c1'", (sent, sent))
    connection.execute("UPDATE visits SET went_to = %s WHERE call_id = 'c2'", (f"extension {WAYS[1]} default",))
    connection.execute("UPDATE wrap_ups SET note = %s WHERE call_id = 'c3'", (f"their son: {WAYS[3]}, 4711, grüßt",))
    connection.execute(
        "INSERT INTO customer_fields SELECT customer_id, 'son', %s FROM customer_numbers WHERE number <> %s LIMIT 1",
        (WAYS[4], NUMBER),
    )
    connection.execute("UPDATE customers SET name = %s WHERE number = '+4940' || '0000007'", (f"friend of {WAYS[0]}",))
    connection.execute("UPDATE wrap_ups SET by = %s WHERE call_id = 'c4'", (f"phone:{WAYS[1]}",))
    connection.execute("UPDATE agent_work SET by = %s WHERE call_id = 'c5'", (f"phone:{WAYS[4]}",))
    connection.execute(
        "INSERT INTO agent_presence (agent_id, presence, reason, started_at, by) "
        "VALUES ('ben', 'not_ready', %s, '2026-01-10 09:00Z', %s)",
        (f"calls {WAYS[0]}", f"phone:{WAYS[1]}"),
    )
    connection.execute(
        "INSERT INTO log_ins (log_in_id, agent_id, contact, switches, started_at, how_begun, by, how_ended, ended_by, "
        "month) VALUES ('l1', 'ben', %s, '', '2026-01-10 09:00Z', 'logged_in', %s, '', %s, '2026-01-01 00:00Z')",
        (f"sofia/gateway/pstn/{WAYS[2]}", f"phone:{WAYS[1]}", f"phone:{WAYS[4]}"),
    )
    connection.execute(
        "INSERT INTO agent_states_before (agent_id, state, reason, started_at, ended_at, by) "
        "VALUES ('ben', 'not_ready', '', '2025-01-10 09:00Z', '2025-01-10 10:00Z', %s)",
        (f"phone:{WAYS[1]}",),
    )
    return {
        "calls", "visits", "wrap_ups", "decisions", "changes", "customers", "customer_numbers", "customer_fields",
        "customers_changed", "contacts", "agent_presence", "agent_work", "log_ins", "agent_states_before",
        "agent_states",
    }  # fmt: skip


# What is told of them in rows of others, by table: the columns whose text names them.
TOLD: Final = {
    "customers": ["name"], "customer_fields": ["value"], "calls": ["detail", "after"], "visits": ["went_to"],
    "wrap_ups": ["by", "note"], "changes": ["detail"], "agent_presence": ["reason", "by"], "agent_work": ["by"],
    "log_ins": ["contact", "by", "ended_by"], "agent_states": ["by"],
}  # fmt: skip


def naming(connection: psycopg.Connection) -> set[str]:
    """The tables and views with a row in which the caller is named, in any column and with any punctuation."""
    query = """SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'
        AND NOT EXISTS (SELECT FROM pg_class WHERE relname = table_name AND relispartition)"""
    found = set()
    for (table,) in connection.execute(query).fetchall():
        condition = "translate(t::text, ' -()/.', '') LIKE ANY(%s)"
        words = [f"%{word}%" for word in WORDS]
        named = connection.execute(f"SELECT FROM {table} t WHERE {condition} LIMIT 1".encode(), (words,))
        if named.fetchone() is not None:
            found.add(table)
    return found


def in_files(directory: Path) -> set[str]:
    """The files in a directory, and in those below, that name the caller."""
    found = set()
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # it may just be removed
            text = path.read_bytes()
            found |= {path.name} if any(way.encode() in text for way in (*WAYS, *WORDS)) else set()
    return found


def written(place: Path, dsn: str) -> Path:
    """The configuration of a centre in Germany with this database and a spool, both in a file in `place`."""
    file = place / "fsacd.yaml"
    store = {"dsn": dsn, "spool": {"directory": str(place / "spool")}}
    centre: dict[str, Any] = {"switches": {"fs1": {"password": "secret"}}, "store": store}
    file.write_text(yaml.safe_dump({**centre, "number_plan": {"country": "DE"}}), encoding="utf-8")
    return file
