"""A phone whose answer must be confirmed: the person hears a tone until they press the key (`group_confirm_key`).

As FreeSWITCH does it (collect_thread_run in switch_ivr_originate.c): a thread of its own plays the file and reads as
many keys as the right one has, again and again. The originating thread goes on looking; its timeout ends the leg.
"""

from __future__ import annotations

from collections.abc import Callable

from fsacd.sim.agenda import MS, SECOND
from fsacd.sim.apps import sound_length_us
from fsacd.sim.ports import Leg

# From the answer to the tone.
_BEGIN_US = (100, 20 * MS)
# A key is noticed by the next frame.
_FRAME_US = 20 * MS
# How long the thread waits for a key before it plays again.
_PATIENCE_US = 5 * SECOND


class Confirmation:
    """The thread for one leg. `confirmed` is told when the right key was pressed."""

    def __init__(self, session: Leg, confirmed: Callable[[], None]) -> None:
        self._session = session
        self._confirmed = confirmed
        self._key = session.channel.variables["group_confirm_key"]
        self._sound = session.channel.variables.get("group_confirm_file", "silence")
        self._pressed = ""
        self._playing = False
        self._until_us = 0
        agenda = session.switch.agenda
        agenda.after(agenda.between(*_BEGIN_US), self._play)

    def _play(self) -> None:
        if self._is_over():
            return
        self._pressed, self._playing = "", True
        self._until_us = self._session.switch.agenda.now_us + (sound_length_us(self._sound) or _PATIENCE_US)
        self._tell("PLAYBACK_START")
        self._look()

    def _look(self) -> None:
        """The next frame; a key cuts the tone short."""
        if self._is_over():
            return
        channel, agenda = self._session.channel, self._session.switch.agenda
        while channel.digits and len(self._pressed) < len(self._key):
            self._pressed += channel.digits.popleft()
        late = agenda.now_us >= self._until_us
        if self._playing and (self._pressed or late):
            self._playing = False
            self._tell("PLAYBACK_STOP", **{"Playback-Status": "break" if self._pressed else "done"})
            self._until_us, late = agenda.now_us + _PATIENCE_US, False
        if self._pressed == self._key:
            for name in ("group_confirm_key", "group_confirm_file"):
                channel.variables.pop(name, None)
            self._confirmed()
        elif len(self._pressed) == len(self._key) or late:
            self._play()
        else:
            agenda.after(_FRAME_US, self._look)

    def _is_over(self) -> bool:
        over = self._session.channel.down or not self._session.originating
        if over and self._playing and self._session.channel.down:
            self._playing = False
            self._tell("PLAYBACK_STOP", **{"Playback-Status": "done"})
        return over

    def _tell(self, event: str, **more: str) -> None:
        kind = "tone_stream" if "tone_stream" in self._sound else "file"
        about = {"Playback-File-Path": self._sound, "Playback-File-Type": kind}
        self._session.switch.fire(event, self._session.channel, about | more)
