"""Becomes a PostgreSQL program that dies with the process that started it and never runs as root.

Run as a script by `fsacd.store.embedded.server`, never imported by it, and standard library only: it starts in a
bare interpreter (`python -I -S`), so that nothing between fork and exec depends on gevent or on threads.

    launch.py PARENT_PID MODE UID GID DIRECTORY PROGRAM [ARGUMENT…]

MODE is `plain` (stay who we are), `user` (become UID and GID for good), `namespace` (a user namespace of our own in
which we appear as UID and GID; files stay ours, and PostgreSQL does not see root) or `passing` (as `user`, but keep the
right to pass through directories that are closed to that user). DIRECTORY becomes the working directory after that,
which proves that it can be reached.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

CLONE_NEWUSER = 0x1000_0000
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x2008_0522
# A shell's exit code for "found, but could not be executed", which differs from PostgreSQL's own exit codes.
CANNOT_RUN = 126

_libc = ctypes.CDLL(None, use_errno=True)


def _require(result: int, what: str) -> None:
    """Turn a C library's -1 into an OSError that names the step.

    Raises:
        OSError: the call failed.
    """
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def enter_namespace(uid: int, gid: int) -> None:
    """Enter a user namespace in which the present user and group are called `uid` and `gid`; no one else is mapped.

    Raises:
        OSError: the kernel or a container's policy forbids it.
    """
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _require(_libc.unshare(CLONE_NEWUSER), "a user namespace is not allowed here")
    # The kernel lets an ordinary user map their group only after they have given up setgroups().
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def become(uid: int, gid: int) -> None:
    """Give up every right of root for good.

    Raises:
        OSError: this process may not.
    """
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def keep_passing() -> None:
    """Of the capabilities kept over `become`, keep only the one that opens files and directories, also over exec.

    Raises:
        OSError: this process does not have it, or may not hand it on.
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    kept = 1 << CAP_DAC_OVERRIDE
    # Effective, permitted, inheritable: the lower and then the upper 32 capabilities.
    sets = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)
    _require(_libc.capset(header, sets), "capset")
    _require(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0), "prctl")


def launch(arguments: list[str]) -> None:
    """Do as the module says; returns only by an exception.

    Raises:
        OSError: a step was refused, or the program cannot be executed.
    """
    parent, mode, uid, gid, directory, *command = arguments
    match mode:
        case "user":
            become(int(uid), int(gid))
        case "namespace":
            enter_namespace(int(uid), int(gid))
        case "passing":
            _require(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl")
            become(int(uid), int(gid))
            keep_passing()
        case _:
            pass
    # After the change of identity, because that change clears it. SIGQUIT is PostgreSQL's immediate shutdown: the
    # postmaster ends its children, waits for them, and the next start replays the log.
    _require(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0), "prctl")
    if os.getppid() != int(parent):
        raise OSError(f"process {parent}, which asked for this, is gone")
    os.umask(0o077)
    os.chdir(directory)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted; the arguments come from `server`


if __name__ == "__main__":
    try:
        launch(sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT_RUN)
