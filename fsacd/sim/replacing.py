"""INVITE with Replaces as FreeSWITCH carries it out (sofia_handle_sip_i_invite_replaces in sofia.c).

In a talk the new leg takes the old leg's place by an intercept. Without a talk the new leg executes the application
that the old leg is in, and nothing more: it has none of the old leg's variables, and is in no context.
"""

from __future__ import annotations

from dataclasses import replace as changed

from fsacd.sim import causes, holding
from fsacd.sim.ports import Leg
from fsacd.sim.referring import partner_of


def replace(session: Leg, other: Leg) -> None:
    """Let a new leg take the place of the old one."""
    channel, old = session.channel, other.channel
    channel.other_type, channel.other = "originator", old.profile.copy()
    channel.variables["sip_replaces_call_id"] = old.variables.get("sip_call_id", old.uuid)
    channel.profile = changed(
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
