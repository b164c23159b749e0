"""Commands become wires: what the switch is told, and what another daemon reads of it on the leg."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from fsacd.config.installed import COMMANDS
from fsacd.core.commands import (
    ArmCall,
    AskConnected,
    CancelOffer,
    CancelReason,
    Command,
    ConfirmTalk,
    Connect,
    EndCall,
    LetGo,
    NoteCall,
    NoteContact,
    RingAgent,
    SendCall,
    TakeIn,
)
from fsacd.core.events import Leg
from fsacd.core.rules import ToExtension
from fsacd.core.visit import HowIn
from fsacd.esl.codec import Kind, Message
from fsacd.esl.orders import to_wires
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.translate import Reader
from tests.esl.legs_rig import CALL, LEG, OFFER

WIRES: Mapping[Command, bytes] = {
    CancelOffer(OFFER, "fs1", CancelReason.CALLER_GONE): f"api uuid_kill {OFFER} ORIGINATOR_CANCEL\n\n".encode(),
    CancelOffer(OFFER, "fs1", CancelReason.LOST_RACE): f"api uuid_kill {OFFER} LOSE_RACE\n\n".encode(),
    Connect(OFFER, CALL, Leg("fs1", LEG)): f"api uuid_bridge {LEG} {OFFER}\n\n".encode(),
    AskConnected(OFFER, "fs1"): f"api uuid_dump {OFFER} json\n\n".encode(),
    ArmCall(CALL, Leg("fs1", LEG)): (
        f"api uuid_setvar_multi {LEG} transfer_after_bridge=fsacd_back:XML:fsacd;hangup_after_bridge=true;"
        f"fsacd_over=false\n\n".encode()
    ),
    LetGo(CALL, Leg("fs1", LEG), talks=True): (
        f"api uuid_setvar_multi {LEG} transfer_after_bridge=;fsacd_over=true\n\n".encode()
    ),
    LetGo(CALL, Leg("fs1", LEG), talks=False): (
        f"api uuid_setvar_multi {LEG} transfer_after_bridge=;hangup_after_bridge=;uuid_bridge_continue_on_cancel=;"
        f"max_session_transfers=;disable_app_log=;force_transfer_context=;inline_destination=;fsacd_over=true\n\n".encode()
    ),
    TakeIn(CALL, Leg("fs1", LEG), "sales", 0): (
        f"api uuid_setvar_multi {LEG} fsacd_leg=caller;fsacd_call={CALL};fsacd_queued_at=0;bridge_uuid=;"
        "fsacd_queue=sales\n\n"
        f"api uuid_transfer {LEG} fsacd_wait XML fsacd\n\n".encode()
    ),
    TakeIn(CALL, Leg("fs1", LEG), "sales", 0, "K-7"): (
        f"api uuid_setvar_multi {LEG} fsacd_leg=caller;fsacd_call={CALL};fsacd_queued_at=0;bridge_uuid=;"
        "fsacd_contact_id=K-7;fsacd_queue=sales\n\n"
        f"api uuid_transfer {LEG} fsacd_wait XML fsacd\n\n".encode()
    ),
    NoteContact(CALL, Leg("fs1", LEG), "K-7"): f"api uuid_setvar_multi {LEG} fsacd_contact_id=K-7\n\n".encode(),
    # Its queue is on the leg by `NoteCall`.
    TakeIn(CALL, Leg("fs1", LEG), "Support; (EU)", 0): (
        f"api uuid_setvar_multi {LEG} fsacd_leg=caller;fsacd_call={CALL};fsacd_queued_at=0;bridge_uuid=\n\n"
        f"api uuid_transfer {LEG} fsacd_wait XML fsacd\n\n".encode()
    ),
    NoteCall(CALL, Leg("fs1", LEG), "Support (EU)", 5, 1_500, 60_000, (("billing", 3), ("german", 10))): (
        f"api uuid_setvar_multi {LEG} fsacd_changed={CALL}/5/1500/60000/billing:3+german:10/Support%20%28EU%29\n\n"
    ).encode(),
    ConfirmTalk(CALL, Leg("fs1", LEG), None): (
        f"api uuid_setvar_multi {LEG} transfer_after_bridge=;fsacd_over=true\n\n".encode()
    ),
    # The agent's connection may be lost: the switch itself brings this caller back, and the daemon sends them on.
    ConfirmTalk(CALL, Leg("fs1", LEG), ToExtension("survey", "default"), stays_armed=True): (
        f"api uuid_setvar_multi {LEG} transfer_after_bridge=fsacd_back:XML:fsacd;"
        f"hangup_after_bridge=true;fsacd_over=true\n\n".encode()
    ),
    ConfirmTalk(CALL, Leg("fs1", LEG), ToExtension("survey", "default")): (
        f"api uuid_setvar_multi {LEG} transfer_after_bridge=survey:XML:default;"
        f"hangup_after_bridge=;fsacd_over=true\n\n".encode()
    ),
    SendCall(CALL, Leg("fs1", LEG), ToExtension("9000", "public")): (
        # Disarmed first, or the dialplan there could make no bridge for it that does not end in our music.
        f"api uuid_setvar_multi {LEG} transfer_after_bridge=;hangup_after_bridge=;uuid_bridge_continue_on_cancel=;"
        f"max_session_transfers=;disable_app_log=;force_transfer_context=;inline_destination=;fsacd_over=true\n\n"
        f"api uuid_transfer {LEG} 9000 XML public\n\n".encode()
    ),
    SendCall(CALL, Leg("fs1", LEG), ToExtension("+49*1#", "")): (
        # The leg keeps its context for agents' numbers, and comes back if nobody there has this one.
        f"api uuid_setvar_multi {LEG} transfer_after_bridge=;hangup_after_bridge=;uuid_bridge_continue_on_cancel=;"
        f"max_session_transfers=;disable_app_log=;inline_destination=;fsacd_over=sent\n\n"
        f"api uuid_transfer {LEG} +49*1#\n\n".encode()
    ),
    EndCall(CALL, Leg("fs1", LEG), "USER_BUSY"): f"api uuid_kill {LEG} USER_BUSY\n\n".encode(),
}


@pytest.mark.parametrize("command", WIRES)
def test_commands_become_wires(command: Command) -> None:
    """Each command is one line of Event Socket."""
    assert b"".join(wire.data for wire in to_wires(command)) == WIRES[command]


@pytest.mark.parametrize("command", WIRES, ids=lambda command: type(command).__name__)
def test_the_link_user_may_give_each_command(command: Command) -> None:
    """The rights that come with fsacd name it; FreeSWITCH answers any other with "permission denied"."""
    given = {wire.text.split()[1] for wire in to_wires(command)}
    assert given <= set(COMMANDS)


def test_the_caller_is_the_first_leg_of_the_bridge() -> None:
    """Only the first leg's variables bring it back when the other one dies (swapped, the caller hangs in limbo)."""
    (wire,) = to_wires(Connect(OFFER, CALL, Leg("fs1", LEG)))
    assert wire.data.index(LEG.encode()) < wire.data.index(OFFER.encode())


def test_a_ring_can_outlive_neither_daemon_nor_caller() -> None:
    """The switch ends the ring and the parked leg by itself a little after we should have; the job is named by us."""
    (wire,) = to_wires(RingAgent(OFFER, CALL, "1001", "sales", "user/1001@x", "fs1", "+4930", "Ann", 20_000))
    assert wire.job == f"ring-{OFFER}"
    head, job, *_ = wire.data.decode().split("\n")
    assert job == f"Job-UUID: ring-{OFFER}"
    variables = dict(pair.split("=") for pair in head[head.index("{") + 1 : head.index("}")].split(","))
    assert variables == {
        "origination_uuid": OFFER,
        "fsacd_leg": "agent",
        "fsacd_offer": OFFER,
        "fsacd_call": CALL,
        "fsacd_agent": "1001",
        "ignore_early_media": "true",
        "hangup_after_bridge": "true",
        "park_timeout": "10",
        "force_transfer_context": "fsacd_agent_leg",
        "loopback_bowout": "false",
        "export_vars": "fsacd_agent",
        "outbound_redirect_fatal": "true",
        "originate_timeout": "23",
        "sip_h_X-Fsacd-Call": CALL,
        "sip_h_X-Fsacd-Offer": OFFER,
        "sip_h_X-Fsacd-Queue": "sales",
    }


@pytest.mark.parametrize(
    ("contact", "may_lead_through_a_dialplan"),
    [
        ("sofia/lan/1001@192.0.2.10", False),
        ("sofia/gateway/carrier/4930", False),
        ("loopback/1001/agents", True),
        ("user/1001@x", True),
        ("sofia/lan/1001@192.0.2.10,user/1001@x", True),
    ],
)
def test_an_order_says_no_more_than_its_phone_needs(contact: str, *, may_lead_through_a_dialplan: bool) -> None:
    """FreeSWITCH reads an order byte by byte, and the caller waits meanwhile."""
    (wire,) = to_wires(RingAgent(OFFER, CALL, "1001", "sales", contact, "fs1", "", "", 20_000))
    assert (b"loopback_bowout=false,export_vars=fsacd_agent" in wire.data) is may_lead_through_a_dialplan


def test_the_agents_leg_and_phone_are_told_the_contact() -> None:
    """As a variable of the leg, and as a header of the INVITE."""
    (wire,) = to_wires(RingAgent(OFFER, CALL, "1001", "sales", "user/1001@x", "fs1", "", "", 20_000, contact_id="K-7"))
    assert b",fsacd_contact_id=K-7," in wire.data
    assert b",sip_h_X-Fsacd-Contact-Id=K-7," in wire.data


def test_a_hidden_caller_is_private_to_the_phone() -> None:
    """The leg is marked as the switch's own bridge marks it, and the phone is not told later with whom it talks."""
    (wire,) = to_wires(RingAgent(OFFER, CALL, "1001", "sales", "user/1001@x", "fs1", "", "", 20_000, hidden=True))
    assert b"origination_privacy=hide_name:hide_number" in wire.data
    assert b"ignore_display_updates=true" in wire.data
    assert b"'anonymous' anonymous 23" in wire.data


NOTED = NoteCall(CALL, Leg("fs1", LEG), "Support (EU)", 5, 1_500, 60_000, (("billing", 3), ("german", 10)))


@pytest.mark.parametrize("noted", [NOTED, replace(NOTED, queue="sales", priority=-3, head_start_ms=0, required=())])
def test_what_was_changed_of_a_call_is_read_from_its_leg(noted: NoteCall) -> None:
    """Another daemon finds the call in its queue and place, as an operator or an overflow has left it."""
    (wire,) = to_wires(noted)
    leg = {"Unique-ID": LEG, "variable_fsacd_call": CALL, "variable_fsacd_queue": "first"}
    changed = Message(Kind.EVENT, leg | {"variable_fsacd_changed": wire.text.partition("fsacd_changed=")[2].strip()})
    fact = Reader("fs1", lambda _: None).waiting(changed, SwitchClock(100_000, 500_000), 500_000)
    assert fact is not None
    assert (fact.queue, fact.priority, fact.head_start_ms) == (noted.queue, noted.priority, noted.head_start_ms)
    assert (fact.joined_after_ms, fact.required, fact.changed) == (60_000, noted.required, True)


@pytest.mark.parametrize(
    ("noted", "read"),
    [
        (f"{CALL}/3/requeued", (3, HowIn.REQUEUED)),
        (f"{CALL}/2/by_magic", (2, HowIn.MOVED)),  # a way in that a later fsacd knows
        (f"{LEG}/3/requeued", (0, None)),  # of another call
        (f"{CALL}/0/requeued", (0, None)),
        ("nonsense", (0, None)),
        ("", (0, None)),
    ],
)
def test_which_visit_it_is_is_read_from_its_leg(noted: str, read: tuple[int, HowIn | None]) -> None:
    """A note that does not fit says nothing."""
    leg = {"Unique-ID": LEG, "variable_fsacd_call": CALL, "variable_fsacd_queue": "first"}
    message = Message(Kind.EVENT, leg | {"variable_fsacd_visit": noted})
    fact = Reader("fs1", lambda _: None).waiting(message, SwitchClock(100_000, 500_000), 500_000)
    assert fact is not None
    assert (fact.visit, fact.how_in) == read


def test_which_visit_it_is_is_noted_behind_the_first() -> None:
    """In the same command, and only from the second on."""
    (wire,) = to_wires(replace(NOTED, visit=2, how_in=HowIn.OVERFLOW))
    assert f"fsacd_visit={CALL}/2/overflow;fsacd_changed={CALL}/5/" in wire.text
    (wire,) = to_wires(NOTED)
    assert "fsacd_visit" not in wire.text


@pytest.mark.parametrize("changed", ["", "nonsense", f"{LEG}/5/0/0//sales", f"{CALL}/5/0/0//", f"{CALL}/x/0/0//sales"])
def test_what_does_not_fit_the_call_is_none_of_it(changed: str) -> None:
    """The leg's next call has another id: it is not what the last one was changed to."""
    leg = {"Unique-ID": LEG, "variable_fsacd_call": CALL, "variable_fsacd_queue": "first"}
    message = Message(Kind.EVENT, leg | {"variable_fsacd_changed": changed})
    fact = Reader("fs1", lambda _: None).waiting(message, SwitchClock(100_000, 500_000), 500_000)
    assert fact is not None
    assert (fact.queue, fact.priority, fact.changed) == ("first", None, False)


@pytest.mark.parametrize(
    ("uptime_ms", "queued_at"), [(90_000, 80_000), (1 << 32, (1 << 32) - 10_000), ((1 << 32) + 20_000, 10_000)]
)
def test_who_is_taken_in_keeps_the_time_of_arrival(uptime_ms: int, queued_at: int) -> None:
    """As the switch's uptime of then, which it prints modulo 2^32: a daemon that takes over reads it so."""
    variables, _ = to_wires(TakeIn(CALL, Leg("fs1", LEG), "sales", 10_000), uptime_ms)
    assert f";fsacd_queued_at={queued_at};" in variables.data.decode()
