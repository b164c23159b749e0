"""Sends a leg to another extension, and keeps its caller profiles."""

from __future__ import annotations

from fsacd.sim import causes
from fsacd.sim.agenda import SECOND
from fsacd.sim.channel import Profile, State
from fsacd.sim.ports import Leg

DEFAULT_TRANSFERS = 70


def transfer(session: Leg, destination: str, dialplan: str = "", context: str = "") -> bool:
    """Send the leg to a dialplan extension; False when it has been transferred too often and is hung up."""
    channel, agenda = session.channel, session.switch.agenda
    counter = "max_session_transfers" if channel.variables.get("max_session_transfers") else "max_forwards"
    left = DEFAULT_TRANSFERS
    if text := channel.variables.get(counter):
        left = int(text) - 1 if text.lstrip("-").isdigit() else -1
    if left <= 0:
        session.hangup(causes.EXCHANGE_ROUTING_ERROR)
        return False
    channel.variables[counter] = str(left)
    profile = channel.profile
    forced = (
        channel.variables.get("force_transfer_dialplan", ""),
        channel.variables.get("force_transfer_context", ""),
    )
    dialplan = dialplan or forced[0] or (profile.dialplan if profile.dialplan != "inline" else "") or "XML"
    context = context or forced[1] or profile.context or "default"
    source = f"{agenda.wall_us // SECOND}:{agenda.uuid()}:bl_xfer:{destination}/{context}/{dialplan}"
    step_profile(session, source)
    channel.profile.dialplan, channel.profile.context = dialplan, context
    channel.profile.rdnis, channel.profile.destination = profile.destination, destination
    channel.other = None
    # The end of a talk leaves this mark on both legs; a transfer removes it.
    channel.set("signal_bond", None)
    partner = session.switch.locate(channel.variables.get("bridge_to", ""))
    if partner is not None:
        partner.channel.set("signal_bond", None)
    session.bridge_armed = channel.bridge_originator = channel.bridge_next = False
    session.leave_originate()
    session.set_state(State.ROUTING)
    return not channel.down


def flip_caller_id(session: Leg) -> None:
    """Swap caller and callee."""
    profile = session.channel.profile
    profile.cid_name, profile.callee_name = profile.callee_name, profile.cid_name
    profile.cid_number, profile.callee_number = profile.callee_number, profile.cid_number
    session.switch.fire("CALL_UPDATE", session.channel, {"Direction": "RECV"})


def step_profile(session: Leg, source: str) -> None:
    """A transfer or a bridge begins a new caller profile; the old one's times stay with it."""
    channel = session.channel
    profile: Profile = channel.profile.copy()
    profile.index += 1
    profile.profile_created_us = session.switch.agenda.wall_us
    profile.transfer_source = source
    channel.profile = profile
    history = channel.variables.get("transfer_history")
    values = history.removeprefix("ARRAY::").split("|:") if history else []
    channel.variables["transfer_history"] = f"ARRAY::{'|:'.join([source, *values])}" if values else source
    channel.variables["transfer_source"] = source
