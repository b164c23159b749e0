"""Which variables of a caller's leg go along to the agent's: what a list may hold, and what goes of it."""

from __future__ import annotations

import pytest

from fsacd.core import events as e
from fsacd.core.commands import RingAgent
from fsacd.core.events import LegVariable
from fsacd.core.variables import Wanted, chosen, refusal
from fsacd.testing import PLUGINS, Driver, agent, queue, queued, rules_of
from tests.core.test_memory import twin


@pytest.mark.parametrize(
    "entry",
    ["export_vars", "ticket", "Ticket.no-1", "effective_caller_id_*", "sip_h_X-Ticket", "sip_h_X-*", "sip_h_*",
     "sip_h_Alert-Info", "SIP_H_x-ticket", "crm_*"],
)  # fmt: skip
def test_what_may_stand_in_a_list(entry: str) -> None:
    """The operator's own names, headers that mean nothing to SIP, and beginnings of them."""
    assert refusal(entry) is None


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("execute_on_answer", "FreeSWITCH acts"),
        ("EXECUTE_ON_ANSWER", "FreeSWITCH acts"),
        ("exec*", "FreeSWITCH acts"),
        ("api_hangup_hook", "FreeSWITCH acts"),
        ("api_on_answer*", "FreeSWITCH acts"),
        ("bridge_pre_execute_bleg_app", "FreeSWITCH acts"),
        ("session_in_hangup_hook", "FreeSWITCH acts"),
        ("hangup_after_bridge", "FreeSWITCH acts"),
        ("transfer_after_bridge", "FreeSWITCH acts"),
        ("origination_uuid", "FreeSWITCH acts"),
        ("origination_caller_id_name", "FreeSWITCH acts"),
        ("leg_timeout", "FreeSWITCH acts"),
        ("group_confirm_file", "FreeSWITCH acts"),
        ("sip_invite_domain", "FreeSWITCH acts"),
        ("sip_auth_password", "FreeSWITCH acts"),
        ("bypass_media", "FreeSWITCH acts"),
        ("record_session", "FreeSWITCH acts"),
        ("uuid_bridge_continue_on_cancel", "FreeSWITCH acts"),
        ("park_timeout", "FreeSWITCH acts"),
        ("fsacd_offer", "fsacd's own"),
        ("fsacd_*", "fsacd's own"),
        ("fsac*", "fsacd's own"),
        ("sip_h_X-Fsacd-Call", "X-Fsacd"),
        ("sip_h_Contact", "of the SIP headers"),
        ("*", "no name"),
        ("a*", "at least 4"),
        ("ticket,execute_on_answer=x", "no name"),
        ("ticket}", "no name"),
        ("tick*et", "no name"),
        ("", "no name"),
        ("a" * 65, "no name"),
    ],
)
def test_what_may_not(entry: str, why: str) -> None:
    """Names by which the switch acts, fsacd's own, and what is no name; each with its reason."""
    assert why in (refusal(entry) or "")


def test_a_star_or_an_export_lets_nothing_through_that_a_name_would_not() -> None:
    """What matches a beginning, or was exported, is looked at once more."""
    wanted = Wanted(["sip_h_*", "export_vars"])
    names = ("sip_h_X-A", "SIP_H_x-a", "sip_h_X-Fsacd-Call", "sip_h_Route", "ticket")
    assert [wanted.wants(name) for name in names] == [
        True, True, False, False, False,
    ]  # fmt: skip
    exported = ("ticket", "execute_on_answer", "fsacd_leg", "sip_h_X-Fsacd-Offer", "x}y")
    assert [wanted.wants(name, exported=True) for name in exported] == [True, False, False, False, False]
    assert not Wanted(["ticket"]).wants("other", exported=True)


def test_of_a_hidden_caller_nothing_tells_who_they_are() -> None:
    """Neither what the dialplan shows of them nor a value that holds their number or name."""
    told = [
        LegVariable("effective_caller_id_name", "somebody"),
        LegVariable("sip_h_X-Caller", "sip:+4930123456@trunk"),
        LegVariable("sip_h_X-National", "(030) 12 34-56"),
        LegVariable("sip_h_X-Who", "for ERIKA mustermann"),
        LegVariable("sip_h_X-Ticket", "T-17"),
    ]
    lists = ["effective_caller_id_*", "sip_h_X-*"]
    assert len(list(chosen(told, lists))) == 5
    hidden = chosen(told, lists, hidden_number="+4930123456", hidden_name="Erika Mustermann")
    assert [name for name, _ in hidden] == ["sip_h_X-Ticket"]
    assert len(list(chosen(told[4:], lists, hidden_number="1"))) == 1, "too short a number tells nothing"


def test_each_queue_has_its_own_list_and_a_restart_changes_nothing() -> None:
    """What was read of the leg goes along as the list of the queue says that the call is offered in."""
    rules = rules_of(
        queue("a", agent_variables=("ticket",)),
        queue("b", agent_variables=("export_vars",)),
        agent("1001", "a", "b"),
        agent("1002", "b"),
    )
    driver = Driver(rules)
    driver.tell(e.SwitchConnected("fs1"))
    variables = (LegVariable("ticket", "T 1"), LegVariable("crm", "C", exported=True))
    driver.tell(queued("anna", "a", variables=variables))
    driver.tell(queued("bert", "b", variables=variables))
    for engine in (twin(driver.engine, PLUGINS), driver.engine):
        rings = [
            command
            for agent_id in ("1002", "1001")
            for command in engine.handle(e.AgentLoggedIn(agent_id, "test"), 0).commands
            if isinstance(command, RingAgent)
        ]
        assert {ring.call_id: ring.variables for ring in rings} == {
            "anna": (("ticket", "T 1"),),
            "bert": (("crm", "C"),),
        }
