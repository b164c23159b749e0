"""The settings of a queue, in an operator's words, and the rules made of them."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from fsacd.config.blocks import NAMES, NO_LIST, Settings
from fsacd.config.forms import (
    NAME,
    NAME_OR_NULL,
    AgentVariable,
    Display,
)
from fsacd.config.kinds import Duration, Flag, Number
from fsacd.config.plugins import DEFAULT_STRATEGY, Chosen, Plugin
from fsacd.config.routing import (
    HoldBackSettings,
    Levels,
    NotReadyAfterSettings,
    StepSettings,
    StickySettings,
    WrapUpCodesSettings,
    WrapUpSettings,
)
from fsacd.config.targets import AfterTalkSettings, EstimatedWaitSettings, OverflowSettings, TargetSettings
from fsacd.core.life.display import USUAL
from fsacd.core.rules import Cause, Overflow, QueueRules
from fsacd.core.skills import levels_of
from fsacd.core.variables import EXPORTED


class QueueSettings(Settings):
    """One queue's rules."""

    was: Annotated[tuple[Annotated[str, NAME], ...], NAMES] = Field(
        default=(),
        max_length=20,
        description="The queue's former name, or a list of names. After a reload its callers keep their places, and "
        "changes by hand stay in force; callers whom the dialplan sends to a former name come here.",
    )
    strategy: Annotated[Chosen, Plugin("strategy")] = Field(
        default=Chosen(DEFAULT_STRATEGY),
        description="Which of the ready agents is rung first, and how many at once: the name of a strategy, or "
        "{name: ring_progressive, every: 10s} where it has parameters; `fsacd strategy list` says what there is.",
    )
    level_first: Annotated[bool, Flag()] = Field(
        default=True,
        description="Of agents with the same rank, those with a higher level in the required skills go first; "
        "otherwise the strategy decides between all who have them.",
    )
    ring_at_once: Annotated[int, Number(1, 1_000)] = Field(
        default=1, description="How many agents ring for one call at once; a strategy may ring more."
    )
    no_agent_no_delay: Annotated[bool, Flag()] = Field(
        default=True,
        description="An agent's delay holds only while another with a shorter delay is there who could take the call: "
        "at work, not on a break, with the skills that it requires. Otherwise the caller would wait for nobody.",
    )
    call_order: Annotated[Chosen | None, Plugin("call order", null=True)] = Field(
        default=None,
        description="Which of its calls goes first; null: the one of the highest class, then the first to arrive.",
    )
    priority: Annotated[int, Number(-100, 100)] = Field(
        default=0,
        description="The priority class of its calls. Of all calls that an agent may take, the highest class is first.",
    )
    required_skills: Levels = Field(
        default={},
        max_length=32,
        description="What an agent must have to take its calls: skill and least level, like {german: 5}.",
    )
    steps: Annotated[tuple[StepSettings, ...], NO_LIST] = Field(
        default=(),
        max_length=50,
        description="What changes for a call while it waits, like [{after: 20s, lower: {german: 3}}, {after: 1m, "
        "backup: true}]. Steps add up: each holds from its time on, together with those before it.",
    )
    sticky: StickySettings | None = Field(
        default=None,
        description="Which agent comes first for a caller, before any other rule: last, named, named_or_last, or "
        "{agent: last, for: 20s}; null: none.",
    )
    show_withheld: Annotated[bool, Flag()] = Field(
        default=False,
        description="Show the number of a caller who asks that it be hidden (SIP's Privacy: id) on phones, in the API "
        "and in history; for queues that may see it, like an emergency line. For one call the dialplan says so by "
        "fsacd_show_withheld=true.",
    )
    agent_display: Annotated[str, Display()] = Field(
        default=USUAL,
        description="What an agent's phone shows as the caller's name: text with {queue}, {customer}, {name}, {number} "
        "and {dialplan}, which is the dialplan's effective_caller_id_name; of {customer or name} the first that there "
        "is. A colon is not shown: FreeSWITCH cuts names there.",
    )
    agent_variables: Annotated[tuple[Annotated[str, AgentVariable()], ...], NO_LIST] = Field(
        default=(EXPORTED,),
        max_length=20,
        description="Channel variables of the caller's leg, as they are when the call is queued, that the agent's leg "
        "gets as well: names like ticket, SIP headers like sip_h_X-Ticket, a beginning like sip_h_X-*, and export_vars "
        "for those that the dialplan has exported. Not those by which FreeSWITCH acts (execute_on_*, api_*, "
        "origination_*, sip_* but for headers, ...), as callers may choose values. 20 of up to 256 letters, digits and "
        "marks.",
    )
    ring_timeout_ms: Annotated[int, Duration("1s", "10m")] = Field(
        default=20_000, description="How long an agent's phone rings before the call goes to the next one."
    )
    hold_back: HoldBackSettings = Field(
        default=HoldBackSettings(),
        description="How long an agent is not rung again after an offer that came to nothing.",
    )
    not_ready_after: NotReadyAfterSettings = Field(
        default=NotReadyAfterSettings(no_answer=0),
        description="After how many offers in a row that they did not answer (RONA) an agent becomes not ready, or a "
        "number for each cause: {no_answer: 3, refused: 5, busy: 5, unreachable: 10}; 0: never.",
    )
    wrap_up: WrapUpSettings = Field(
        default=WrapUpSettings(),
        description="Wrap-up (ACW), during which an agent gets no call: 10s, or {time: 10s, ends: by_time}.",
    )
    wrap_up_codes: WrapUpCodesSettings = Field(
        default=WrapUpCodesSettings(),
        description="Whether each talk needs a wrap-up code, and which can be given: required, optional, or {required: "
        "true, codes: [sale, complaint]}.",
    )
    after_talk: AfterTalkSettings = Field(
        default=AfterTalkSettings(),
        description="Where the caller goes after the talk: hangup, or {extension: NUMBER, context: NAME}.",
    )
    max_length: Annotated[int, Number(1, 200_000)] = Field(default=500, description="How many calls may wait.")
    when_full: TargetSettings = Field(
        default=TargetSettings(hangup="USER_BUSY"), description="Where a call goes that finds the queue full."
    )
    max_per_number: Annotated[int, Number(0, 200_000)] = Field(
        default=10,
        description="How many live calls one number may have, over all queues, including a call that comes to this "
        "one; withheld numbers are not counted. Raise it where many callers show one number, like a company's; 0: any.",
    )
    when_max_per_number: TargetSettings = Field(
        default=TargetSettings(hangup="CALL_REJECTED"),
        description="Where a call goes whose number has more live calls than max_per_number.",
    )
    max_per_source: Annotated[int, Number(0, 200_000)] = Field(
        default=0,
        description="How many live calls may come from one network address, counted in the same way. It is of use "
        "where callers reach the switch directly, as a trunk brings all its calls from one address. 0: any.",
    )
    when_max_per_source: TargetSettings = Field(
        default=TargetSettings(hangup="CALL_REJECTED"),
        description="Where a call goes whose address has more live calls than max_per_source.",
    )
    abandoned_resume_ms: Annotated[int, Duration("0s", "1h")] = Field(
        default=0,
        description="Callers who hang up while they wait, and call this queue again within this time from the same "
        "number, get their old place back, once; not so with a withheld number, or one that is not believed. Not for "
        "queues where many callers show one number; 0s: nobody gets it back.",
    )
    max_wait_ms: Annotated[int | None, Duration("1s", "1d", null=True)] = Field(
        default=None, description="How long a call may wait; null: without a limit."
    )
    when_max_wait: TargetSettings = Field(
        default=TargetSettings(hangup="NO_USER_RESPONSE"),
        description="Where a call goes that has waited for max_wait.",
    )
    hours: Annotated[str | None, NAME_OR_NULL] = Field(
        default=None, description="Its opening hours, by a name under 'hours'; null: always open."
    )
    when_closed: OverflowSettings | None = Field(
        default=None,
        description="Where calls go while the queue is closed, by its hours or by hand: a target as for when_full, and "
        "perhaps which calls and after how long, like {queue: NAME, after: 30s}; null: they wait.",
    )
    when_nobody_logged_in: OverflowSettings | None = Field(
        default=None, description="Where calls go while no agent of the queue is logged in; null: they wait."
    )
    when_nobody_ready: OverflowSettings | None = Field(
        default=None,
        description="Where calls go while every agent of the queue is logged out, on a break, or has asked for one; "
        "null: they wait.",
    )
    when_estimated_wait: EstimatedWaitSettings | None = Field(
        default=None,
        description="Where calls go while the estimated wait is above a bound: {above: 5m, queue: NAME}; null: they "
        "wait.",
    )
    expected_handling_ms: Annotated[int, Duration("1s", "1d")] = Field(
        default=180_000,
        description="Handle time (AHT: talk and wrap-up) for the estimated wait until enough calls have been measured.",
    )
    service_level_ms: Annotated[int, Duration("1s", "1h")] = Field(
        default=20_000, description="The service level counts calls that are answered within this time."
    )
    short_abandon_ms: Annotated[int, Duration("0s", "10m")] = Field(
        default=5_000, description="A caller who hangs up before this time is counted apart, as a short abandon."
    )

    def over(self, defaults: QueueSettings) -> QueueSettings:
        """Give these settings with the defaults in the place of those that are not set.

        Of `hold_back` and `not_ready_after`, each cause is merged by itself.
        """
        merged = {name: getattr(self, name) for name in self.model_fields_set}
        if "hold_back" in merged:
            own = {name: getattr(self.hold_back, name) for name in self.hold_back.model_fields_set}
            merged["hold_back"] = defaults.hold_back.model_copy(update=own)
        if "not_ready_after" in merged:
            merged["not_ready_after"] = self.not_ready_after.over(defaults.not_ready_after)
        return defaults.model_copy(update=merged)

    def rules(self, name: str) -> QueueRules:
        """Give the queue's rules as the engine takes them."""
        estimated = self.when_estimated_wait
        limits = dict(self.not_ready_after.limits())
        return QueueRules(
            name=name,
            was=self.was,
            strategy=self.strategy.name,
            strategy_parameters=self.strategy.parameters,
            call_order=None if self.call_order is None else self.call_order.name,
            call_order_parameters=() if self.call_order is None else self.call_order.parameters,
            level_first=self.level_first,
            no_agent_no_delay=self.no_agent_no_delay,
            priority=self.priority,
            required=levels_of(self.required_skills),
            agent_display="" if self.agent_display == USUAL else self.agent_display,
            agent_variables=self.agent_variables,
            ring_timeout_ms=self.ring_timeout_ms,
            ring_at_once=self.ring_at_once,
            wrap_up_ms=self.wrap_up.time_ms,
            wrap_up=self.wrap_up.mode(),
            wrap_up_codes=self.wrap_up_codes.codes,
            wrap_up_code_required=self.wrap_up_codes.required,
            max_length=self.max_length,
            when_full=self.when_full.target(),
            max_per_number=self.max_per_number,
            when_max_per_number=self.when_max_per_number.target(),
            max_per_source=self.max_per_source,
            when_max_per_source=self.when_max_per_source.target(),
            abandoned_resume_ms=self.abandoned_resume_ms,
            max_wait_ms=self.max_wait_ms,
            when_max_wait=self.when_max_wait.target(),
            when_nobody_logged_in=_overflow(self.when_nobody_logged_in),
            when_nobody_ready=_overflow(self.when_nobody_ready),
            max_estimated_wait_ms=0 if estimated is None else estimated.above_ms or 0,
            when_estimated_wait=_overflow(estimated),
            when_closed=_overflow(self.when_closed),
            expected_handling_ms=self.expected_handling_ms,
            steps=tuple(step.step() for step in self.steps),
            show_withheld=self.show_withheld,
            sticky=None if self.sticky is None else self.sticky.sticky(),
            after_talk=self.after_talk.target(),
            hold_back=self.hold_back.hold_back(),
            not_ready_after=limits.pop(Cause.NO_ANSWER, 0),
            not_ready_after_others=MappingProxyType(limits),
            service_level_ms=self.service_level_ms,
            short_abandon_ms=self.short_abandon_ms,
        )


def _overflow(settings: OverflowSettings | None) -> Overflow | None:
    return None if settings is None else settings.overflow()
