"""A caller who asks that the number be hidden (`Privacy: id`), on real phones: nobody is told it who may not see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch, await_true

NUMBER, DIGITS, NAME = "+493023125001", "3023125001", "Erika Mustermann"
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
ASSERTED = f'P-Asserted-Identity: "{NAME}" <sip:{NUMBER}@127.0.0.1>'
# A phone that shows with whom it talks is told that when the bridge stands.
SHOWS = ("Allow: INVITE, ACK, CANCEL, BYE, UPDATE, INFO", "X-FS-Support: update_display,send_info")


@pytest.fixture
def phones(switch: RealSwitch) -> Iterator[Telephones]:
    telephones = Telephones(switch.trunk_port)
    telephones.heard, telephones.says = [], SHOWS
    yield telephones
    telephones.stop()


@pytest.fixture
def daemon(workplace: Path, switch: RealSwitch, phones: Telephones, database: str) -> Iterator[Daemon]:
    config = {
        "agent_contact": f"sofia/trunk/{{agent}}@127.0.0.1:{phones.port}",
        "defaults": {"wrap_up": "0s"},
        "queues": {"support": {}, "police": {"show_withheld": True}},
        "agents": {"1001": {"queues": ["support", "police"], "login_at_start": True}},
        "customers": {NUMBER: {"name": "Erika of ACME"}},
        "store": {"dsn": database},
        "log": {"number_digits": 32},
    }
    one = Daemon(workplace, config, switch.esl_port)
    one.start()
    yield one
    one.stop()


def serve(daemon: Daemon, phones: Telephones, queue: str, *more: str) -> str:
    """Let somebody who is anonymous, but for what `more` says, talk for a moment; gives what the API shows of them."""
    before = len(phones.rung)
    caller = phones.call("anonymous", f"queue-{queue}", as_whom=ANONYMOUS, more=more)
    await_true(lambda: len(phones.rung) > before and phones.rung[before].state == "ringing", 30, "the phone rings")
    shown = json.dumps(daemon.get("calls"))
    phones.answer(phones.rung[before])
    await_true(lambda: daemon.get("calls")["calls"][0]["state"] == "talking", 30, "they talk")
    shown += json.dumps(daemon.get("calls"))
    phones.end(caller)
    await_true(lambda: not daemon.get("calls")["calls"] and phones.rung[before].state == "over", 30, "the call is over")
    return shown


def rows(database: str, queue: str) -> str:
    """What history keeps of the queue's calls, once it is there."""
    found: list[str] = []

    def there() -> bool:
        # Of a new database the tables are made one after the other.
        with suppress(psycopg.errors.UndefinedTable), psycopg.connect(database) as connection:
            of_calls = "SELECT to_jsonb(calls)::text FROM calls WHERE queue = %s"
            of_decisions = "SELECT to_jsonb(decisions)::text FROM decisions WHERE queue = %s"
            calls, decisions = (
                [row for (row,) in connection.execute(query, (queue,))] for query in (of_calls, of_decisions)
            )
            found[:] = [*calls, *decisions]
            return bool(calls and decisions)
        return False

    await_true(there, 30, "history has the call and the decision")
    return "".join(found)


def test_nobody_is_told_a_hidden_number(daemon: Daemon, phones: Telephones, database: str) -> None:
    """Neither the phone, when it rings or talks, nor API, history and log; and it is marked private to the phone."""
    shown = serve(daemon, phones, "support", ASSERTED, "Privacy: id")
    assert phones.heard
    heard = "".join(phones.heard)
    everything = {"phone": heard, "api": shown, "history": rows(database, "support"), "log": daemon.log.read_text()}
    told = {where for where, text in everything.items() if any(word in text for word in (DIGITS, "Erika"))}
    assert told == set()
    assert "privacy=full" in heard.lower() or "privacy: id" in heard.lower()


def test_a_queue_that_may_see_it_is_told(daemon: Daemon, phones: Telephones, database: str) -> None:
    """With `show_withheld` the same caller is shown, and recognised."""
    shown = serve(daemon, phones, "police", ASSERTED, "Privacy: id")
    assert phones.heard
    for text in (phones.heard[0], shown, rows(database, "police")):
        assert DIGITS in text
    assert "Erika of ACME" in shown


def test_a_number_that_nobody_hides_is_shown(daemon: Daemon, phones: Telephones, database: str) -> None:
    """The same INVITE without the wish: it is the wish that counts."""
    shown = serve(daemon, phones, "support", ASSERTED)
    assert phones.heard
    for text in (phones.heard[0], shown, rows(database, "support")):
        assert DIGITS in text
