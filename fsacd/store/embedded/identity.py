"""Who an embedded PostgreSQL runs as: it refuses root, and must reach its programs and its data."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

# Tried in this order when we are root: a user made for fsacd, PostgreSQL's own user, and nobody.
UNPRIVILEGED = ("fsacd", "postgres", "nobody")
_USUAL_OVERFLOW = 65_534


class Mode(StrEnum):
    """How the launcher changes its identity: the values of MODE in `launch.py`."""

    PLAIN = "plain"
    USER = "user"
    NAMESPACE = "namespace"
    PASSING = "passing"


@dataclass(frozen=True, slots=True)
class Identity:
    """A way to run PostgreSQL. `owner` owns the files outside; `client` is how the server sees this process."""

    mode: Mode
    uid: int
    gid: int
    owner: tuple[int, int]
    client: str

    @property
    def is_other(self) -> bool:
        """Whether PostgreSQL's directories belong to another user than this process's."""
        return self.mode in {Mode.USER, Mode.PASSING}


def candidates(data: Path) -> list[Identity]:
    """The identities worth trying, best first, without those that would not own the existing data."""
    uid, gid = os.geteuid(), os.getegid()
    found: list[Identity] = []
    me = _by_uid(uid)
    others = [user for user in map(_by_name, UNPRIVILEGED) if user is not None] if uid == 0 else []
    found.extend(_become(user, Mode.USER, _name(uid)) for user in others)
    if uid != 0 and me is not None:
        found.append(Identity(Mode.PLAIN, uid, gid, (uid, gid), me.pw_name))
    # For root whose files only root can reach, or for a user without a passwd entry, which PostgreSQL requires.
    if (uid == 0 or me is None) and (mapped := _mappable()) is not None:
        found.append(Identity(Mode.NAMESPACE, mapped.pw_uid, mapped.pw_gid, (uid, gid), mapped.pw_name))
    # Containers forbid user namespaces, and yet keep files below a closed /root.
    found.extend(_become(user, Mode.PASSING, _name(uid)) for user in others)
    try:
        owner = data.lstat().st_uid
    except FileNotFoundError:
        return found
    return [identity for identity in found if identity.owner[0] == owner]


def _become(user: pwd.struct_passwd, mode: Mode, client: str) -> Identity:
    return Identity(mode, user.pw_uid, user.pw_gid, (user.pw_uid, user.pw_gid), client)


def _mappable() -> pwd.struct_passwd | None:
    """Some ordinary passwd entry to appear as; not the overflow user, as whom every unmapped user appears."""
    try:
        overflow = int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
    except OSError:
        overflow = _USUAL_OVERFLOW  # systemd's ProcSubset=pid hides it
    return next((user for user in pwd.getpwall() if user.pw_uid not in {0, overflow}), None)


def _by_uid(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _by_name(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _name(uid: int) -> str:
    user = _by_uid(uid)
    return "root" if user is None else user.pw_name
