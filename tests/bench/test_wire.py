"""What the bench reads from SIP packets."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack

import pytest

from tests.bench.wire import (
    Capture,
    CaptureError,
    Packet,
    Ports,
    idle_gaps,
    offer_latencies,
    offers,
    percentile,
    read_packet,
    served,
)

PORTS = Ports(callers=1, agents=2, switch=3)
MS = 1_000_000


def packet(at_ms: int, source: int, target: int, method: str, *, status: int = 0, of: str = "", to: str = "") -> Packet:
    return Packet(at_ms * MS, source, target, method, status, of, to)


def datagram(text: str) -> bytes:
    """A UDP datagram from port 5 to port 6 in an IPv4 packet without options."""
    payload = text.replace("\n", "\r\n").encode()
    return b"\x45" + bytes(8) + b"\x11" + bytes(10) + struct.pack("!HHHH", 5, 6, 8 + len(payload), 0) + payload


INVITE = 'INVITE sip:1001@h SIP/2.0\nFrom: "A" <sip:4930@h;x=y>;tag=1\nTo: <sip:1001@h>\nCSeq: 7 INVITE\n\nv=0\n'
OK = "SIP/2.0 200 OK\nf: sip:4930@h\nt: <sip:1001@h>;tag=2\nCSeq: 7 INVITE\n\n"


def test_a_request_is_read_with_its_users() -> None:
    """A request has status 0 and names both users."""
    expected = Packet(9, 5, 6, "INVITE", 0, "4930", "1001")
    assert expected == read_packet(9, datagram(INVITE))


def test_a_response_is_read_with_the_method_it_answers() -> None:
    """A response's method is its CSeq's; short header names are understood."""
    expected = Packet(9, 5, 6, "INVITE", 200, "4930", "1001")
    assert expected == read_packet(9, datagram(OK))


def test_what_is_not_sip_is_no_packet() -> None:
    """Keep-alives and other bytes are passed over."""
    assert [read_packet(9, datagram(text)) for text in ("\n\n", "CSeq: 1 INVITE\n")] == [None, None]


def test_offer_latency_is_from_the_first_ack_to_the_first_invite() -> None:
    """Each caller's ACK is matched with the first INVITE that names them; a caller not offered has no latency."""
    packets = [
        packet(10, 1, 3, "ACK", of="a"),
        packet(11, 1, 3, "ACK", of="b"),
        packet(12, 1, 3, "ACK", of="c"),
        packet(15, 3, 2, "INVITE", of="b", to="1001"),
        packet(17, 3, 2, "INVITE", of="a", to="1002"),
        packet(90, 3, 2, "INVITE", of="a", to="1003"),
    ]
    assert offer_latencies(packets, PORTS) == [7.0, 4.0]


def test_an_idle_gap_is_from_an_agents_own_bye_to_their_next_invite() -> None:
    """A gap begins with the first BYE that the agent sends and ends with their next INVITE, if there is one."""
    packets = [
        packet(10, 2, 3, "BYE", of="1001"),
        packet(11, 3, 2, "BYE", to="1002"),
        packet(12, 2, 3, "BYE", of="1001"),
        packet(15, 3, 2, "INVITE", to="1002"),
        packet(30, 3, 2, "INVITE", to="1001"),
        packet(40, 3, 2, "INVITE", to="1001"),
        packet(50, 2, 3, "BYE", of="1003"),
    ]
    assert idle_gaps(packets, PORTS) == [20.0]


def test_served_is_who_was_answered_and_then_released() -> None:
    """A caller who is released without an answer was not served, nor one whom nobody released."""
    packets = [
        packet(1, 3, 1, "BYE", to="a"),
        packet(2, 2, 3, "INVITE", status=200, of="b", to="1001"),
        packet(3, 2, 3, "INVITE", status=200, of="c", to="1001"),
        packet(4, 3, 1, "BYE", to="b"),
    ]
    assert {"b"} == served(packets, PORTS)


def test_a_repeated_invite_is_one_offer_and_a_second_attempt_is_another() -> None:
    """Only after a final answer is the same agent's INVITE for the same caller a new offer."""
    packets = [
        packet(1, 3, 2, "INVITE", of="a", to="1001"),
        packet(2, 3, 2, "INVITE", of="a", to="1001"),
        packet(3, 2, 3, "INVITE", status=486, of="a", to="1001"),
        packet(4, 3, 2, "INVITE", of="a", to="1001"),
    ]
    assert offers(packets, PORTS) == [("1001", "a"), ("1001", "a")]


def test_percentiles_are_values_that_occurred() -> None:
    """Half of a hundred is the 51st, 99 % the last; of nothing there is none."""
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, 0.5), percentile(values, 0.99)] == [51.0, 100.0]
    assert percentile([], 0.5) != percentile([], 0.5)


def test_the_capture_sees_each_packet_of_its_port_once() -> None:
    """Packets to and from the port are there once each with a time; those of other ports are not."""
    with ExitStack() as stack:
        sockets = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
        sender, ours, other = (stack.enter_context(sock) for sock in sockets)
        for sock in (sender, ours, other):
            sock.bind(("127.0.0.1", 0))
        capture = Capture(ours.getsockname()[1])
        try:
            capture.start()
        except CaptureError as error:
            pytest.skip(str(error))
        sender.sendto(OK.encode(), other.getsockname())
        sender.sendto(INVITE.replace("\n", "\r\n").encode(), ours.getsockname())
        ours.sendto(OK.replace("\n", "\r\n").encode(), sender.getsockname())
        packets = capture.stop()
    assert [f"{packet.method} {packet.status}" for packet in packets] == ["INVITE 0", "INVITE 200"]
    assert packets[0].at_ns <= packets[1].at_ns
