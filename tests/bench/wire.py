"""SIP as it went over loopback: a packet capture in the kernel's own time, and the two delays that are read from it.

A packet socket takes every UDP packet to or from one port, filtered in the kernel, so that the sound of the calls costs
nothing. The times are those that the kernel gave the packets; nothing here depends on when Python got to read them.
"""

from __future__ import annotations

import ctypes
import re
import socket
import struct
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

_ETH_P_IP: Final = 0x0800
# Socket options that Python 3.11 has no names for (asm-generic/socket.h, linux/if_packet.h).
_SO_TIMESTAMPNS: Final = 35
_SO_ATTACH_FILTER: Final = 26
_SO_RCVBUFFORCE: Final = 33
_SOL_PACKET: Final = 263
_PACKET_STATISTICS: Final = 6
_BUFFER_BYTES: Final = 64 * 1024 * 1024
_LONGEST_PACKET: Final = 65535
_POLL_S: Final = 0.2
_USER: Final = re.compile(rb"sip:([^@;>\s]*)@")


class CaptureError(Exception):
    """The capture is not possible or lost packets; says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One SIP message. `method` is that of its CSeq; `status` is 0 for a request."""

    at_ns: int
    source: int
    target: int
    method: str
    status: int
    from_user: str
    to_user: str

    def is_request(self, method: str) -> bool:
        return self.status == 0 and self.method == method


def read_packet(at_ns: int, raw: bytes) -> Packet | None:
    """An IPv4 packet with UDP in it; None when there is no SIP message inside."""
    ip_length = (raw[0] & 0x0F) * 4
    source, target = struct.unpack_from("!HH", raw, ip_length)
    start, *lines = raw[ip_length + 8 :].split(b"\r\n\r\n", 1)[0].split(b"\r\n")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers.setdefault(name.strip().lower(), value)
    sequence = headers.get(b"cseq", b"").split()
    if len(sequence) != 2 or b"SIP/2.0" not in start:
        return None
    status = int(start.split()[1]) if start.startswith(b"SIP/2.0") else 0
    return Packet(
        at_ns=at_ns,
        source=source,
        target=target,
        method=sequence[1].decode(),
        status=status,
        from_user=_user(headers.get(b"from", headers.get(b"f", b""))),
        to_user=_user(headers.get(b"to", headers.get(b"t", b""))),
    )


def _user(header: bytes) -> str:
    found = _USER.search(header)
    return found[1].decode("utf-8", "replace") if found else ""


# --- the capture ---------------------------------------------------------------------------------------------------


def _udp_filter(port: int) -> bytes:
    """Classic BPF for a cooked packet socket: UDP to or from this port, each packet once.

    Loopback shows every packet twice, once as it leaves and once as it comes in; the first is dropped.
    """
    # A jump names how many instructions are skipped if the comparison holds, and how many if not.
    program = (
        (0x20, 0, 0, 0xFFFFF004),  # ld the packet's type
        (0x15, 8, 0, 4),  # outgoing: to the last
        (0x30, 0, 0, 9),  # ldb the protocol
        (0x15, 0, 6, 17),  # not UDP: to the last
        (0xB1, 0, 0, 0),  # ldx the length of the IP header
        (0x48, 0, 0, 0),  # ldh the source port
        (0x15, 2, 0, port),  # ours: to the last but one
        (0x48, 0, 0, 2),  # ldh the target port
        (0x15, 0, 1, port),  # not ours: to the last
        (0x06, 0, 0, _LONGEST_PACKET),  # return all of it
        (0x06, 0, 0, 0),  # return nothing
    )
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def open_capture(port: int) -> socket.socket:
    """A packet socket on loopback for one UDP port. CaptureError when the system does not allow it."""
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
    except OSError as error:
        raise CaptureError(f"packets cannot be captured ({error.strerror}): it needs root or CAP_NET_RAW") from error
    program = ctypes.create_string_buffer(_udp_filter(port))
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program) // 8, ctypes.addressof(program))
    )
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    except PermissionError:
        # CAP_NET_RAW alone does not allow it; lost packets are counted in any case.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    sock.bind(("lo", _ETH_P_IP))
    sock.settimeout(_POLL_S)
    return sock


@dataclass
class Capture:
    """Every SIP message to or from one port between `start` and `stop`."""

    port: int
    _raw: list[tuple[int, bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Begin. CaptureError when the system does not allow it."""
        self._socket = open_capture(self.port)
        self._until_ns: int | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        at_ns = 0
        # What came before `stop` is still read, to the last packet.
        while self._until_ns is None or at_ns <= self._until_ns:
            try:
                raw, notes, _, _ = self._socket.recvmsg(_LONGEST_PACKET, 64)
            except TimeoutError:
                if self._until_ns is not None:
                    return
                continue
            for _, kind, data in notes:
                if kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", data)
                    at_ns = seconds * 1_000_000_000 + nanoseconds
                    self._raw.append((at_ns, raw))

    def stop(self) -> list[Packet]:
        """End; the messages in the order of their times. CaptureError when the kernel dropped some."""
        self._until_ns = time.time_ns()
        self._thread.join()
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._socket.close()
        _, dropped = struct.unpack("II", statistics)
        if dropped:
            raise CaptureError(f"the capture lost {dropped} packets")
        packets = (read_packet(at_ns, raw) for at_ns, raw in sorted(self._raw))
        return [packet for packet in packets if packet is not None]


# --- the two delays ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ports:
    """Who is behind a port: the callers, the agents' phones, the switch between them."""

    callers: int
    agents: int
    switch: int


def offer_latencies(packets: Iterable[Packet], ports: Ports) -> list[float]:
    """For each call, ms from the caller's ACK to the first INVITE to an agent that names the caller."""
    return [latency for _, latency in offer_moments(packets, ports)]


def offer_moments(packets: Iterable[Packet], ports: Ports) -> list[tuple[int, float]]:
    """The same, each with the moment of the ACK in Unix nanoseconds."""
    acked: dict[str, int] = {}
    offered: dict[str, int] = {}
    for packet in packets:
        if packet.source == ports.callers and packet.is_request("ACK"):
            acked.setdefault(packet.from_user, packet.at_ns)
        elif packet.target == ports.agents and packet.is_request("INVITE"):
            offered.setdefault(packet.from_user, packet.at_ns)
    return [(at_ns, (offered[number] - at_ns) / 1e6) for number, at_ns in acked.items() if number in offered]


def idle_gaps(packets: Iterable[Packet], ports: Ports) -> list[float]:
    """For each talk that an agent ended and another followed: ms from the agent's BYE to their next INVITE."""
    ended: dict[str, int] = {}
    gaps = []
    for packet in packets:
        if packet.source == ports.agents and packet.is_request("BYE"):
            # A BYE that is repeated does not begin the gap anew.
            ended.setdefault(packet.from_user, packet.at_ns)
        elif packet.target == ports.agents and packet.is_request("INVITE") and packet.to_user in ended:
            gaps.append((packet.at_ns - ended.pop(packet.to_user)) / 1e6)
    return gaps


def served(packets: Sequence[Packet], ports: Ports) -> set[str]:
    """The callers whom an agent answered and whom the switch released after it."""
    answered: set[str] = set()
    released: set[str] = set()
    for packet in packets:
        if packet.source == ports.agents and packet.status == 200 and packet.method == "INVITE":
            answered.add(packet.from_user)
        elif packet.target == ports.callers and packet.is_request("BYE") and packet.to_user in answered:
            released.add(packet.to_user)
    return released


def offers(packets: Iterable[Packet], ports: Ports) -> list[tuple[str, str]]:
    """Who was rung for whom, in order: (agent, caller). A repeated INVITE counts once."""
    rung: dict[tuple[str, str, int], None] = {}
    attempts: dict[tuple[str, str], int] = {}
    for packet in packets:
        pair = (packet.to_user, packet.from_user)
        if packet.target == ports.agents and packet.is_request("INVITE"):
            rung[(*pair, attempts.get(pair, 0))] = None
        elif packet.source == ports.agents and packet.method == "INVITE" and packet.status >= 200:
            attempts[pair] = attempts.get(pair, 0) + 1
    return [(agent, caller) for agent, caller, _ in rung]


def span_s(packets: Sequence[Packet], ports: Ports) -> float:
    """Seconds from the first caller's INVITE to the last agent's BYE."""
    first = next((packet.at_ns for packet in packets if packet.source == ports.callers), 0)
    last = max((p.at_ns for p in packets if p.source == ports.agents and p.is_request("BYE")), default=first)
    return (last - first) / 1e9


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; not a number when there are none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
