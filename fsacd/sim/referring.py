"""REFER, and INVITE with Replaces, as FreeSWITCH carries them out (sofia.c).

The number of a REFER is executed by the *other* leg of the talk. A call that the model's switch does not know is
not looked for elsewhere: the model has no other switches.

`switch.transfer_events` is the profile's `fire-transfer-events`: without it nothing tells of a REFER but what it does
to legs, and the variables `transfer_to` and `endpoint_disposition` on the leg of whoever sent it.
What surprises: the phone is told that it has worked before anybody answers; in an attended transfer the transferor's
leg and the consultation's end before the two who are left are bridged. The consultation's leg is parked by a bare
change of its state, so its variables for after the talk are looked at all the same: out of a queue it is hung up
(`hangup_after_bridge`), and armed (`transfer_after_bridge`) it would go there; any other leg parks first.
"""

from __future__ import annotations

import dataclasses

from fsacd.sim import causes, holding
from fsacd.sim.bridging import uuid_bridge
from fsacd.sim.ports import Leg
from fsacd.sim.transferring import transfer

# How long a leg that another one has replaced is parked, if its phone does not hang up.
REPLACED_S = 2


def blind(session: Leg, number: str) -> None:
    """Let the partner of this leg execute the number; without a partner nothing happens."""
    partner = partner_of(session)
    channel = session.channel
    channel.variables |= {
        "transfer_to": f"blind:{partner.channel.uuid if partner else number}",
        "transfer_destination": f"blind:{number}",
    }
    if partner is None:
        channel.variables["endpoint_disposition"] = "ATTENDED_TRANSFER_ERROR"
        return
    channel.variables["endpoint_disposition"] = "BLIND_TRANSFER"
    partner.channel.variables["sip_refer_to"] = f"<sip:{number}>"
    _tell(session, "sofia::transferor")
    _tell(partner, "sofia::transferee")
    transfer(partner, number)


def attended(session: Leg, other: Leg | None) -> None:
    """Join the partners of the two legs; if one leg has no partner, the other leg's partner takes that leg's place."""
    if other is None or other.channel.down:
        return
    other.channel.variables["transfer_disposition"] = "replaced"
    here, there = partner_of(session), partner_of(other)
    if here is not None and there is not None:
        there.channel.variables["transfer_disposition"] = "bridge"
        session.channel.variables["transfer_to"] = f"att:{there.channel.uuid}"
        _tell(other, "sofia::replaced", att_xfer_replaced_by=here.channel.uuid)
        _tell(
            session,
            "sofia::transferor",
            att_xfer_original_call_id=here.channel.uuid,
            att_xfer_destination_call_id=there.channel.uuid,
            att_xfer_destination_peer_uuid=other.channel.uuid,
        )
        _tell(here, "sofia::transferee")
        uuid_bridge(session.switch, here.channel.uuid, there.channel.uuid)
        other.channel.variables["endpoint_disposition"] = "ATTENDED_TRANSFER"
        other.channel.variables["park_timeout"] = f"{REPLACED_S}:attended_transfer"
        other.channel.left_behind = True
        holding.forget(other)
        other.channel.call_state = "ACTIVE"
        other.park()
    elif here is not None:
        _into_its_place(session, here, other)
    elif there is not None:
        holding.forget(other)
        other.hangup(causes.ATTENDED_TRANSFER)
        _into_its_place(session, there, session)


def _into_its_place(referrer: Leg, partner: Leg, waiting: Leg) -> None:
    partner.channel.variables["sip_refer_to"] = "<sip:attended>"
    _tell(
        referrer,
        "sofia::transferor",
        att_xfer_original_call_id=waiting.channel.uuid,
        att_xfer_destination_call_id=partner.channel.uuid,
        att_xfer_destination_peer_uuid=partner.channel.variables.get("signal_bond", ""),
    )
    _tell(partner, "sofia::transferee")
    inline = waiting.channel.variables.get("inline_destination")
    transfer(partner, inline or waiting.channel.profile.destination, "inline" if inline else "")
    waiting.hangup(causes.ATTENDED_TRANSFER)


def _tell(session: Leg, subclass: str, **more: str) -> None:
    """An event of a REFER, where the profile tells of them."""
    if session.switch.transfer_events:
        session.switch.fire("CUSTOM", session.channel, {"Event-Subclass": subclass, **more})


def replace(session: Leg, other: Leg) -> None:
    """INVITE with Replaces: let a leg that is about to begin stand where the other one does.

    It gets the place of the old one in a talk by an intercept. Where there is no talk it executes the application that
    the old one is in, and nothing more: it knows none of that one's variables and is in no dialplan's context.
    """
    channel, old = session.channel, other.channel
    channel.other_type, channel.other = "originator", old.profile.copy()
    channel.variables["sip_replaces_call_id"] = old.variables.get("sip_call_id", old.uuid)
    channel.profile = dataclasses.replace(
        channel.profile,
        dialplan="inline",
        cid_name=old.profile.cid_name,
        cid_number=old.profile.cid_number,
        callee_name=old.profile.callee_name,
        callee_number=old.profile.callee_number,
    )
    partner = partner_of(other)
    if partner is not None:
        holding.hold(other, off=True)
        channel.profile.destination = f"answer,intercept:{partner.channel.uuid}"
        return
    app, data = old.variables.get("current_application"), old.variables.get("current_application_data")
    if app is not None:
        channel.profile.destination = f"answer,{app}:{data}" if data else f"answer,{app}"
    other.hangup(causes.ATTENDED_TRANSFER)


def partner_of(session: Leg) -> Leg | None:
    """The leg's partner, from the moment at which the bridge is ordered."""
    return session.switch.locate(session.channel.variables.get("signal_bond", ""))
