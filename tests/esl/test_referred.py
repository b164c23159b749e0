"""Which new legs are made because a caller has sent REFER, and are ended at once."""

from __future__ import annotations

import pytest

from fsacd.esl.codec import Kind, Message
from fsacd.esl.referred import unwanted

NEW = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
AGENTS, CALLERS = "55555555-5555-5555-8555-555555555555", "11111111-1111-4111-8111-111111111111"


def created(**headers: str) -> Message:
    known = {"Event-Name": "CHANNEL_CREATE", "Call-Direction": "outbound", "Unique-ID": NEW}
    return Message(Kind.EVENT, known | {name.replace("__", "-"): value for name, value in headers.items()})


def test_a_leg_that_is_made_for_an_agents_leg_is_unwanted() -> None:
    """The caller who talks with the agent has asked for it."""
    assert unwanted(created(variable_sip_h_X__FS__Refer__For=AGENTS)) == NEW


@pytest.mark.parametrize(
    "headers",
    [
        {},
        # An agent's phone transfers its caller to another server.
        {"variable_sip_h_X__FS__Refer__For": CALLERS},
        # A header of a stranger's own INVITE.
        {"variable_sip_h_X__FS__Refer__For": AGENTS, "Call__Direction": "inbound"},
        {"variable_sip_h_X__FS__Refer__For": AGENTS, "Event__Name": "CHANNEL_HANGUP"},
        {"variable_sip_h_X__FS__Refer__For": AGENTS[:-1]},
        {"variable_sip_h_X__FS__Refer__For": AGENTS, "Unique__ID": "not a uuid"},
    ],
)
def test_others_are_left_alone(headers: dict[str, str]) -> None:
    """Whatever else carries the header, or does not."""
    assert unwanted(created(**headers)) == ""
