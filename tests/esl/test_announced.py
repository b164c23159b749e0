"""What the dialplan's variables say of a call, whatever stands in them; and whose caller is really there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.core.events import CallQueued, Leg
from fsacd.esl import announced
from fsacd.esl.codec import HeaderValue, Kind, Message
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.translate import Reader

CALL = "11111111-2222-4333-8444-555555555555"
LEG = Leg("fs1", "aaaaaaaa-2222-4333-8444-555555555555")
CLOCK = SwitchClock(uptime_ms=100_000, at_ms=5_000)
NOW_MS = 6_000
PLAIN = CallQueued(CALL, "sales", NOW_MS, LEG, contact_id="")

VARIABLES = (
    "priority", "head_start", "skills", "language", "customer", "queued_at", "number_believed", "contact_id",
)  # fmt: skip


def read(**variables: str) -> tuple[CallQueued, list[str]]:
    """What is made of an announcement with these variables, and what is said of it."""
    headers: dict[str, HeaderValue] = {"Unique-ID": LEG.uuid, "variable_fsacd_queue": "sales"}
    headers |= {f"variable_fsacd_{name}": text for name, text in variables.items()}
    said: list[str] = []
    return announced.queued(Message(Kind.EVENT, headers), LEG, CALL, CLOCK, NOW_MS, said.append), said


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("priority", "100", "priority", 100),
        ("priority", "-100", "priority", -100),
        ("priority", "0", "priority", 0),
        ("head_start", "0", "head_start_ms", 0),
        ("head_start", "86400", "head_start_ms", 86_400_000),
        ("skills", "german:10,x", "required", (("german", 10), ("x", 1))),
        ("language", "pt-BR", "language", "pt-BR"),
        ("contact_id", CALL, "contact_id", CALL),
        ("contact_id", "2026.K_7-" + "x" * 55, "contact_id", "2026.K_7-" + "x" * 55),
        ("customer", "Müller & Söhne, 47", "customer", "Müller & Söhne, 47"),
        ("number_believed", "true", "number_believed", True),
        ("number_believed", "false", "number_believed", False),
    ],
)
def test_what_fits_is_taken(variable: str, text: str, field: str, value: object) -> None:
    """Each variable has its bounds, and they belong to it."""
    call, said = read(**{variable: text})
    assert getattr(call, field) == value
    assert said == []


# Digits of other scripts, which Python's int, isdigit and \d take; signs and underscores, which int takes.
NO_NUMBERS = ["٣", "\uff13", "²", "1_0", "+5", "0x3", "1e1", "1.0", "--1", "one", "9" * 4_000, "3\x00", "3;4", "${x}"]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        *(("priority", text) for text in [*NO_NUMBERS, "101", "-101", "999"]),
        *(("head_start", text) for text in [*NO_NUMBERS, "86401", "99999", "-1"]),
        *(("queued_at", text) for text in [*NO_NUMBERS, "-1", "99999999999"]),
        *(("skills", text) for text in ["german:٣", "german:11", "german:0", "german:+1", "ger man", "a=b", "x:1:2"]),
        ("skills", ",".join(f"s{number}" for number in range(33))),
        *(("language", text) for text in ["d e", "${x}", "ü", "x" * 65]),
        *(
            ("contact_id", text)
            for text in ["a b", "a;fsacd_leg=agent", "a^b", "${x}", "ü", "a/b", "a:b", "x" * 65, "a\r\nb"]
        ),
        *(("customer", text) for text in ["x" * 257, "a\nb", "a\x00b", "a\u2028b", "a\ud800"]),
    ],
)
def test_what_does_not_fit_is_left_out_with_one_sentence(variable: str, text: str) -> None:
    """The call is queued all the same, as if the variable had not been set."""
    call, said = read(**{variable: text})
    expected = PLAIN if variable != "skills" or "," not in text else call
    assert call == expected
    assert len(call.required) <= 32
    assert len(said) == 1
    assert f"fsacd_{variable}" in said[0]
    assert len(said[0]) < 300


@pytest.mark.parametrize("text", ["TRUE", "yes", "1", "true;false", "٣"])
def test_a_mark_that_nobody_understands_is_no_mark_of_trust(text: str) -> None:
    """Where it is not clear that a number is believed, it is not."""
    call, said = read(number_believed=text)
    assert call.number_believed is False
    assert len(said) == 1


@pytest.mark.parametrize(
    ("number", "text", "taken"),
    [
        ("+4930123456", "K-004930123456", False),
        ("030123456", "4930123456", False),
        ("+4930123456", "K-123456", True),  # so few digits may be any id's
        ("1001", "1001-7", True),
        ("anonymous", "4930123456", True),
    ],
)
def test_a_contacts_id_tells_no_number(number: str, text: str, taken: bool) -> None:
    """The id stays where a caller is erased, and is shown where their number is not."""
    said: list[str] = []
    leg = {"Unique-ID": LEG.uuid, "Caller-Caller-ID-Number": number, "variable_fsacd_contact_id": text}
    call = announced.queued(Message(Kind.EVENT, leg), LEG, CALL, CLOCK, NOW_MS, said.append)
    assert (call.contact_id, len(said)) == ((text, 0) if taken else ("", 1))
    assert not any(digits in sentence for sentence in said for digits in ("123456", "1001"))


@given(st.sampled_from(VARIABLES), st.text(max_size=300))
def test_nothing_in_a_variable_fails(variable: str, text: str) -> None:
    """Whatever stands there: a call comes of it, its figures are in their bounds, and at most one sentence is said."""
    call, said = read(**{variable: text})
    assert call.priority is None or -100 <= call.priority <= 100
    assert 0 <= call.head_start_ms <= 86_400_000
    assert call.arrived_ms <= NOW_MS
    assert all(1 <= level <= 10 for _, level in call.required)
    assert len(said) <= 1


def test_where_the_call_came_from_is_noted() -> None:
    """The address is the switch's own word, not a header of the caller's."""
    message = Message(Kind.EVENT, {"Unique-ID": LEG.uuid, "Caller-Network-Addr": "192.0.2.1"})
    assert announced.queued(message, LEG, CALL, CLOCK, NOW_MS, lambda _: None).source == "192.0.2.1"


INBOUND = {"Channel-Name": "sofia/trunk/+4930@192.0.2.1", "Call-Direction": "inbound"}
# As FreeSWITCH 1.10.12 has them before the ACK, and what the ACK adds.
BEFORE = {**INBOUND, "variable_sip_full_to": "<sip:500@192.0.2.9>", "variable_sip_call_id": "a@b"}
ANSWERED_US, WAITED_US = 1_796_087_026_644_615, 40_000_000


@pytest.mark.parametrize(
    ("headers", "acknowledged"),
    [
        (BEFORE, False),
        ({**BEFORE, "variable_sip_to_tag": "r70j"}, False),  # FreeSWITCH's own, set when it rings
        ({**BEFORE, "variable_sip_cseq": "1"}, True),
        ({**BEFORE, "variable_sip_full_to": "<sip:500@192.0.2.9>;tag=r70jF7SvFySgc"}, True),
        ({**BEFORE, "variable_sip_full_to": '"x" <sip:500@192.0.2.9>;user=phone;tag=r70j'}, True),
        # A tag that the caller themselves wrote stands inside the address, in the name, or in quotes.
        ({**BEFORE, "variable_sip_full_to": "<sip:500@192.0.2.9;tag=evil>"}, False),
        ({**BEFORE, "variable_sip_full_to": '"a>;tag=evil" <sip:500@192.0.2.9>'}, False),
        ({**BEFORE, "variable_sip_full_to": '<sip:500@192.0.2.9>;x=">;tag=evil"'}, False),
        ({**BEFORE, "variable_fsacd_recovered": "true"}, True),
        ({**INBOUND, "Call-Direction": "outbound"}, True),
        ({**INBOUND, "Channel-Name": "loopback/500-b"}, True),
        ({**INBOUND, "Channel-Name": "verto.rtc/500"}, True),
        # FreeSWITCH would have ended it by now.
        (
            {
                **BEFORE,
                "Caller-Channel-Answered-Time": str(ANSWERED_US),
                "Event-Date-Timestamp": str(ANSWERED_US + WAITED_US + 1),
            },
            True,
        ),
        (
            {
                **BEFORE,
                "Caller-Channel-Answered-Time": str(ANSWERED_US),
                "Event-Date-Timestamp": str(ANSWERED_US + WAITED_US),
            },
            False,
        ),
        ({**BEFORE, "Caller-Channel-Answered-Time": "0", "Event-Date-Timestamp": str(ANSWERED_US)}, False),
    ],
)
def test_who_has_acknowledged(headers: dict[str, HeaderValue], acknowledged: bool) -> None:
    """Told from what FreeSWITCH sets when the ACK comes, on the legs that have one."""
    leg = Message(Kind.EVENT, {**headers, "Unique-ID": LEG.uuid, "variable_fsacd_call": CALL})
    assert announced.is_acknowledged(leg) is acknowledged
    waiting = Reader("fs1", lambda _: None).waiting(leg, CLOCK, NOW_MS)
    assert (waiting is not None) is acknowledged
    assert Reader("fs1", lambda _: None, require_ack=False).waiting(leg, CLOCK, NOW_MS) is not None


@pytest.mark.parametrize(
    ("asks", "line_says", "hidden", "sentences"),
    [
        ("true", "", True, 0),
        ("true", "false", True, 0),
        ("true", "true", False, 0),
        ("true", "perhaps", True, 1),
        ("false", "", False, 0),
        ("", "", False, 0),
        ("1", "", False, 0),
    ],
)
def test_who_asks_for_privacy_gets_it(asks: str, line_says: str, hidden: bool, sentences: int) -> None:
    """What the switch has read from `Privacy: id` counts, unless the dialplan says that this line may see it."""
    headers: dict[str, HeaderValue] = {"Unique-ID": LEG.uuid, "Caller-Privacy-Hide-Number": asks}
    headers["variable_fsacd_show_withheld"] = line_says
    said: list[str] = []
    call = announced.queued(Message(Kind.EVENT, headers), LEG, CALL, CLOCK, NOW_MS, said.append)
    assert (call.hidden, len(said)) == (hidden, sentences)
