"""The encoder, judged by a model of FreeSWITCH's own parser: one command in is one command on the wire."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fsacd.esl import cleaning, encoder
from fsacd.esl.cleaning import caller_name, caller_number
from fsacd.esl.encoder import EncodeError
from fsacd.esl.wire import Wire
from tests.esl.freeswitch_parser import api, brackets, packets, separate

LEG = "c6737a91-d984-4b9e-a960-f6e0c2f53393"
OFFER = "0b0b0b0b-0000-4000-8000-000000000001"
HOSTILE = (
    "Bob%0AUnique-ID: 1%0AEvent-Name: CHANNEL_HANGUP",
    "x\r\n\r\napi fsctl shutdown\r\n\r\n",
    "x\n\napi fsctl shutdown\n\n",
    "nul\0byte",
    "it's",
    "'",
    "''",
    "\\",
    "\\'",
    "a,b=c",
    "}{",
    "}user/1 &system(id)",
    "${system(id)}",
    "%{system(id)}",
    "unload mod_event_socket",
    "RELOAD MOD_EVENT_SOCKET",
    "unload\u00a0mod\uff3fevent\uff3fsocket",
    ":_:user/2",
    "a|b",
    "^^:a:b",
    "undef",
    "UNDEF",
    "\udcff\udc80",
    "\u202egnp.exe",
    "\u2028api x",
    "   ",
    "",
    "A" * 65_536,
    "'" * 65_536,
)
CALLER_TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=80),
    st.text(alphabet="ab '\\\"\n\r\0,;={}[]<>$()|&^%:_-~#\t", max_size=80),
    st.lists(st.sampled_from([*HOSTILE[:20], " ", "x"]), max_size=4).map("".join),
)


def ring(name: str = "Bob", number: str = "1234", **variables: str) -> Wire:
    return encoder.originate(
        "user/1001@example.net",
        job=f"ring-{OFFER}",
        variables={"origination_uuid": OFFER, "fsacd_leg": "agent", **variables},
        name=name,
        number=number,
        timeout_s=20,
    )


@settings(max_examples=500)
@given(CALLER_TEXT, CALLER_TEXT)
@example("unload", "mod_event_socket")
@example("mod_event_socket", "unload")
def test_a_caller_cannot_change_the_command(name: str, number: str) -> None:
    """Whatever name a caller claims, FreeSWITCH reads one originate with our seven arguments and our variables."""
    [packet] = packets(ring(name, number).data)
    verb, argument = api(packet)
    arguments = separate(argument, " ", 10)
    variables, contact = brackets(arguments[0])
    assert (verb, packet.headers) == ("originate", {"job-uuid": f"ring-{OFFER}"})
    assert variables == {"origination_uuid": OFFER, "fsacd_leg": "agent"}
    assert contact == "user/1001@example.net"
    shown = caller_number(number) or "anonymous"
    assert arguments[1:] == ["&park()", "XML", "fsacd_agent_leg", caller_name(name) or shown, shown, "20"]


@settings(max_examples=500)
@given(CALLER_TEXT, CALLER_TEXT)
@example("unload mod_event_socket", "x:_:user/1002")
@example("mod_event", "_socket")
@example("a'b", "'")
@example("a,execute_on_answer=hangup", "a}user/1002")
@example("^^:a:b", "\\'${system(touch x)}")
def test_a_variable_that_goes_along_is_only_a_variable(first: str, second: str) -> None:
    """Whatever its value: FreeSWITCH reads our variables, those that go along, and the same dial string."""
    carried = {"sip_h_X-Ticket": first, "crm": second}
    wire = encoder.originate(
        "user/1001@example.net", job="j", variables={"fsacd_leg": "agent"}, name="", number="1", timeout_s=20,
        carried=carried.items(),
    )  # fmt: skip
    [packet] = packets(wire.data)
    verb, argument = api(packet)
    arguments = separate(argument, " ", 10)
    variables, contact = brackets(arguments[0])
    left = {name: cleaning.carried_value(text) for name, text in carried.items()}
    assert variables == {"fsacd_leg": "agent", **{name: text for name, text in left.items() if text}}
    assert (verb, contact, len(arguments)) == ("originate", "user/1001@example.net", 7)
    assert all(len(text) <= cleaning.CARRIED_LIMIT for text in left.values())
    assert "crm" not in wire.text, "logs hold no caller's values"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("T-17/a_b.c", "T-17/a_b.c"),
        ("https://crm.example/x?id=7&y=%20;z", "https://crm.example/x?id=7&y=%20;z"),
        ("  Zoë   Müller, Köln ", "Zoë Müller Köln"),
        ("O'Brien", "O\u2019Brien"),
        ("a}b{c$d|e", "a b c d e"),
        ("mod_event_socket", ""),
        ("a:_:b", ""),
        ("x" * 300, "x" * 256),
    ],
)
def test_what_is_left_of_a_value(text: str, left: str) -> None:
    """Letters, digits, blanks and the marks of identifiers and addresses; what parts words becomes a blank."""
    assert cleaning.carried_value(text) == left


@settings(max_examples=300)
@given(CALLER_TEXT)
def test_a_sanitised_name_is_short_and_plain(text: str) -> None:
    """A name keeps letters, digits, blanks and a few marks, at most 64; sanitising it twice changes nothing more."""
    name = caller_name(text)
    assert len(name) <= 64
    assert set(name) & set("'\"\\\n\r\0,;={}[]<>$|^%:_`~#@!?*") == set()
    assert name.isprintable()
    assert name == name.strip()
    assert caller_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Zoë Müller-Lüdenscheidt", "Zoë Müller-Lüdenscheidt"),
        ("O'Brien & Sons (Cork)", "O\u2019Brien & Sons (Cork)"),
        ("田中 太郎", "田中 太郎"),
        ("मोहन", "मोहन"),
        ("  a \t b\n", "a b"),
        ("undef", "undef."),
        ("Müller/Schmidt", "Müller Schmidt"),
        ("mod_event_socket", "mod event socket"),
        ("\u202eevil\u200d", "evil"),
        ("x" * 100, "x" * 64),
        ("${system(id)}", "system(id)"),
    ],
)
def test_names(text: str, name: str) -> None:
    """Ordinary names of all scripts survive; what quotes, parts or expands does not."""
    assert caller_name(text) == name


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+49 (170) 123-4567", "+49170123-4567"),
        ("alice.smith", "alice.smith"),
        ("*98#", "*98#"),
        ("undef", ""),
        ("1\n\napi x", "1apix"),
        ("9" * 100, "9" * 32),
    ],
)
def test_numbers(text: str, number: str) -> None:
    """A number keeps what a phone can dial."""
    assert caller_number(text) == number


def test_a_caller_without_name_or_number() -> None:
    """Without a name the number is shown; without both the caller is anonymous."""
    assert b"fsacd_agent_leg '1234' 1234 20\n" in ring("", "1234").data
    assert b"fsacd_agent_leg 'anonymous' anonymous 20\n" in ring("\0", "").data


# --- every other argument is refused when it does not fit ---------------------------------------------------------

WIRES: dict[str, Callable[[str], Wire]] = {
    "contact": lambda x: encoder.originate(x, job="j", variables={}, name="", number="", timeout_s=1),
    "job": lambda x: encoder.originate("user/1", job=x, variables={}, name="", number="", timeout_s=1),
    "variable": lambda x: ring(fsacd_call=x),
    "variable name": lambda x: ring(**{x: "1"}),
    "bridge": lambda x: encoder.uuid_bridge(LEG, x),
    "kill": lambda x: encoder.uuid_kill(x, "NORMAL_CLEARING"),
    "cause": lambda x: encoder.uuid_kill(LEG, x),
    "setvar_multi": lambda x: encoder.uuid_setvar_multi(LEG, {"a": x, "b": "2"}),
    "setvar_multi name": lambda x: encoder.uuid_setvar_multi(LEG, {x: "1"}),
    "transfer": lambda x: encoder.uuid_transfer(LEG, x, "default"),
    "context": lambda x: encoder.uuid_transfer(LEG, "1", x),
    "exists": encoder.uuid_exists,
    "dump": encoder.uuid_dump,
    "break": encoder.uuid_break,
    "global": lambda x: encoder.global_setvar("fsacd_lease", x),
    "getvar": encoder.global_getvar,
    "api": lambda x: encoder.api("status", x),
    "bgapi": lambda x: encoder.bgapi("j", "status", x),
    "event": lambda x: encoder.event_json([x]),
    "subclass": lambda x: encoder.event_json([], [x]),
    "filter header": lambda x: encoder.filter_event(x, "y"),
    "filter pattern": lambda x: encoder.filter_event("Event-Name", x),
    "sendevent": lambda x: encoder.send_event("fsacd::probe", {"fsacd_probe": x}),
    "muted": lambda x: encoder.mute(x, on=True),
    "digits": lambda x: encoder.send_digits(LEG, x),
    "digits' leg": lambda x: encoder.send_digits(x, "1"),
    "auth": encoder.auth,
    "userauth": lambda x: encoder.userauth("fsacd@example.net", x),
    "user": lambda x: encoder.userauth(x, "secret"),
    "raw": encoder.raw,
}
UNTRUSTED = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.text(alphabet="aA1/ '\\\n\r\0,;={}$|:_.-@", max_size=40),
    st.from_regex(r"[a-z]+/[0-9]+@[a-z.]+", fullmatch=True),
    st.just(LEG),
)


@pytest.mark.parametrize("make", WIRES.values(), ids=WIRES.keys())
@settings(max_examples=60)
@given(UNTRUSTED)
def test_any_argument_is_refused_or_stays_an_argument(make: Callable[[str], Wire], text: str) -> None:
    """Every argument of every command either is refused or leaves one command of the same shape."""
    try:
        wire = make(text)
    except EncodeError:
        return
    [packet] = packets(wire.data)
    assert "unload mod_event_socket" not in packet.command
    assert "reload mod_event_socket" not in packet.command
    assert wire.data.endswith(b"\n\n")
    assert wire.data.count(b"\n\n") == 1
    assert b"\0" not in wire.data
    assert b"\r" not in wire.data


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,9}", fullmatch=True),
        st.from_regex(r"[0-9A-Za-z:._@-]{0,9}", fullmatch=True),
        max_size=5,
    )
)
def test_variables_arrive_as_they_were_given(variables: dict[str, str]) -> None:
    """What the encoder accepts as variables, FreeSWITCH reads as the same variables; empty ones are left out."""
    try:
        wire = encoder.originate("user/1", job="j", variables=variables, name="", number="", timeout_s=9)
    except EncodeError:
        assert re.search(":_:", "".join(variables.values()))
        return
    [packet] = packets(wire.data)
    read, contact = brackets(separate(api(packet)[1], " ", 10)[0])
    assert (read, contact) == ({name: value for name, value in variables.items() if value}, "user/1")


@pytest.mark.parametrize(
    ("wire", "data"),
    [
        (encoder.auth("Secret 1"), b"auth Secret 1\n\n"),
        (encoder.userauth("fsacd@pbx", "a:b"), b"userauth fsacd@pbx:a:b\n\n"),
        (encoder.event_json(["CHANNEL_PARK", "CUSTOM"], ["a::b"]), b"event json CHANNEL_PARK CUSTOM a::b\n\n"),
        (encoder.filter_event("variable_fsacd_leg", "/^./"), b"filter variable_fsacd_leg /^./\n\n"),
        (
            encoder.send_event("fsacd::probe", {"fsacd_probe": "x-1"}),
            b"sendevent CUSTOM\nEvent-Subclass: fsacd::probe\nfsacd_probe: x-1\n\n",
        ),
        (encoder.uuid_bridge(LEG, OFFER), f"api uuid_bridge {LEG} {OFFER}\n\n".encode()),
        (encoder.uuid_kill(LEG, "LOSE_RACE"), f"api uuid_kill {LEG} LOSE_RACE\n\n".encode()),
        (encoder.uuid_setvar_multi(LEG, {"a": "1", "b": ""}), f"api uuid_setvar_multi {LEG} a=1;b=\n\n".encode()),
        (
            encoder.uuid_transfer(LEG, "fsacd_back", "fsacd"),
            f"api uuid_transfer {LEG} fsacd_back XML fsacd\n\n".encode(),
        ),
        (encoder.uuid_exists(LEG), f"api uuid_exists {LEG}\n\n".encode()),
        (encoder.uuid_dump(LEG), f"api uuid_dump {LEG} json\n\n".encode()),
        (encoder.uuid_break(LEG, everything=True), f"api uuid_break {LEG} all\n\n".encode()),
        (encoder.global_setvar("fsacd_lease", "120"), b"api global_setvar fsacd_lease=120\n\n"),
        (encoder.show_channels(), b"api show channels as json\n\n"),
        (encoder.uptime("ms"), b"api uptime ms\n\n"),
        (encoder.status(), b"api status\n\n"),
        (encoder.leave(), b"exit\n\n"),
    ],
)
def test_the_bytes_of_each_command(wire: Wire, data: bytes) -> None:
    """Each command is spelt as FreeSWITCH wants it."""
    assert wire.data == data


@pytest.mark.parametrize(
    "make",
    [
        lambda: ring(origination_caller_id_name="Eve"),
        lambda: ring(**{f"v{number}": "1" for number in range(64)}),
        lambda: encoder.originate("user/1", job="j", variables={}, name="", number="", timeout_s=0),
        lambda: encoder.originate("user/1,user/2", job="j", variables={}, name="", number="", timeout_s=9),
        lambda: encoder.originate("{a=b}user/1", job="j", variables={}, name="", number="", timeout_s=9),
        lambda: encoder.originate("user/mod_event_socket", job="j", variables={}, name="", number="", timeout_s=9),
        lambda: encoder.uuid_transfer(LEG, "-both", "default"),
        lambda: encoder.uuid_setvar_multi(LEG, {}),
        lambda: encoder.event_json([]),
        lambda: encoder.raw("reload mod_event_socket"),
        lambda: encoder.raw("api status\n\napi fsctl shutdown"),
    ],
)
def test_what_would_do_something_else_is_refused(make: Callable[[], Wire]) -> None:
    """Arguments that FreeSWITCH would take for something else are refused although each character is harmless."""
    with pytest.raises(EncodeError):
        make()


def test_logs_hold_neither_secrets_nor_numbers() -> None:
    """The text of a command for logs shows no password, no name and only the last four digits of a number."""
    assert encoder.auth("hunter2").text == "auth ***"
    assert encoder.userauth("fsacd@pbx", "hunter2").text == "userauth fsacd@pbx:***"
    assert encoder.raw("auth hunter2").text == "auth ..."
    wire = encoder.originate(
        "sofia/gateway/gw/13800001111", job="j", variables={"origination_uuid": OFFER}, name="Eve",
        number="+8613800002222", timeout_s=9,
    )  # fmt: skip
    assert wire.text == (
        f"bgapi originate {{origination_uuid={OFFER}}}sofia/gateway/gw/…1111 &park() XML fsacd_agent_leg *** +…2222 9"
    )
