from __future__ import annotations

import pytest

from fsacd.sim.phones import ScriptedPhone
from fsacd.sim.trace import differences
from tests.sim.replay import Scene, expected, replay

AGENT = "1001@127.0.0.1:5070"
SECOND_AGENT = "1001@127.0.0.1:5071"
ANSWERS = ScriptedPhone(rings_ms=1, answers_ms=301)

SCENES = {
    "01-agent-hangs-up": Scene(9_000, {AGENT: ScriptedPhone(answers_ms=301, hangs_up_ms=2_013)}),
    "02-caller-hangs-up": Scene(3_020, {AGENT: ANSWERS}),
    "03-agent-busy": Scene(3_020, {AGENT: ScriptedPhone(rejects_ms=205, cause="USER_BUSY")}),
    "04-agent-declines": Scene(3_020, {AGENT: ScriptedPhone(rejects_ms=805, cause="CALL_REJECTED")}),
    "05-agent-unavailable": Scene(3_020, {AGENT: ScriptedPhone(rejects_ms=105, cause="NO_USER_RESPONSE")}),
    "06-agent-no-answer": Scene(3_020, {AGENT: ScriptedPhone()}),
    "07-agent-unreachable": Scene(3_020),
    "08-caller-abandons-while-ringing": Scene(3_020, {AGENT: ScriptedPhone()}),
    "09-ring-two-first-answers": Scene(
        9_000, {AGENT: ScriptedPhone(answers_ms=301, hangs_up_ms=2_013), SECOND_AGENT: ScriptedPhone()}
    ),
    "11-hold-record-dtmf": Scene(3_020, {AGENT: ANSWERS}),
    "12-announcements": Scene(3_020),
    "13-transfer-back-to-queue": Scene(3_020, {AGENT: ANSWERS}),
    "14-resync": Scene(3_020, {AGENT: ANSWERS}, second_caller_ms=100),
    "15-hostile-caller-name": Scene(3_020, name="x%0AEvent-Name: HEARTBEAT"),
    "17-all-events": Scene(9_000, {AGENT: ScriptedPhone(answers_ms=301, hangs_up_ms=2_013)}),
}


IN_THE_WINDOW = Scene(3_020, {AGENT: ANSWERS})


@pytest.mark.parametrize("name", SCENES)
def test_recorded_commands_have_the_recorded_effect(name: str) -> None:
    """The simulated switch tells the same story as the real one, leg by leg, job by job and reply by reply.

    Not for every seed: here and there a thread is late on a real switch, and so it is in the model.
    """
    found = [differences(expected(name), replay(name, SCENES[name], seed)) for seed in range(1, 7)]
    assert sum(not each for each in found) >= 4, found


def test_agent_killed_in_the_bridge_window_can_end_as_it_was_recorded() -> None:
    """Where threads race, the recorded outcome is among those that the simulated switch produces."""
    name = "10-agent-dies-in-bridge-window"
    assert any(differences(expected(name), replay(name, IN_THE_WINDOW, seed)) == [] for seed in range(20))
