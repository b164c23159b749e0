"""Hold, as a phone asks for it by a re-INVITE: its partner hears music, and is hung up if the holder hangs up.

The latter is FreeSWITCH's own (audio_bridge_thread in switch_ivr_bridge.c): a leg that ends while it holds takes its
partner with it, whatever the variables for after the talk say; only `hold_hangup_xfer_exten` of the holder is heard.
"""

from __future__ import annotations

from fsacd.sim import causes
from fsacd.sim.agenda import MS
from fsacd.sim.channel import App, State
from fsacd.sim.ports import Leg
from fsacd.sim.threads import Thread, Wait

MUSIC = "local_stream://moh"
# A broadcast begins after ten frames of lead-in.
LEAD_IN_US = 185 * MS
# A break reaches a playback with its next frame.
BREAK_US = (200, 20 * MS)


def hold(session: Leg, *, off: bool, music: bool = True) -> bool:
    """Put the leg on hold, or take it back; False if it is so already. `uuid_hold` plays no `music` to the partner."""
    channel, switch = session.channel, session.switch
    if channel.held is not off:
        return False
    partner = session.talk.partner(session) if session.talk else None
    if off:
        _let_go(session)
    else:
        channel.held, channel.profile.hold_us, channel.call_state = True, switch.agenda.wall_us, "HELD"
    if partner is not None and music:
        if off:
            stop_music(partner)
        else:
            partner.broadcast(App("playback", MUSIC))
    switch.fire("CHANNEL_UNHOLD" if off else "CHANNEL_HOLD", channel)
    if off:
        channel.call_state = "ACTIVE"
    return True


def ended(session: Leg) -> None:
    """The leg is about to be hung up: a hold ends first, and the leg remembers that it held."""
    channel = session.channel
    if channel.held:
        _let_go(session)
        channel.hung_up_held = True
        session.switch.fire("CHANNEL_UNHOLD", channel)


def forget(session: Leg) -> None:
    """The leg's part in the talk ends by the REFER of the phone's other line: its hold is over, and no event tells."""
    if session.channel.held:
        _let_go(session)


def _let_go(session: Leg) -> None:
    channel = session.channel
    channel.held, channel.call_state = False, "UNHELD"
    channel.profile.hold_accum_us += session.switch.agenda.wall_us - channel.profile.hold_us


def stop_music(session: Leg) -> None:
    """End the music that the leg hears on hold; what it plays of its own, where it was sent meanwhile, goes on."""
    channel = session.channel
    heard = channel.broadcasting or bool(channel.broadcasts)
    channel.broadcasts.clear()
    if channel.down or not heard:
        return
    channel.break_asked = True
    session.signal(*BREAK_US)


def listen(session: Leg) -> Thread:
    """Let a leg in a talk play a broadcast, unless a break comes before it begins."""
    channel, agenda = session.channel, session.switch.agenda
    app, state = channel.broadcasts.popleft(), channel.state
    channel.broadcasting = True
    until_us = agenda.now_us + LEAD_IN_US
    while channel.state is state and not channel.break_asked and agenda.now_us < until_us:
        yield Wait(until_us)
    if channel.state is state and not channel.break_asked:
        yield from session.execute(app)
    channel.break_asked = channel.broadcasting = False


def release(holder: Leg, partner: Leg) -> None:
    """The holder's side of the talk is over, and its hold with it: if it hung up, its partner goes with it."""
    if holder.channel.held and not holder.channel.down:
        _let_go(holder)
        holder.switch.fire("CHANNEL_UNHOLD", holder.channel)
    if not holder.channel.hung_up_held or partner.channel.down or partner.channel.state is State.PARK:
        return
    if where := holder.channel.variables.get("hold_hangup_xfer_exten", ""):
        partner.channel.variables["transfer_after_bridge"] = where
    else:
        partner.hangup(causes.NORMAL_CLEARING)
