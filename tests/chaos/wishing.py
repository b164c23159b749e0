"""Agents who hold their callers, ask colleagues and hand callers over, at random moments of a schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random

from fsacd.core import offer as o
from fsacd.core.events import (
    TalkChangeAsked,
    TalkConsultAsked,
    TalkDigitsAsked,
    TalkTransferAsked,
    TalkVerb,
    TalkWish,
    TransferTo,
)
from fsacd.core.life.world import World
from fsacd.core.shape import Shape
from fsacd.errors import Refused, Unavailable
from fsacd.sim.agenda import SECOND, Agenda
from fsacd.sim.workload import OUTSIDE_LINE
from tests.chaos.life import Life
from tests.chaos.virtual import spawn_for

EVERY_S = 0.4
# In how many of these moments an agent in a talk wishes something.
WISHES = 0.25
# How often that is to give the caller away.
GIVES_AWAY = 0.1
# How often an agent mutes or unmutes themselves, sends a digit, and hangs up.
MUTES, SENDS, HANGS_UP = 0.08, 0.04, 0.02
# How often whoever asks somebody asks outside.
ASKS_OUTSIDE = 0.15
# By what the talk is: what else its agent may wish, beside holding the caller and asking a colleague.
VERBS: Mapping[str, tuple[TalkVerb, ...]] = {
    Shape.HELD: (TalkVerb.RESUME,),
    Shape.CALLING: (TalkVerb.CANCEL,),
    Shape.CONSULTING: (TalkVerb.SWAP, TalkVerb.COMPLETE, TalkVerb.CANCEL, TalkVerb.THREE_WAY),
    Shape.SWAPPED: (TalkVerb.SWAP, TalkVerb.COMPLETE, TalkVerb.CANCEL, TalkVerb.THREE_WAY),
    Shape.THREE_WAY: (TalkVerb.LEAVE, TalkVerb.DROP),
}


class Wishing:
    """Wishes come as by the API. A refused one is no fault; most wishes that make no sense are not made."""

    def __init__(self, agenda: Agenda, seed: int, serving: Callable[[], Life | None]) -> None:
        self._agenda = agenda
        self._chance = Random(f"wishes {seed}")
        self._serving = serving
        self.granted = 0

    def start(self) -> None:
        """From now on."""
        self._agenda.after(EVERY_S * SECOND, self._look)

    def _look(self) -> None:
        self.start()
        life = self._serving()
        if life is None:
            return
        world = life.engine._world
        for offer in list(world.offers.values()):
            if isinstance(offer.state, o.OfferTalking) and self._chance.random() < WISHES:
                self._ask(life, self._wish(world, offer))

    def _ask(self, life: Life, wish: TalkWish) -> None:
        def ask() -> None:
            if not life.alive or life.frozen:
                return
            with suppress(Refused, Unavailable):
                life.runtime.ask(wish)
                self.granted += 1

        spawn_for(life, ask)

    def _wish(self, world: World, offer: o.Offer) -> TalkWish:
        if self._chance.random() < GIVES_AWAY:
            return self._transfer(world, offer)
        shape = world.shapes.get(offer.offer_id)
        if (wish := self._unmoved(offer, muted=shape is not None and shape.muted)) is not None:
            return wish
        verbs = VERBS.get(shape.shape if shape is not None else Shape.TOGETHER, ())
        if not verbs or self._chance.random() < 0.3:
            colleague = self._chance.choice(list(world.agents))
            if self._chance.random() < ASKS_OUTSIDE:
                return TalkConsultAsked(
                    offer.agent_id, offer.offer_id, f"{OUTSIDE_LINE}123", "agent", TransferTo.NUMBER
                )
            if self._chance.random() < 0.6:
                return TalkConsultAsked(offer.agent_id, offer.offer_id, colleague, "agent")
            verbs = verbs or (TalkVerb.HOLD,)
        return TalkChangeAsked(offer.agent_id, offer.offer_id, self._chance.choice(verbs), "agent")

    def _unmoved(self, offer: o.Offer, *, muted: bool) -> TalkWish | None:
        drawn = self._chance.random()
        if drawn < MUTES:
            verb = TalkVerb.UNMUTE if muted else TalkVerb.MUTE
        elif drawn < MUTES + SENDS:
            return TalkDigitsAsked(offer.agent_id, offer.offer_id, 1, "agent", "7")
        elif drawn < MUTES + SENDS + HANGS_UP:
            verb = TalkVerb.HANG_UP
        else:
            return None
        return TalkChangeAsked(offer.agent_id, offer.offer_id, verb, "agent")

    def _transfer(self, world: World, offer: o.Offer) -> TalkTransferAsked:
        kind = self._chance.choice((TransferTo.QUEUE, TransferTo.AGENT))
        known = world.rules.queues if kind is TransferTo.QUEUE else world.agents
        return TalkTransferAsked(offer.agent_id, offer.offer_id, kind, self._chance.choice(list(known)), "agent")
