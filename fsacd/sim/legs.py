"""The variables that mod_sofia sets on a leg, as far as they matter to a client."""

from __future__ import annotations

from fsacd.sim.channel import Channel, Profile
from fsacd.sim.phones import Caller

_SDP = (
    "v=0\r\no=FreeSWITCH 1795288952 1795288953 IN IP4 127.0.0.1\r\ns=FreeSWITCH\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 23130 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
)
_CODEC = {
    "rtp_use_codec_string": "PCMU,PCMA",
    "rtp_use_codec_name": "PCMU",
    "rtp_use_codec_rate": "8000",
    "rtp_use_codec_ptime": "20",
    "read_codec": "PCMU",
    "read_rate": "8000",
    "write_codec": "PCMU",
    "write_rate": "8000",
    "dtmf_type": "info",
    "local_media_ip": "127.0.0.1",
    "remote_media_ip": "127.0.0.1",
    "audio_media_flow": "sendrecv",
    "video_media_flow": "disabled",
    "text_media_flow": "disabled",
}


def inbound(uuid: str, caller: Caller, now_us: int) -> Channel:
    """The leg of a call that comes in, as it is before its thread starts; `now_us` is microseconds since 1970."""
    name = f"sofia/internal/{caller.number}@127.0.0.1:5080"
    display = caller.name or caller.number
    profile = Profile(
        direction="inbound",
        logical_direction="inbound",
        username=caller.user or caller.number,
        dialplan="XML",
        cid_name=display,
        cid_number=caller.number,
        orig_cid_name=display,
        orig_cid_number=caller.number,
        network_addr="127.0.0.1",
        ani=caller.number,
        destination=caller.destination,
        context=caller.context,
        source="mod_sofia",
        uuid=uuid,
        channel_name=name,
        profile_created_us=now_us,
        created_us=now_us,
        private=caller.private,
    )
    channel = Channel(uuid=uuid, name=name, direction="inbound", profile=profile, call_uuid=uuid)
    channel.hit_dialplan = channel.has_media = True
    return channel


def inbound_variables(channel: Channel, number: int, caller: Caller, home: str) -> dict[str, str]:
    """What an inbound leg knows at CHANNEL_CREATE: `number` is the switch's session number, `home` its own domain."""
    uri = f"{caller.number}@127.0.0.1:5080"
    known = {
        "direction": "inbound",
        "uuid": channel.uuid,
        "call_uuid": channel.uuid,
        "session_id": str(number),
        "sip_from_user": caller.number,
        "sip_from_uri": uri,
        "sip_from_host": "127.0.0.1",
        "sip_from_display": caller.name or caller.number,
        "sip_full_from": f'"{caller.name or caller.number}" <sip:{uri}>;tag=sim{number}',
        "sip_call_id": f"{number}-sim@127.0.0.1",
        "sip_network_ip": "127.0.0.1",
        "sip_network_port": "5080",
        "sip_received_ip": "127.0.0.1",
        "sip_via_protocol": "udp",
        "sip_to_user": caller.destination,
        "sip_req_user": caller.destination,
        "sip_req_uri": f"{caller.destination}@127.0.0.1:5060",
        "sip_to_host": "127.0.0.1",
        "sip_contact_uri": "caller@127.0.0.1:5080",
        "channel_name": channel.name,
        "sofia_profile_name": "internal",
        "recovery_profile_name": "internal",
        "max_forwards": "70",
        "switch_r_sdp": _SDP,
        "endpoint_disposition": "RECEIVED",
    }
    if caller.user:
        # mod_sofia writes these when the digest was right; user_name and domain_name come from the directory's <user>
        # and <domain>, sip_auth_realm is what the phone says (freely, where the profile forces the domain).
        user, _, domain = caller.user.partition("@")
        known |= {
            "sip_authorized": "true",
            "sip_auth_username": user,
            "sip_auth_realm": caller.realm or domain or home,
            "user_name": user,
            "domain_name": domain or home,
        }
    return known | _CODEC | dict(caller.variables)


def outbound_variables(channel: Channel, number: int, address: str) -> dict[str, str]:
    """What an outbound leg knows at CHANNEL_CREATE, before the originate's own variables."""
    return {
        "direction": "outbound",
        "is_outbound": "true",
        "uuid": channel.uuid,
        "call_uuid": channel.uuid,
        "session_id": str(number),
        "sip_local_network_addr": "127.0.0.1",
        "sip_profile_name": "internal",
        "sip_destination_url": f"sip:{address}",
        "sip_req_uri": address,
        "sip_to_host": address.partition("@")[2],
        "sip_from_host": "127.0.0.1",
        "channel_name": channel.name,
        "originate_early_media": "false",
        "originate_endpoint": "sofia",
        "sofia_profile_name": "internal",
        "recovery_profile_name": "internal",
        "rtp_local_sdp_str": _SDP,
        **_CODEC,
    }
