"""The order to ring: one line for all phones of an agent, each on a leg with a name of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from fsacd.core.commands import RingAgent, RingNumber
from fsacd.core.contact import registered_users
from fsacd.core.offer import legs_of, offer_id
from fsacd.core.rules import PhoneRules
from fsacd.esl import encoder
from fsacd.esl.ringer import Ringer
from fsacd.esl.ringing import registrations, ring
from fsacd.esl.wire import Outcome, Reply, Wire

OFFER = offer_id(1, "call", 1)
CALL = "11111111-2222-4333-8444-555555555555"
RING = RingAgent(OFFER, CALL, "1001", "sales", "user/1001@x.org", "fs1", "+4930", "Ann", 20_000)
HERE, THERE = "sofia/agents/sip:1001@10.0.0.5:5060;ob", "sofia/agents/sip:1001@[2001:db8::7]:5060"


def dialled(command: RingAgent, **registered: tuple[str, ...]) -> str:
    """What stands between the variables of all and the application."""
    wire, _ = ring(command, {user.replace("_at_", "@"): where for user, where in registered.items()})
    return wire.data.decode().partition("}")[2].partition(" &park()")[0]


def test_a_user_with_one_device_is_rung_as_the_directory_says() -> None:
    """Its dial string may say more of the phone than where it is."""
    assert registered_users(RING.contact) == ("1001@x.org",)
    wire, legs = ring(RING, {"1001@x.org": (HERE,)})
    assert (
        legs == 1 and f"{{origination_uuid={OFFER},".encode() in wire.data and b"}user/1001@x.org &park()" in wire.data
    )


def test_each_device_of_a_user_has_a_leg_of_its_own() -> None:
    """Named after the offer, and it says of which user it is."""
    wire, legs = ring(RING, {"1001@x.org": (HERE, THERE)})
    first, second = legs_of(OFFER, 2)
    known = "dialed_user=1001,dialed_domain=x.org,presence_id=1001@x.org"
    text = wire.data.decode()
    assert legs == 2 and "fsacd_legs=2" in text
    # Twenty seconds, and three more if nobody ends the ring: by each leg's own time, for the switch has no other here.
    one, other = (f"[origination_uuid={leg},leg_timeout=22,{known}]" for leg in (first, second))
    assert f"}}{one}{HERE},{other}{THERE} &park()" in text
    assert text.count("origination_uuid") == 2


def test_phones_of_a_contact_and_devices_of_its_users_ring_together() -> None:
    """In their order, with their options; a contact without users needs no question."""
    plain = replace(RING, contact="[leg_timeout=9]sofia/a/1,sofia/b/2|sofia/c/3")
    assert registered_users(plain.contact) == ()
    legs = legs_of(OFFER, 4)
    names = [f"[origination_uuid={leg}" for leg in legs]
    own, usual = "leg_timeout=9", "leg_timeout=22"
    assert dialled(plain) == f"{names[0]},{own}]sofia/a/1,{names[1]},{usual}]sofia/b/2|{names[2]},{usual}]sofia/c/3"
    for_all = replace(plain, contact="{leg_timeout=8}sofia/a/1,sofia/b/2")
    assert dialled(for_all) == f"{names[0]}]sofia/a/1,{names[1]}]sofia/b/2"
    mixed = replace(RING, contact="user/7,sofia/b/2|user/8")
    assert registered_users(mixed.contact) == ("7", "8")
    one, other, third, last = (f"{name},{usual}" for name in names)
    where = f"{one},dialed_user=7]{HERE},{other},dialed_user=7]{THERE},{third}]sofia/b/2|{last}]user/8"
    assert dialled(mixed, **{"7": (HERE, THERE)}) == where


def test_our_own_causes_end_all_legs_and_a_refusal_where_that_is_wanted() -> None:
    """Else the end of one leg would be the beginning of the next."""
    several = replace(RING, contact="sofia/a/1,sofia/b/2")
    for rules, counts in ((PhoneRules(), False), (PhoneRules(refusal_ends=True), True)):
        text = ring(replace(several, phone=rules))[0].data.decode()
        causes = text.partition("fail_on_single_reject=")[2].partition(",")[0].split(".")
        assert {"ORIGINATOR_CANCEL", "LOSE_RACE", "NO_ANSWER"} <= set(causes)
        assert "NORMAL_CLEARING" not in causes, "so hangs up who has not pressed the key"
        assert ("CALL_REJECTED" in causes, "USER_BUSY" in causes) == (counts, counts)


@pytest.mark.parametrize(
    "answer", ["error/user_not_registered", "", "-ERR x", f"{HERE},sofia/a/<x>", "sofia/a/1 &park()"]
)
def test_an_answer_that_names_no_endpoints_is_none(answer: str) -> None:
    """Such a user is rung by name."""
    assert registrations(answer) == ()


def test_the_switch_says_where_a_user_has_registered() -> None:
    """Each endpoint once."""
    assert registrations(f"{HERE},{THERE},{HERE}\n") == (HERE, THERE)
    assert encoder.sofia_contact("1001@x.org").data == b"api sofia_contact */1001@x.org\n\n"
    with pytest.raises(encoder.EncodeError):
        encoder.sofia_contact("1001@x.org\n\napi shutdown")


def test_a_contact_that_is_none_is_not_rung() -> None:
    """It has no safe form."""
    with pytest.raises(encoder.EncodeError):
        ring(replace(RING, contact="user/1001 &system(id)"))


def test_the_agents_leg_ends_when_nothing_is_heard_on_it() -> None:
    """Where the configuration says so; else the order says nothing of it. Whom the phone holds does not end with it."""
    watched, _ = ring(replace(RING, phone=PhoneRules(media_timeout_ms=5_000)))
    assert b",media_timeout=5000,hold_hangup_xfer_exten=fsacd_back:XML:fsacd," in watched.data
    plain = ring(RING)[0].data
    assert b"media_timeout" not in plain
    assert b"hold_hangup" not in plain


NUMBER = RingNumber(OFFER, CALL, "+4940*1#", "fs1", "+4930", "Ann", 30_000, contact_id="c-1")


@pytest.mark.parametrize(
    ("answer", "context"),
    [
        (Reply(Outcome.OK, "agents more"), "agents"),
        (Reply(Outcome.OK, ""), "default"),
        (Reply(Outcome.ERR, "-ERR no reply"), "default"),
        (Reply(Outcome.OK, "{evil}"), ""),
        (Reply(Outcome.UNCONFIRMED, "timeout"), ""),
    ],
)
def test_a_number_is_dialled_where_callers_are_sent(answer: Reply, context: str) -> None:
    """In the context that the switch names; in none if it does not say which. No variable tells of which call it is."""
    ordered, replied = list[Wire](), list[Reply]()

    def ask(_wire: Wire, on_reply: Callable[[Reply], object], _within_s: float) -> None:
        on_reply(answer)

    ringer = Ringer(
        ask,
        lambda wire, _on_reply: ordered.append(wire),
        lambda _command, reply: replied.append(reply),
        lambda _fact: None,
    )
    ringer.ring(NUMBER)
    assert [reply.outcome for reply in replied] == ([] if context else [Outcome.NOT_SENT])
    text = "".join(wire.data.decode() for wire in ordered)
    assert (f"}}loopback/+4940*1#/{context} &park() XML" in text) == bool(context)
    assert not context or f"{{origination_uuid={OFFER},fsacd_leg=third,fsacd_offer={OFFER}," in text
    assert not ordered or (len(ordered) == 1 and CALL not in text)
