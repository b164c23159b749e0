"""One encoded command and what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fsacd.esl.codec import SHORT_REPLY_BYTES, Message

UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Agents' legs have names of our making, which FreeSWITCH gives to no leg of its own: UUIDs of version 5.
_VERSION_AT: Final = 14
_OURS: Final = "5"
# A uuid is matched first, so that its digits stay as they are.
_LONG_NUMBER: Final = re.compile(rf"({UUID.pattern})|\d{{3,}}(?=\d{{4}}(?!\d))")


def is_offer(leg: str) -> bool:
    """Whether a leg of this name was made for an offer, by whichever daemon."""
    return leg[_VERSION_AT : _VERSION_AT + 1] == _OURS


@dataclass(frozen=True, slots=True)
class Wire:
    """One command, ready for the wire. Made by the encoder alone; `shown` holds no secret and no name."""

    data: bytes
    shown: str = field(repr=False)
    # The BACKGROUND_JOB event that ends the command carries this Job-UUID; None for a command that ends with its reply.
    job: str | None = None
    # The longest answer taken, in bytes; a longer one counts as a refusal.
    longest_reply: int = SHORT_REPLY_BYTES

    @property
    def text(self) -> str:
        """The command as it may be logged: every long number is cut to its last four digits.

        It is made only when asked for: looking for numbers takes longer than all the rest of encoding a command.
        """
        return _LONG_NUMBER.sub(lambda match: match[1] or "…", self.shown)


class Outcome(StrEnum):
    """What is known of a command after its reply or its deadline."""

    OK = "ok"
    ERR = "err"
    # The command never left this process: sending it again is safe.
    NOT_SENT = "not_sent"
    # The command was written, perhaps only in part, and no answer came: FreeSWITCH may have carried it out.
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class Reply:
    """A command's outcome. `text` is the switch's own words for OK and ERR, ours for the others."""

    outcome: Outcome
    text: str = ""
    # Not shown when a reply is logged: it may hold numbers.
    message: Message | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether FreeSWITCH carried the command out, or accepted the job."""
        return self.outcome is Outcome.OK

    @classmethod
    def of(cls, message: Message) -> Reply:
        """Read the switch's answer: whatever does not start as an error or a usage is a success."""
        text = message.data.rstrip("\n")
        failed = text.startswith(("-ERR", "-USAGE"))
        return cls(Outcome.ERR if failed else Outcome.OK, text, message)
