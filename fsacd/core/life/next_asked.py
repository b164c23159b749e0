"""Whoever was rung because an agent asks a queue has not answered: the queue's next is rung, while there is time.

`asking` says what stands in the queue for the agent meanwhile, and `offers.make` rings.
"""

from __future__ import annotations

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.commands import CancelReason
from fsacd.core.events import OfferEnd
from fsacd.core.life import agents, asking, changes, offers, thirds
from fsacd.core.life.world import World
from fsacd.core.shape import TalkShape


def after_end(world: World, offer: o.Offer, shape: TalkShape, end: OfferEnd) -> None:
    """Their leg is gone, unanswered, or was never made. They are held back, as for any call."""
    third, entry = shape.third, shape.asks
    assert third is not None
    assert entry is not None
    shape.third = None
    if end is not OfferEnd.NOT_SENT:
        offers.not_taken(world, entry, third.agent_id)
    thirds.is_an_offer(world, third)
    offers.over(world, third, end)
    _look(world, offer, shape, entry)


def instead(world: World, offer: o.Offer, shape: TalkShape, why: CancelReason) -> None:
    """They are not to be rung any longer, if anybody is."""
    third, entry = shape.third, shape.asks
    assert entry is not None
    shape.third = None
    if third is not None:
        offers.not_taken(world, entry, third.agent_id)
        thirds.end(world, third, why)
    _look(world, offer, shape, entry)


def after_deadline(world: World, offer: o.Offer, shape: TalkShape, entry: c.Call) -> bool:
    """They have rung for long enough, or the queue has been asked for so long. Whether it is asked on."""
    if asking.has_time(world, entry):
        instead(world, offer, shape, CancelReason.NO_ANSWER)
        return True
    why = f"nobody of queue {entry.queue} was free" if asking.is_there(world, entry) else f"no queue {entry.queue}"
    changes.record(world, "talk_consult_over", offer.call_id, f"{offer.agent_id}, {why}", agents.FSACD)
    return False


def _look(world: World, offer: o.Offer, shape: TalkShape, entry: c.Call) -> None:
    asking.look(world, entry)
    if shape.wanted is None:
        world.timers.set("talk", offer.offer_id, asking.ends_ms(world, entry, None))
    world.refresh(world.calls[offer.call_id])
