"""Plays the deeds of tests/legs on a real switch: the same words, with real phones and a real daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent

from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.dialog import replaces as replaced
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import await_true

Deed = tuple[str, ...]
_SOON_S = 60.0
# A deed that needs a ring or a talk waits so long for it: a busy machine is late.
_PATIENCE_S = 60.0


class RealLegs:
    """`phones` has the telephones by device ("1001a"); callers and strangers are at the floor's."""

    def __init__(self, floor: Floor, phones: dict[str, tuple[Telephones, str]]) -> None:
        self._floor = floor
        self._phones = phones
        self._people: dict[str, Dialog] = {}

    def play(self, deeds: Sequence[Deed]) -> None:
        """All of them, one after the other."""
        for name, *words in deeds:
            getattr(self, f"do_{name}")(*words)

    def finish(self) -> None:
        """Everybody hangs up."""
        for dialog in self._people.values():
            if dialog.state == "talking":
                self._floor.phones.end(dialog)
        for phones, user in self._phones.values():
            phones.hang_up(user)

    def ends(self, count: int) -> list[tuple[str, str]]:
        """How the calls have ended, as the log has it, when there are so many; the last end of each."""
        found: dict[str, tuple[str, str]] = {}

        def told() -> bool:
            lines = self._floor.daemon.log.read_text(encoding="utf-8").splitlines()
            for line in lines:
                if line.startswith("{") and (entry := json.loads(line))["event"] == "call ended":
                    found[entry["call"]] = (entry["outcome"], entry["detail"] if entry["outcome"] == "left" else "")
            return len(found) >= count

        await_true(told, _PATIENCE_S, f"{count} calls have ended")
        return sorted(found.values())

    # --- the deeds ---

    def do_wait(self, ms: str) -> None:
        time.sleep(float(ms) / 1_000)

    def do_call(self, label: str, queue: str) -> None:
        self._call(label, f"queue-{queue}")

    def do_replace(self, label: str, old: str) -> None:
        self._call(label, "queue-support", replaced(self._people[old]))

    def do_pick(self, label: str, caller: str, _user: str = "") -> None:
        self._call(label, f"pick-{self._leg(caller)}")

    def do_bridge(self, label: str, caller: str) -> None:
        self._call(label, "lab_voicemail")
        gevent.sleep(0.3)
        self._api(f"uuid_bridge {self._leg(label)} {self._leg(caller)}")

    def do_park(self, caller: str) -> None:
        self._api(f"uuid_park {self._leg(caller)}")

    def do_unpark(self, caller: str) -> None:
        self._api(f"uuid_transfer {self._leg(caller)} fsacd_wait XML fsacd")

    def do_move(self, caller: str) -> None:
        self._api(f"uuid_transfer {self._leg(caller)} lab_voicemail XML public")

    def do_refer(self, label: str, dials: str) -> None:
        self._floor.phones.refer(self._people[label], f"sip:{dials}@127.0.0.1:{self._floor.switch.trunk_port}")

    def do_hang_up(self, label: str) -> None:
        self._floor.phones.end(self._people[label])

    def do_answer(self, device: str) -> None:
        phones, _ = self._phones[device]
        ring = self._latest(device, "ringing", "talking", "over")
        if ring.state == "ringing":
            phones.answer(ring)

    def do_refuse(self, device: str, cause: str) -> None:
        phones, _ = self._phones[device]
        phones.refuse(self._latest(device, "ringing"), cause)

    def do_agent_hangs_up(self, device: str) -> None:
        phones, user = self._phones[device]
        phones.hang_up(user)

    def do_agent_consults(self, device: str, call: str, queue: str) -> None:
        phones, _ = self._phones[device]
        phones.hold(self._latest(device, "talking"))
        self._call(call, f"queue-{queue}")

    def do_agent_hands_over(self, device: str, call: str) -> None:
        phones, _ = self._phones[device]
        target = f"sip:queue-support@127.0.0.1:{phones.trunk_port}"
        phones.refer(self._latest(device, "talking"), target, replaced(self._people[call]))

    def do_agent_moves(self, device: str, call: str) -> None:
        self._call(call, "taken-over", replaced(self._latest(device, "talking")))

    def do_kill(self, ms: str) -> None:
        self._floor.daemon.kill()
        time.sleep(float(ms) / 1_000)
        self._floor.daemon.start()

    # --- who is who ---

    def _call(self, label: str, dials: str, replaces: str = "") -> None:
        number = f"4930{int(label[1:]):04d}"
        dialog = self._people[label] = self._floor.phones.call(number, dials, replaces=replaces)
        await_true(lambda: dialog.state != "calling", _SOON_S, f"{label} is answered")

    def _latest(self, device: str, *states: str) -> Dialog:
        phones, user = self._phones[device]
        ring: Dialog = _awaited(lambda: phones.latest(user, *states), f"{device} is {' or '.join(states)}")
        return ring

    def _leg(self, label: str) -> str:
        """The uuid of a person's leg: the switch knows it by their Call-ID."""
        call_id = self._people[label].call_id

        def found() -> str:
            rows = json.loads(self._api("show channels as json")).get("rows", [])
            legs = (row["uuid"] for row in rows if row["direction"] == "inbound")
            return next((leg for leg in legs if self._api(f"uuid_getvar {leg} sip_call_id") == call_id), "")

        return str(_awaited(found, f"the leg of {label}"))

    def _api(self, command: str) -> str:
        esl = self._floor.switch.esl()
        answer = esl.api(command)
        esl.close()
        return answer.strip()


def _awaited(ask: Callable[[], Any], what: str) -> Any:
    answers: list[Any] = []

    def answered() -> bool:
        answers[:] = [ask()]
        return bool(answers[0])

    await_true(answered, _PATIENCE_S, what)
    return answers[0]
