"""The stories leave nothing out: each fact, command, record, outcome, reason and setting is told in one of them."""

from __future__ import annotations

from dataclasses import MISSING, fields
from enum import StrEnum
from typing import Any, get_args

import pytest

from fsacd.core.commands import CancelOffer, CancelReason, Command
from fsacd.core.events import Event, OfferEnd, OfferEnded
from fsacd.core.records import CallEnded, CallOutcome, ChangeMade, LegMeasured, OfferClosed, OfferOutcome, Record
from fsacd.core.rules import (
    AgentRules,
    HoldBack,
    Limits,
    Overflow,
    OwnPauses,
    QueueRules,
    Service,
    Step,
    Sticky,
    StickyAgent,
    Target,
    WrapUp,
)
from fsacd.core.views import WhyNot
from tests.core.reading import read_all

# What people see and measure, or the switch is told, but the engine does not decide by.
NOT_DECIDED_BY = {"service_level_ms", "short_abandon_ms", "name", "switch", "agent_display", "phone"}
# Bounds too high for a story to reach; tests of their own do.
NOT_REACHED = {"decisions", "last_agents"}

CHANGES = {
    "call_moved",
    "call_promoted",
    "call_changed",
    "call_sent",
    "call_ended",
    "agent_changed",
    "agent_not_ready_for",
    "agent_ready_for",
    "queue_opened",
    "queue_closed",
    "talk_hold",
    "talk_resume",
    "talk_consult",
    "talk_consult_over",
    "talk_transfer",
    "talk_cancel",
    "talk_swap",
    "talk_complete",
    "talk_drop",
    "talk_leave",
    "talk_three_way",
    "talk_mute",
    "talk_unmute",
    "talk_dtmf",
    "talk_hangup",
}


def members(union: Any) -> set[type]:
    """The types of a closed union, however deep."""
    inner = get_args(union)
    return {one for part in inner for one in members(part)} if inner else {union}


def test_every_fact() -> None:
    """Each kind of fact is told."""
    told = {type(fact) for driver in read_all().drivers for _, fact in driver.journal}
    assert members(Event) <= told


def test_every_command_and_record() -> None:
    """Each kind of command and record comes of something; how legs sounded goes past the engine."""
    steps = [step for driver in read_all().drivers for step in driver.steps]
    assert members(Command) == {type(command) for step in steps for command in step.commands}
    assert members(Record) - {LegMeasured} == {type(record) for step in steps for record in step.records}


def test_every_outcome() -> None:
    """Each way for a call or an offer to end, and each kind of change by hand, is told."""
    records = [record for driver in read_all().drivers for step in driver.steps for record in step.records]
    assert set(CallOutcome) == {record.outcome for record in records if isinstance(record, CallEnded)}
    assert set(OfferOutcome) == {record.outcome for record in records if isinstance(record, OfferClosed)}
    assert {record.kind for record in records if isinstance(record, ChangeMade)} == CHANGES


def test_every_end_of_an_offer() -> None:
    """An agent's leg ends in each way there is, and is cancelled for each reason."""
    reading = read_all()
    facts = [fact for driver in reading.drivers for _, fact in driver.journal]
    assert set(OfferEnd) == {fact.end for fact in facts if isinstance(fact, OfferEnded)}
    commands = [command for driver in reading.drivers for step in driver.steps for command in step.commands]
    assert set(CancelReason) == {command.reason for command in commands if isinstance(command, CancelOffer)}


def test_every_reason_why_not() -> None:
    """Each reason why an agent is not rung is explained."""
    assert set(WhyNot) == {other.why for one in read_all().explanations for other in one.rejected}


def test_every_setting() -> None:
    """Each setting that the engine decides by has another value than its default in a story."""
    found: dict[type, list[Any]] = {
        kind: [] for kind in (QueueRules, AgentRules, OwnPauses, Limits, Service, Step, Sticky, Overflow, HoldBack)
    }
    for rules in read_all().rules():
        found[Limits].append(rules.limits)
        for queue in rules.queues.values():
            overflows = (
                queue.when_nobody_logged_in,
                queue.when_nobody_ready,
                queue.when_estimated_wait,
                queue.when_closed,
            )
            found[QueueRules].append(queue)
            found[HoldBack].append(queue.hold_back)
            found[Step] += queue.steps
            found[Sticky] += [queue.sticky] if queue.sticky else []
            found[Overflow] += [overflow for overflow in overflows if overflow is not None]
        for agent in rules.agents.values():
            found[AgentRules].append(agent)
            found[OwnPauses].append(agent.own)
            found[Service] += agent.queues.values()
    missing = {
        f"{kind.__name__}.{field.name}"
        for kind, instances in found.items()
        for field in fields(kind)
        if field.name not in NOT_DECIDED_BY | NOT_REACHED
        and field.default is not MISSING
        and all(getattr(instance, field.name) == field.default for instance in instances)
    }
    assert not missing


@pytest.mark.parametrize("kind", [WrapUp, StickyAgent])
def test_every_choice(kind: type[StrEnum]) -> None:
    """Each way to wrap up, and each agent who may come first, is chosen by a queue."""
    queues = [queue for rules in read_all().rules() for queue in rules.queues.values()]
    chosen = {queue.wrap_up for queue in queues} | {queue.sticky.agent for queue in queues if queue.sticky}
    assert set(kind) <= chosen


def test_every_target() -> None:
    """Calls are sent to each kind of place."""
    queues = [queue for rules in read_all().rules() for queue in rules.queues.values()]
    assert members(Target) == {type(queue.when_full) for queue in queues}
