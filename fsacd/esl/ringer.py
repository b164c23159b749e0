"""Rings agents on one switch: asks where their users have registered, and follows a phone that diverts its call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from fsacd.core.commands import RingAgent, RingNumber
from fsacd.core.contact import most_legs, registered_users
from fsacd.core.events import Event, OfferEnd, OfferEnded, OfferForked
from fsacd.esl import diversions, encoder
from fsacd.esl.codec import Message
from fsacd.esl.devices import Devices
from fsacd.esl.diversions import Diversions
from fsacd.esl.ringing import USUAL_CONTEXT, Registrations, registrations, ring, ring_number
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.process.monotonic import monotonic_ms
from fsacd.process.trouble import shortened

# How long a switch may take to say where a user has registered; after that the switch itself chooses one device.
_LOOK_UP_S: Final = 1.0
# The switch's global variable that names the context of agents' numbers.
_CONTEXT: Final = "fsacd_transfer_context"
OnReply = Callable[[Reply], object]


class Ringer:
    """Sends the orders to ring.

    `ask` sends questions, `act` commands that change something; `replied` gets an order's reply.

    `post` takes facts for the engine.
    """

    def __init__(
        self,
        ask: Callable[[Wire, OnReply, float], None],
        act: Callable[[Wire, OnReply], None],
        replied: Callable[[RingAgent | RingNumber, Reply], None],
        post: Callable[[Event], object],
    ) -> None:
        self.devices = Devices(monotonic_ms)
        self._diversions = Diversions()
        self._ask = ask
        self._act = act
        self._replied = replied
        self._post = post

    def ring(self, command: RingAgent | RingNumber) -> None:
        """Ring the agent: at each device of theirs, or where their contact says; or dial the number.

        Raises encoder.EncodeError for an order that has no safe form.
        """
        if isinstance(command, RingNumber):
            self._ring_number(command)
            return
        if not command.standing_leg and (users := registered_users(command.contact)):
            self._ring_users(command, users)
            return
        wire, _ = ring(command)
        self._diversions.ordered(command, most_legs(command.contact))
        self._act(wire, lambda reply: self._replied(command, reply))

    def _ring_number(self, command: RingNumber) -> None:
        """Dial the number, in the context in which the switch looks up agents' numbers now.

        Without an answer to this it is not dialled: in another context it might be somebody else's.
        """

        def answered(reply: Reply) -> None:
            words = reply.text.split()
            if reply.outcome is not Outcome.OK and not reply.text.startswith("-ERR"):
                self._replied(command, Reply(Outcome.NOT_SENT, "the switch does not say where numbers are dialled"))
                return
            context = words[0] if words and reply.outcome is Outcome.OK else USUAL_CONTEXT
            try:
                wire = ring_number(command, context)
            except encoder.EncodeError as error:
                self._replied(command, Reply(Outcome.NOT_SENT, str(error)))
                return
            self._act(wire, lambda replied: self._replied(command, replied))

        self._ask(encoder.global_getvar(_CONTEXT), answered, _LOOK_UP_S)

    def _ring_users(self, command: RingAgent, users: tuple[str, ...]) -> None:
        """Ring each device of these users; without an answer, the one device that the switch finds.

        The switch is asked first where they have registered. If each user is known to have one device, it is asked
        after the order to ring, for the next ring.
        """
        known = self.devices.have_one_each(users)
        if known:
            self._ring(command, {})
        open_, registered = set(users), dict[str, tuple[str, ...]]()

        def answered(user: str, changes: int, reply: Reply) -> None:
            registered[user] = registrations(reply.text) if reply.outcome is Outcome.OK else ()
            if reply.outcome is Outcome.OK:
                self.devices.answered(user, len(registered[user]), changes)
            open_.discard(user)
            if not open_ and not known:
                self._ring(command, registered)

        for user in users:
            wire = encoder.sofia_contact(user)
            self._ask(wire, partial(answered, user, self.devices.changes), _LOOK_UP_S)

    def _ring(self, command: RingAgent, registered: Registrations) -> None:
        try:
            wire, legs = ring(command, registered)
        except encoder.EncodeError as error:
            self._replied(command, Reply(Outcome.NOT_SENT, str(error)))
            return
        self._diversions.ordered(command, legs)
        self._act(wire, lambda reply: self._replied(command, reply))
        self._post(OfferForked(command.offer_id, legs))

    def follow(self, message: Message, ended: OfferEnded) -> OfferEnded | None:
        """What the end of an agent's leg means for its offer; a ring that the phone has diverted may be followed."""
        fact, order = self._diversions.follow(message, ended)
        if order is not None:

            def replied(reply: Reply) -> None:
                if reply.outcome in (Outcome.ERR, Outcome.NOT_SENT):
                    self._post(OfferEnded(ended.offer_id, OfferEnd.UNREACHABLE, shortened(reply.text)))

            # The fact that there are two legs comes first, or the end of the first leg would end the offer.
            self._post(OfferForked(ended.offer_id, diversions.LEGS))
            self._act(order, replied)
        return fact
