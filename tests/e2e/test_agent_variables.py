"""Variables of the caller's leg on the agent's, on real phones: the INVITE has the headers, and nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch, await_true

NUMBER = "4930111"
# Headers of the caller's INVITE, and what is left of each on the agent's phone.
HOSTILE = {
    "X-Plain": ("T-17/a b", "T-17/a b"),
    "X-Words": ("Zoë Müller, O'Brien", "Zoë Müller O\u2019Brien"),
    "X-Comma": ("a,execute_on_answer=hangup,park_timeout=0", "a execute_on_answer=hangup park_timeout=0"),
    "X-Brace": ("a}user/1002,sofia/trunk/x", "a user/1002 sofia/trunk/x"),
    "X-Quote": ("'''{x}[y]<z>", "\u2019\u2019\u2019 x y z"),
    "X-Expand": ("${system(touch /tmp/never)}%{x}", None),  # FreeSWITCH itself keeps no variable with an expansion
    "X-Fatal": ("unload mod_event_socket", None),
    "X-Enterprise": ("x:_:user/1002", None),
    "X-Address": ("https://crm.example/x?id=7&y=1;z", "https://crm.example/x?id=7&y=1;z"),
}


@pytest.fixture
def phones(switch: RealSwitch) -> Iterator[Telephones]:
    telephones = Telephones(switch.trunk_port)
    telephones.heard = []
    yield telephones
    telephones.stop()


@pytest.fixture
def daemon(workplace: Path, switch: RealSwitch, phones: Telephones) -> Iterator[Daemon]:
    config = {
        "agent_contact": f"sofia/trunk/{{agent}}@127.0.0.1:{phones.port}",
        "defaults": {"wrap_up": "0s", "ring_timeout": "2m"},
        "queues": {"support": {"agent_variables": ["sip_h_X-*"]}, "sales": {}, "vip": {"agent_variables": []}},
        "agents": {"1001": {"queues": ["support", "sales", "vip"], "login_at_start": True}},
        "journal": {"directory": str(workplace / "journal")},
    }
    one = Daemon(workplace, config, switch.esl_port)
    one.start()
    yield one
    one.stop()


def invited(phones: Telephones, before: int = 0) -> str:
    """The INVITE of the ring after so many."""
    await_true(lambda: len(phones.rung) > before, 30, "the phone rings")
    invite = phones.rung[before].invite
    assert invite is not None
    return invite.raw


def header(invite: str, name: str) -> str | None:
    found = re.search(rf"^{name}: *(.*?)\r?$", invite, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else None


def answered(daemon: Daemon, phones: Telephones, ring: Dialog) -> None:
    """The agent answers, and they talk: nothing that the caller has sent kept the legs from it."""
    phones.answer(ring)
    await_true(lambda: daemon.agents()["1001"]["state"] == "talking", 30, "they talk")


def test_headers_of_the_caller_reach_the_phone_and_are_only_headers(
    daemon: Daemon, phones: Telephones, switch: RealSwitch
) -> None:
    """By their beginning; each value arrives as far as it is harmless, ours stay ours, and the call is served."""
    more = [f"{name}: {value}" for name, (value, _) in HOSTILE.items()]
    phones.call(NUMBER, "queue-support", more=(*more, "X-Fsacd-Offer: forged", "Subject: not asked for"))
    invite = invited(phones)
    assert {name: header(invite, name) for name in HOSTILE} == {name: left for name, (_, left) in HOSTILE.items()}
    assert header(invite, "X-Fsacd-Offer") != "forged"
    assert header(invite, "Subject") is None
    answered(daemon, phones, phones.rung[0])
    esl = switch.esl()
    # The list of legs lags behind.
    await_true(lambda: esl.api("show channels count") == "2 total.", 10, "caller and agent are there")
    esl.close()


def test_what_the_dialplan_exports_goes_along_by_itself(daemon: Daemon, phones: Telephones, switch: RealSwitch) -> None:
    """For both legs or for the agent's alone, as header and as channel variable; not what FreeSWITCH would run.

    The daemon is killed while they wait: the next one knows it all the same.
    """
    daemon.post("agents/1001/not-ready")
    phones.call(NUMBER, "export-sales")
    await_true(lambda: len(daemon.get("calls")["calls"]) == 1, 30, "they wait")
    daemon.kill()
    daemon.start()
    daemon.post("agents/1001/ready")
    invite = invited(phones)
    assert header(invite, "X-Case") == "exported 7"
    esl = switch.esl()
    agents_leg = header(invite, "X-Fsacd-Offer")
    names = ("shop", "untold", "execute_on_answer")
    assert [esl.api(f"uuid_getvar {agents_leg} {name}") for name in names] == ["Mitte", "_undef_", "_undef_"]
    esl.close()
    answered(daemon, phones, phones.rung[0])


def test_a_queue_with_an_empty_list_lets_nothing_along(daemon: Daemon, phones: Telephones) -> None:
    """Neither headers nor exports."""
    phones.call(NUMBER, "export-vip", more=("X-Plain: 1",))
    invite = invited(phones)
    assert (header(invite, "X-Case"), header(invite, "X-Plain")) == (None, None)
