"""API commands, reply by reply."""

from __future__ import annotations

import orjson
import pytest

from tests.sim.model import Model


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("uuid_kill nobody", "-ERR No such channel!\n"),
        ("uuid_park nobody", "-ERR No such channel!\n"),
        ("uuid_transfer nobody x XML y", "-ERR No such channel!\n"),
        ("uuid_setvar nobody x y", "-ERR No such channel!\n"),
        ("uuid_setvar", "-USAGE: <uuid> <var> [value]\n"),
        ("uuid_getvar nobody x", "-ERR No such channel!\n"),
        ("uuid_exists nobody", "false"),
        ("uuid_dump nobody json", "-ERR No such channel!\n"),
        ("uuid_hold nobody", "+OK Success\n"),
        ("uuid_hold", "-USAGE: [off|toggle] <uuid> [<display>]\n-ERR Operation failed\n"),
        ("uuid_answer nobody", "-ERROR\n"),
        ("uuid_break", "-USAGE: <uuid> [all]\n"),
        ("uuid_setvar_multi nobody", "-ERR no reply\n"),
        ("UUID_EXISTS nobody", "false"),
        (" uuid_exists nobody", "-ERR  Command not found!\n"),
        ("expand echo ${uptime(s)}", "0\n"),
        ("expand ${nothing}", "INVALID COMMAND!\n"),
        ("cond 1 == 2 ? a : b : c", "b : c"),
        ("show channels as sculpture", "-ERR Cannot find format sculpture\n"),
        ("uuid_broadcast nobody x", "-ERR invalid uuid\n"),
        ("uuid_break nobody", "-ERR No such channel!\n"),
        ("uuid_record nobody start x", "-ERR Cannot locate session!\n"),
        ("uuid_recv_dtmf nobody 1", "-ERR Cannot locate session!\n"),
        ("sched_transfer +1 nobody x", "-ERR No such channel!\n"),
        ("sched_del nobody", "+OK Deleted: 0\n"),
        ("show channels as json", '{"row_count": 0}\n'),
        ("show calls as json", '{"row_count": 0}\n'),
        ("global_setvar a=b", "+OK"),
        ("global_getvar a", "-ERR no reply\n"),
        ("uptime", "0\n"),
        ("uptime fortnights", "-USAGE: [us|ms|s|m|h|d|microseconds|milliseconds|seconds|minutes|hours|days]\n"),
        ("eval [${uptime(s)}]", "[0\n]"),
        ("sofia_contact */1001@127.0.0.1", "error/user_not_registered"),
        ("hash select/fsacd/x", "-ERR no reply\n"),
        ("hash x", "-ERR Usage: hash insert|insert_ifempty|select|delete|delete_ifmatch/realm/key[/value]\n"),
    ],
)
def test_reply(command: str, reply: str) -> None:
    """The words are FreeSWITCH's, newlines included."""
    assert Model().client.api(command) == reply


def test_where_a_user_has_registered() -> None:
    """With or without a profile and a domain; whoever has not registered is nowhere."""
    model = Model()
    model.switch.directory |= {"1001": "sofia/internal/1001@127.0.0.1:5070", "1002": ""}
    for user in ("*/1001@127.0.0.1", "1001@127.0.0.1", "*/1001", "1001"):
        assert model.client.api(f"sofia_contact {user}") == "sofia/internal/1001@127.0.0.1:5070"
    assert model.client.api("sofia_contact */1002") == "error/user_not_registered"


def test_hash_is_a_lock() -> None:
    """insert_ifempty has one winner, delete_ifmatch releases only one's own."""
    api = Model().client.api
    assert [
        api("hash insert_ifempty/fsacd/leader/a"),
        api("hash insert_ifempty/fsacd/leader/b"),
        api("hash select/fsacd/leader"),
        api("hash delete_ifmatch/fsacd/leader/b"),
        api("hash delete_ifmatch/fsacd/leader/a"),
        api("hash delete_ifmatch/fsacd/leader/a"),
    ] == ["+OK\n", "-ERR key already exists\n", "a", "-ERR Doesn't match\n", "+OK\n", "-ERR Not found\n"]


def test_variables_of_a_leg() -> None:
    """Set, read, deleted; the multi form refuses what FreeSWITCH would run."""
    model = Model()
    uuid = model.call().uuid
    api = model.client.api
    assert [
        api(f"uuid_setvar {uuid} note two words"),
        api(f"uuid_getvar {uuid} note"),
        api(f"uuid_setvar {uuid} note"),
        api(f"uuid_getvar {uuid} note"),
        api(f"uuid_setvar_multi {uuid} a=1;b=${{system(id)}};c=3"),
        api(f"uuid_getvar {uuid} b"),
        api(f"uuid_getvar {uuid} c"),
    ] == ["+OK\n", "two words", "+OK\n", "_undef_", "+OK\n", "_undef_", "3"]


def test_dump_tells_the_truth_about_a_leg() -> None:
    """uuid_dump has the states, the profile and every variable."""
    model = Model()
    dump = orjson.loads(model.client.api(f"uuid_dump {model.call().uuid} json"))
    assert (dump["Event-Name"], dump["Channel-State"], dump["Answer-State"]) == (
        "CHANNEL_DATA",
        "CS_EXECUTE",
        "answered",
    )
    assert (dump["Caller-Caller-ID-Number"], dump["variable_hangup_after_bridge"]) == ("13800000001", "true")


def test_uptime_in_milliseconds_starts_again() -> None:
    """The number is printed modulo 2^32."""
    model = Model()
    model.agenda.run(2**32 * 1_000 + 5_000_000)
    assert model.client.api("uptime ms") == "5000\n"


def test_bridged_pair_is_one_call_and_two_channels() -> None:
    """`show channels` names the bridge and the partner; `show calls` has both legs in one row."""
    model = Model()
    caller, agent = model.call().uuid, model.answered_agent()
    model.client.api(f"uuid_bridge {caller} {agent}")
    model.run(400)
    rows = {row["uuid"]: row for row in orjson.loads(model.client.api("show channels as json"))["rows"]}
    told = ("state", "application", "application_data", "call_uuid")
    assert {uuid: tuple(row[name] for name in told) for uuid, row in rows.items()} == {
        caller: ("CS_SOFT_EXECUTE", "uuid_bridge", agent, caller),
        agent: ("CS_EXCHANGE_MEDIA", "uuid_bridge", caller, caller),
    }
    calls = orjson.loads(model.client.api("show calls as json"))["rows"]
    assert [(row["uuid"], row["b_uuid"]) for row in calls] == [(caller, agent)]


def test_assignment_without_a_name_is_complained_of() -> None:
    """uuid_setvar_multi says so for each, and sets the others."""
    model = Model()
    caller = model.call().uuid
    assert model.client.api(f"uuid_setvar_multi {caller} a=1;=2") == "-ERR No variable specified\n+OK\n"
    assert model.client.api(f"uuid_getvar {caller} a") == "1"


def test_break_ends_a_sleep() -> None:
    """uuid_break ends whatever the leg does at present, music or not."""
    model = Model()
    caller = model.call("asleep").uuid
    model.client.api(f"uuid_break {caller}")
    model.until(lambda: model.client.seen("CHANNEL_PARK", caller), 100)
