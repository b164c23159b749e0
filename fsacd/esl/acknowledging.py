"""Calls whose caller's ACK (SIP) has not come: they are kept from the engine until it has, or checked while they ring.

FreeSWITCH answers a call and announces it before it knows whether there is a caller. A sender of INVITEs with forged
addresses never acknowledges the answer. Each such call would stand in a queue and make phones ring until FreeSWITCH
ends it after 32 s. No event tells of the ACK, so the daemon asks for the leg's variable, soon and then less and less
often. The announcement of a lone caller on a near network mostly says already that the ACK has come. When callers come
together, hardly any announcement says so: the leg's own thread reads the ACK with its next frame, some 20 to 40 ms
later. So callers from an address that has acknowledged lately (`trust`) are let in at once. A caller who does not
acknowledge costs their address this trust after a second, and their leg is ended after five.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import gevent
import orjson
import structlog

from fsacd.core.events import CallQueued, Leg
from fsacd.esl import encoder
from fsacd.esl.announced import is_acknowledged
from fsacd.esl.codec import Kind, Message
from fsacd.esl.trust import Trust
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.log.setup import seldom
from fsacd.runtime import watched

log = structlog.get_logger(__name__)

Submit = Callable[[Wire, Callable[[Reply], object], float], None]

# What FreeSWITCH sets when the ACK comes.
_VARIABLE: Final = "sip_cseq"
_UNSET: Final = "_undef_"
_ANSWER_S: Final = 5.0
_FIRST_S: Final = 0.004
_GROWTH: Final = 1.35
# FreeSWITCH sends a lost 200 again after 0.5, 1.5 and 3.5 s. A caller who acknowledges later is announced again anyway.
_GIVE_UP_S: Final = 4.0
# A flood of such calls must not become a flood of questions. The newest calls have the places: an honest caller needs
# one only briefly. A caller who loses their place is checked again at their next announcement.
LIMIT: Final = 200
# How often callers who were let in at once are checked: nearly all honest ones have acknowledged by the first check.
_LOOK_S: Final = 0.5
# Those whose check comes within this time are checked with the first of them: earlier, never later, because few calls
# of an address may be unproven at a time.
_TOGETHER_S: Final = 0.1
# The answer may have been lost once or twice. Until this time the leg is not ended, but other callers from the address
# wait for their ACK.
_DOUBTED_AFTER_S: Final = 1.0
_ENDED_AFTER_S: Final = 5.0
_QUESTIONS_PER_S: Final = 500
_TOO_MANY_S: Final = 0.25


@dataclass(slots=True)
class _Waiting:
    fact: CallQueued
    again: bool
    next_s: float = _FIRST_S
    asked_for_s: float = 0.0
    let_in: bool = False  # the engine has the call already
    check_s: float = 0.0  # when they are checked next, if they were let in


class Acknowledging:
    """Keeps the calls of one switch back until their callers have acknowledged; then `post` gets them, once each.

    `on_given_up` is told once of every call whose caller had not acknowledged when the asking ended. `trusting`:
    callers of an address that has acknowledged lately are let in at once, and `end` ends the leg of one who should not
    have been.
    """

    def __init__(
        self,
        switch: str,
        submit: Submit,
        post: Callable[[CallQueued], None],
        on_given_up: Callable[[], object] = lambda: None,
        *,
        trusting: bool = False,
        end: Callable[[Leg], object] = lambda _leg: None,
    ) -> None:
        self._switch = switch
        self._submit = submit
        self._post = post
        self._end = end
        self._trusting = trusting
        self._trust = Trust()
        self._waiting: dict[Leg, _Waiting] = {}
        self._dumps = False  # the link's user has the rights of an older version, without `uuid_getvar`
        self._on_given_up = on_given_up
        self._looks: deque[tuple[Leg, _Waiting]] = deque()  # who was let in and is to be checked, nearly by time
        self._looking = False
        self._second, self._asked = 0, 0  # questions asked in this second

    def __len__(self) -> int:
        """How many calls wait for their ACK now."""
        return len(self._waiting)

    def keep(self, fact: CallQueued, *, again: bool = False) -> None:
        """This caller has been announced, perhaps not for the first time, and has not acknowledged yet."""
        if fact.leg is None:
            self._post(fact)  # the engine refuses this call: no command can name its leg
            return
        known = self._waiting.get(fact.leg)
        if known is not None and known.fact.call_id == fact.call_id:
            return  # they are being asked for
        if known is not None:
            self._drop(fact.leg)
        if self._trusting and self._trust.takes(fact.source, time.monotonic()):
            self._waiting[fact.leg] = waiting = _Waiting(fact, again, _LOOK_S, _LOOK_S, let_in=True)
            self._post(fact)
            self._look_later(fact.leg, waiting)
            return
        kept = [leg for leg, other in self._waiting.items() if not other.let_in]
        if len(kept) >= LIMIT:
            self._give_up(kept[0], self._waiting[kept[0]])
        self._waiting[fact.leg] = waiting = _Waiting(fact, again)
        self._ask(fact.leg, waiting)

    def acknowledged(self, fact: CallQueued) -> None:
        """This caller has been announced, and the announcement says that they have acknowledged."""
        self.forget(fact.leg)
        self._trust.proved(fact.source, time.monotonic())

    def forget(self, leg: Leg | None) -> None:
        """The leg has ended, or left its queue."""
        if leg in self._waiting:
            self._drop(leg)

    def clear(self) -> None:
        """Forget all calls: another daemon serves the switch, or the link is down."""
        for leg in list(self._waiting):
            self._drop(leg)

    def _drop(self, leg: Leg) -> None:
        waiting = self._waiting.pop(leg)
        if waiting.let_in:
            self._trust.settled(waiting.fact.source)

    def _ask(self, leg: Leg, waiting: _Waiting) -> None:
        if self._waiting.get(leg) is not waiting:
            return
        if (second := int(time.monotonic())) != self._second:
            self._second, self._asked = second, 0
        self._asked += 1
        if self._asked > _QUESTIONS_PER_S:
            waiting.asked_for_s += _TOO_MANY_S
            watched.brief("acknowledgements", self._ask_later, _TOO_MANY_S, leg, waiting)
            return
        wire = encoder.uuid_dump(leg.uuid) if self._dumps else encoder.uuid_getvar(leg.uuid, _VARIABLE)
        self._submit(wire, lambda reply: self._answered(leg, waiting, reply), _ANSWER_S)

    def _ask_later(self, pause_s: float, leg: Leg, waiting: _Waiting) -> None:
        gevent.sleep(pause_s)
        self._ask(leg, waiting)

    def _look_later(self, leg: Leg, waiting: _Waiting) -> None:
        # From check to check, not from now: what one check comes late must not add up.
        waiting.check_s = (waiting.check_s or time.monotonic()) + _LOOK_S
        self._looks.append((leg, waiting))
        if not self._looking:
            self._looking = True
            watched.brief("acknowledgements", self._look)

    def _look(self) -> None:
        """Check the callers who were let in, until there are none; one greenlet and one timer for all of them."""
        pause_s = _LOOK_S
        try:
            while self._looks:
                gevent.sleep(pause_s)
                now_s = time.monotonic()
                while self._looks and self._looks[0][1].check_s <= now_s + _TOGETHER_S:
                    self._ask(*self._looks.popleft())
                pause_s = self._looks[0][1].check_s - now_s if self._looks else 0.0
        finally:
            self._looking = False

    def _answered(self, leg: Leg, waiting: _Waiting, reply: Reply) -> None:
        if self._waiting.get(leg) is not waiting:
            return
        if reply.outcome is Outcome.ERR and "permission denied" in reply.text and not self._dumps:
            self._dumps = True
            log.info("the link's user may not use uuid_getvar; uuid_dump does its work", switch=self._switch)
            self._ask(leg, waiting)
        elif reply.outcome is Outcome.ERR:
            self._drop(leg)  # it is gone
        elif reply.ok and self._has_come(reply.text):
            self._drop(leg)
            self._trust.proved(waiting.fact.source, time.monotonic())
            if not waiting.let_in:
                self._post(waiting.fact)
        elif waiting.let_in:
            self._doubt(leg, waiting)
        elif waiting.asked_for_s > _GIVE_UP_S:
            self._give_up(leg, waiting)
        else:
            waiting.asked_for_s += waiting.next_s
            watched.brief("acknowledgements", self._ask_later, waiting.next_s, leg, waiting)
            waiting.next_s *= _GROWTH

    def _doubt(self, leg: Leg, waiting: _Waiting) -> None:
        """The call is distributed already, and still nobody has acknowledged it."""
        source = waiting.fact.source
        if waiting.asked_for_s >= _DOUBTED_AFTER_S and self._trust.doubt(source, time.monotonic()):
            seldom(
                log.warning,
                "not acknowledged",
                "calls come in the name of an address, and nobody acknowledges them; its calls wait for their ACK now",
                group=self._switch,
                switch=self._switch,
                address=source,
            )
        if waiting.asked_for_s >= _ENDED_AFTER_S:
            self._give_up(leg, waiting)
            self._end(leg)
        else:
            waiting.asked_for_s += _LOOK_S
            self._look_later(leg, waiting)

    def _give_up(self, leg: Leg, waiting: _Waiting) -> None:
        self._drop(leg)
        if not waiting.again:
            self._on_given_up()

    def _has_come(self, text: str) -> bool:
        if not self._dumps:
            return text.strip() not in ("", _UNSET)
        try:
            dump = orjson.loads(text)
        except orjson.JSONDecodeError:
            return False
        return isinstance(dump, dict) and is_acknowledged(Message(Kind.EVENT, dump))
