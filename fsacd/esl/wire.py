"""One encoded command and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fsacd.esl.codec import Message


@dataclass(frozen=True, slots=True)
class Wire:
    """One command, ready for the wire. Made by the encoder alone; `text` is safe for logs (no secret, no number)."""

    data: bytes
    text: str
    # The BACKGROUND_JOB event that ends the command carries this Job-UUID; None for a command that ends with its reply.
    job: str | None = None


class Outcome(StrEnum):
    """What is known of a command after its reply or its deadline."""

    OK = "ok"
    ERR = "err"
    # It never left this process: doing it again is safe.
    NOT_SENT = "not_sent"
    # It was (perhaps only in part) written and nothing came back: FreeSWITCH may have carried it out.
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
