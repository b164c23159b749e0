"""The names under which the API answers: a web page must not reach it through a name of its own (DNS rebinding)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

# RFC 3986's host and port, as far as one can be ours: an IPv6 address in brackets or a name, then perhaps a port.
# Longer or odder names are refused.
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::[0-9]{0,5})?")


def host_of(authority: str) -> str | None:
    """The host in `HOST` or `HOST:PORT`, in lower case and without brackets; None for any other text."""
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
    """Whether this name or address is a loopback one."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: only the resolver could tell, and it cannot be trusted
        return False


class Hosts:
    """The names that are answered: loopback's own, the address that we listen on, and `allowed`.

    On another address than loopback, an empty `allowed` means any name: clients there can reach the API without a
    trick.
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
