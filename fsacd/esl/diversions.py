"""Phones that send a ring elsewhere (SIP 302), and are followed once, to where the operator lets them.

Left to itself FreeSWITCH would call whatever address the phone names, and again when that one diverts, some thousand
times a second. So each ring ends at the diversion, and the number in it is dialled as a second leg of the same offer,
by a contact of the configuration. A ring at several phones is not followed: the others ring on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from fsacd.core.commands import RingAgent
from fsacd.core.events import OfferEnd, OfferEnded
from fsacd.core.offer import legs_of
from fsacd.esl import encoder
from fsacd.esl.codec import Message
from fsacd.esl.ringing import follow
from fsacd.esl.wire import Wire

# The number in the diversion's address. Not a feature code, and nothing that a dialplan takes for another word.
_NUMBER: Final = re.compile(r"\+?[0-9]{2,32}")
_DIVERTED_TO: Final = "variable_sip_redirect_contact_user_0"
LEGS: Final = 2
# Rings at once on one switch; the oldest one beyond is not followed.
_MOST: Final = 10_000


class Diversions:
    """The rings of one switch that may be followed, and those that were."""

    def __init__(self) -> None:
        self._rings: dict[str, RingAgent] = {}
        self._followed: dict[str, None] = {}

    def ordered(self, command: RingAgent, legs: int) -> None:
        """An agent is rung on so many legs."""
        if command.phone.diverted_to and legs == 1:
            self._rings[command.offer_id] = command
            _bound(self._rings)

    def follow(self, message: Message, fact: OfferEnded) -> tuple[OfferEnded | None, Wire | None]:
        """What the end of a leg means for its offer, and the order for the next one, if it is followed.

        The end of the first leg is that of one of two from then on; its job, which has failed with it, says nothing.
        """
        if fact.offer_id in self._followed and not fact.leg:
            return (None if message.name == "BACKGROUND_JOB" else _of_the_first(fact)), None
        command = self._rings.pop(fact.offer_id, None)
        if command is None or fact.end is not OfferEnd.DIVERTED or not _NUMBER.fullmatch(message.get(_DIVERTED_TO)):
            return fact, None
        try:
            order = follow(command, message.get(_DIVERTED_TO), legs_of(command.offer_id, LEGS)[-1], LEGS)
        except encoder.EncodeError:
            return fact, None
        self._followed[fact.offer_id] = None
        _bound(self._followed)
        return _of_the_first(fact), order


def _of_the_first(fact: OfferEnded) -> OfferEnded:
    """What becomes of the second leg is the end of the offer, whatever it is: the weakest end of the first one."""
    return replace(fact, end=OfferEnd.NOT_SENT, leg=fact.offer_id, legs=LEGS)


def _bound(kept: dict[str, RingAgent] | dict[str, None]) -> None:
    while len(kept) > _MOST:
        del kept[next(iter(kept))]
