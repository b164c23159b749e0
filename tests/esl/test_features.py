"""Feature codes: the phone's own agent may, another may with a PIN, nobody else may."""

from __future__ import annotations

import pytest

from fsacd.core.events import (
    AgentEndedWrapUp,
    AgentEvent,
    AgentLoggedIn,
    AgentLoggedOut,
    AgentSetNotReady,
    AgentSetReady,
    Leg,
)
from fsacd.errors import Refused
from fsacd.esl import features
from fsacd.esl.features import Desk, Member
from fsacd.esl.translate import Feature


class Office:
    """The desk with its engine and clock in the test's hands."""

    def __init__(self) -> None:
        self.asked: list[AgentEvent] = []
        self.now_ms = 0
        self.refuse = ""
        self.desk = Desk(self._ask, lambda: self.now_ms)
        self.desk.members = {
            "1001": Member("1001", "user/1001", None),
            "1002": Member("1002", "user/1002", "4711"),
        }

    def _ask(self, event: AgentEvent) -> None:
        if self.refuse:
            raise Refused(self.refuse)
        self.asked.append(event)

    def dial(self, what: str, *, user: str = "1001", agent: str = "", reason: str = "", pin: str = "") -> bool:
        return self.desk.serve(Feature(what, Leg("fs1", "x"), user, agent, reason, pin))


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.mark.parametrize(
    ("what", "fact"),
    [
        ("login", AgentLoggedIn("1001", "phone:1001", contact="user/1001")),
        ("logout", AgentLoggedOut("1001", "phone:1001")),
        ("ready", AgentSetReady("1001", "phone:1001")),
        ("not_ready", AgentSetNotReady("1001", "phone:1001", "3")),
        ("end_wrap_up", AgentEndedWrapUp("1001", "phone:1001")),
    ],
)
def test_each_code_is_one_fact(office: Office, what: str, fact: AgentEvent) -> None:
    """The phone's authenticated user acts for himself without a PIN."""
    assert office.dial(what, reason="3") is True
    assert office.asked == [fact]


def test_a_phone_that_did_not_authenticate_is_refused(office: Office) -> None:
    """The From header is anybody's claim; only the authenticated user counts."""
    assert office.dial("login", user="", agent="1001") is False
    assert office.asked == []


def test_acting_for_another_needs_his_pin_and_rings_this_phone(office: Office) -> None:
    """Agent 1002 sits down at the phone of 1001: he is rung there."""
    assert office.dial("login", agent="1002", pin="4711") is True
    assert office.asked == [AgentLoggedIn("1002", "phone:1001", contact="user/1001")]


@pytest.mark.parametrize(("agent", "pin"), [("1002", "4712"), ("1002", ""), ("9999", "4711")])
def test_a_wrong_pin_or_an_unknown_agent_is_refused(office: Office, agent: str, pin: str) -> None:
    """Nothing happens but a line in the log."""
    assert office.dial("logout", agent=agent, pin=pin) is False
    assert office.asked == []


def test_nobody_acts_for_an_agent_without_a_pin(office: Office) -> None:
    """An agent without a PIN is his own master."""
    assert office.dial("logout", user="1002", agent="1001", pin="") is False


def test_guessing_pins_is_stopped_for_five_minutes(office: Office) -> None:
    """After five wrong PINs even the right one is refused from that phone, until five minutes after the last."""
    for minute in range(5):
        office.now_ms = minute * 60_000
        assert office.dial("logout", agent="1002", pin="0000") is False
    office.now_ms = 240_000 + 299_999
    assert office.dial("logout", agent="1002", pin="4711") is False
    office.now_ms = 240_000 + 300_000
    assert office.dial("logout", agent="1002", pin="4711") is True


def test_a_right_pin_does_not_buy_more_guesses(office: Office) -> None:
    """Whoever knows one agent's PIN cannot guess another's without end."""
    office.desk.members["1003"] = Member("1003", "user/1003", "0815")
    for _ in range(5):
        assert office.dial("logout", agent="1003", pin="0815") is True
        assert office.dial("logout", agent="1002", pin="0000") is False
    assert office.dial("logout", agent="1002", pin="4711") is False


def test_a_guessing_phone_locks_nobody_else_out(office: Office) -> None:
    """One phone's wrong PINs do not keep another from acting for the agent; those of four phones do."""
    for phone in ("1001", "2001", "2002", "2003"):
        assert office.dial("logout", user="3001", agent="1002", pin="4711") is True
        for _ in range(6):
            office.dial("logout", user=phone, agent="1002", pin="0000")
    assert office.dial("logout", user="3001", agent="1002", pin="4711") is False


def test_the_agent_himself_is_never_locked_out(office: Office) -> None:
    """Nobody can take an agent's own phone away from him by guessing."""
    for number in range(100):
        office.dial("logout", user=str(number), agent="1002", pin="0000")
    assert office.dial("ready", user="1002") is True


def test_what_is_remembered_of_guesses_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses from very many phones do not fill the memory; the oldest are forgotten first."""
    monkeypatch.setattr(features, "_REMEMBERED", 2)
    wrong = features._WrongPins(limit=1)
    for phone in ("a", "b", "a", "c"):
        wrong.one_more(phone, 0)
    assert [wrong.too_many(phone, 0) for phone in ("a", "b", "c")] == [True, False, True]


def test_a_refusal_of_the_engine_is_heard(office: Office) -> None:
    """The agent hears the tone for no."""
    office.refuse = "agent 1001 is not in wrap-up"
    assert office.dial("end_wrap_up") is False


def test_an_unknown_code_is_refused(office: Office) -> None:
    """A dialplan newer than the daemon does no harm."""
    assert office.dial("dance") is False
