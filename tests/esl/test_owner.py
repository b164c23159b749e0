"""Whose program listens on a port: what the kernel's tables say, and what the link makes of it."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest

from fsacd.esl import opening
from fsacd.esl.client import EslClient
from fsacd.esl.errors import LinkError
from fsacd.esl.owner import ANY, _listeners, stranger
from fsacd.esl.settings import LinkSettings
from tests.esl.fake_switch import FakeSwitch, Peer

WHOLE = "         0          0 4294967295\n"
OTHERS = 4_242_424
_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def _line(address: str, state: str, uid: int) -> str:
    zeros = "00000000:0000"
    return f"   0: {address} {zeros} {state} 00000000:00000000 00:00000000 00000000 {uid:5d} 0 1 1 0 100 0 0 10 0\n"


def _proc(directory: Path, tcp: str = "", tcp6: str = "", uid_map: str = WHOLE) -> Path:
    (directory / "self").mkdir()
    (directory / "net").mkdir()
    (directory / "self" / "uid_map").write_text(uid_map)
    (directory / "net" / "tcp").write_text(_HEAD + tcp)
    (directory / "net" / "tcp6").write_text(_HEAD + tcp6)
    return directory


# 8021 is 1F55.
LOCAL, ALL, OTHER_PORT = "0100007F:1F55", "00000000:1F55", "0100007F:1F56"
ALL6, LOCAL6 = "0" * 32 + ":1F55", "00000000000000000000000001000000:1F55"


@pytest.mark.parametrize(
    ("tcp", "tcp6", "host", "found"),
    [
        (_line(LOCAL, "0A", OTHERS), "", "127.0.0.1", True),
        (_line(ALL, "0A", OTHERS), "", "127.0.0.1", True),
        ("", _line(ALL6, "0A", OTHERS), "127.0.0.1", True),
        ("", _line(LOCAL6, "0A", OTHERS), "::1", True),
        # Two share the port: the kernel takes any of them.
        (_line(LOCAL, "0A", 0) + _line(LOCAL, "0A", OTHERS), "", "127.0.0.1", True),
        (_line(LOCAL, "0A", 0), "", "127.0.0.1", False),
        (_line(LOCAL, "0A", os.geteuid()), "", "127.0.0.1", False),
        # Another port, a connection, another machine, nobody, and what no kernel writes.
        (_line(OTHER_PORT, "0A", OTHERS), "", "127.0.0.1", False),
        (_line(LOCAL, "01", OTHERS), "", "127.0.0.1", False),
        (_line(LOCAL, "0A", OTHERS), "", "192.0.2.1", False),
        ("", "", "127.0.0.1", False),
        ("nonsense\n", "x y z\n", "127.0.0.1", False),
    ],
)
def test_who_is_a_stranger(tcp: str, tcp6: str, host: str, *, found: bool, tmp_path: Path) -> None:
    """Whoever is neither root nor we nor FreeSWITCH's user, and listens where we would connect to."""
    assert stranger(host, 8021, "freeswitch", _proc(tmp_path, tcp, tcp6)) == (str(OTHERS) if found else "")


def test_the_owner_may_be_named_by_number_and_by_name(tmp_path: Path) -> None:
    """FreeSWITCH in a container has a number of its own; `any` is whoever listens."""
    nobody = pwd.getpwnam("nobody")
    proc = _proc(tmp_path, _line(LOCAL, "0A", nobody.pw_uid))
    assert stranger("127.0.0.1", 8021, "freeswitch", proc) == "nobody"
    for owner in ("nobody", str(nobody.pw_uid), ANY):
        assert stranger("127.0.0.1", 8021, owner, proc) == ""


def test_where_nothing_can_be_seen_nobody_is_a_stranger(tmp_path: Path) -> None:
    """In a user namespace every foreign owner is 65534, and a unit may hide the tables: nobody is locked out."""
    mapped = _proc(tmp_path, _line(LOCAL, "0A", 65534), uid_map="      1000       1000          1\n")
    assert stranger("127.0.0.1", 8021, "freeswitch", mapped) == ""
    assert stranger("127.0.0.1", 8021, "freeswitch", tmp_path / "hidden") == ""


def test_the_kernels_own_tables() -> None:
    """A socket of ours is found where the kernel says it is, and is no stranger's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert _listeners("127.0.0.1", port, Path("/proc")) == {os.geteuid()}
        assert stranger("127.0.0.1", port, "freeswitch") == ""


def test_a_strangers_program_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The link says whose program it is and what to set, and the password does not leave."""
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.say(b"Content-Type: auth/request\n\n")
        heard.append(peer.hear())

    monkeypatch.setattr(opening, "stranger", lambda host, port, owner: "mallory" if owner != ANY else "")
    with FakeSwitch(script) as switch:
        settings = LinkSettings(host=switch.host, port=switch.port, password="the-secret")
        with pytest.raises(LinkError, match=r"belongs to the user mallory.*`owner: mallory`"):
            EslClient(switch.host, switch.port, "the-secret", 5, settings=settings).connect()
    assert b"".join(heard) == b""
