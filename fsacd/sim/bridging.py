"""Joining two legs, with the window between "+OK" and the bridge in which either may die.

The order of the checks is FreeSWITCH's own (uuid_bridge_on_soft_execute, audio_bridge_on_exchange_media and
switch_ivr_multi_threaded_bridge in switch_ivr_bridge.c): which variables save a caller depends on it.
"""

from __future__ import annotations

from collections.abc import Generator

from fsacd.sim import causes, holding, transferring
from fsacd.sim.agenda import MS, SECOND
from fsacd.sim.channel import App, State
from fsacd.sim.ports import Exchange, Leg, Talk
from fsacd.sim.threads import Thread, Wait

POLL_US = 20 * MS
# If a partner who never answered ends with one of these causes, a leg goes on even without a variable for it.
NO_REASON_TO_END = frozenset({"NO_ANSWER", "NO_USER_RESPONSE", causes.ORIGINATOR_CANCEL})
# Twenty seconds of a partner that stays in a state of its own, and both are hung up.
MAX_POLLS = 1_000
# Both legs leave what they are doing within about one frame of the command ...
LEAVE_US = (10 * MS, 22 * MS)
# ... the partner nearly always first; when not, the window is one poll longer.
LATER_US = (-150, 900)
# How often the first leg goes first when both legs of a talk are sent elsewhere.
LATER_SHARE = 0.7
# A leg tells its phone the partner's number with its first frames; a leg that is killed before never does.
FIRST_TOLD_US = (*[(200, 900)] * 4, (900, 20 * MS))
TOLD_US = (300, 20 * MS)
# How long the leg that ends a talk waits for the other one's thread to end it too.
LEAVING_US = 5 * SECOND


def left(talk: Talk, session: Leg) -> None:
    """A leg's thread has ended while it still belonged to the talk."""
    if session is talk.b:
        talk.b_gone = True
        talk.a.signal(1 * MS, POLL_US)
    else:
        talk.over = True
        talk.b.signal(1 * MS, POLL_US)


def uuid_bridge(switch: Exchange, first: str, second: str) -> bool:
    """Order two legs to be bridged; True means that it is scheduled, not that it will come to be."""
    a, b = switch.locate(first), switch.locate(second)
    if a is None or b is None:
        return False
    if a.channel.direction == "outbound":
        if not a.channel.hit_dialplan:
            transferring.flip_caller_id(a)
        a.channel.hit_dialplan = True
    if not a.channel.media_up:
        if not b.channel.media_up:
            return False
        a, b = b, a
    if b.channel.direction == "outbound":
        b.channel.hit_dialplan = False
    else:
        b.channel.second = True
    for one, other in ((a, b), (b, a)):
        channel = one.channel
        channel.variables["bridge_channel"] = other.channel.name
        channel.variables["bridge_uuid"] = channel.variables["signal_bond"] = other.channel.uuid
        channel.set("original_destination_number", channel.profile.destination)
        channel.set("original_caller_id_name", channel.profile.cid_name)
        channel.set("original_caller_id_number", channel.profile.cid_number)
    now, agenda = switch.agenda.wall_us // SECOND, switch.agenda
    for one, other in ((a, b), (b, a)):
        transferring.step_profile(one, f"{now}:{agenda.uuid()}:uuid_br:{other.channel.uuid}")
    # In this order: a leg that is bridged to itself, which FreeSWITCH does not refuse, has itself for its originatee.
    b.channel.other_type, b.channel.other = "originator", a.channel.profile.copy()
    a.channel.other_type, a.channel.other = "originatee", b.channel.profile.copy()
    a.channel.profile.callee_number = b.channel.profile.callee_number
    a.channel.profile.callee_name = b.channel.profile.callee_name
    b.channel.profile.cid_name = a.channel.profile.cid_name
    b.channel.profile.cid_number = a.channel.profile.cid_number
    _schedule(a, b)
    return True


def _schedule(a: Leg, b: Leg) -> None:
    agenda = a.switch.agenda
    leave_us = agenda.between(*LEAVE_US)
    for session in (a, b):
        channel = session.channel
        channel.break_asked = False
        session.leave_originate()
        session.bridge_armed = True
        channel.state = State.CONSUME_MEDIA if channel.state is State.HIBERNATE else State.HIBERNATE
    # The mark takes effect with the leg's next state: the end of a talk under way must not remove it.
    a.channel.bridge_originator = b.channel.bridge_originator = b.channel.bridge_next = False
    a.channel.bridge_next = True
    a.channel.bridge_to = b.channel.uuid
    b.signal(leave_us, leave_us)
    later_us = leave_us + agenda.between(*LATER_US)
    a.signal(later_us, later_us)
    if b.talk is not None:
        # A partner who is in a talk comes when that lets them go; who waits for them does not wait with their music.
        a.signal(100, POLL_US)
    for session in (a, b):
        if session.talk is not None or _confers(session):
            # A talk is left with its next frame, and so is a room.
            session.signal(100, POLL_US)


def _confers(session: Leg) -> bool:
    app = session.channel.shown_app
    return app is not None and app.name == "conference"


def on_soft_execute(session: Leg) -> Thread:
    """The state in which the first leg does the bridging and the second one waits to be fetched."""
    channel, switch = session.channel, session.switch
    session.bridge_armed = False
    if not channel.bridge_originator:
        return
    other = switch.locate(channel.bridge_to)
    if other is None:
        _partner_missing(session)
    else:
        channel.bridge_to = ""
        if (yield from _fetch(session, other)):
            yield from _join(session, other)
    channel.bridge_originator = False


def _partner_missing(session: Leg) -> None:
    """The partner was gone before this leg looked: only the variables for after the talk are honoured."""
    channel = session.channel
    if channel.is_true("park_after_bridge"):
        session.park()
    elif where := channel.variables.pop("transfer_after_bridge", ""):
        transfer_to(session, where)
    else:
        session.hangup(causes.DESTINATION_OUT_OF_ORDER)


def _fetch(session: Leg, other: Leg) -> Generator[Wait, None, bool]:
    """Wait until the partner is in the same state; False when one of them died or was taken elsewhere."""
    channel, partner = session.channel, other.channel
    polls = MAX_POLLS
    while not (partner.down or channel.down):
        if partner.state is partner.running:
            polls -= 1
            if polls < 1:
                session.hangup(causes.DESTINATION_OUT_OF_ORDER)
                other.hangup(causes.DESTINATION_OUT_OF_ORDER)
            if partner.running is State.RESET:
                other.set_state(State.SOFT_EXECUTE)
                other.signal(50, 200)
            elif partner.running is State.SOFT_EXECUTE:
                if partner.bridge_originator:
                    return False
                break
        else:
            polls = MAX_POLLS
        yield from session.sleep(POLL_US + session.switch.agenda.between(100, 900))
    while not (partner.media_up or partner.down or channel.state is not State.SOFT_EXECUTE):
        yield from session.sleep(POLL_US)
    if partner.down or channel.down:
        _partner_died(session)
        return False
    if channel.state is not State.SOFT_EXECUTE:
        # It was sent elsewhere meanwhile: FreeSWITCH lets go of the partner.
        other.hangup(causes.DESTINATION_OUT_OF_ORDER)
        return False
    return True


def _partner_died(session: Leg) -> None:
    """The partner died while this leg waited for it: only the two undocumented variables are honoured."""
    channel = session.channel
    if channel.is_true("uuid_bridge_continue_on_cancel"):
        session.set_state(State.EXECUTE)
    elif channel.is_true("uuid_bridge_park_on_cancel"):
        session.park()
    else:
        session.hangup(causes.ORIGINATOR_CANCEL)


def dialled(session: Leg, other: Leg) -> Thread:
    """The bridge of a leg that has executed `bridge`: both belong together from the answer on."""
    a, b = session.channel, other.channel
    for one, partner in ((a, b), (b, a)):
        one.variables["bridge_channel"] = partner.name
        one.variables["bridge_uuid"] = one.variables["signal_bond"] = partner.uuid
    a.other_type, a.other = "originatee", b.profile.copy()
    a.profile.callee_name, a.profile.callee_number = b.profile.callee_name, b.profile.callee_number
    yield from _talk(session, other)


def _join(session: Leg, other: Leg) -> Thread:
    """The bridge that `uuid_bridge` has ordered."""
    switch, a, b = session.switch, session.channel, other.channel
    for one, partner in ((a, b), (b, a)):
        switch.fire("CHANNEL_EXECUTE", one, {"Application": "uuid_bridge", "Application-Data": partner.uuid})
        one.shown_app = App("uuid_bridge", partner.uuid)
    yield from _talk(session, other)


def _talk(session: Leg, other: Leg) -> Thread:
    """The bridge itself, from CHANNEL_BRIDGE to CHANNEL_UNBRIDGE, and what comes after the talk."""
    switch, a, b = session.switch, session.channel, other.channel
    state = a.state
    for one in (a, b):
        one.profile.bridged_us = switch.agenda.wall_us
    both = {"Bridge-A-Unique-ID": a.uuid, "Bridge-B-Unique-ID": b.uuid}
    switch.fire("CHANNEL_BRIDGE", a, both)
    talk = session.talk = other.talk = Talk(session, other)
    b.call_uuid = a.uuid
    b.variables["call_uuid"] = a.uuid
    for one, partner in ((a, b), (b, a)):
        one.variables["bridge_to"] = one.variables["last_bridge_to"] = partner.uuid
    other.set_state(State.EXCHANGE_MEDIA)
    other.signal(50, 300)
    told_us = switch.agenda.between(*switch.agenda.chance.choice(FIRST_TOLD_US))
    switch.agenda.after(told_us, lambda: _tell_caller_id(talk, session))
    for leg in (session, other):
        if leg.line is not None:
            leg.line.talk_began()
    yield from _carry(talk, state)
    switch.fire("CHANNEL_UNBRIDGE", a, both)
    session.talk = None
    for one in (a, b):
        if one.variables.get("bridge_to") in (a.uuid, b.uuid):
            one.set("bridge_to", None)
    # A leg that is hung up cannot go anywhere, but FreeSWITCH gives it the caller profile of where it would have gone.
    # A leg whose partner was taken away has no such profile.
    if a.state is state or a.left_behind or (a.down and a.cause != causes.PICKED_OFF):
        _after_talk(session, other)
    a.left_behind = False


def _tell_caller_id(talk: Talk, session: Leg) -> None:
    """Tell a leg's phone whom it talks to when both have answered, unless it was told the same before."""
    partner = talk.partner(session)
    if session.talk is talk and not (session.channel.answered and partner.channel.answered):
        session.switch.agenda.after(POLL_US, lambda: _tell_caller_id(talk, session))
        return
    profile = session.channel.profile
    number = profile.callee_number if session is talk.a else profile.cid_number
    if session.channel.down or session.talk is not talk or session.told_number == number:
        return
    session.told_number = number
    sent = {"Sent-Callee-ID-Name": number, "Sent-Callee-ID-Number": number, "Bridged-To": partner.channel.uuid}
    session.switch.fire("CALL_UPDATE", session.channel, {"Direction": "SEND"} | sent)


def _carry(talk: Talk, state: State) -> Thread:
    a = talk.a.channel
    while a.state is state and not talk.b_gone:
        if a.broadcasts:
            yield from holding.listen(talk.a)
        else:
            yield Wait()
    holding.release(talk.a, talk.b)
    talk.over = True
    holding.stop_music(talk.b)
    talk.b.signal(1 * MS, POLL_US)
    limit_us = talk.a.switch.agenda.now_us + LEAVING_US
    while not (talk.b_gone or talk.b.channel.state is State.ROUTING) and talk.a.switch.agenda.now_us < limit_us:
        yield Wait(limit_us)


def _after_talk(session: Leg, other: Leg) -> None:
    """What the first leg does when the talk is over and nobody has taken it elsewhere."""
    channel = session.channel
    cause = other.channel.cause or causes.NORMAL_CLEARING
    if not other.channel.answered:
        # There was no talk: the variables for after the talk do not count, but those for a failed call do.
        if channel.is_true("continue_on_fail") or cause in NO_REASON_TO_END:
            session.set_state(State.EXECUTE)
        else:
            session.hangup(cause)
    elif channel.is_true("park_after_bridge"):
        session.park()
    elif where := channel.variables.pop("transfer_after_bridge", ""):
        transfer_to(session, where)
    elif channel.is_true("hangup_after_bridge"):
        session.hangup(cause)
    elif not channel.left_behind:
        session.set_state(State.EXECUTE)


def on_exchange_media(session: Leg) -> Thread:
    """The second leg's side of a talk: it waits, and at the end it is parked, sent on or hung up."""
    channel, talk = session.channel, session.talk
    if talk is None:
        session.hangup(causes.DESTINATION_OUT_OF_ORDER)
        return
    agenda = session.switch.agenda
    agenda.after(agenda.between(*TOLD_US), lambda: _tell_caller_id(talk, session))
    while channel.state is State.EXCHANGE_MEDIA and not talk.over:
        if channel.broadcasts:
            yield from holding.listen(session)
        else:
            yield Wait()
    holding.release(session, talk.a)
    if agenda.chance.random() < LATER_SHARE:
        while channel.state is State.ROUTING and talk.a.channel.state is State.ROUTING and not talk.over:
            # Both are sent elsewhere (`uuid_transfer -both`).
            yield Wait()
    talk.b_gone = True
    holding.stop_music(talk.a)
    session.talk = None
    if channel.state is State.EXCHANGE_MEDIA:
        if channel.is_true("park_after_bridge"):
            if channel.call_state == "UNHELD":
                channel.call_state = "ACTIVE"  # the end of the bridge makes it so where the leg stays (CF_ORIGINATOR)
            session.park()
        elif where := channel.variables.pop("transfer_after_bridge", ""):
            transfer_to(session, where)
        else:
            session.hangup(causes.NORMAL_CLEARING if channel.answered else causes.ORIGINATOR_CANCEL)
    talk.a.signal(1 * MS if channel.down else 300, POLL_US if channel.down and not talk.over else 2 * MS)


def transfer_to(session: Leg, where: str) -> None:
    """Carry out `transfer_after_bridge=extension:dialplan:context`."""
    parts = [*where.split(":"), "", ""]
    transferring.transfer(session, parts[0], parts[1], parts[2])
