"""Muting and digits, as orders for the switch: messages to legs, which need no right."""

from __future__ import annotations

import pytest

from fsacd.core.commands import MuteAgent, SendDigits
from fsacd.esl import encoder
from fsacd.esl.orders import switch_of, to_wires
from tests.esl.freeswitch_parser import packets

CALLER = "11111111-1111-4111-8111-111111111111"
AGENT = "22222222-2222-5222-8222-222222222220"
THIRD = "33333333-3333-5333-8333-333333333330"


def told(command: MuteAgent | SendDigits) -> dict[str, str]:
    """What each leg's thread runs, as FreeSWITCH cuts it out of the stream."""
    found = packets(b"".join(wire.data for wire in to_wires(command)))
    for packet in found:
        assert (packet.headers["call-command"], packet.headers["execute-app-name"]) == ("execute", "multiset")
    return {packet.command.removeprefix("sendmsg "): packet.headers["execute-app-arg"] for packet in found}


@pytest.mark.parametrize("muted", [True, False])
def test_muted_is_the_agent(muted: bool) -> None:
    """What is read from the agent's phone is silenced; which application the leg is in stays noted."""
    command = MuteAgent(AGENT, "fs2", AGENT, muted)
    did = f"${{regex(${{uuid_audio({AGENT} start read mute {int(muted)})}}|^(.)|%1)}}"
    told_of_it = f"fsacd_did={did};fsacd_muted={int(muted)}"
    assert told(command) == {AGENT: f"^^;current_application=${{current_application}};{told_of_it}"}
    assert switch_of(command) == "fs2"


def test_digits_go_to_each_leg() -> None:
    """Of the command's answer, which repeats the digits, the leg keeps the first character."""
    orders = told(SendDigits(AGENT, "fs1", (CALLER, THIRD), "1w#*D"))
    assert list(orders) == [CALLER, THIRD]
    for leg, order in orders.items():
        assert order.endswith(f";fsacd_did=${{regex(${{uuid_send_dtmf({leg} 1w#*D)}}|^(.)|%1)}}")


def test_no_log_shows_digits() -> None:
    """Neither the order as it may be logged, nor the command."""
    command = SendDigits(AGENT, "fs1", (CALLER,), "987")
    (wire,) = to_wires(command)
    assert wire.text == f"sendmsg {CALLER} send digits"
    assert "987" not in f"{wire.text} {command!r}"


@pytest.mark.parametrize("digits", ["", "1" * 65, "1 2", "1)", "1}", "${x}", "1|2", "a", "1;x=y", "1\n", "~1", "1@900"])
def test_digits_are_nothing_else(digits: str) -> None:
    with pytest.raises(encoder.EncodeError) as refused:
        encoder.send_digits(CALLER, digits)
    sentence = "the list of digits holds characters that no command may carry, is empty or is too long."
    assert str(refused.value) == sentence
