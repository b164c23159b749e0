"""The dialplan and its applications, in the subset that the model knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsacd.sim.dialplan import Dialplan, DialplanError
from fsacd.sim.phones import Caller, ScriptedPhone
from tests.sim.model import Model


def extension(body: str) -> str:
    return f'<include><context name="public"><extension name="x">{body}</extension></context></include>'


def run(body: str, destination: str = "test", number: str = "4930") -> tuple[Model, str]:
    """A caller in an extension; the model after a moment, and the uuid of the caller's leg."""
    model = Model()
    model.switch.dialplan.add(extension(body))
    line = model.switch.call(Caller(number, destination), ScriptedPhone())
    model.run(60)
    return model, line.uuid


def variables(model: Model, uuid: str) -> dict[str, str]:
    return model.switch.sessions[uuid].channel.variables


CONDITION = '<condition field="destination_number" expression="^(te)(st)$"'
PARK = '<action application="park"/>'
THEN_PARK = f"<condition>{PARK}</condition>"
PATTERNS = "<regex field='caller_id_number' expression='^33'/><regex field='caller_id_number' expression='^(4)'/>"


def put(value: str, tag: str = "action", more: str = "") -> str:
    """An action that sets the variable `got`."""
    return f'<{tag} application="set" data="got={value}" {more}/>'


def ask(field: str, expression: str, inside: str, more: str = "") -> str:
    """A condition."""
    return f'<condition field="{field}" expression="{expression}" {more}>{inside}</condition>'


OTHERWISE = put("other", "anti-action")
CASES = {
    "captures": (f"{CONDITION}>{put('$2$1')}{PARK}</condition>", "stte"),
    "second condition holds": (
        f"{CONDITION}/>{ask('caller_id_number', '^49', put('german') + put('other', 'anti-action'))}{THEN_PARK}",
        "german",
    ),
    "anti-action": (
        f"{CONDITION}/>{ask('caller_id_number', '^33', OTHERWISE, 'break=`never`')}{THEN_PARK}".replace("`", '"'),
        "other",
    ),
    "inline": (
        f"{CONDITION}>{put('now', more='inline=`true`')}</condition>{ask('${got}', '^now$', PARK)}".replace("`", '"'),
        "now",
    ),
    "any pattern": (f"{CONDITION}/><condition regex='any'>{PATTERNS}{put('$1')}{PARK}</condition>", "4"),
    "all patterns": (
        f"{CONDITION}/><condition regex='all' break='never'>{PATTERNS}{OTHERWISE}</condition>{THEN_PARK}",
        "other",
    ),
    "pattern with a variable": (
        f"{CONDITION}/>{ask('caller_id_number', '^${caller_id_number}$', put('same') + PARK)}",
        "same",
    ),
    "multiset": (f"{CONDITION}><action application='multiset' data='^^;a=1;got=2'/>{PARK}</condition>", "2"),
    "multiunset": (
        f"{CONDITION}>{put('x')}<action application='multiunset' data='^^;got;a'/>{put('[${got}]')}{PARK}</condition>",
        "[]",
    ),
    "export": (f"{CONDITION}><action application='export' data='got=3'/>{PARK}</condition>", "3"),
    "loop": (f"{CONDITION}>{put('x')}{put('${got}y', more='loop=`2`')}{PARK}</condition>".replace("`", '"'), "xyy"),
}


@pytest.mark.parametrize("case", CASES)
def test_conditions_and_actions(case: str) -> None:
    """Captures, anti-actions, inline actions, loops and several conditions work as in FreeSWITCH."""
    body, expected = CASES[case]
    model, uuid = run(body)
    assert variables(model, uuid)["got"] == expected


def test_no_extension_is_no_route() -> None:
    """A number that nobody planned ends with NO_ROUTE_DESTINATION."""
    model, uuid = run(f'{CONDITION}><action application="park"/></condition>', destination="nowhere")
    assert model.client.seen("CHANNEL_HANGUP", uuid)[0]["Hangup-Cause"] == "NO_ROUTE_DESTINATION"


@pytest.mark.parametrize(
    ("apps", "cause"),
    [
        ('<action application="answer"/>', "NORMAL_CLEARING"),
        ('<action application="nonsense"/>', "DESTINATION_OUT_OF_ORDER"),
        ('<action application="hangup" data="USER_BUSY"/>', "USER_BUSY"),
    ],
)
def test_end_of_the_dialplan_hangs_up(apps: str, cause: str) -> None:
    """The last instruction done, an unknown application, and hangup itself."""
    model, uuid = run(f"{CONDITION}>{apps}</condition>")
    assert model.client.seen("CHANNEL_HANGUP", uuid)[0]["Hangup-Cause"] == cause


def test_execute_extension_stops_with_the_leg_and_goes_on_after_it() -> None:
    """What was interrupted is not finished later: the outer extension goes on with its next step."""
    body = (
        f'{CONDITION}><action application="answer"/><action application="execute_extension" data="inner XML public"/>'
        f'<action application="set" data="outer=done"/>{PARK}</condition>'
        '</extension><extension name="y"><condition field="destination_number" expression="^inner$">'
        '<action application="playback" data="%[playback_timeout_sec=2]silence_stream://-1"/>'
        '<action application="set" data="inner=done"/></condition>'
    )
    model, uuid = run(body)
    assert "outer" not in variables(model, uuid)
    model.run(2_000)
    assert (variables(model, uuid)["inner"], variables(model, uuid)["outer"]) == ("done", "done")


def test_too_many_transfers_end_the_call() -> None:
    """Seventy transfers are enough for FreeSWITCH, unless max_session_transfers says more."""
    model = Model()
    uuid = model.call("round").uuid
    model.until(lambda: model.client.seen("CHANNEL_HANGUP", uuid))
    assert model.client.seen("CHANNEL_HANGUP", uuid)[0]["Hangup-Cause"] == "EXCHANGE_ROUTING_ERROR"


@pytest.mark.parametrize(
    ("data", "status", "response", "length_ms"),
    [
        ("tone_stream://%(400,100,440)", "done", "FILE PLAYED", 500),
        ("silence_stream://300", "done", "FILE PLAYED", 300),
        ("%[playback_timeout_sec=2]local_stream://moh", "done", "PLAYBACK ERROR", 2_000),
    ],
)
def test_playback_lasts_as_long_as_its_sound_or_its_timeout(
    data: str, status: str, response: str, length_ms: float
) -> None:
    """A timeout ends a sound without end and counts as an error."""
    body = f'{CONDITION}><action application="answer"/><action application="playback" data="{data}"/>'
    model, uuid = run(f'{body}<action application="park"/></condition>')
    model.until(lambda: model.client.seen("CHANNEL_PARK", uuid))
    start, stop = model.client.seen("PLAYBACK_START", uuid)[0], model.client.seen("PLAYBACK_STOP", uuid)[0]
    lasted_ms = (int(stop["Event-Date-Timestamp"]) - int(start["Event-Date-Timestamp"])) / 1_000
    assert (stop["Playback-Status"], abs(lasted_ms - length_ms) <= 20) == (status, True)
    assert model.client.seen("CHANNEL_EXECUTE_COMPLETE", uuid)[-1]["Application-Response"] == response


@pytest.mark.parametrize(("keys", "got"), [("1234#", "1234"), ("12345678", "12345678"), ("12", "")])
def test_digits_are_collected_until_a_terminator_or_enough(keys: str, got: str) -> None:
    """play_and_get_digits takes what fits its pattern and leaves the variable alone otherwise."""
    digits = "3 8 1 3000 # silence_stream://100 silence_stream://100 got \\d+ 500"
    body = (
        f"{CONDITION}><action application='answer'/><action application='play_and_get_digits' data='{digits}'/>{PARK}"
    )
    model, uuid = run(f"{body}</condition>")
    line = model.switch.sessions[uuid].line
    assert line is not None
    line.press(keys)
    model.until(lambda: model.client.seen("CHANNEL_PARK", uuid))
    assert variables(model, uuid).get("got", "") == got


def test_scheduled_transfer_dies_with_its_group() -> None:
    """sched_transfer moves the leg when its time has come; sched_del forgets it."""
    model = Model()
    first, second = model.call().uuid, model.call(number="2").uuid
    assert model.client.api(f"sched_transfer +2 {first} music XML public") == "+OK\n"
    assert model.client.api(f"sched_transfer +2 {second} music XML public") == "+OK\n"
    assert model.client.api(f"sched_del {second}") == "+OK Deleted: 1\n"
    model.run(2_100)
    apps = [model.switch.sessions[uuid].channel.variables["current_application"] for uuid in (first, second)]
    assert apps == ["playback", "park"]


def test_unreadable_dialplan_is_named(tmp_path: Path) -> None:
    """The message tells which file is missing or broken."""
    broken = tmp_path / "broken.xml"
    broken.write_text("<context>")
    with pytest.raises(DialplanError, match=r"broken\.xml is no XML"):
        Dialplan().read(broken)
    with pytest.raises(DialplanError, match=r"missing\.xml cannot be read: No such file"):
        Dialplan().read(tmp_path / "missing.xml")
