"""Rooms for three, as mod_conference makes them: a leg that executes `conference` talks with all others in its room.

- A room is there from its first member to its last. One who is left alone in it stays, and hears nothing: no variable
  for after a talk is looked at, and no daemon, no end.
- A member leaves by ending, or by being sent elsewhere (`uuid_transfer`, `uuid_bridge`) like from any application.
- Its events name the leg and its states, and none of its variables. Whoever speaks is not told: the profile `desk` of
  freeswitch/autoload_configs suppresses that, and the model has no other.
- Two legs are in a room and in no talk: no CHANNEL_BRIDGE tells of them.
"""

from __future__ import annotations

from fsacd.sim.agenda import MS
from fsacd.sim.headers import basic_headers
from fsacd.sim.ports import Exchange, Leg, Room
from fsacd.sim.threads import Thread, Wait

# From the application to the member: it opens its configuration and its codec. Nobody can say who is in first.
ENTER_US = (500, 20 * MS)
_ALONE = 1


def conference(session: Leg, data: str) -> Thread:
    """Be in the room ROOM of `ROOM@PROFILE` until the leg is to go elsewhere."""
    channel, switch = session.channel, session.switch
    session.early_media()
    name, profile = _named(data)
    if not name:
        return
    room = _open(switch, name, profile)
    channel.variables |= {"conference_name": room.name}
    session.answer()
    state = channel.state
    yield from session.sleep(switch.agenda.between(*ENTER_US))
    _enter(room, session)
    while channel.state is state:
        yield Wait()
    _leave(room, session)


def _named(data: str) -> tuple[str, str]:
    """The room and its profile; a PIN and flags (`+`) are nothing that the model knows."""
    name, found, profile = data.partition("+")[0].strip().rpartition("@")
    return (name, profile) if found else (profile, "default")


def _open(switch: Exchange, name: str, profile: str) -> Room:
    room = switch.rooms.get(name)
    if room is None:
        room = switch.rooms[name] = Room(name, profile, switch.agenda.uuid())
        switch.fire("CUSTOM", None, _about(room, "conference-create"))
    return room


def _enter(room: Room, session: Leg) -> None:
    channel, switch = session.channel, session.switch
    # A leg keeps its number when it comes again.
    member = channel.variables.setdefault("conference_member_id", str(switch.next_member()))
    channel.variables |= {
        "conference_member_id": member,
        "conference_moderator": "false",
        "conference_ghost": "false",
        "conference_uuid": room.uuid,
        "conference_call_key": f"conference_{room.name}_127.0.0.1_{channel.profile.cid_number}",
    }
    room.members.append(session)
    _tell(room, session, "add-member")
    if len(room.members) > _ALONE:
        newly = room.members if len(room.members) == _ALONE + 1 else [session]
        for leg in newly:
            if leg.line is not None:
                leg.line.talk_began()


def _leave(room: Room, session: Leg) -> None:
    switch = session.switch
    room.members.remove(session)
    session.channel.set("conference_call_key", None)
    _tell(room, session, "del-member")
    session.channel.set("last_transfered_conference", None)
    if not room.members and switch.rooms.get(room.name) is room:
        del switch.rooms[room.name]
        switch.fire("CUSTOM", None, _about(room, "conference-destroy"))


def _about(room: Room, action: str) -> dict[str, str]:
    """The headers that all of a room's events have."""
    return {
        "Event-Subclass": "conference::maintenance",
        "Conference-Name": room.name,
        "Conference-Domain": "127.0.0.1",
        "Conference-Size": str(len(room.members)),
        "Conference-Ghosts": "0",
        "Conference-Profile-Name": room.profile,
        "Conference-Unique-ID": room.uuid,
        "Action": action,
    }


def _tell(room: Room, session: Leg, action: str) -> None:
    """An event about a member; it has the leg's states, and no variables."""
    member = {
        "Floor": "false",
        **basic_headers(session.channel),
        "Video": "false",
        "Hear": "true",
        "See": "true",
        "Speak": "true",
        "Talking": "false",
        "Mute-Detect": "false",
        "Hold": "false",
        "Member-ID": session.channel.variables["conference_member_id"],
        "Member-Type": "member",
        "Member-Ghost": "false",
        "Energy-Level": "0",
        "Current-Energy": "0",
    }
    session.switch.fire("CUSTOM", None, member | _about(room, action))
