"""REFER as FreeSWITCH carries it out: it is the *other* leg of a talk that executes the number (sofia.c).

A call that the model's switch does not know is not looked for elsewhere: the model has no other switches.
"""

from __future__ import annotations

from fsacd.sim import causes
from fsacd.sim.bridging import uuid_bridge
from fsacd.sim.ports import Leg
from fsacd.sim.transferring import transfer

# How long a leg that another one has replaced is parked, if its phone does not hang up.
REPLACED_S = 2


def blind(session: Leg, number: str) -> None:
    """Let the partner of this leg execute the number; without a partner nothing happens."""
    partner = partner_of(session)
    channel = session.channel
    if partner is None:
        channel.variables["endpoint_disposition"] = "ATTENDED_TRANSFER_ERROR"
        return
    channel.variables["endpoint_disposition"] = "BLIND_TRANSFER"
    partner.channel.variables["sip_refer_to"] = f"<sip:{number}>"
    transfer(partner, number)


def attended(session: Leg, other: Leg | None) -> None:
    """Join the partners of the two legs; if one leg has no partner, the other leg's partner takes that leg's place."""
    if other is None or other.channel.down:
        return
    here, there = partner_of(session), partner_of(other)
    if here is not None and there is not None:
        uuid_bridge(session.switch, here.channel.uuid, there.channel.uuid)
        other.channel.variables["endpoint_disposition"] = "ATTENDED_TRANSFER"
        other.channel.variables["park_timeout"] = f"{REPLACED_S}:attended_transfer"
        other.park()
    elif here is not None:
        _into_its_place(here, other)
    elif there is not None:
        other.hangup(causes.ATTENDED_TRANSFER)
        _into_its_place(there, session)


def _into_its_place(partner: Leg, waiting: Leg) -> None:
    partner.channel.variables["sip_refer_to"] = "<sip:attended>"
    inline = waiting.channel.variables.get("inline_destination")
    transfer(partner, inline or waiting.channel.profile.destination, "inline" if inline else "")
    waiting.hangup(causes.ATTENDED_TRANSFER)


def partner_of(session: Leg) -> Leg | None:
    """The leg's partner, from the moment at which the bridge is ordered."""
    return session.switch.locate(session.channel.variables.get("signal_bond", ""))
