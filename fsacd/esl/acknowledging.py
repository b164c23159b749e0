"""Callers whose ACK has not come yet: nobody is told of them before it has.

FreeSWITCH answers a call and tells of it before it knows whether there is anybody. Whoever sends INVITEs in the name of
addresses that are not theirs never acknowledges the answer, and each of them would stand in a queue and make phones
ring until FreeSWITCH gives it up after 32 s. No event tells of the ACK, so the leg is asked for it, soon and then less
and less often. The announcement of a lone caller on a near network mostly says already that it has come. Of callers who
come together hardly any says so: the leg's own thread reads the ACK with its next frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import gevent
import orjson
import structlog

from fsacd import watched
from fsacd.core.events import CallQueued, Leg
from fsacd.esl import encoder
from fsacd.esl.announced import is_acknowledged
from fsacd.esl.codec import Kind, Message
from fsacd.esl.wire import Outcome, Reply, Wire

log = structlog.get_logger(__name__)

Submit = Callable[[Wire, Callable[[Reply], object], float], None]

# What FreeSWITCH sets when the ACK comes.
_VARIABLE: Final = "sip_cseq"
_UNSET: Final = "_undef_"
_ANSWER_S: Final = 5.0
_FIRST_S: Final = 0.004
_GROWTH: Final = 1.35
# Of 200s that are lost FreeSWITCH sends others after 0.5, 1.5 and 3.5 s. Who is later announces himself again anyway.
_GIVE_UP_S: Final = 4.0
# A flood of such calls must not become one of questions. The newest have the places: an honest caller is not long here.
# Whoever loses his place is looked at again when he announces himself the next time.
LIMIT: Final = 200
_QUESTIONS_PER_S: Final = 500
_TOO_MANY_S: Final = 0.25


@dataclass(slots=True)
class _Waiting:
    fact: CallQueued
    again: bool
    next_s: float = _FIRST_S
    asked_for_s: float = 0.0


class Acknowledging:
    """Keeps the calls of one switch back until their callers have acknowledged; then `post` gets them, once each.

    `on_given_up` is told of every call, once, whose caller had not acknowledged when we stopped to ask.
    """

    def __init__(
        self,
        switch: str,
        submit: Submit,
        post: Callable[[CallQueued], None],
        on_given_up: Callable[[], object] = lambda: None,
    ) -> None:
        self._switch = switch
        self._submit = submit
        self._post = post
        self._waiting: dict[Leg, _Waiting] = {}
        self._dumps = False  # the rights of our user are of before `uuid_getvar` was among them
        self._on_given_up = on_given_up
        self._second, self._asked = 0, 0  # questions in this second

    def __len__(self) -> int:
        """How many calls wait for their ACK now."""
        return len(self._waiting)

    def keep(self, fact: CallQueued, *, again: bool = False) -> None:
        """This caller has announced himself, perhaps not for the first time, and has not acknowledged yet."""
        if fact.leg is None:
            self._post(fact)  # it is refused: no command can name its leg
            return
        known = self._waiting.get(fact.leg)
        if known is not None and known.fact.call_id == fact.call_id:
            return  # he is being asked for
        if known is None and len(self._waiting) >= LIMIT:
            oldest = next(iter(self._waiting))
            self._give_up(oldest, self._waiting[oldest])
        self._waiting[fact.leg] = waiting = _Waiting(fact, again)
        self._ask(fact.leg, waiting)

    def forget(self, leg: Leg | None) -> None:
        """The leg has acknowledged, or has ended, or left its queue."""
        if leg is not None:
            self._waiting.pop(leg, None)

    def clear(self) -> None:
        """The switch is not ours any more, or not there."""
        self._waiting.clear()

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

    def _answered(self, leg: Leg, waiting: _Waiting, reply: Reply) -> None:
        if self._waiting.get(leg) is not waiting:
            return
        if reply.outcome is Outcome.ERR and "permission denied" in reply.text and not self._dumps:
            self._dumps = True
            log.info("the link's user may not use uuid_getvar; uuid_dump does its work", switch=self._switch)
            self._ask(leg, waiting)
        elif reply.outcome is Outcome.ERR:
            del self._waiting[leg]  # the leg is gone
        elif reply.ok and self._has_come(reply.text):
            del self._waiting[leg]
            self._post(waiting.fact)
        elif waiting.asked_for_s > _GIVE_UP_S:
            self._give_up(leg, waiting)
        else:
            waiting.asked_for_s += waiting.next_s
            watched.brief("acknowledgements", self._ask_later, waiting.next_s, leg, waiting)
            waiting.next_s *= _GROWTH

    def _give_up(self, leg: Leg, waiting: _Waiting) -> None:
        del self._waiting[leg]
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
