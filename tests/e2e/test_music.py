"""Music that is not there: what callers hear then on a real FreeSWITCH, and who is told."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch, await_true

MUSIC = "/nowhere/there-is-no-such-music.wav"


def test_music_that_is_not_there_is_a_tone_and_a_sentence(workplace: Path, switch: RealSwitch) -> None:
    """The caller hears a tone instead; the daemon names the source, until it can be played again."""
    esl = switch.esl()
    usual = esl.api("global_getvar fsacd_music").strip()
    esl.api(f"global_setvar fsacd_music={MUSIC}")
    daemon = Daemon(workplace, {"queues": {"support": {}}, "agents": {}}, switch.esl_port)
    phones = Telephones(switch.trunk_port)
    try:
        daemon.start()
        phones.call("4930111", "queue-support")
        await_true(lambda: daemon.get("calls")["calls"], 30, "the caller waits")
        (call,) = daemon.get("calls")["calls"]
        dump = f"uuid_getvar {call['leg_uuid']} current_application_data"
        await_true(lambda: "tone_stream://" in esl.api(dump), 30, "they hear a tone")
        await_true(lambda: MUSIC in json.dumps(daemon.get("status")), 30, "the daemon says so")
        esl.api(f"global_setvar fsacd_music={usual}")
        silent = f"uuid_getvar {call['leg_uuid']} fsacd_silent"
        await_true(lambda: "_undef_" in esl.api(silent), 60, "they hear the music again")
    finally:
        esl.api(f"global_setvar fsacd_music={usual}")
        esl.close()
        phones.stop()
        daemon.stop()
