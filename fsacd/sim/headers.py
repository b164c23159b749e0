"""The header lines of events, with the names and the order of a real FreeSWITCH 1.10."""

from __future__ import annotations

from email.utils import formatdate
from time import gmtime, strftime

from fsacd.sim.channel import Channel, Profile

SECOND = 1_000_000

# The stamp in an event comes from a clock that FreeSWITCH moves in steps, which is why it measures no lag.
STAMP_STEP_US = 20_000

_TIMES = (
    ("Profile-Created-Time", "profile_created_us"),
    ("Channel-Created-Time", "created_us"),
    ("Channel-Answered-Time", "answered_us"),
    ("Channel-Progress-Time", "progress_us"),
    ("Channel-Progress-Media-Time", "progress_media_us"),
    ("Channel-Hangup-Time", "hangup_us"),
    ("Channel-Transfer-Time", "transfer_us"),
    ("Channel-Resurrect-Time", ""),
    ("Channel-Bridged-Time", "bridged_us"),
    ("Channel-Last-Hold", "hold_us"),
    ("Channel-Hold-Accum", "hold_accum_us"),
)

_CODECS = {
    "Channel-Read-Codec-Name": "PCMU",
    "Channel-Read-Codec-Rate": "8000",
    "Channel-Read-Codec-Bit-Rate": "64000",
    "Channel-Write-Codec-Name": "PCMU",
    "Channel-Write-Codec-Rate": "8000",
    "Channel-Write-Codec-Bit-Rate": "64000",
}


def strftime_utc(second: int) -> str:
    """A second since 1970 as FreeSWITCH prints local time; the model lives in UTC."""
    return strftime("%Y-%m-%d %H:%M:%S", gmtime(second))


def base_headers(name: str, sequence: int, wall_us: int, core_uuid: str, hostname: str) -> dict[str, str]:
    """The lines that every event begins with; `wall_us` is microseconds since 1970."""
    stamp_us = wall_us - wall_us % STAMP_STEP_US
    second = stamp_us // SECOND
    return {
        "Event-Name": name,
        "Core-UUID": core_uuid,
        "FreeSWITCH-Hostname": hostname,
        "FreeSWITCH-Switchname": hostname,
        "FreeSWITCH-IPv4": "127.0.0.1",
        "FreeSWITCH-IPv6": "::1",
        "Event-Date-Local": strftime_utc(second),
        "Event-Date-GMT": formatdate(second, usegmt=True),
        "Event-Date-Timestamp": str(stamp_us),
        "Event-Calling-File": "switch_channel.c",
        "Event-Calling-Function": "simulated",
        "Event-Calling-Line-Number": "1",
        "Event-Sequence": str(sequence),
    }


def basic_headers(channel: Channel) -> dict[str, str]:
    """What every event about a leg says: its states and who is on it, but none of its variables."""
    presence = channel.variables.get("presence_id")
    headers = {
        "Channel-State": channel.running.label,
        "Channel-Call-State": channel.call_state,
        "Channel-State-Number": str(int(channel.state)),
        "Channel-Name": channel.name,
        "Unique-ID": channel.uuid,
        "Call-Direction": channel.direction,
        "Presence-Call-Direction": channel.direction,
        "Channel-HIT-Dialplan": "true" if channel.hit_dialplan else "false",
        **({"Channel-Presence-ID": presence} if presence else {}),
        "Channel-Call-UUID": channel.call_uuid,
        "Answer-State": channel.answer_state,
        **({"Hangup-Cause": channel.cause} if channel.cause else {}),
        **(_CODECS if channel.has_media else {}),
    }
    headers |= profile_headers(channel.profile, "Caller")
    if channel.other is not None:
        headers["Other-Type"] = channel.other_type
        headers |= profile_headers(channel.other, "Other-Leg")
    return headers


def profile_headers(profile: Profile, prefix: str) -> dict[str, str]:
    """A caller profile under `Caller-` or `Other-Leg-`; empty values are left out, as FreeSWITCH leaves them out."""
    lines = {
        "Direction": profile.direction,
        "Logical-Direction": profile.logical_direction,
        "Username": profile.username,
        "Dialplan": profile.dialplan,
        "Caller-ID-Name": profile.cid_name,
        "Caller-ID-Number": profile.cid_number,
        "Orig-Caller-ID-Name": profile.orig_cid_name,
        "Orig-Caller-ID-Number": profile.orig_cid_number,
        "Callee-ID-Name": profile.callee_name,
        "Callee-ID-Number": profile.callee_number,
        "Network-Addr": profile.network_addr,
        "ANI": profile.ani,
        "RDNIS": profile.rdnis,
        "Destination-Number": profile.destination,
        "Unique-ID": profile.uuid,
        "Source": profile.source,
        "Transfer-Source": profile.transfer_source,
        "Context": profile.context,
        "Channel-Name": profile.channel_name,
        "Profile-Index": str(profile.index),
    }
    headers = {f"{prefix}-{key}": value for key, value in lines.items() if value}
    for key, attribute in _TIMES:
        headers[f"{prefix}-{key}"] = str(getattr(profile, attribute)) if attribute else "0"
    headers[f"{prefix}-Screen-Bit"] = "true"
    hides = "true" if profile.private else "false"
    headers[f"{prefix}-Privacy-Hide-Name"] = headers[f"{prefix}-Privacy-Hide-Number"] = hides
    return headers


def channel_headers(channel: Channel) -> dict[str, str]:
    """All that FreeSWITCH says of a leg in its full events."""
    headers = basic_headers(channel)
    for name, value in channel.variables.items():
        headers[f"variable_{name}"] = value
    return headers
