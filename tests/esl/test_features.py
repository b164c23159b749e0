"""Feature codes: the phone's own agent may, another may with a PIN, nobody else may, and the domain must fit."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fsacd.core.events import (
    AgentCodedWrapUp,
    AgentEndedWrapUp,
    AgentEvent,
    AgentLoggedIn,
    AgentLoggedOut,
    AgentSetNotReady,
    AgentSetReady,
    Leg,
)
from fsacd.desk.rights import Places, Principal, may_ask
from fsacd.errors import Forbidden, Refused
from fsacd.esl import pins
from fsacd.esl.features import Desk, Member, Refusal
from fsacd.esl.pins import WrongPins
from fsacd.esl.translate import Feature

HOME, OTHER = "lab.example", "other.example"
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


class Office:
    """The desk with its engine and clock in the test's hands; whatever it asks for is looked at as the daemon does."""

    def __init__(self) -> None:
        self.asked: list[AgentEvent] = []
        self.now_ms = 0
        self.refuse = ""
        self.desk = Desk(self._ask, lambda: self.now_ms)
        self.employ(Member("1001", "user/1001", None), Member("1002", "user/1002", "4711"))

    def employ(self, *members: Member) -> None:
        self.desk.members = {member.agent_id: member for member in members}

    def _ask(self, event: AgentEvent, principal: Principal) -> None:
        places = Places({agent_id: member.contact for agent_id, member in self.desk.members.items()})
        refusal = may_ask(principal, event, places, lambda _: "", 0.0)
        if refusal is not None:
            raise Forbidden(refusal)
        if self.refuse:
            raise Refused(self.refuse)
        self.asked.append(event)

    def dial(
        self, what: str, *, user: str = "1001", agent: str = "", reason: str = "", pin: str = "", domain: str = ""
    ) -> bool:
        """Dial it; without a domain, as a dialplan that does not say it."""
        home = HOME if domain else ""
        self.refusal = self.desk.serve(Feature(what, Leg("fs1", "x"), user, agent, reason, pin, domain, home, "11"))
        return self.refusal is None


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
        ("wrap_up_code", AgentCodedWrapUp("1001", "phone:1001", ("11",))),
    ],
)
def test_each_code_is_one_fact(office: Office, what: str, fact: AgentEvent) -> None:
    """The phone's authenticated user acts for themselves without a PIN."""
    assert office.dial(what, reason="3") is True
    assert office.asked == [fact]


def test_a_phone_that_did_not_authenticate_is_refused(office: Office) -> None:
    """The From header is anybody's claim; only the authenticated user counts."""
    assert office.dial("login", user="", agent="1001") is False
    assert office.asked == []


def test_acting_for_another_needs_their_pin_and_rings_this_phone(office: Office) -> None:
    """Agent 1002 sits down at the phone of 1001: 1002 is rung there."""
    assert office.dial("login", agent="1002", pin="4711") is True
    assert office.asked == [AgentLoggedIn("1002", "phone:1001", contact="user/1001")]


@pytest.mark.parametrize(("agent", "pin"), [("1002", "4712"), ("1002", ""), ("9999", "4711")])
def test_a_wrong_pin_or_an_unknown_agent_is_refused(office: Office, agent: str, pin: str) -> None:
    """Nothing happens but a line in the log."""
    assert office.dial("logout", agent=agent, pin=pin) is False
    assert office.asked == []


def test_nobody_acts_for_an_agent_without_a_pin(office: Office) -> None:
    """Nobody else acts for an agent without a PIN."""
    assert office.dial("logout", user="1002", agent="1001", pin="") is False


def test_guessing_pins_is_stopped_for_five_minutes(office: Office) -> None:
    """After five wrong PINs even the right one is refused from that phone, until five minutes after the last."""
    for minute in range(5):
        office.now_ms = minute * MINUTE_MS
        assert office.dial("logout", agent="1002", pin="0000") is False
    office.now_ms = 9 * MINUTE_MS - 1
    assert office.dial("logout", agent="1002", pin="4711") is False
    office.now_ms = 9 * MINUTE_MS
    assert office.dial("logout", agent="1002", pin="4711") is True


def test_each_further_lock_lasts_twice_as_long_up_to_a_day() -> None:
    """Whoever goes on when a lock is over waits twice as long for the next five PINs."""
    wrong, now_ms, locks = WrongPins(limit=5), 0, []
    for _ in range(12):
        for _ in range(5):
            locked_ms = wrong.one_more("1001", now_ms)
        locks.append(locked_ms // MINUTE_MS)
        now_ms += locked_ms
        assert wrong.locked_ms("1001", now_ms - 1) == 1
        assert wrong.locked_ms("1001", now_ms) == 0
    assert locks == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440, 1440]


def test_whoever_guesses_slowly_is_stopped_too() -> None:
    """Four wrong PINs every five minutes were never too many, and would have tried all through in nine days."""
    wrong = WrongPins(limit=5)
    for number in range(4):
        assert wrong.one_more("1001", number * 6 * HOUR_MS - number) == 0
    assert wrong.one_more("1001", DAY_MS) > 0


def test_a_quiet_day_makes_up_for_everything() -> None:
    """What was typed wrong the day before yesterday counts no more, nor do the locks."""
    wrong = WrongPins(limit=1)
    first_ms = wrong.one_more("1001", 0)
    assert wrong.one_more("1001", first_ms + DAY_MS) == first_ms


def test_a_right_pin_does_not_buy_more_guesses(office: Office) -> None:
    """Whoever knows one agent's PIN cannot guess another's without end."""
    office.employ(*office.desk.members.values(), Member("1003", "user/1003", "0815"))
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
    """Nobody can lock an agent out of their own phone by guessing."""
    for number in range(100):
        office.dial("logout", user=str(number), agent="1002", pin="0000")
    assert office.dial("ready", user="1002") is True


def test_what_is_remembered_of_guesses_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses from very many phones do not fill the memory; those who are locked are forgotten last."""
    monkeypatch.setattr(pins, "_REMEMBERED", 2)
    wrong = WrongPins(limit=2)
    for phone in ("a", "b", "a", "c", "d"):
        wrong.one_more(phone, 0)
    assert len(wrong._tried) == 2
    assert list(wrong.locked(0)) == ["a"]
    assert wrong.one_more("b", 0) == 0


def test_a_supervisor_is_told_that_somebody_tries_pins(office: Office) -> None:
    """A line in the log, a figure, and a trouble for as long as it is locked; the words name nobody."""
    with capture_logs() as logs:
        for _ in range(5):
            office.dial("logout", agent="1002", pin="0000")
    told = next(line for line in logs if line["event"] == "somebody tries PINs")
    assert (told["log_level"], told["agent"], told["phone"], told["locked_s"]) == ("error", "1002", "1001", 300)
    [trouble] = [trouble for trouble in office.desk.troubles() if "PIN" in trouble.words]
    assert (trouble.words, trouble.detail) == (
        "Somebody guesses agents' PINs; for a while fsacd takes none of these agents'.",
        "for agent 1002",
    )
    assert (office.desk.locked(), office.desk.locks) == (["1002"], 1)
    office.now_ms = 5 * MINUTE_MS
    assert [trouble for trouble in office.desk.troubles() if "PIN" in trouble.words] == []
    assert (office.desk.locked(), office.desk.locks) == ([], 1)


def test_a_refusal_of_the_engine_is_heard(office: Office) -> None:
    """The agent hears the tone for no."""
    office.refuse = "agent 1001 is not in wrap-up"
    assert office.dial("end_wrap_up") is False


@pytest.mark.parametrize(
    ("dialled", "refusal"),
    [
        ({"user": "", "agent": "1001"}, Refusal.AGENT),
        ({"user": "4711"}, Refusal.AGENT),
        ({"user": "1002", "agent": "1001", "pin": "1"}, Refusal.AGENT),
        ({"agent": "1002", "pin": "0000"}, Refusal.PIN),
        ({}, Refusal.NOW),
        ({"agent": "1002", "pin": "4711"}, Refusal.NOW),
    ],
)
def test_the_phone_is_told_why(office: Office, dialled: dict[str, str], refusal: Refusal) -> None:
    """By a tone of its own: whose code it is, the PIN, or what the agent does now."""
    office.refuse = "agent 1001 is not in wrap-up"
    assert not office.dial("end_wrap_up", **dialled)
    assert office.refusal is refusal


def test_an_unknown_code_is_refused(office: Office) -> None:
    """A dialplan newer than the daemon does no harm."""
    assert office.dial("dance") is False


# --- every code and every kind of phone -----------------------------------------------------------------------------

CODES = ("login", "logout", "ready", "not_ready", "end_wrap_up", "wrap_up_code")
# Who dials for agent 1002, whose PIN is 4711 and who is in the switch's own domain; and whether it is done.
PHONES = {
    "own": ({"user": "1002", "domain": HOME}, True),
    "own, the domain in other letters": ({"user": "1002", "domain": HOME.upper()}, True),
    "own, by the id": ({"user": "1002", "agent": "1002", "domain": HOME}, True),
    "foreign, with the PIN": ({"user": "1001", "agent": "1002", "pin": "4711", "domain": HOME}, True),
    "foreign, nobody's phone, with the PIN": ({"user": "7", "agent": "1002", "pin": "4711", "domain": HOME}, True),
    "foreign, without a PIN": ({"user": "1001", "agent": "1002", "domain": HOME}, False),
    "foreign, with a wrong PIN": ({"user": "1001", "agent": "1002", "pin": "4712", "domain": HOME}, False),
    "the same user of another domain": ({"user": "1002", "domain": OTHER}, False),
    "the same user of another domain, by the id": ({"user": "1002", "agent": "1002", "domain": OTHER}, False),
    "another domain, with the PIN": ({"user": "1001", "agent": "1002", "pin": "4711", "domain": OTHER}, False),
    "a user who is called like another domain's": ({"user": f"1002@{HOME}", "domain": OTHER}, False),
    "unauthenticated": ({"user": "", "agent": "1002", "domain": HOME}, False),
    "unauthenticated, with the PIN": ({"user": "", "agent": "1002", "pin": "4711", "domain": HOME}, False),
}


def test_every_code_of_the_dialplan_is_in_the_table() -> None:
    """The codes are read from what is installed: a new one needs a look at who may dial it."""
    dialplan = Path(__file__).parents[2] / "freeswitch" / "dialplan" / "fsacd.xml"
    assert set(re.findall(r"fsacd_feature=(\w+)", dialplan.read_text(encoding="utf-8"))) == set(CODES)


@pytest.mark.parametrize(("code", "phone"), [*itertools.product(CODES, PHONES)])
def test_a_code_is_served_for_those_who_may(office: Office, code: str, phone: str) -> None:
    """Own phone yes, foreign phone with the PIN alone, another domain never, and without a password never."""
    words, allowed = PHONES[phone]
    assert office.dial(code, **words) is allowed
    assert len(office.asked) == allowed
    if allowed:
        domain = words["domain"]
        assert {(fact.agent_id, fact.by) for fact in office.asked} == {("1002", f"phone:{words['user']}@{domain}")}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    ("member", "domain", "allowed"),
    [
        # The id says it, then agent_domain (as Member.domain), then the contact, else the switch's own.
        (Member(f"1001@{OTHER}", "user/1001", None, OTHER), OTHER, True),
        (Member(f"1001@{OTHER}", "user/1001", None, OTHER), HOME, False),
        (Member("1001", "user/1001", None, OTHER), OTHER, True),
        (Member("1001", "user/1001", None, OTHER), HOME, False),
        (Member("1001", f"user/1001@{OTHER}", None, "", OTHER), OTHER, True),
        (Member("1001", f"user/1001@{OTHER}", None, "", OTHER), HOME, False),
        (Member("1001", "user/1001", None), HOME, True),
        (Member("1001", "user/1001", None), OTHER, False),
    ],
)
def test_an_agent_is_of_one_domain(office: Office, code: str, member: Member, domain: str, allowed: bool) -> None:
    """The authenticated domain must be the agent's."""
    office.employ(member)
    assert office.dial(code, domain=domain) is allowed


def test_two_domains_have_agents_of_the_same_number(office: Office) -> None:
    """Each phone serves its own agent, and a short number is that of the phone's own domain."""
    office.employ(
        Member("1001", "user/1001", None),
        Member("1002", "user/1002", "4711"),
        Member(f"1001@{OTHER}", f"user/1001@{OTHER}", None, OTHER),
        Member(f"1002@{OTHER}", f"user/1002@{OTHER}", "0815", OTHER),
    )
    assert office.dial("ready", domain=HOME) is True
    assert office.dial("ready", domain=OTHER) is True
    assert office.dial("ready", agent="1002", pin="4711", domain=HOME) is True
    assert office.dial("ready", agent="1002", pin="0815", domain=OTHER) is True
    assert office.dial("ready", agent=f"1002@{OTHER}", pin="0815", domain=OTHER) is True
    assert office.dial("ready", agent=f"1002@{OTHER}", pin="0815", domain=HOME) is False
    assert [fact.agent_id for fact in office.asked] == [
        "1001", f"1001@{OTHER}", "1002", f"1002@{OTHER}", f"1002@{OTHER}",
    ]  # fmt: skip


def test_at_the_phone_of_another_domain_nobody_is_rung(office: Office) -> None:
    """Who logs in there by PIN would be rung at the same number of our own domain."""
    office.employ(Member("1001", "user/1001", None), Member(f"1002@{OTHER}", "user/1002", "4711", OTHER))
    assert office.dial("login", agent="1002", pin="4711", domain=OTHER) is True
    assert office.asked == [AgentLoggedIn(f"1002@{OTHER}", f"phone:1001@{OTHER}", contact=None)]


def test_an_old_dialplan_is_served_as_before_and_told(office: Office) -> None:
    """It says no domain: while no agent needs one, codes are served, and readiness says what to install."""
    assert office.dial("ready") is True
    [trouble] = office.desk.troubles()
    assert trouble.words.startswith("The dialplan of a switch is older than this daemon")
    assert trouble.detail == (
        "feature codes are served, whatever the domain is; install dialplan/fsacd.xml of this version on fs1"
    )
    assert office.dial("ready", domain=HOME) is True
    assert list(office.desk.troubles()) == []


@pytest.mark.parametrize("user", ["1001", "1002"])
def test_with_domains_an_old_dialplan_is_not_served(office: Office, user: str) -> None:
    """Where one agent has a domain, nobody whose domain is not known may act."""
    office.employ(Member("1001", "user/1001", None), Member("1002", "user/1002", None, OTHER))
    assert office.dial("ready", user=user) is False
    [trouble] = office.desk.troubles()
    assert trouble.detail.startswith("feature codes are refused")
