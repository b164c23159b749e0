"""Phones that divert a ring (SIP 302): the ring follows once, to where the operator allows it.

FreeSWITCH by itself would call any address that the phone names. If that phone diverts too, it would call on, some
thousand times a second. So each ring ends at the diversion, and the number in it is dialled as a second leg of the same
offer, by a contact of the configuration. A ring at several phones is not followed: the others ring on.
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

# The number in the diversion's address. It must not be a feature code, nor anything but a number to a dialplan.
_NUMBER: Final = re.compile(r"\+?[0-9]{2,32}")
_DIVERTED_TO: Final = "variable_sip_redirect_contact_user_0"
LEGS: Final = 2
# The most rings that are remembered at once on one switch; beyond it the oldest is not followed.
_MOST: Final = 10_000


class Diversions:
    """The rings of one switch that may be followed, and those that were."""

    def __init__(self) -> None:
        self._rings: dict[str, RingAgent] = {}
        self._followed: dict[str, None] = {}

    def ordered(self, command: RingAgent, legs: int) -> None:
        """An agent is rung for this offer, on so many legs."""
        if command.phone.diverted_to and legs == 1:
            self._rings[command.offer_id] = command
            _bound(self._rings)

    def follow(self, message: Message, fact: OfferEnded) -> tuple[OfferEnded | None, Wire | None]:
        """What the end of a leg means for its offer, and the order for the next one, if it is followed.

        Once a diversion is followed, the first leg is one of two, and its end does not end the offer. The first leg's
        job fails with it, and that failure is ignored.
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
    """The first leg's end, told so that the second leg's end decides the offer: its reason is the weakest there is."""
    return replace(fact, end=OfferEnd.NOT_SENT, leg=fact.offer_id, legs=LEGS)


def _bound(kept: dict[str, RingAgent] | dict[str, None]) -> None:
    while len(kept) > _MOST:
        del kept[next(iter(kept))]
