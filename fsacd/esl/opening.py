"""Opens the socket to a switch, without asking for a name where an address is given.

Lookups share the few threads of the hub. Where names cannot be resolved, the database's for one, each lookup takes a
thread for half a minute, and a link that was cut would have to wait for all of them.
"""

from __future__ import annotations

from ipaddress import ip_address

import gevent.socket


def opened(host: str, port: int, timeout_s: float) -> gevent.socket.socket:
    """A connected socket. Raises OSError."""
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
