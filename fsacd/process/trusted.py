"""Opening files that only their owner, root or the user of this process can have written.

Whoever may write a file that fsacd believes, or change a directory on the way to it, commands fsacd. So before a
directory is used, each directory on its path is looked at; afterwards nobody else can put another one in its place, and
names in it may be looked up one after the other. A file is looked at when it is open: what was checked is what is read.
And whatever lies in a file's place (a link, a named pipe, an endless device) can neither hold us up nor be written to.

`Untrusted` has the sentence for a person. It is an OSError, so code that handles "No such file" handles it as well;
`why` gives the words of either.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

# As many links as the kernel follows.
_LINKS: Final = 40
_FILE_MODE: Final = 0o600
# An open never waits (a named pipe would let it wait for ever), and never follows a link at the end of the path.
_CAREFULLY: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class Untrusted(OSError):  # noqa: N818 - what was found; it is raised and handled as the system's own errors are
    """A file or directory is not what it must be; `strerror` says what is wrong, and what to do about it."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EPERM, text)

    def __str__(self) -> str:
        return str(self.strerror)


def why(error: OSError) -> str:
    """What went wrong, as the end of a sentence: "permission denied"."""
    if error.errno == errno.ELOOP:
        return "it is a symbolic link"
    text = error.strerror or "it failed"
    return text[0].lower() + text[1:]


def users() -> frozenset[int]:
    """Who is trusted: root, and the user who runs this."""
    return frozenset({0, os.geteuid()})


def users_of(directory: Path) -> frozenset[int]:
    """Who is trusted in a daemon's directory by somebody else: the daemon's user too, if it is root who looks.

    Raises:
        OSError: there is no such directory.
    """
    return users() | ({directory.stat().st_uid} if os.geteuid() == 0 else set())


def is_foreign(path: Path, error: OSError) -> bool:
    """Whether a file could not be opened because fsacd cannot have written it; otherwise the disk has failed."""
    try:
        return isinstance(error, Untrusted) or not stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


# --- directories ---


def make_directory(path: Path, trusted: frozenset[int] | None = None) -> None:
    """Make a directory for its owner alone, unless it is there; then it must be one that `trusted` alone can change.

    Raises:
        OSError: it cannot be made, or is not what it must be.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_directory(path, trusted)


def check_directory(path: Path, trusted: frozenset[int] | None = None) -> None:
    """See that this is a directory in which, and on the way to which, `trusted` (None: `users()`) alone change things.

    A link on the way is followed where only they can have made it, as systemd does in /var/lib.

    Raises:
        OSError: it is not, or cannot be looked at.
    """
    who = users() if trusted is None else trusted
    real = resolved(path, who)
    status = real.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    must_be_safe(status, "it", who)


def resolved(path: Path, trusted: frozenset[int]) -> Path:
    """The path without links; every directory on the way belongs to `trusted`, and not everybody can write to it.

    What stands at its end is not looked at, except that it is no link.

    Raises:
        OSError: somebody else could lead us elsewhere, or there is no such file.
    """
    # In a user namespace without root nobody is user 0, so the owner of the root directory is trusted in root's place.
    owners = trusted | {Path("/").lstat().st_uid}
    at, links = Path("/"), 0
    steps = list(reversed(path.absolute().parts[1:]))
    sticky = False
    while steps:
        name = steps.pop()
        if name == "..":
            at = at.parent
            continue
        found = at / name
        status = found.lstat()
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if sticky and status.st_uid not in owners:
                raise Untrusted(f"the link {found} on the way belongs to {user(status.st_uid)}")
            target = found.readlink()
            steps += reversed(target.parts[1:] if target.is_absolute() else target.parts)
            at = Path("/") if target.is_absolute() else at
            continue
        at = found
        if steps:
            what = f"its directory {found}" if len(steps) == 1 else f"the directory {found} on the way"
            sticky = _check_way(what, status, owners)
    return at


def _check_way(what: str, status: os.stat_result, owners: frozenset[int]) -> bool:
    """Check a directory on the way. Returns whether it is sticky: others may write to it, but touch only their files.

    A group that may write there is allowed, because somebody has decided so, as for `staff` in /usr/local.
    """
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    sticky = bool(status.st_mode & stat.S_ISVTX)
    if status.st_mode & stat.S_IWOTH and not sticky:
        raise Untrusted(f"{what} {_writable('everybody')}")
    if status.st_uid not in owners:
        raise Untrusted(f"{what} {_belongs(status.st_uid, owners)}")
    return sticky


def must_be_safe(status: os.stat_result, what: str, trusted: frozenset[int]) -> None:
    """Check by its status that only its owner can write to a file, and that the owner is one of `trusted`.

    Raises:
        Untrusted: it is not so; `what` is the sentence's subject.
    """
    for bit, who in ((stat.S_IWOTH, "everybody"), (stat.S_IWGRP, "its group")):
        if status.st_mode & bit:
            raise Untrusted(f"{what} {_writable(who)}")
    if status.st_uid not in trusted:
        raise Untrusted(f"{what} {_belongs(status.st_uid, trusted)}")


def _writable(who: str) -> str:
    return f"can be written by {who}; it must be writable by its owner alone (chmod go-w)"


def _belongs(uid: int, trusted: frozenset[int]) -> str:
    return f"belongs to {user(uid)}; it must belong to {' or '.join(user(one) for one in sorted(trusted))} (chown)"


def user(uid: int) -> str:
    """A user's name, if there is one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


# --- files that fsacd itself has made: none of them is a link ---


def open_file(path: Path, flags: int = os.O_RDONLY, trusted: frozenset[int] | None = None) -> int:
    """Open a regular file that `trusted` (None: `users()`) alone can write; its directory is checked already.

    Returns the descriptor.

    Raises:
        OSError: it is a link, a named pipe, a device, a directory or somebody else's, or cannot be opened.
    """
    who = users() if trusted is None else trusted

    def check(status: os.stat_result) -> None:
        _check_regular(status)
        must_be_safe(status, "it", who)

    return _opened(path, flags, check)


def open_or_create(path: Path, flags: int, trusted: frozenset[int] | None = None) -> int:
    """Open a file as `open_file`; if it is missing, make it for its owner alone.

    What root makes belongs to the owner of the directory, who would be locked out otherwise.
    """
    try:
        return open_file(path, flags, trusted)
    except FileNotFoundError:
        pass
    try:
        descriptor = create_file(path, flags)
    except FileExistsError:  # somebody was faster
        return open_file(path, flags, trusted)
    with suppress(OSError):
        give_to_owner_of(path.parent, descriptor)
    return descriptor


def create_file(path: Path, flags: int = os.O_WRONLY) -> int:
    """Make a new file, for its owner alone; whatever stands there already is never opened. Returns the descriptor.

    Raises:
        OSError: something stands there, be it a link to nowhere, or it cannot be made.
    """
    return os.open(path, flags | os.O_CREAT | os.O_EXCL | _CAREFULLY, _FILE_MODE)


def give_to_owner_of(directory: Path, descriptor: int) -> None:
    """Give a new file to the owner of its directory: the daemon's user, if this process is root and the daemon is not.

    Raises:
        OSError: it cannot be.
    """
    owner = directory.stat()
    if owner.st_uid != os.geteuid():
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def read_file(path: Path, limit: int, trusted: frozenset[int] | None = None) -> bytes:
    """What is in a file, which `open_file` opens, of at most `limit` bytes.

    Raises:
        OSError: it is longer, or as `open_file`.
    """
    return _read(open_file(path, trusted=trusted), limit)


def write_file(path: Path, content: bytes, limit: int) -> None:
    """Write a file, synced to the disk, whole or not at all: a draft beside it is renamed.

    Raises:
        OSError: that cannot be, or it is longer than the `limit` that whoever reads it has.
    """
    if len(content) > limit:
        raise Untrusted(f"it would be larger than {_size(limit)}")
    draft = path.with_suffix(".draft")
    # An unfinished draft, or whatever somebody has put there. It is not opened, as writing might follow a link.
    draft.unlink(missing_ok=True)
    descriptor = create_file(draft)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        # Otherwise each try would leave a draft, and together they would fill a disk that is nearly full.
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    draft.rename(path)


def sync_directory(path: Path) -> None:
    """Sync the names in a directory to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- files that a person has put there ---


def read_given(
    path: Path, limit: int, *, trusted: frozenset[int] | None = None, secret: bool = False, alone: bool = False
) -> bytes:
    """What is in a file that somebody names: a configuration, a password, a plugin; at most `limit` bytes.

    It may be reached by links that only root or the user who runs this can have made.

    Args:
        path: The file.
        limit: How long it may be.
        trusted: Who may have written it; None: `users()`.
        secret: Everybody must not be able to read it. Its group may, as systemd lets it read credentials.
        alone: Others must not be able to put files of their own beside it, either, as they can in /tmp.

    Raises:
        OSError: somebody else could have written it, or it cannot be read.
    """
    who = users() if trusted is None else trusted
    real = resolved(path, who)
    for directory in {path.parent, real.parent}:
        status = directory.stat()
        if alone or not status.st_mode & stat.S_ISVTX:
            must_be_safe(status, f"its directory {directory}", who)

    def check(status: os.stat_result) -> None:
        _check_regular(status)
        must_be_safe(status, "the file", who)
        if secret and status.st_mode & stat.S_IROTH:
            raise Untrusted("everybody can read this secret (chmod o-r)")

    return _read(_opened(real, os.O_RDONLY, check), limit)


def read_any(path: Path, limit: int) -> bytes:
    """What is in a file that anybody may have written, because a person works on it; no pipe, device or endless file.

    Raises:
        OSError: it cannot be read.
    """
    return _read(_opened(path.resolve(), os.O_RDONLY, _check_regular), limit)


def _opened(path: Path, flags: int, check: Callable[[os.stat_result], None]) -> int:
    descriptor = os.open(path, flags | _CAREFULLY)
    try:
        check(os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Untrusted("it is not a regular file")


def _read(descriptor: int, limit: int) -> bytes:
    """All that is in an open file, which is closed."""
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_size <= limit:
            # The file may grow while it is read.
            content = file.read(limit + 1)
            if len(content) <= limit:
                return content
    raise Untrusted(f"it is larger than {_size(limit)}")


def _size(limit: int) -> str:
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if limit >= size and limit % size == 0:
            return f"{limit // size} {unit}"
    return f"{limit} bytes"
