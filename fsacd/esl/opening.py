"""Opens the socket to a switch: not to a stranger, and without asking for a name where an address is given.

Lookups share the few threads of the hub. Where names cannot be resolved, the database's for one, each lookup takes a
thread for half a minute, and a link that was cut would have to wait for all of them.
"""

from __future__ import annotations

from ipaddress import ip_address

import gevent.socket

from fsacd.esl.errors import LinkError
from fsacd.esl.owner import stranger


def opened(host: str, port: int, timeout_s: float, *, owner: str, write_timeout_ms: int) -> gevent.socket.socket:
    """A connected socket for a link.

    `owner` is the user, besides root and our own, whose program may listen there; see `owner.stranger`. Raises OSError,
    and LinkError where the program that listens is another user's.
    """
    sock = _connected(host, port, timeout_s)
    try:
        _refuse_strangers(sock, host, port, owner)
        _tune(sock, write_timeout_ms)
    except BaseException:
        sock.close()
        raise
    return sock


def _connected(host: str, port: int, timeout_s: float) -> gevent.socket.socket:
    try:
        version = ip_address(host).version
    except ValueError:
        return gevent.socket.create_connection((host, port), timeout=timeout_s)
    sock = gevent.socket.socket(gevent.socket.AF_INET6 if version == 6 else gevent.socket.AF_INET)  # noqa: PLR2004
    try:
        sock.settimeout(timeout_s)
        sock.connect((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _refuse_strangers(sock: gevent.socket.socket, host: str, port: int, owner: str) -> None:
    user = stranger(sock.getpeername()[0], port, owner)
    if user:
        raise LinkError(
            f"the program that listens at {host}:{port} belongs to the user {user}, and is not told the password: if "
            f"it is FreeSWITCH, say so by `owner: {user}` of this switch"
        )


def _tune(sock: gevent.socket.socket, write_timeout_ms: int) -> None:
    sock.settimeout(None)
    sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
    # What the kernel could not deliver in this time it must not deliver later: a command to ring would be obeyed when
    # nobody waits any more, or when another daemon serves the switch.
    sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_USER_TIMEOUT, write_timeout_ms)
    sock.setsockopt(gevent.socket.SOL_SOCKET, gevent.socket.SO_KEEPALIVE, 1)
