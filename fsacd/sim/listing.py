"""`show channels` and `show calls`: a database that FreeSWITCH writes behind the calls, and so a little stale."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from fsacd.sim.agenda import SECOND, Agenda
from fsacd.sim.channel import App, Channel
from fsacd.sim.headers import strftime_utc

# How late a leg appears and how long a dead one stays (µs).
STALE_US = (10_000, 280_000)


@dataclass(slots=True)
class Row:
    """A leg in the database; None for `gone_us` while it lives."""

    channel: Channel
    seen_us: int
    gone_us: int | None = None


class Listing:
    """The rows, with the moments at which the database learns of a leg's beginning and end."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._rows: dict[str, Row] = {}

    def began(self, channel: Channel) -> None:
        """A leg was made; the database will know in a while."""
        agenda = self._agenda
        self._rows[channel.uuid] = Row(channel, agenda.now_us + agenda.between(*STALE_US))

    def ended(self, uuid: str) -> None:
        """A leg is gone; the database will know in a while."""
        agenda, row = self._agenda, self._rows.get(uuid)
        if row is not None:
            row.gone_us = agenda.now_us + agenda.between(*STALE_US)
            agenda.at(row.gone_us, lambda: self._forget(uuid, row))

    def _forget(self, uuid: str, row: Row) -> None:
        if self._rows.get(uuid) is row:
            del self._rows[uuid]

    def clear(self) -> None:
        """The switch has restarted."""
        self._rows.clear()

    def visible(self) -> list[Channel]:
        """The legs that the database shows now."""
        now_us = self._agenda.now_us
        return [row.channel for row in self._rows.values() if row.seen_us <= now_us]


def _row(channel: Channel, hostname: str) -> dict[str, str]:
    """A leg as `show channels` prints it, column by column."""
    profile = channel.profile
    created = profile.created_us // SECOND
    app = channel.shown_app or App("")
    bridged = channel.variables.get("bridge_to", "")
    codec = ("PCMU", "8000", "64000") if channel.has_media else ("", "", "")
    shown = profile.callee_number if channel.other_type == "originatee" else ""
    sent = (shown or channel.other.cid_number) if bridged and channel.other else ""
    return {
        "uuid": channel.uuid,
        "direction": channel.direction,
        "created": strftime_utc(created),
        "created_epoch": str(created),
        "name": channel.name,
        "state": channel.running.label,
        "cid_name": profile.cid_name,
        "cid_num": profile.cid_number,
        "ip_addr": profile.network_addr,
        "dest": profile.destination,
        "application": app.name,
        "application_data": app.data,
        "dialplan": profile.dialplan,
        "context": profile.context,
        **dict(zip(("read_codec", "read_rate", "read_bit_rate"), codec, strict=True)),
        **dict(zip(("write_codec", "write_rate", "write_bit_rate"), codec, strict=True)),
        "secure": "",
        "hostname": hostname,
        "presence_id": channel.variables.get("presence_id", ""),
        "presence_data": channel.variables.get("presence_data", ""),
        "accountcode": channel.variables.get("accountcode", ""),
        "callstate": channel.call_state,
        "callee_name": profile.callee_name,
        "callee_num": profile.callee_number,
        "callee_direction": "SEND" if bridged else "",
        "call_uuid": channel.call_uuid if bridged else "",
        "sent_callee_name": sent,
        "sent_callee_num": sent,
        "initial_cid_name": profile.orig_cid_name,
        "initial_cid_num": profile.orig_cid_number,
        "initial_ip_addr": profile.network_addr,
        "initial_dest": channel.variables.get("original_destination_number", profile.destination),
        "initial_dialplan": profile.dialplan,
        "initial_context": profile.context,
    }


# `show calls` has these columns of the first leg, and under b_ those of the second one but for the two last.
CALL_COLUMNS = (
    *("uuid", "direction", "created", "created_epoch", "name", "state", "cid_name", "cid_num", "ip_addr", "dest"),
    *("presence_id", "presence_data", "accountcode", "callstate", "callee_name", "callee_num", "callee_direction"),
    *("sent_callee_name", "sent_callee_num", "call_uuid", "hostname"),
)


def channels(listing: Listing, hostname: str, as_json: bool) -> str:
    """`show channels`."""
    return _print([_row(channel, hostname) for channel in listing.visible()], as_json)


def calls(listing: Listing, hostname: str, as_json: bool) -> str:
    """`show calls`: a bridged pair is one row, with the second leg's columns under b_."""
    visible = {channel.uuid: channel for channel in listing.visible()}
    rows = []
    for channel in visible.values():
        partner = visible.get(channel.variables.get("bridge_to", ""))
        if partner is not None and channel.other_type == "originator":
            continue
        row = {name: value for name, value in _row(channel, hostname).items() if name in CALL_COLUMNS}
        other = _row(partner, hostname) if partner else {}
        row |= {f"b_{name}": other.get(name, "") for name in CALL_COLUMNS[:-2]}
        row["call_created_epoch"] = row["created_epoch"] if partner else ""
        rows.append(row)
    return _print(rows, as_json)


def _print(rows: list[dict[str, str]], as_json: bool) -> str:
    if as_json:
        if not rows:
            return '{"row_count": 0}\n'
        return orjson.dumps({"row_count": len(rows), "rows": rows}).decode()
    lines = [",".join(rows[0])] if rows else []
    lines += [",".join(row.values()) for row in rows]
    return "\n".join([*lines, "", f"{len(rows)} total.", ""])
