"""The Event Socket protocol as a client meets it."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest

from fsacd.sim.agenda import MS, Agenda
from fsacd.sim.listener import Listener, connect
from fsacd.sim.settings import Settings, User
from fsacd.sim.switch import Switch
from fsacd.sim.trace import frames
from tests.sim.model import Model


def connected(switch: Switch, *commands: str) -> Listener:
    listener = connect(switch, lambda: None)
    for command in commands:
        listener.feed(f"{command}\n\n".encode())
    return listener


def switch_with(users: Mapping[str, User] | None = None, **settings: float) -> Switch:
    return Switch(Agenda(), Settings(password="secret", users=users or {}, **settings))  # type: ignore[arg-type]


def replies(listener: Listener) -> list[str]:
    return [head["Reply-Text"] for head, _ in frames(bytes(listener.out)) if "Reply-Text" in head]


def names(listener: Listener) -> list[str]:
    return [
        orjson.loads(body)["Event-Name"]
        for head, body in frames(bytes(listener.out))
        if head["Content-Type"] == "text/event-json"
    ]


def test_client_proves_itself_first() -> None:
    """Before the password nothing but exit is understood; a wrong one ends the connection."""
    switch = switch_with()
    assert replies(connected(switch, "api status", "auth secret")) == ["-ERR command not found", "+OK accepted"]
    refused = connected(switch, "auth wrong")
    assert (replies(refused), refused.closed) == (["-ERR invalid"], True)


def test_silent_client_is_thrown_out_after_25_seconds() -> None:
    """A client that never proves itself does not stay."""
    switch = switch_with()
    listener = connected(switch)
    switch.agenda.run(24_900 * MS)
    assert not listener.closed
    switch.agenda.run(25_100 * MS)
    assert listener.closed


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("event json CHANNEL_PARK NONSENSE", "+OK event listener enabled json"),
        ("event plain ALL", "+OK event listener enabled plain"),
        ("event json", "-ERR no keywords supplied"),
        ("event json NONSENSE", "-ERR no keywords supplied"),
        ("nixevent CHANNEL_PARK", "+OK events nixed"),
        ("nixevent", "-ERR no keywords supplied"),
        ("noevents", "-ERR not listening for events"),
        ("filter Event-Name HEARTBEAT", "+OK filter added. [Event-Name]=[HEARTBEAT]"),
        ("filter delete all", "+OK filter deleted. [all][]"),
        ("filter Event-Name", "-ERR invalid syntax"),
        ("nonsense", "-ERR command not found"),
        ("exit", "+OK bye"),
    ],
)
def test_verbs_answer_in_freeswitchs_words(command: str, reply: str) -> None:
    """Every verb has its own reply."""
    assert replies(connected(switch_with(), "auth secret", command))[1] == reply


def test_exit_says_goodbye() -> None:
    """The last frame is a disconnect-notice."""
    listener = connected(switch_with(), "auth secret", "exit")
    assert [head["Content-Type"] for head, _ in frames(bytes(listener.out))][-1] == "text/disconnect-notice"


def test_user_has_the_rights_of_the_directory() -> None:
    """The directory limits commands, also inside bgapi and expand, and events."""
    users = {"fsacd@local": User("pw", allowed_api="uptime", allowed_events="HEARTBEAT CUSTOM a::b")}
    switch = switch_with(users)
    listener = connected(
        switch,
        "userauth fsacd@local:pw",
        "api status",
        "bgapi status",
        "api expand status",
        "event json CHANNEL_PARK",
        "event json HEARTBEAT CUSTOM a::b",
        "event json CUSTOM c::d",
    )
    assert replies(listener) == [
        "+OK accepted",
        "-ERR permission denied",
        "-ERR permission denied",
        "-ERR permission denied",
        "-ERR permission denied",
        "+OK event listener enabled json",
        "-ERR permission denied",
    ]
    assert replies(connected(switch, "userauth fsacd@local:wrong")) == ["-ERR invalid"]


def test_custom_needs_its_subclass() -> None:
    """`event json CUSTOM` alone delivers nothing; words after CUSTOM are subclasses."""
    switch = switch_with()
    bare = connected(switch, "auth secret", "event json CUSTOM")
    named = connected(switch, "auth secret", "event json HEARTBEAT CUSTOM a::b")
    sender = connected(switch, "auth secret", "sendevent CUSTOM\nEvent-Subclass: a::b\nmy_header: 1")
    switch.agenda.run(50 * MS)
    assert (names(bare), names(named), replies(sender)[1][:4]) == ([], ["CUSTOM"], "+OK ")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["my x"], ["x"]),
        (["my /^./"], ["x", "y"]),
        (["my x", "my y"], ["x", "y"]),
        (["my /^./", "my -y"], ["x"]),
        (["my /^./", "my -Y"], ["x"]),
        (["my /^./", "my -/^y/"], ["x", "y"]),
        (["my -y"], []),
        (["other 1"], []),
    ],
)
def test_filters(filters: list[str], expected: list[str]) -> None:
    """Positive filters add up, a negative one vetoes, and negative ones alone let nothing through."""
    switch = switch_with()
    listener = connected(switch, "auth secret", "event json CUSTOM a::b", *(f"filter {each}" for each in filters))
    for value in ("x", "y"):
        connected(switch, "auth secret", f"sendevent CUSTOM\nEvent-Subclass: a::b\nmy: {value}")
    switch.agenda.run(50 * MS)
    events = [orjson.loads(body) for head, body in frames(bytes(listener.out)) if "event" in head["Content-Type"]]
    assert [event["my"] for event in events] == expected


def test_idle_connection_looks_for_events_every_twenty_milliseconds() -> None:
    """Without a word from the client an event waits for the next poll."""
    delays = []
    for offset_ms in range(0, 40, 4):
        switch = switch_with()
        listener = connected(switch, "auth secret", "event json CUSTOM a::b")
        switch.agenda.run(offset_ms * MS)
        connected(switch, "auth secret", "sendevent CUSTOM\nEvent-Subclass: a::b")
        while not names(listener):
            switch.agenda.run(switch.agenda.now_us + 500)
        delays.append(switch.agenda.now_us / MS - offset_ms)
    assert max(delays) > 15
    assert max(delays) <= 20.5
    assert min(delays) < 6


def test_newline_wakes_the_connection_and_gets_no_reply() -> None:
    """One byte fetches what is waiting."""
    switch = switch_with()
    listener = connected(switch, "auth secret", "event json CUSTOM a::b")
    connected(switch, "auth secret", "sendevent CUSTOM\nEvent-Subclass: a::b")
    assert names(listener) == []
    before = len(replies(listener))
    listener.feed(b"\n")
    assert (names(listener), len(replies(listener))) == (["CUSTOM"], before)


def test_events_wait_while_a_command_is_half_typed() -> None:
    """The thread that reads the command is the one that writes the events."""
    switch = switch_with()
    listener = connected(switch, "auth secret", "event json CUSTOM a::b")
    listener.feed(b"api stat")
    connected(switch, "auth secret", "sendevent CUSTOM\nEvent-Subclass: a::b")
    switch.agenda.run(100 * MS)
    assert names(listener) == []
    listener.feed(b"us\n\n")
    switch.agenda.run(200 * MS)
    assert names(listener) == ["CUSTOM"]


def test_slow_command_holds_back_events_and_later_commands() -> None:
    """`api msleep` blocks its connection; bgapi does not."""
    switch = switch_with()
    listener = connected(switch, "auth secret", "event json CUSTOM a::b", "api msleep 300", "api echo later")
    connected(switch, "auth secret", "sendevent CUSTOM\nEvent-Subclass: a::b")
    switch.agenda.run(250 * MS)
    assert names(listener) == []
    switch.agenda.run(350 * MS)
    bodies = [body for head, body in frames(bytes(listener.out)) if head["Content-Type"] == "api/response"]
    assert (names(listener), bodies) == (["CUSTOM"], [b"+OK", b"later"])


def test_client_that_does_not_read_is_dropped() -> None:
    """Beyond its queue, events are lost; after 500 lost ones the connection is ended."""
    switch = switch_with(max_queue=50)
    listener = connected(switch, "auth secret", "event json CUSTOM a::b")
    sender = connected(switch, "auth secret")
    listener.block(None)
    for _ in range(50 + 500):
        sender.feed(b"sendevent CUSTOM\nEvent-Subclass: a::b\n\n")
    assert not listener.closed
    sender.feed(b"sendevent CUSTOM\nEvent-Subclass: a::b\n\n")
    assert listener.closed


def test_job_reports_under_the_clients_own_number() -> None:
    """BACKGROUND_JOB carries the Job-UUID that came with the bgapi, and reaches every connection that listens."""
    model = Model()
    model.client.bgapi("status", "my-job")
    model.until(lambda: model.client.job("my-job"))
    assert str(model.client.job("my-job")).startswith("UP 0 years")


def test_unknown_command() -> None:
    """An api command that does not exist says so; as a job it says so when it ends."""
    model = Model()
    assert model.client.api("nonsense") == "-ERR nonsense Command not found!\n"


def test_words_that_unload_the_event_socket() -> None:
    """Any command with these two words throws everybody out, wherever they stand."""
    model = Model()
    model.client.commands_on.feed(b"api echo please unload my mod_event_socket\n\n")
    assert (model.switch.listeners, model.switch.faults.refusing) == (set(), True)


def test_heartbeat_comes_by_the_clock() -> None:
    """Its interval is a setting; it carries uptime and session count."""
    model = Model(heartbeat_s=20)
    model.run(20_100)
    beats = [event for event in model.client.received() if event["Event-Name"] == "HEARTBEAT"]
    assert [(beat["Session-Count"], beat["Core-UUID"]) for beat in beats] == [("0", model.switch.core_uuid)]
