"""Under which names the API answers: a web page must not reach it by pointing a name of its own at this machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

# RFC 3986's host and port as far as a name or address can be one of ours: an IPv6 address in brackets or a name, then
# perhaps a port, and nothing else. Longer or stranger names are nobody's.
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::[0-9]{0,5})?")


def host_of(authority: str) -> str | None:
    """The host in `HOST` or `HOST:PORT`, in lower case and without brackets; None when that is not what it is."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    if found[1] is None:
        return found[2].lower()
    try:
        return str(ipaddress.IPv6Address(found[1]))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether this name or address is the machine's own and nobody else's."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: only the resolver could tell, and it may be lying
        return False


class Hosts:
    """The names that are answered: loopback's own, the address that we listen on, and `allowed`.

    On another address than loopback, none allowed means any: who can reach it there needs no trick to do so.
    """

    def __init__(self, listen: str, allowed: Iterable[str]) -> None:
        allowed = tuple(allowed)
        self._names = {_plain(name) for name in (*allowed, listen)}
        self._any = not is_loopback(listen) and not allowed

    def answers(self, authority: str) -> bool:
        """Whether a request for this `HOST` or `HOST:PORT` is ours to answer."""
        if self._any:
            return True
        host = host_of(authority.strip(" \t"))
        return host is not None and (host in self._names or is_loopback(host))


def _plain(name: str) -> str:
    return host_of(f"[{name}]" if ":" in name else name) or name.lower()
