"""A reload of the whole daemon: every part works by the new file from then on, or none does. No switch, no database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fsacd.core import events as e
from fsacd.errors import Forbidden, Refused
from fsacd.esl.codec import Kind, Message
from tests.reloaded import ADMIN, BY, Reloaded

PLUGIN = """\
from fsacd.strategy import BaseKeyStrategy

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    def key(self, agent, service, required):
        return (agent.agent_id,)
"""


def _shut(queue: str, **settings: str) -> dict[str, Any]:
    """A queue with hours that have been over for years."""
    hours = {"past": {"zone": "UTC", "open_on": {"2001-01-01": "08:00-12:00"}}}
    return {"hours": hours, "queues": {queue: {"hours": "past", **settings}, "sales": {}}}


@pytest.fixture
def one(tmp_path: Path) -> Reloaded:
    return Reloaded(tmp_path)


# --- all or nothing --------------------------------------------------------------------------------------------------


def test_callers_without_a_place_keep_theirs(one: Reloaded) -> None:
    """The file would throw them out: it is refused, and nothing of it holds."""
    one.calls()
    with pytest.raises(Refused, match="callers would lose their place"):
        one.reload(queues={"sales": {}, "night": {}}, agents={})
    assert set(one.queues()) == {"support", "sales"}
    assert [call.queue for call in one.daemon.runtime.snapshot().calls] == ["support"]


def test_whoever_wants_it_even_so_gets_it(one: Reloaded) -> None:
    """The callers take the fallback, and the answer says so."""
    one.calls()
    said = one.reload(even_so=True, queues={"sales": {}}, agents={})
    assert said.split("; ") == [
        "the new configuration is in force",
        "queue support is gone: 1 caller waits in it and takes the dialplan's fallback",
    ]
    assert set(one.queues()) == {"sales"}
    assert one.daemon.runtime.snapshot().calls == ()


def test_a_look_changes_nothing(one: Reloaded) -> None:
    """It says what would be, of callers without a place, too."""
    one.calls()
    said = one.reload(dry_run=True, queues={"sales": {}, "night": {}}, agents={})
    assert said.startswith("nothing was changed; a reload would do this; ")
    assert "queue support is gone, and 1 caller waits in it" in said
    assert one.reload(dry_run=True).endswith("nothing to anybody here")
    assert set(one.queues()) == {"support", "sales"}


def test_a_file_with_mistakes_changes_nothing(one: Reloaded) -> None:
    """Whatever else stands in it."""
    with pytest.raises(Refused, match="the configuration has errors"):
        one.reload(queues={"night": {}, "support": {"ring_timeuot": "5s"}}, agents={})
    assert set(one.queues()) == {"support", "sales"}


# --- each part -------------------------------------------------------------------------------------------------------


def test_a_plugin_of_the_new_file_is_found(one: Reloaded, tmp_path: Path) -> None:
    """One that was not there at the start orders a queue's agents at once."""
    plugins = tmp_path / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "by_number.py").write_text(PLUGIN, encoding="utf-8")
    (plugins / "by_number.py").chmod(0o644)
    one.reload(strategy_path=[str(plugins)], queues={"support": {"strategy": "by_number"}, "sales": {}})
    assert one.queues()["support"].strategy == "by_number"
    assert one.queues()["support"].substituted == ()


def test_the_metrics_count_for_the_new_queues(one: Reloaded) -> None:
    """From nought, before their first call; those of a queue that is gone are gone."""
    one.reload(queues={"night": {}}, agents={})
    text = one.daemon.metrics.exposition()[0].decode()
    assert 'queue="night"' in text
    assert 'queue="sales"' not in text


def test_hours_hold_at_once(one: Reloaded) -> None:
    """A queue that gets hours closes if they are not now, and opens when they are taken away."""
    one.reload(**_shut("support"))
    assert not one.queues()["support"].is_open
    one.reload()
    assert one.queues()["support"].is_open


def test_a_renamed_queue_keeps_its_hours(one: Reloaded) -> None:
    """Somebody has opened it by hand: it was told of under its old name that it is closed, and is not told again."""
    one.reload(**_shut("support"))
    one.daemon.ask(e.QueueSetOpen("support", True, BY), ADMIN)
    one.reload(**_shut("help", was="support"), agents={})
    assert one.queues()["help"].is_open


def test_who_may_do_what_holds_at_once(one: Reloaded) -> None:
    """An agent is rung where the new file lets them be rung."""
    with pytest.raises(Forbidden):
        one.daemon.ask(e.AgentLoggedIn("1001", BY, "user/desk7"), ADMIN)
    one.reload(allowed_contacts=["user/desk*"])
    one.daemon.ask(e.AgentLoggedIn("1001", BY, "user/desk7"), ADMIN)


def test_whose_number_is_believed_holds_at_once(one: Reloaded) -> None:
    """Of a caller of whom the dialplan says nothing."""
    call = one.calls(number="4930123456")
    assert call is not None
    assert call.number_believed
    one.reload(believe_numbers="when_marked")
    call = one.calls("bert", number="4930123456")
    assert call is not None
    assert not call.number_believed


def test_customers_are_recognised_at_once(one: Reloaded) -> None:
    """Those of the new file."""
    one.reload(customers={"4930123456": {"name": "Acme"}})
    call = one.calls(number="4930123456")
    assert call is not None
    assert call.customer == "Acme"


def test_who_may_see_hidden_numbers_holds_at_once(one: Reloaded) -> None:
    """Whose number the queue's agents may see is known there as the customer that they are, from the next call on."""
    customers = {"4930123456": {"name": "Acme"}}
    one.reload(customers=customers)
    one.calls(number="4930123456", hidden=True)
    one.reload(customers=customers, queues={"support": {"show_withheld": True}, "sales": {}})
    one.calls("bert", number="4930123456", hidden=True)
    assert {call.call_id: call.customer for call in one.daemon.runtime.snapshot().calls} == {"anna": "", "bert": "Acme"}


def test_variables_are_read_from_the_next_call_on(one: Reloaded) -> None:
    """Those that a queue of the new file names."""
    leg = Message(Kind.EVENT, {"variable_ticket": "17"})
    assert one.daemon._carried.of(leg) == ()
    one.reload(queues={"support": {"agent_variables": ["ticket"]}, "sales": {}})
    assert [variable.value for variable in one.daemon._carried.of(leg)] == ["17"]


def test_how_many_customers_are_kept_holds_at_once(one: Reloaded) -> None:
    """The limit is that of the new file."""
    one.reload(limits={"customers": 1_234})
    assert one.daemon._recognition.limit == 1_234


def test_when_it_was_configured_is_told(one: Reloaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status says since when the file holds."""
    monkeypatch.setattr("fsacd.daemon.reload._wall_ms", lambda: 1_234)
    one.reload()
    assert one.daemon.status().configured_ms == 1_234


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"lease": "2m"}, "lease_ms"),
        ({"instance": "another"}, "instance"),
        ({"switches": {"fs1": {"password": "other"}}}, "switches"),
        ({"api": {"listen": "127.0.0.1:1"}}, "api"),
        ({"log": {"level": "debug"}}, "log"),
        ({"number_plan": {"country": "DE"}}, "number_plan"),
    ],
)
def test_what_needs_a_restart_is_named(one: Reloaded, changes: dict[str, Any], part: str) -> None:
    """What was built at the start stays as it was, and nobody shall think otherwise."""
    told = f"queues, agents and tokens are in force; changes in {part} need a restart"
    assert one.reload(**changes) == told
    assert one.reload(**changes) == told, "it still does"
    assert one.reload() == "the new configuration is in force", "as it was at the start"


def test_tokens_need_no_restart(one: Reloaded) -> None:
    """They come and go by a reload, though they stand under api."""
    tokens = [{"name": "x", "token": "0123456789abcdef0123456789abcdef", "role": "admin"}]
    assert one.reload(api={"tokens": tokens}) == "the new configuration is in force"
