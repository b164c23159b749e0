"""Contacts: what is read as one, and what could command the switch and is not."""

from __future__ import annotations

import pytest

from fsacd.core.contact import Contact, Phone, is_looked_up, is_one_phone, most_legs, read
from fsacd.core.offer import MOST_LEGS, is_leg_of, legs_of, offer_id, offer_of

GOOD = {
    "user/1001@example.com": ((Phone("user/1001@example.com"),),),
    "sofia/lan/1001@[2001:db8::7]:5060": ((Phone("sofia/lan/1001@[2001:db8::7]:5060"),),),
    "sofia/a/1,sofia/b/2|sofia/c/3": ((Phone("sofia/a/1"), Phone("sofia/b/2")), (Phone("sofia/c/3"),)),
    "sofia/a/1,[confirm_key=#]sofia/b/2": ((Phone("sofia/a/1"), Phone("sofia/b/2", (("confirm_key", "#"),))),),
    "[leg_timeout=10]sofia/a/1,[leg_timeout=5,sip_auto_answer=true]sofia/b/[::1]": (
        (
            Phone("sofia/a/1", (("leg_timeout", "10"),)),
            Phone("sofia/b/[::1]", (("leg_timeout", "5"), ("sip_auto_answer", "true"))),
        ),
    ),
}
BAD = (
    "",
    "1001",
    "user/1,",
    "user/1||user/2",
    ",user/1",
    "user/1 2",
    "user/1&park()",
    "user/${system(id)}",
    "user/1:_:user/2",
    "user/mod_event_socket",
    "{x=1}user/1",
    "{origination_uuid=1}user/1",
    "[execute_on_answer=system]user/1",
    "[api_on_answer=x]user/1",
    "[sip_execute_on_image=system]user/1",
    "[sip_h_X-Fsacd-Offer=1]user/1",
    "[confirm_key=11]user/1",
    "[confirm_key=exec]user/1",
    "[group_confirm_key=exec]user/1",
    "[leg_timeout=1",
    "[leg_timeout=1]",
    "[leg_timeout=^^;a]user/1",
    ",".join(["user/1"] * (MOST_LEGS + 1)),
)


@pytest.mark.parametrize("text", GOOD)
def test_a_contact_is_phones_with_options(text: str) -> None:
    """At once, in turn, each with what holds for it."""
    assert read(text) == Contact(GOOD[text])
    assert read(f"{{rtp_secure_media=true}}{text}") == Contact(GOOD[text], (("rtp_secure_media", "true"),))


@pytest.mark.parametrize("text", BAD)
def test_whatever_else_is_none(text: str) -> None:
    """Nothing is dialled that names the leg, runs something, or is no phone."""
    assert read(text) is None
    assert not is_one_phone(text)


def test_how_many_legs_a_contact_may_have() -> None:
    """A registered user has as many as the switch says, which nobody knows before."""
    texts = ("sofia/a/1", "sofia/a/1,sofia/b/2|sofia/c/3", "user/1", "sofia/a/1,user/2", "nonsense")
    assert [most_legs(text) for text in texts] == [1, 3, MOST_LEGS, MOST_LEGS, 1]


def test_the_names_of_all_legs_follow_from_the_offer() -> None:
    """They are UUIDs of their own, and lead back to it; those of another offer do not."""
    one, another = offer_id(7, "call", 1), offer_id(7, "call", 2)
    legs = legs_of(one, MOST_LEGS)
    assert legs[0] == one and len(set(legs)) == MOST_LEGS
    assert {offer_of(leg) for leg in legs} == {one}
    assert all(is_leg_of(leg, one) and not is_leg_of(leg, another) for leg in legs)


@pytest.mark.parametrize(
    ("endpoint", "looked_up"),
    [
        ("user/1001", True),
        ("user/1001@example.com", True),
        ("group/desk@example.com", True),
        ("verto.rtc/1001@example.com", True),
        ("sofia/internal/1001", True),
        ("sofia/internal/1001%example.com", True),
        ("sofia/internal/1001@192.0.2.10", False),
        ("sofia/internal/1001@[2001:db8::7]:5060", False),
        ("sofia/gateway/pstn/+4930", False),
        ("loopback/1001/default", False),
        ("error/user_busy", False),
    ],
)
def test_a_registration_is_at_one_switch(endpoint: str, looked_up: bool) -> None:
    """An address can be dialled by any switch; so can a name that each switch may have in its configuration."""
    assert is_looked_up(endpoint) is looked_up
