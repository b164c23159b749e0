"""Whose phone a leg leads to, and who sits there."""

from __future__ import annotations

import pytest

from fsacd.core.events import AgentLoggedIn, AgentLoggedOut
from fsacd.errors import Refused
from fsacd.esl.codec import Kind, Message
from fsacd.esl.phones import Phone, Phones, far_end, phone_of, rung_for


def leg(direction: str, **headers: str) -> Message:
    """A leg's event; `variable_x` and `Channel__Name` become headers."""
    return Message(
        Kind.EVENT, {"Call-Direction": direction, **{key.replace("__", "-"): value for key, value in headers.items()}}
    )


FAR_ENDS = {
    "a user of the directory calls": (leg("inbound", variable_user_name="1001"), Phone("1001")),
    "a user calls from a browser": (
        leg("inbound", variable_verto_user="1001@example.net"),
        Phone("1001", domain="example.net"),
    ),
    "their domain is known, too": (
        leg("inbound", variable_user_name="1001", variable_domain_name="Example.NET"),
        Phone("1001", domain="example.net"),
    ),
    "a user of a domain is called": (
        leg("outbound", variable_dialed_user="1001", variable_dialed_domain="example.net"),
        Phone("1001", domain="example.net"),
    ),
    "a stranger claims to be 1001": (
        leg(
            "inbound",
            variable_sip_from_user="1001",
            Caller__Caller__ID__Number="1001",
            Channel__Name="sofia/trunk/1001@example.net",
            Channel__Presence__ID="1001@example.net",
        ),
        None,
    ),
    # FreeSWITCH sets dialed_user on the caller's leg as well.
    "a stranger has called 1001": (leg("inbound", variable_dialed_user="1001"), None),
    "a loopback's far side": (leg("inbound", Channel__Name="loopback/9-b", variable_user_name="1001"), None),
    "a user is called": (
        leg(
            "outbound",
            variable_dialed_user="1001",
            Channel__Presence__ID="1001@example.net",
            variable_sip_destination_url="sip:1001@10.0.0.5:5062;ob",
        ),
        Phone("1001", "1001@10.0.0.5:5062"),
    ),
    "a registered user is called by profile": (
        leg(
            "outbound",
            variable_sip_local_url="1001@example.net",
            variable_sip_destination_url='"Anna" <sip:a1b2@10.0.0.5:5062>',
        ),
        Phone("1001", "a1b2@10.0.0.5:5062"),
    ),
    "a dial string names the presence": (
        leg("outbound", Channel__Presence__ID="1001@example.net"),
        Phone("1001", domain="example.net"),
    ),
    "an address is called": (
        leg("outbound", variable_sip_destination_url="sip:7@10.0.0.9"),
        Phone(address="7@10.0.0.9"),
    ),
    "a number is called through a gateway": (
        leg("outbound", variable_sip_gateway_name="carrier", variable_sip_destination_url="sip:4930123@10.9.9.9"),
        Phone(address="gateway/carrier/4930123"),
    ),
    "nothing is known": (leg("outbound", Channel__Name="loopback/9-a"), None),
}


@pytest.mark.parametrize("what", FAR_ENDS)
def test_only_what_the_switch_vouches_for_tells_whose_phone_it_is(what: str) -> None:
    """The authenticated user and the dialled user or address are believed, a caller id is not."""
    message, phone = FAR_ENDS[what]
    assert far_end(message) == phone


@pytest.mark.parametrize(
    ("contact", "phone"),
    [
        ("user/1001", Phone("1001")),
        ("user/1001@example.net", Phone("1001", domain="example.net")),
        ("verto.rtc/1001@example.net", Phone("1001", domain="example.net")),
        ("sofia/internal/1001%example.net", Phone("1001", domain="example.net")),
        ("sofia/internal/1001", Phone("1001")),
        ("sofia/internal/1001@10.0.0.5:5062", Phone(address="1001@10.0.0.5:5062")),
        ("sofia/internal/sip:1001@10.0.0.5;transport=tcp", Phone(address="1001@10.0.0.5")),
        ("sofia/gateway/carrier/4930123", Phone(address="gateway/carrier/4930123")),
        ("loopback/9000/default", Phone()),
    ],
)
def test_a_contact_leads_to_the_phone_that_its_legs_show(contact: str, phone: Phone) -> None:
    """Every form of contact is read so that it equals what FreeSWITCH says of a leg made by it."""
    assert phone_of(contact) == phone


def test_whom_we_ring_is_told_by_legs_that_go_out_alone() -> None:
    """On a leg that came in the same variable is what somebody dialled behind a feature code."""
    assert rung_for(leg("outbound", variable_fsacd_agent="1001")) == "1001"
    assert rung_for(leg("inbound", variable_fsacd_agent="1001")) == ""


@pytest.fixture
def phones() -> Phones:
    phones = Phones()
    phones.configure({"1001": "user/1001@example.net", "1002": "sofia/internal/1002@10.0.0.7", "1003": "user/2003"})
    return phones


def test_an_agent_sits_at_their_own_phone(phones: Phones) -> None:
    """An agent is found by their contact's user or address, and by their id, as which their phone authenticates."""
    assert phones.at(Phone("1001")) == {"1001"}
    assert phones.at(Phone("1002")) == {"1002"}
    assert phones.at(Phone(address="1002@10.0.0.7")) == {"1002"}
    assert phones.at(Phone("2003")) == phones.at(Phone("1003")) == {"1003"}
    assert phones.at(Phone("1009", "9@10.0.0.9")) == set()
    assert not phones.knows(Phone("1009", "9@10.0.0.9"))


def test_an_agent_who_logs_in_at_another_phone_sits_there(phones: Phones) -> None:
    """That phone is theirs, too, by all its names, until they log in at their own again; their own one stays known."""
    with phones.moving(AgentLoggedIn("1001", "phone:1002", contact="sofia/internal/1002@10.0.0.7")):
        assert phones.at(Phone("1002")) == {"1001", "1002"}
    assert phones.at(Phone(address="1002@10.0.0.7")) == {"1001", "1002"}
    assert phones.at(Phone("1001")) == set()
    assert phones.knows(Phone("1001"))
    with phones.moving(AgentLoggedIn("1001", "phone:1001")):
        pass
    assert phones.at(Phone("1001")) == {"1001"}
    assert phones.at(Phone("1002")) == {"1002"}


def test_a_refused_log_in_moves_nobody(phones: Phones) -> None:
    """An agent who may not log in there is where they were."""
    with pytest.raises(Refused), phones.moving(AgentLoggedIn("1001", "api:x", contact="user/2003")):
        raise Refused("the agent talks")
    assert phones.at(Phone("1001")) == {"1001"}
    assert phones.at(Phone("2003")) == {"1003"}


def test_other_wishes_and_other_people_move_nobody(phones: Phones) -> None:
    """Only a log-in of a configured agent does."""
    with phones.moving(AgentLoggedOut("1001", "api:x")), phones.moving(AgentLoggedIn("9", "x", contact="user/1001")):
        pass
    assert phones.at(Phone("1001")) == {"1001"}


def test_a_reload_keeps_where_agents_have_logged_in(phones: Phones) -> None:
    """New agents are known, gone ones are not, and the others stay at the phones where they sit."""
    with phones.moving(AgentLoggedIn("1001", "phone:1003", contact="user/2003")):
        pass
    phones.configure({"1001": "user/1001", "1004": "user/1004"})
    assert phones.at(Phone("2003")) == {"1001"}
    assert phones.at(Phone("1004")) == {"1004"}
    assert not phones.knows(Phone("1002"))


def test_a_way_to_many_agents_is_nobodys_phone() -> None:
    """Agents who are all reached through one contact do not share their users."""
    phones = Phones()
    phones.configure({str(number): "loopback/hunt/default" for number in range(1001, 1021)})
    assert phones.at(Phone("1001")) == {"1001"}


def test_who_watches_is_told_of_moves(phones: Phones) -> None:
    """A log-in at another phone and a reload are told, once each, when the new state can be read."""
    seen: list[set[str]] = []
    phones.watch(lambda: seen.append(phones.at(Phone("2003"))))
    with phones.moving(AgentLoggedIn("1001", "phone:1003", contact="user/2003")):
        pass
    phones.configure({"1003": "user/2003"})
    assert seen == [{"1001", "1003"}, {"1003"}]


def test_agents_sit_where_they_sat_before_a_restart() -> None:
    """Who had logged in at another's phone still sits there; who sits at their own, or is not configured, is left."""
    phones = Phones()
    phones.configure({agent: f"user/{agent}" for agent in ("1001", "1002")})
    phones.sit({"1001": "user/1001", "1002": "user/1001", "1009": "user/1001"})
    assert phones.at(Phone("1001")) == {"1001", "1002"}
    assert phones.at(Phone("1002")) == set()


def test_a_number_is_somebody_else_in_another_domain() -> None:
    """Own phones, phones where somebody has logged in, and ids with a domain: the domain counts where it is known."""
    phones = Phones()
    other = "1001@other.example"
    contacts = {"1001": "user/1001@lab.example", "1002": "user/1002", other: "user/1001@other.example"}
    phones.configure(contacts, {"1001": "lab.example", other: "other.example"})
    assert phones.at(Phone("1001", domain="lab.example")) == {"1001"}
    assert phones.at(Phone("1001", domain="other.example")) == {other}
    assert phones.at(Phone("1001", domain="third.example")) == set()
    assert not phones.knows(Phone("1001", domain="third.example"))
    # Where a leg does not say the domain, it may be either's.
    assert phones.at(Phone("1001")) == {"1001", other}
    # 1002 is where the switch is at home, if that is known.
    assert phones.at(Phone("1002", domain="other.example", home="lab.example")) == set()
    assert phones.at(Phone("1002", domain="other.example")) == {"1002"}
    with phones.moving(AgentLoggedIn("1002", "phone:1001", contact="user/1001@other.example")):
        pass
    assert phones.at(Phone("1001", domain="other.example")) == {other, "1002"}
    assert phones.at(Phone("1002", domain="lab.example", home="lab.example")) == set()


def test_phones_where_nobody_sits_any_more_are_forgotten() -> None:
    """However often agents log in elsewhere, no more is known than where somebody sits, or owns a phone."""
    phones = Phones()
    phones.configure({"1001": "user/1001@example.com", "1002": "sofia/trunk/1002@10.0.0.1"})
    for number in range(50):
        contact = f"sofia/trunk/{number}@10.0.0.2" if number % 2 else f"user/desk{number}@example.com"
        with phones.moving(AgentLoggedIn("1001", "test", contact)):
            pass
    assert phones.at(phone_of("sofia/trunk/49@10.0.0.2")) == {"1001"}
    assert not any(phones.knows(phone_of(f"sofia/trunk/{number}@10.0.0.2")) for number in range(1, 49, 2))
    assert not any(phones.knows_name(f"desk{number}") for number in range(0, 50, 2))
    assert phones.knows(phone_of("user/1001@example.com")), "their own phone is known while they sit elsewhere"
    with phones.moving(AgentLoggedIn("1001", "test")):
        pass
    assert phones.at(phone_of("user/1001@example.com")) == {"1001"}
    assert not phones.knows(phone_of("sofia/trunk/49@10.0.0.2"))
