"""Log-ins over restarts, and from an fsacd that told of none. What they are, story 210 and each random walk tell."""

from __future__ import annotations

from typing import Any

from fsacd.core import events as e
from fsacd.core.engine import Engine
from fsacd.core.log_in import HowBegun, HowEnded, LogIn
from fsacd.testing import PLUGINS, Driver, agent, queue, rules_of

RULES = rules_of(queue("support"), agent("1001", "support"), agent("1002", "support"))


def at_work() -> Driver:
    """1001 is logged in, and has had a break since."""
    driver = Driver(RULES)
    driver.tell(e.AgentLoggedIn("1001", "phone:1001"))
    driver.wait(5_000)
    driver.tell(e.AgentSetNotReady("1001", "phone:1001", "lunch"))
    return driver


def ended(dump: dict[str, Any], now_ms: int) -> LogIn:
    """What an engine made of this dump tells when 1001 logs out."""
    again = Engine.restore(dump, PLUGINS)
    again.check()
    step = again.handle(e.AgentLoggedOut("1001", "cli:root"), now_ms)
    (told,) = [record for record in step.records if isinstance(record, LogIn)]
    assert (told.how_ended, told.ended_by, told.ended_ms) == (HowEnded.LOGGED_OUT, "cli:root", now_ms)
    return told


def test_a_restart_is_no_log_in() -> None:
    """Its end tells the same log-in, of whoever began it."""
    driver = at_work()
    (begun,) = driver.records_of(LogIn)
    told = ended(driver.engine.dump(), 9_000)
    assert (told.log_in_id, told.started_ms, told.by) == (begun.log_in_id, begun.started_ms, "phone:1001")


def test_an_older_fsacd_has_told_of_no_log_ins() -> None:
    """Who was logged in then has one from what is known on, with one id at every restart."""
    dump = at_work().engine.dump()
    for one in dump["agents"]:
        del one["log_in"]
    told = ended(dump, 9_000)
    assert (told.how_begun, told.started_ms, told.by) == (HowBegun.FOUND, 5_000, "")
    assert ended(dump, 9_000) == told


def test_another_engine_has_other_names() -> None:
    """It begins anew, perhaps at the same moment of its clock."""
    names = set()
    for seed in (1, 2):
        step = Engine(RULES, PLUGINS, 0, seed=seed).handle(e.AgentLoggedIn("1001", "test"), 0)
        names |= {record.log_in_id for record in step.records if isinstance(record, LogIn)}
    assert len(names) == 2


def test_who_is_put_in_again_has_another_name() -> None:
    """Taken out of the configuration and put in again within a millisecond, they have had no log-in before."""
    driver = Driver(RULES)
    for rules in (rules_of(queue("support"), agent("1002", "support")), RULES):
        driver.tell(e.AgentLoggedIn("1001", "test"))
        driver.tell(e.RulesChanged(rules))
    driver.tell(e.AgentLoggedIn("1001", "test"))
    first, *_, last = driver.records_of(LogIn)
    assert (first.started_ms, last.started_ms) == (0, 0)
    assert first.log_in_id != last.log_in_id
