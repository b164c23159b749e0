"""The settings of how a queue's calls find their agents: skills, steps, sticky routing, and wrap-up."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from typing_extensions import override

from fsacd.config.blocks import NO_LIST, NO_NAMES, Settings
from fsacd.config.forms import CODE, NAME
from fsacd.config.kinds import Choice, Duration, Flag, Number
from fsacd.config.problems import wrong
from fsacd.config.targets import TargetSettings
from fsacd.core.rules import Cause, HoldBack, Step, Sticky, StickyAgent, WrapUp
from fsacd.core.skills import levels_of
from fsacd.process.quoting import shown


def _levels_alone(value: object) -> object:
    if not isinstance(value, dict):
        raise wrong(f"expected skills with their levels like {{german: 5}}, got {shown(value)}")
    return value


# The order matters: a heading with nothing below it becomes an empty block before it is validated.
Levels = Annotated[dict[Annotated[str, NAME], Annotated[int, Number(1, 10)]], BeforeValidator(_levels_alone), NO_NAMES]


class StepSettings(Settings):
    """A change of what a waiting call requires."""

    INLINE = True
    EXPECTS = "a step like {after: 20s, lower: {german: 3}}"

    after_ms: Annotated[int | None, Duration("0s", "1d", null=True)] = Field(
        default=None, description="How long after the call joined this queue; each step is later than the one before."
    )
    lower: Levels = Field(default={}, description="Require these skills at no more than this level, {german: 3}.")
    drop: Annotated[tuple[Annotated[str, NAME], ...], NO_LIST] = Field(
        default=(), description="Require these skills no more, [german]."
    )
    backup: Annotated[bool, Flag()] = Field(default=False, description="Let the queue's backup agents take the call.")
    ring_at_once: Annotated[int | None, Number(1, 1_000, null=True)] = Field(
        default=None, description="Ring at least this many agents at once."
    )
    raise_class: Annotated[int, Number(0, 100)] = Field(
        default=0, description="Raise the call's priority by this many classes."
    )
    overflow: TargetSettings | None = Field(
        default=None, description="Let the call leave: {queue: NAME}, {extension: NUMBER} or {hangup: CAUSE}."
    )

    def changes(self) -> bool:
        """Say whether the step does anything."""
        return bool(
            self.lower
            or self.drop
            or self.backup
            or self.ring_at_once is not None
            or self.raise_class
            or self.overflow is not None
        )

    def step(self) -> Step:
        """Give the step as the engine takes it."""
        return Step(
            after_ms=self.after_ms or 0,
            lower=levels_of(self.lower),
            drop=tuple(sorted(set(self.drop))),
            backup=self.backup,
            ring_at_once=self.ring_at_once,
            raise_by=self.raise_class,
            overflow=None if self.overflow is None else self.overflow.target(),
        )


class StickySettings(Settings):
    """Whether one agent comes first for a caller."""

    INLINE = True
    EXPECTS = "one of last, named, named_or_last, or {agent: last, for: 20s}"

    agent: Annotated[str, Choice(tuple(StickyAgent))] = Field(
        default="last",
        description="last: the caller's last agent; named: the customer's own agent; named_or_last: named, else last.",
    )
    for_ms: Annotated[int, Duration("1s", "1d")] = Field(
        default=20_000, description="How long this agent comes first, from when the call joined the queue."
    )
    wait: Annotated[bool, Flag()] = Field(
        default=False, description="Wait for this agent if they are logged in; nobody else gets the call meanwhile."
    )
    any_queue: Annotated[bool, Flag()] = Field(
        default=False, description="Offer the call to this agent even if they do not serve this queue."
    )

    @classmethod
    @override
    def short_form(cls, value: object) -> object:
        # A word alone is the `agent`.
        return {"agent": value} if isinstance(value, str) else value

    def sticky(self) -> Sticky:
        """Give it as the engine takes it."""
        return Sticky(StickyAgent(self.agent), self.for_ms, self.wait, self.any_queue)


_ENDS: Final = {"by_time": WrapUp.FIXED, "by_time_or_agent": WrapUp.CAPPED, "by_agent": WrapUp.UNTIL_READY}


class WrapUpSettings(Settings):
    """After-call work."""

    INLINE = True
    EXPECTS = "a duration like 10s, or {time: 10s, ends: by_time}"

    time_ms: Annotated[int, Duration("0s", "1h")] = Field(default=10_000, description="How long wrap-up lasts at most.")
    ends: Annotated[str, Choice(tuple(_ENDS))] = Field(
        default="by_time_or_agent",
        description="Whether it ends by its time alone, earlier if the agent ends it, or only when the agent ends it.",
    )

    @classmethod
    @override
    def short_form(cls, value: object) -> object:
        # A duration alone is the time.
        return {"time": value} if isinstance(value, str) else value

    @override
    def written(self) -> str:
        return Duration("0s", "1h").show(self.time_ms) if self.ends == "by_time_or_agent" else super().written()

    def mode(self) -> WrapUp:
        """Give how it ends as the engine takes it."""
        return _ENDS[self.ends]


class WrapUpCodesSettings(Settings):
    """Which wrap-up codes the talks of a queue take."""

    INLINE = True
    EXPECTS = "required, optional, or {required: true, codes: [sale, complaint]}"

    required: Annotated[bool, Flag()] = Field(
        default=False,
        description="Each talk needs a code. Its agent cannot end the wrap-up before, and when its time runs out they "
        "are not ready (wrap_up_code_missing) until it is given, for limits.late_codes at most.",
    )
    codes: Annotated[tuple[Annotated[str, CODE], ...], NO_LIST] = Field(
        default=(),
        max_length=500,
        description="Those of 'wrap_up_codes' that can be given: a heading for all below it, or ids like "
        "sale/new; []: all.",
    )

    @classmethod
    @override
    def short_form(cls, value: object) -> object:
        # A word alone says whether a code is required.
        words = {"required": "true", "optional": "false"}
        return {"required": words[value]} if isinstance(value, str) and value in words else value

    @override
    def written(self) -> str:
        return "required" if self.required else "optional"


_HOLD: Final = Duration("100ms", "1h")


class HoldBackSettings(Settings):
    """How long an agent is not rung again after an offer that came to nothing, by cause."""

    refused_ms: Annotated[int, _HOLD] = Field(default=5_000, description="The agent refused the call.")
    busy_ms: Annotated[int, _HOLD] = Field(default=30_000, description="The agent's phone was busy.")
    no_answer_ms: Annotated[int, _HOLD] = Field(default=10_000, description="The agent did not answer.")
    unreachable_ms: Annotated[int, _HOLD] = Field(default=30_000, description="The agent's phone could not be reached.")

    def hold_back(self) -> HoldBack:
        """Give the times as the engine takes them."""
        return HoldBack(self.refused_ms, self.busy_ms, self.no_answer_ms, self.unreachable_ms)


_OWN_HOLD: Final = Duration("100ms", "1h", null=True)


class OwnHoldBackSettings(Settings):
    """How long one agent is not rung again after an offer that came to nothing; null: as the queue says."""

    refused_ms: Annotated[int | None, _OWN_HOLD] = Field(default=None, description="They refused the call.")
    busy_ms: Annotated[int | None, _OWN_HOLD] = Field(default=None, description="Their phone was busy.")
    no_answer_ms: Annotated[int | None, _OWN_HOLD] = Field(default=None, description="They did not answer.")
    unreachable_ms: Annotated[int | None, _OWN_HOLD] = Field(
        default=None, description="Their phone could not be reached."
    )

    def times(self) -> Mapping[Cause, int]:
        """Give the times that are set, in milliseconds."""
        given = {cause: getattr(self, f"{cause.value}_ms") for cause in Cause}
        return MappingProxyType({cause: for_ms for cause, for_ms in given.items() if for_ms is not None})


_TIMES: Final = Number(0, 100, null=True)


class NotReadyAfterSettings(Settings):
    """After how many offers in a row that came to nothing for one cause an agent is not ready any more."""

    INLINE = True
    EXPECTS = "a number like 3, or {no_answer: 3, refused: 5, unreachable: 10}"

    no_answer: Annotated[int | None, _TIMES] = Field(default=None, description="They did not answer; 0: never.")
    refused: Annotated[int | None, _TIMES] = Field(default=None, description="They refused the call; 0: never.")
    busy: Annotated[int | None, _TIMES] = Field(default=None, description="Their phone was busy; 0: never.")
    unreachable: Annotated[int | None, _TIMES] = Field(
        default=None, description="Their phone could not be reached; 0: never."
    )

    @classmethod
    @override
    def short_form(cls, value: object) -> object:
        # A number alone is that of the calls that were not answered.
        return {"no_answer": value} if isinstance(value, str | int) else value

    @override
    def written(self) -> str:
        given = self.limits()
        return str(given.get(Cause.NO_ANSWER, 0)) if set(given) <= {Cause.NO_ANSWER} else super().written()

    def over(self, defaults: NotReadyAfterSettings) -> NotReadyAfterSettings:
        """Give these limits, with the defaults in the place of those that are not set."""
        return defaults.model_copy(update={cause.value: limit for cause, limit in self.limits().items()})

    def limits(self) -> Mapping[Cause, int]:
        """Give the limits that are set."""
        given = {cause: getattr(self, cause.value) for cause in Cause}
        return MappingProxyType({cause: limit for cause, limit in given.items() if limit is not None})
