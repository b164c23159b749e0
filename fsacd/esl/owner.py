"""Whose program listens on a port of this machine, as far as the system lets us see it.

Any local user may listen on the switch's port while the switch is down, and would be told its password.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Collection
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

# The owner is not looked at.
ANY: Final = "any"
_LISTENS: Final = "0A"
_STATE_AT, _OWNER_AT = 3, 7
# The kernel writes the listening sockets first; after so many lines only connections follow.
_MOST_LINES: Final = 10_000
_WHOLE_USERS: Final = ["0", "0", "4294967295"]


def stranger(host: str, port: int, owner: str, proc: Path = Path("/proc")) -> str:
    """The owner of what listens at this address, if it is neither root nor we nor `owner`; else the empty text.

    `owner` is a user by name or number. The empty text, too, for another machine's address, and where the owner cannot
    be seen: in a user namespace every foreign one looks alike (the shipped unit has one, and hides /proc/net besides).
    """
    if owner == ANY or not _is_loopback(host) or not _sees_users(proc):
        return ""
    allowed = {0, os.geteuid(), _number(owner)}
    return next((_name(uid) for uid in sorted(_listeners(host, port, proc)) if uid not in allowed), "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _sees_users(proc: Path) -> bool:
    try:
        return (proc / "self" / "uid_map").read_text(encoding="ascii").split() == _WHOLE_USERS
    except (OSError, UnicodeDecodeError):
        return False


def _listeners(host: str, port: int, proc: Path) -> set[int]:
    """The users whose sockets listen at this address. Of several that share a port the kernel takes any."""
    version = ip_address(host).version
    found: set[int] = set()
    # One that listens on all IPv6 addresses is reached by IPv4, too.
    for name, addresses in (("tcp", _forms(host, 4)), ("tcp6", _forms(host, 6))):
        if version == 6 and name == "tcp":  # noqa: PLR2004 - the version of IP
            continue
        try:
            with (proc / "net" / name).open(encoding="ascii") as lines:
                next(lines, "")
                for line, _ in zip(lines, range(_MOST_LINES), strict=False):
                    words = line.split()
                    address, _, at = words[1].partition(":")
                    if words[_STATE_AT] == _LISTENS and int(at, 16) == port and address in addresses:
                        found.add(int(words[_OWNER_AT]))
        except (OSError, ValueError, IndexError):
            continue  # the list is hidden, or has another format than we know
    return found


def _forms(host: str, version: int) -> Collection[str]:
    """How the kernel writes this address, and the one that means all of them."""
    address = ip_address(host)
    if version == 4:  # noqa: PLR2004 - the version of IP
        return {_words(address.packed), "0" * 8}
    packed = address.packed if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}").packed
    return {_words(packed), "0" * 32}


def _words(packed: bytes) -> str:
    """Each four bytes as one number in this machine's byte order, in hex."""
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, 'little' if _LITTLE else 'big'):08X}" for word in words)


_LITTLE: Final = sys.byteorder == "little"


def _number(owner: str) -> int:
    if owner.isascii() and owner.isdigit():
        return int(owner)
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        return 0  # nobody has this name: root is allowed anyway


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
