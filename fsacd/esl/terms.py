"""What a switch offers us: the version of the dialplan that runs there, and the rights that our user lacks.

An older dialplan or fewer rights are no reason not to serve: features that need more are left out, and reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from fsacd.config.installed import FIRST_VERSION, too_old
from fsacd.process.trouble import Trouble

# The global variable that the installed dialplan sets when it is read, and the leg's that each call sets as it enters.
VARIABLE: Final = "fsacd_dialplan"
# Without these nobody could be served: a user who may not hear them does not get a link.
ESSENTIAL: Final = frozenset(
    (
        "BACKGROUND_JOB",
        "CHANNEL_PARK",
        "CHANNEL_BRIDGE",
        "CHANNEL_HANGUP",
        "fsacd::queued",
        "fsacd::waiting",
    )
)
_HOLD_SINCE: Final = 5
_NUMBER: Final = re.compile(r"[0-9]{1,6}")


class Terms:
    """The dialplan's version and the missing rights of one switch. Not known before its first link is up."""

    def __init__(self, switch: str) -> None:
        self._switch = switch
        self.dialplan: int | None = None
        self.denied: tuple[str, ...] = ()

    def linked(self, dialplan: str, denied: Iterable[str]) -> None:
        """The link is up: the global variable's text, and what the switch has refused."""
        self.dialplan = version_in(dialplan)
        self.denied = tuple(denied)

    @property
    def can_hold(self) -> bool:
        """Whether the dialplan has the extension in which a party of a talk is held."""
        return (self.dialplan or 0) >= _HOLD_SINCE

    def entered(self, dialplan: str) -> None:
        """A call has entered a queue: its version is the one that runs, whatever was read when the link came up."""
        self.dialplan = version_in(dialplan)

    def troubles(self) -> Iterator[Trouble]:
        """What is not as it should be, each in one sentence."""
        if self.dialplan is not None and (sentence := too_old(self.dialplan)):
            yield Trouble(f"Switch {self._switch} runs {sentence}.")
        if self.denied:
            yield Trouble(
                f"Switch {self._switch} denies fsacd rights that directory/fsacd_link.xml grants; what needs them "
                "does not work there.",
                ", ".join(self.denied),
            )


@lru_cache(maxsize=8)  # every call says the version, and all calls of a switch say the same
def version_in(text: str) -> int:
    """The version in a variable's text; a dialplan that sets none is the first one."""
    text = text.strip()
    return int(text) if _NUMBER.fullmatch(text) else FIRST_VERSION
