"""What must be installed on a switch (the version of the dialplan, the rights), and a check of the switch's files.

The link asks the switch what is in force (`fsacd.esl.terms`); this is for `fsacd check`, which asks no switch.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

# The version in freeswitch/dialplan/fsacd.xml; a dialplan without a version is the first one.
DIALPLAN_VERSION: Final = 6
FIRST_VERSION: Final = 1
# What freeswitch/directory/fsacd_link.xml allows. FreeSWITCH repeats both lists in its answer to the login, and cuts
# this at 511 bytes. An answer that is cut has no end, so the login would hang.
EVENTS: Final = (
    "BACKGROUND_JOB",
    "CHANNEL_CREATE",
    "CHANNEL_PROGRESS",
    "CHANNEL_PROGRESS_MEDIA",
    "CHANNEL_PARK",
    "CHANNEL_BRIDGE",
    "CHANNEL_HOLD",
    "CHANNEL_UNHOLD",
    "CHANNEL_HANGUP",
    "CHANNEL_HANGUP_COMPLETE",
    "HEARTBEAT",
    "CUSTOM",
    "fsacd::queued",
    "fsacd::waiting",
    "fsacd::returned",
    "fsacd::left",
    "fsacd::feature",
    "sofia::register",
)
COMMANDS: Final = (
    "originate",
    "uuid_bridge",
    "uuid_kill",
    "uuid_setvar_multi",
    "uuid_transfer",
    "uuid_exists",
    "uuid_getvar",
    "uuid_dump",
    "global_setvar",
    "global_getvar",
    "hash",
    "show",
    "sofia_contact",
    "uptime",
)
# Passwords that everybody knows, from FreeSWITCH's own configuration and from the files that come with fsacd.
KNOWN_PASSWORDS: Final = ("ClueCon", "REPLACE-THIS-PASSWORD")
# Where FreeSWITCH's configuration is, by its packages and by its own installation.
PLACES: Final = (
    Path("/etc/freeswitch"),
    Path("/usr/local/freeswitch/conf"),
    Path("/usr/local/freeswitch/etc/freeswitch"),
)

_LONGEST_FILE: Final = 1_048_576
_VERSION: Final = re.compile(r'cmd="set"\s+data="fsacd_dialplan=([0-9]{1,6})"')
_PARAM: Final = re.compile(r'<param\s+name="([^"]{1,64})"\s+value="([^"]*)"')
_FILES_WITH_PASSWORDS: Final = (
    "autoload_configs/event_socket.conf.xml",
    "directory/default/fsacd_link.xml",
    "directory/default/agent.xml",
)


def version_of(dialplan: str) -> int:
    """The version that stands in a dialplan's text."""
    found = _VERSION.search(dialplan)
    return int(found[1]) if found else FIRST_VERSION


def too_old(version: int) -> str:
    """The sentence about a dialplan that is too old; empty for one that is new enough."""
    if version >= DIALPLAN_VERSION:
        return ""
    return (
        f"version {version} of fsacd's dialplan, and this fsacd comes with version {DIALPLAN_VERSION}; calls are "
        "served, what the newer one adds is not there"
    )


def notes_on_installed(places: Iterable[Path]) -> Iterator[str]:
    """What is wrong with the installed files, as far as they may be read. A missing file is no problem."""
    for place in places:
        yield from _dialplan(place / "dialplan" / "fsacd.xml")
        yield from _rights(place / "directory" / "default" / "fsacd_link.xml")
        for name in _FILES_WITH_PASSWORDS:
            yield from _passwords(place / name)


def _dialplan(path: Path) -> Iterator[str]:
    text = _read(path)
    if text is not None and (sentence := too_old(version_of(text))):
        yield f"{path} is {sentence}"


def _rights(path: Path) -> Iterator[str]:
    text = _read(path)
    if text is None:
        return
    params = dict(_PARAM.findall(text))
    for param, needed in (("esl-allowed-events", EVENTS), ("esl-allowed-api", COMMANDS)):
        allowed = (
            re.split(r"[ ,]", params[param]) if param in params else needed
        )  # without the parameter all is allowed
        missing = [word for word in needed if word not in allowed and "ALL" not in allowed]
        if missing:
            yield f"{path} does not allow fsacd {', '.join(missing)} ({param})"


def _passwords(path: Path) -> Iterator[str]:
    for name, value in _PARAM.findall(_read(path) or ""):
        if name.endswith("password") and value in KNOWN_PASSWORDS:
            yield f"{path} still has a password that everybody knows ({name})"


def _read(path: Path) -> str | None:
    """The file's text; None when there is none that may be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return file.read(_LONGEST_FILE).decode("utf-8", "replace")
    except OSError:
        return None
