"""How long a caller is on hold: parted from the agent by an order of ours, or held by the agent's own phone.

A phone that holds by itself tells the switch so by a re-INVITE. The bridge stands then, and the switch plays the music.
Hold is what an agent does to a caller: that a caller's phone holds the agent counts as talk, as everywhere. The two
ways overlap where a phone holds whom we hold, too; that time counts once.
"""

from __future__ import annotations

from typing import Final

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.events import GivenAway, HeldByPhone, OfferEnded, PhoneHold
from fsacd.core.life import thirds
from fsacd.core.life.told import told_ms
from fsacd.core.life.world import World
from fsacd.core.shape import TalkShape, is_held

# A hold that begins so soon after the last one goes on with it.
_SAME_MS: Final = 200


def told(world: World, event: PhoneHold) -> None:
    """The agent's phone holds, or does not any more. Told late, twice, or without its beginning, it counts once."""
    offer = world.offer_on(event.offer_id)
    if offer is None and (talk := thirds.talk_of(world, event.offer_id)) is not None:
        third = world.shapes[talk.offer_id].third
        assert third is not None
        third.phone_since_ms = event.since_ms if isinstance(event, HeldByPhone) else None
        return
    if offer is None or not isinstance(offer.state, o.OfferTalking):
        return  # a leg that rings or ends
    call = world.calls[offer.call_id]
    assert isinstance(call.state, c.Talking)
    shape = world.shapes.get(offer.offer_id)
    if shape is None:
        shape = world.shapes[offer.offer_id] = TalkShape(since_ms=call.state.since_ms, untouched=True)
    if isinstance(event, HeldByPhone):
        _held(world, offer, shape, event.since_ms)
    else:
        _resumed(world, offer, shape, event.since_ms)
    world.refresh(call)


def begin(world: World, third: o.Offer) -> None:
    """A colleague has got the caller, and talks with them now; their phone may hold whoever it is."""
    if third.phone_since_ms is not None:
        told(world, HeldByPhone(third.offer_id, third.phone_since_ms))
        third.phone_since_ms = None


def _held(world: World, offer: o.Offer, shape: TalkShape, since_ms: int) -> None:
    if shape.phone_since_ms is None:
        shape.phone_since_ms = _in_talk(world, offer, shape, since_ms)
        if is_held(shape):
            _begin(shape, shape.phone_since_ms)


def _resumed(world: World, offer: o.Offer, shape: TalkShape, since_ms: int) -> None:
    if shape.phone_since_ms is None and since_ms < shape.held_until_ms:
        return  # told twice
    began_ms = _in_talk(world, offer, shape, since_ms)
    if shape.held_since_ms is not None and shape.held_since_ms == shape.phone_since_ms:
        shape.held_since_ms = began_ms  # nothing was told of the end of the hold before this one
    shape.phone_since_ms = began_ms
    if is_held(shape):
        _begin(shape, began_ms)
    shape.phone_since_ms = None
    count(world, shape)


def _in_talk(world: World, offer: o.Offer, shape: TalkShape, since_ms: int) -> int:
    """The beginning of a hold, within the talk and after what is counted already."""
    assert offer.connected_ms is not None
    return min(world.now_ms, max(since_ms, offer.connected_ms, shape.held_until_ms))


def _begin(shape: TalkShape, since_ms: int) -> None:
    if shape.held_since_ms is None:
        shape.held_since_ms = since_ms
        # The switch ends a phone's hold in the moment in which it parts the two by an order of ours.
        shape.holds += not shape.holds or since_ms - shape.held_until_ms > _SAME_MS


def count(world: World, shape: TalkShape) -> None:
    """Who are bridged has changed, or what is wanted, or whether the phone holds: a hold begins, ends, or goes on."""
    if is_held(shape):
        _begin(shape, told_ms(world, max(shape.since_ms, shape.held_until_ms)))
    elif shape.held_since_ms is not None:
        until_ms = told_ms(world, shape.held_since_ms)
        shape.held_ms += until_ms - shape.held_since_ms
        shape.held_since_ms, shape.held_until_ms = None, until_ms


def as_the_switch_says(offer: o.Offer, event: OfferEnded | GivenAway) -> None:
    """A talk that nobody has changed is over: of its holds, all by the phone, the switch's own account is exact."""
    if event.held_ms and offer.connected_ms is not None:
        offer.held_ms, offer.holds = event.held_ms, max(1, offer.holds)
