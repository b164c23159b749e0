"""Where calls go when they leave a queue: targets, and the conditions on which they leave."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import override

from fsacd.config.blocks import Settings
from fsacd.config.forms import EXTENSION_OR_NULL, NAME_OR_NULL, Cause
from fsacd.config.kinds import Duration, Flag
from fsacd.core.rules import Overflow, Target, ToExtension, ToHangup, ToQueue


class TargetSettings(Settings):
    """Where a call goes: exactly one of a queue, an extension and a hangup."""

    INLINE = True
    EXPECTS = "one of {queue: NAME}, {extension: NUMBER, context: NAME} or {hangup: CAUSE}"

    queue: Annotated[str | None, NAME_OR_NULL] = Field(
        default=None, description="The call goes into this queue, and keeps the time already waited."
    )
    extension: Annotated[str | None, EXTENSION_OR_NULL] = Field(
        default=None, description="To this extension of the dialplan."
    )
    context: Annotated[str | None, NAME_OR_NULL] = Field(
        default=None, description="The extension's dialplan context; 'default' when it is not given."
    )
    hangup: Annotated[str | None, Cause()] = Field(
        default=None, description="The call is ended with this cause, like USER_BUSY or NORMAL_CLEARING."
    )

    def given(self) -> tuple[str, ...]:
        """Name the ways that are given; there must be exactly one."""
        ways = {"queue": self.queue, "extension": self.extension, "hangup": self.hangup}
        return tuple(name for name, value in ways.items() if value is not None)

    def target(self) -> Target:
        """Give the target as the engine takes it."""
        if self.queue is not None:
            return ToQueue(self.queue)
        if self.extension is not None:
            return ToExtension(self.extension, self.context or "default")
        return ToHangup(self.hangup) if self.hangup is not None else ToHangup()


class OverflowSettings(TargetSettings):
    """Where calls go while a condition holds, and which calls."""

    EXPECTS = "a target like {queue: NAME}, {extension: NUMBER} or {hangup: CAUSE}, and perhaps {after: 30s} beside it"

    joining: Annotated[bool, Flag()] = Field(default=True, description="Calls that come to the queue go there.")
    waiting: Annotated[bool, Flag()] = Field(default=True, description="Calls that wait already go there.")
    after_ms: Annotated[int, Duration("0s", "1d")] = Field(
        default=0, description="Calls go only when the condition has held for this long without a break."
    )

    def overflow(self) -> Overflow:
        """Give the overflow as the engine takes it."""
        return Overflow(self.target(), self.joining, self.waiting, self.after_ms)


class EstimatedWaitSettings(OverflowSettings):
    """Where calls go whose estimated wait is too long."""

    EXPECTS = "{above: 5m} and a target like {queue: NAME}, {extension: NUMBER} or {hangup: CAUSE}"

    above_ms: Annotated[int | None, Duration("1s", "1d", null=True)] = Field(
        default=None, description="How long the estimated wait may be; it must be given."
    )


class AfterTalkSettings(Settings):
    """Where the caller goes when the agent has hung up: a hangup, or an extension (for a survey, say)."""

    INLINE = True
    EXPECTS = "hangup or {extension: NUMBER, context: NAME}"

    extension: Annotated[str | None, EXTENSION_OR_NULL] = Field(
        default=None, description="To this extension of the dialplan."
    )
    context: Annotated[str | None, NAME_OR_NULL] = Field(
        default=None, description="The extension's dialplan context; 'default' when it is not given."
    )

    @classmethod
    @override
    def short_form(cls, value: object) -> object:
        # `hangup` is the block without an extension.
        return {} if value == "hangup" else value

    @override
    def written(self) -> str:
        return "hangup" if self.extension is None else super().written()

    def target(self) -> ToExtension | None:
        """Give the target as the engine takes it; None ends the call."""
        return None if self.extension is None else ToExtension(self.extension, self.context or "default")
