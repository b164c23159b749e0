"""The settings of the call centre itself: queues and agents, in an operator's words, and the rules made of them."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, SecretStr
from typing_extensions import override

from fsacd.config.blocks import NO_NAMES, Settings
from fsacd.config.forms import (
    CREDENTIAL,
    ENVIRONMENT,
    EXTENSION_OR_NULL,
    FILE,
    NAME,
    NAME_OR_NULL,
    Cause,
    Contact,
)
from fsacd.config.kinds import Duration, Flag, Number, Secret, Text
from fsacd.config.problems import shown, wrong
from fsacd.core.rules import (
    AgentRules,
    HoldBack,
    QueueRules,
    Service,
    SkillLevels,
    Target,
    ToExtension,
    ToHangup,
    ToQueue,
)


def _levels_alone(value: object) -> object:
    if not isinstance(value, dict):
        raise wrong(f"expected skills with their levels like {{german: 5}}, got {shown(value)}")
    return value


Levels = Annotated[dict[Annotated[str, NAME], Annotated[int, Number(1, 10)]], BeforeValidator(_levels_alone), NO_NAMES]


class TargetSettings(Settings):
    """Where a call goes: exactly one of a queue, an extension and the end."""

    INLINE = True
    EXPECTS = "one of {queue: NAME}, {extension: NUMBER, context: NAME} or {hangup: CAUSE}"

    queue: Annotated[str | None, NAME_OR_NULL] = Field(
        default=None, description="Into this queue, keeping the time already waited."
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
        """Name the ways that are given; there must be one."""
        ways = {"queue": self.queue, "extension": self.extension, "hangup": self.hangup}
        return tuple(name for name, value in ways.items() if value is not None)

    def target(self) -> Target:
        """Give the target as the engine takes it."""
        if self.queue is not None:
            return ToQueue(self.queue)
        if self.extension is not None:
            return ToExtension(self.extension, self.context or "default")
        return ToHangup(self.hangup) if self.hangup is not None else ToHangup()


class AfterTalkSettings(Settings):
    """Where the caller goes when the agent has hung up: the end, or an extension (a survey, say)."""

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


_HOLD: Final = Duration("100ms", "1h")


class HoldBackSettings(Settings):
    """How long an agent is not rung again after an offer that came to nothing."""

    refused_ms: Annotated[int, _HOLD] = Field(default=5_000, description="The agent refused the call.")
    busy_ms: Annotated[int, _HOLD] = Field(default=30_000, description="The agent's phone was busy.")
    no_answer_ms: Annotated[int, _HOLD] = Field(default=10_000, description="The agent did not answer.")
    unreachable_ms: Annotated[int, _HOLD] = Field(default=30_000, description="The agent's phone could not be reached.")

    def hold_back(self) -> HoldBack:
        """Give the times as the engine takes them."""
        return HoldBack(self.refused_ms, self.busy_ms, self.no_answer_ms, self.unreachable_ms)


class QueueSettings(Settings):
    """One queue's rules."""

    strategy: Annotated[str, NAME] = Field(
        default="longest_idle",
        description="Which of the ready agents is rung first: longest_idle, the one idle for the longest.",
    )
    priority: Annotated[int, Number(0, 100)] = Field(
        default=0,
        description="The class of its calls; of all calls that an agent may take the higher class goes first.",
    )
    required_skills: Levels = Field(
        default={},
        max_length=50,
        description="What an agent must have to take its calls: skill and least level, like {german: 5}.",
    )
    ring_timeout_ms: Annotated[int, Duration("1s", "10m")] = Field(
        default=20_000, description="How long an agent's phone rings before the call goes to the next one."
    )
    wrap_up_ms: Annotated[int, Duration("0s", "1h")] = Field(
        default=10_000, description="After-call work: how long an agent gets no call after a talk."
    )
    max_length: Annotated[int, Number(1, 200_000)] = Field(default=500, description="How many calls may wait.")
    when_full: TargetSettings = Field(
        default=TargetSettings(hangup="USER_BUSY"), description="Where a call goes that finds the queue full."
    )
    max_wait_ms: Annotated[int | None, Duration("1s", "1d", null=True)] = Field(
        default=None, description="How long a call may wait; null: as long as it likes."
    )
    when_max_wait: TargetSettings = Field(
        default=TargetSettings(hangup="NO_USER_RESPONSE"),
        description="Where a call goes that has waited as long as it may.",
    )
    after_talk: AfterTalkSettings = Field(
        default=AfterTalkSettings(),
        description="Where the caller goes after the talk: hangup, or {extension: NUMBER, context: NAME}.",
    )
    hold_back: HoldBackSettings = Field(
        default=HoldBackSettings(),
        description="How long an agent is not rung again after an offer that came to nothing.",
    )
    service_level_ms: Annotated[int, Duration("1s", "1h")] = Field(
        default=20_000, description="A call answered within this time counts for the service level."
    )
    short_abandon_ms: Annotated[int, Duration("0s", "10m")] = Field(
        default=5_000, description="A caller who hangs up before this time is counted apart: he hardly waited."
    )

    def over(self, defaults: QueueSettings) -> QueueSettings:
        """Give these settings with the defaults in the place of those that are not set; `hold_back` goes one by one."""
        merged = {name: getattr(self, name) for name in self.model_fields_set}
        if "hold_back" in merged:
            own = {name: getattr(self.hold_back, name) for name in self.hold_back.model_fields_set}
            merged["hold_back"] = defaults.hold_back.model_copy(update=own)
        return defaults.model_copy(update=merged)

    def rules(self, name: str) -> QueueRules:
        """Give the queue's rules as the engine takes them."""
        return QueueRules(
            name=name,
            strategy=self.strategy,
            priority=self.priority,
            required=_levels(self.required_skills),
            ring_timeout_ms=self.ring_timeout_ms,
            wrap_up_ms=self.wrap_up_ms,
            max_length=self.max_length,
            when_full=self.when_full.target(),
            max_wait_ms=self.max_wait_ms,
            when_max_wait=self.when_max_wait.target(),
            after_talk=self.after_talk.target(),
            hold_back=self.hold_back.hold_back(),
            service_level_ms=self.service_level_ms,
            short_abandon_ms=self.short_abandon_ms,
        )


class ServiceSettings(Settings):
    """How an agent serves one queue."""

    INLINE = True
    EXPECTS = "a rank like 1 or {rank: 1, delay: 20s}"

    rank: Annotated[int, Number(1, 1_000)] = Field(
        default=1, description="The agent's order of preference; 1 before 2."
    )
    delay_ms: Annotated[int, Duration("0s", "1d")] = Field(
        default=0, description="The agent helps the queue only with calls that have waited this long."
    )

    @classmethod
    @override
    def short_form(cls, value: object) -> object:
        # A number alone is the rank.
        return {"rank": value} if isinstance(value, str | int) else value


def _queues_of_agent(value: object) -> object:
    """Turn the list [support, sales] into {support: , sales: }, each with rank 1."""
    if not isinstance(value, list | tuple):
        return value
    seen: dict[str, Any] = {}
    for name in value:
        if not isinstance(name, str):
            raise wrong(f"expected the name of a queue, got {shown(name)}")
        if name in seen:
            raise wrong(f"queue {shown(name)} is listed twice")
        seen[name] = None
    return seen


class AgentSettings(Settings):
    """One agent."""

    SECRETS: ClassVar[dict[str, tuple[str, ...]]] = {"pin": ("pin", "pin_file", "pin_env", "pin_credential")}

    name: Annotated[str, Text("a name")] = Field(default="", description="The agent's name, for people.")
    contact: Annotated[str | None, Contact(null=True)] = Field(
        default=None,
        description="Where the agent's phone is rung, like user/1001@example.com; null: as agent_contact says.",
    )
    switch: Annotated[str | None, NAME_OR_NULL] = Field(
        default=None, description="The switch that rings the agent; needed only where there are several."
    )
    pin: Annotated[SecretStr | None, Secret("a PIN of digits", longest=16, shortest=4, pattern="[0-9]*")] = Field(
        default=None, description="Lets others use feature codes for this agent; without a PIN nobody else can."
    )
    pin_file: Annotated[str | None, FILE] = Field(default=None, description="A file that holds the PIN.")
    pin_env: Annotated[str | None, ENVIRONMENT] = Field(
        default=None, description="An environment variable that holds the PIN."
    )
    pin_credential: Annotated[str | None, CREDENTIAL] = Field(
        default=None, description="A systemd credential (LoadCredential=) that holds the PIN."
    )
    queues: Annotated[dict[Annotated[str, NAME], ServiceSettings], BeforeValidator(_queues_of_agent), NO_NAMES] = Field(
        default={},
        max_length=500,
        description="His queues: [support, sales], {support: 1, sales: 2} or {support: {rank: 1, delay: 9s}}.",
    )
    skills: Levels = Field(
        default={}, max_length=200, description="What he can do, with levels 1 to 10 (10 best), like {german: 8}."
    )
    login_at_start: Annotated[bool, Flag()] = Field(
        default=False, description="Logged in and ready when the daemon starts, for phones that are always staffed."
    )

    def rules(self, agent_id: str, *, contact: str, switch: str) -> AgentRules:
        """Give the agent as the engine takes him."""
        services = {name: Service(service.rank, service.delay_ms) for name, service in self.queues.items()}
        return AgentRules(
            agent_id=agent_id,
            name=self.name,
            contact=contact,
            switch=switch,
            queues=MappingProxyType(services),
            skills=_levels(self.skills),
        )


def _levels(levels: dict[str, int]) -> SkillLevels:
    return tuple(sorted(levels.items()))
