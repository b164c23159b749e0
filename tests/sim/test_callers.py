"""Callers, and those who only seem to be there, on the simulated switch."""

from __future__ import annotations

import pytest

from fsacd.esl.announced import is_acknowledged
from fsacd.esl.codec import Kind, Message
from fsacd.sim.agenda import MS, SECOND
from fsacd.sim.phones import Caller, ScriptedPhone
from tests.sim.model import Model


@pytest.mark.parametrize("seed", range(8))
def test_an_ack_is_known_a_frame_after_it_has_come(seed: int) -> None:
    """As on a real switch: not before the answer, and at once or when the leg's thread looks next."""
    model = Model(seed)
    line = model.call()
    (answer,) = model.client.seen("CHANNEL_ANSWER", line.uuid)
    assert "variable_sip_cseq" not in answer
    assert not is_acknowledged(Message(Kind.EVENT, answer))
    answered_us = model.switch.sessions[line.uuid].channel.profile.answered_us
    model.until(lambda: model.client.api(f"uuid_getvar {line.uuid} sip_cseq") == "1", 60)
    assert model.agenda.wall_us - answered_us < 60 * MS
    assert f";tag={line.variables['sip_to_tag']}" in line.variables["sip_full_to"]


def test_a_call_that_nobody_acknowledges_ends_after_32_seconds() -> None:
    """FreeSWITCH gives it up, with the cause that the real one has."""
    model = Model()
    line = model.switch.call(Caller("13800000001", "parked", acknowledges=False), ScriptedPhone())
    model.run(100)
    uuid = line.uuid
    assert model.client.api(f"uuid_getvar {uuid} sip_cseq") == "_undef_"
    model.run(31 * SECOND / MS)
    assert not model.client.seen("CHANNEL_HANGUP", uuid)
    model.run(2 * SECOND / MS)
    (hangup,) = model.client.seen("CHANNEL_HANGUP", uuid)
    assert hangup["Hangup-Cause"] == "NORMAL_UNSPECIFIED"
