"""What came of a fact, told in compact and stable lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from fsacd.core import commands as k
from fsacd.core import records as r
from fsacd.core.evidence import Evidence
from fsacd.core.rules import Service, SkillLevels
from fsacd.core.views import AgentView, CallView, Explanation, QueueView, Snapshot, Step, TalkView
from tests.core.log_ins import log_in
from tests.core.story_legs import tell_trouble
from tests.core.telling_commands import Names, seconds, tell_command

# What can be told of an outcome; refusals, failures and views always are. `rings` are the commands to ring alone.
KINDS = frozenset(
    {"commands", "rings", "calls", "offers", "agents", "changes", "decisions", "presence", "work", "visits"}
    | {"talks", "log_ins", "nothing"}
)
# What is told if a story does not say: a decision is seen by its ring, presence and work by the agent's one state,
# visits and talks by what becomes of the call.
EVERYTHING = KINDS - {"decisions", "presence", "work", "visits", "talks", "log_ins", "nothing"}


def tell_step(step: Step, names: Names, aloud: frozenset[str] = EVERYTHING) -> Iterator[str]:
    """The refusal, commands and records, of the kinds that are to be told."""
    if step.refused is not None:
        yield f"! {step.refused}"
    for command in step.commands:
        if "commands" in aloud or ("rings" in aloud and isinstance(command, k.RingAgent)):
            yield f"> {tell_command(command, names)}{_contact(command)}"
    for record in step.records:
        if _KIND_OF.get(type(record)) in aloud or type(record) not in _KIND_OF:
            yield f". {_record(record, names)}{_contact(record)}"


def _contact(told: k.Command | r.Record | CallView) -> str:
    """The contact, where it has not the id of the call itself."""
    contact_id = getattr(told, "contact_id", "")
    return f", contact {contact_id}" if contact_id not in ("", getattr(told, "call_id", "")) else ""


def tell_snapshot(snapshot: Snapshot) -> Iterator[str]:
    """Each call and each agent in a line."""
    for call in snapshot.calls:
        yield _call(call)
    for agent in snapshot.agents:
        yield _agent(agent)


def tell_one(snapshot: Snapshot, subject: str) -> Iterator[str]:
    """All about a call, an agent or a queue; nothing if it is not there."""
    for call in snapshot.calls:
        if call.call_id == subject:
            believed = "" if call.number_believed else ", number not believed"
            wants = f"{_wants(call.priority, call.required)}, head start {seconds(call.head_start_ms)}"
            yield f"{_call(call)}, {wants}{believed}"
    for agent in snapshot.agents:
        if agent.agent_id == subject:
            queues = " ".join(_service(name, service) for name, service in agent.queues)
            yield f"{_agent(agent)}; serves {queues or 'no queue'}; can {_levels(agent.skills)}"
    for queue in snapshot.queues:
        if queue.name == subject:
            yield _queue(queue)


def tell_explanation(explanation: Explanation) -> Iterator[str]:
    """One decision, or why the call still waits: who was eligible, in order, who was not, and why."""
    x = explanation
    what = "waits" if x.decision is None else f"got {x.chosen}"
    yield (
        f"= at {_at(x.at_ms)} {x.call_id} in {x.queue} {what} after {seconds(x.waited_ms)},"
        f" by {x.strategy}, {_wants(x.priority, x.required)}"
    )
    for place, one in enumerate(x.eligible, 1):
        missed = f" missed {one.missed}" if one.missed else ""
        key = f" key {','.join(f'{part:g}' for part in one.key)}" if one.key else ""
        yield f"=   {place}. {one.agent_id}{missed} rank {one.rank} level {one.level}{key}"
    for other in x.rejected:
        yield f"=   not {other.agent_id}: {other.why}" + (f" ({other.detail})" if other.detail else "")
    yield f"=   {x.sentence}"


def _call(call: CallView) -> str:
    agents = f" with {','.join(call.agent_ids)}" if call.agent_ids else ""
    reserved = f", reserved for {call.reserved_for}" if call.reserved_for else ""
    return (
        f"= call {call.call_id} {call.state} in {call.queue} position {call.position}{agents},"
        f" waited {seconds(call.waited_ms)}, talked {seconds(call.talked_ms)}{reserved}"
        f"{_contact(call)}{_shape(call.talk)}"
    )


def _shape(talk: TalkView | None) -> str:
    """What a talk is like that somebody has changed, or that the agent's phone holds."""
    if talk is not None and talk.phone_holds:
        return _shape(replace(talk, phone_holds=False)) + ", held by the agent's phone"
    if talk is None or (talk.shape, talk.becoming, talk.muted) == ("together", "", False):
        return ""
    becoming = f", becoming {talk.becoming}" if talk.becoming else ""
    third = talk.third or talk.number
    becoming += f", with {third}" if third else ""
    becoming += f", asks queue {talk.queue}" if talk.queue else ""
    return f", {talk.shape} since {_at(talk.since_ms)}{becoming}" + (", muted" if talk.muted else "")


def _agent(agent: AgentView) -> str:
    reason = f" {agent.reason}" if agent.reason else ""
    until = f" until {_at(agent.until_ms)}" if agent.until_ms is not None else ""
    then = f", then {agent.then}" if agent.then else ""
    rests = "".join(f", not ready for {queue}" + (f" ({why})" if why else "") for queue, why in agent.not_ready_for)
    return f"= agent {agent.agent_id} {agent.state}{reason} since {_at(agent.since_ms)}{until}{then}{rests}"


def _queue(queue: QueueView) -> str:
    estimated = "unknown" if queue.estimated_wait_ms is None else seconds(queue.estimated_wait_ms)
    return (
        f"= queue {queue.name} {'open' if queue.is_open else 'closed'}, waiting {queue.waiting},"
        f" offered {queue.offered}, talking {queue.talking}, estimated wait {estimated},"
        f" agents logged in {queue.agents_logged_in}, ready {queue.agents_ready}"
    )


def _wants(priority: int, required: SkillLevels) -> str:
    return f"class {priority}, requires {_levels(required)}"


def _levels(skills: SkillLevels) -> str:
    return ",".join(f"{skill}:{level}" for skill, level in skills) or "nothing"


def _service(queue: str, service: Service) -> str:
    delay = f"+{seconds(service.delay_ms)}" if service.delay_ms else ""
    backup = ",backup" if service.backup else ""
    weight = f",x{service.weight}" if service.weight != 1 else ""
    return f"{queue}:{service.rank}{delay}{backup}{weight}"


_OfAgent = r.AgentStateEnded | r.AgentPresence | r.LogIn | r.AgentWorkEnded | r.WrapUpEnded
_KIND_OF: dict[type, str] = {
    r.CallJoined: "calls",
    r.CallConnected: "calls",
    r.CallMoved: "calls",
    r.CallEnded: "calls",
    r.VisitEnded: "visits",
    r.OfferClosed: "offers",
    r.AgentStateEnded: "agents",
    r.AgentPresence: "presence",
    r.LogIn: "log_ins",
    r.AgentWorkEnded: "work",
    r.WrapUpEnded: "agents",
    r.ChangeMade: "changes",
    r.DecisionMade: "decisions",
    r.TalkEnded: "talks",
}


def _record(record: r.Record, names: Names) -> str:
    assert not isinstance(record, r.LegMeasured), "no engine tells of it"
    match record:
        case r.CallJoined():
            return f"{record.call_id} joins {record.queue}" + (" by overflow" if record.by_overflow else "")
        case r.CallConnected():
            return f"{record.call_id} talks with {record.agent_id} after {seconds(record.waited_ms)} in {record.queue}"
        case r.CallMoved():
            return f"{record.call_id} moves from {record.from_queue} to {record.to_queue}: {record.why}"
        case r.CallEnded() | r.VisitEnded():
            return _call_ended(record) if isinstance(record, r.CallEnded) else _visit(record, names)
        case r.OfferClosed() | r.TalkEnded():
            return _offer_closed(record, names) if isinstance(record, r.OfferClosed) else _talk(record, names)
        case r.AgentStateEnded() | r.AgentPresence() | r.LogIn() | r.AgentWorkEnded() | r.WrapUpEnded():
            return _of_agent(record, names)
        case r.DecisionMade():
            return f"decision {record.number}: {record.call_id} to {record.agent_id} as {names.of(record.offer_id)}"
        case r.ChangeMade():
            return f"CHANGE {record.kind} of {record.subject} by {record.by}" + (record.detail and f": {record.detail}")
        case r.StrategyFailed():
            pause = seconds((record.again_ms or 0) - record.at_ms)
            return f"STRATEGY FAILED {record.plugin} in {record.queue}, again in {pause}: {record.why}"
        case r.StrategyReturned():
            return f"STRATEGY RETURNED {record.plugin} in {record.queue}, failures in a row: {record.failures}"
        case r.Anomaly() | r.StandingLegLost():
            return tell_trouble(record, names.inside)
        case _:
            assert_never(record)


def _of_agent(record: _OfAgent, names: Names) -> str:
    match record:
        case r.WrapUpEnded():
            return _wrap_up(record, names)
        case r.AgentStateEnded():
            reason = f" ({record.reason})" if record.reason else ""
            by = f", ended by {record.by}" if record.by else ""
            return f"{record.agent_id} was {record.state}{reason} {_at(record.started_ms)}..{_at(record.ended_ms)}{by}"
        case r.AgentPresence() | r.LogIn():
            return _presence(record) if isinstance(record, r.AgentPresence) else log_in(record, _at)
        case r.AgentWorkEnded():
            return _work(record, names)


def _presence(record: r.AgentPresence) -> str:
    reason = f" ({record.reason})" if record.reason else ""
    is_over, by = record.ended_ms is not None, f", by {record.by}" if record.by else ""
    span = f" {_at(record.started_ms)}..{_at(record.ended_ms or 0)}" if is_over else ""
    return f"{record.agent_id} {'WAS' if is_over else 'IS'} {record.presence}{reason}{span}{by}"


def _wrap_up(record: r.WrapUpEnded, names: Names) -> str:
    codes = ", ".join(record.codes) or "no code"
    note = f", note {record.note!r}" if record.note else ""
    by = f", by {record.by}" if record.by else ""
    again = f", change {record.changes}" if record.changes else ""
    of = f"{names.of(record.offer_id)} in {record.queue} with {record.number or 'nobody known'}"
    span = f"{_at(record.started_ms)}..{_at(record.ended_ms)}"
    return f"{record.agent_id} SAYS of {of}: {codes}{note} {span}{by}{again}"


def _work(record: r.AgentWorkEnded, names: Names) -> str:
    reason = f" ({record.reason})" if record.reason else ""
    of = f" for {names.of(record.offer_id)} in {record.queue}, {record.channel}" if record.offer_id else ""
    share = f" {record.weight}/100" if record.weight else ""
    by = f", ended by {record.by}" if record.by else ""
    span = f"{_at(record.started_ms)}..{_at(record.ended_ms)}"
    return f"{record.agent_id} HELD {record.state}{reason}{of}{share} {span}{by}"


def _talk(record: r.TalkEnded, names: Names) -> str:
    to = f" to {record.to}" if record.to else ""
    to = f" ({record.kind}){to}" if record.kind else to
    held = f", held {seconds(record.held_ms)} in {record.holds}, consults {record.consults}" if record.holds else ""
    span = f"{_at(record.started_ms)}..{_at(record.ended_ms)}"
    return f"TALK {names.of(record.offer_id)} of {record.agent_id} {span}, ended by {record.ended_by}{to}{held}"


def _call_ended(record: r.CallEnded) -> str:
    detail = f" ({record.detail})" if record.detail else ""
    queue = f" in {record.queue}" if record.queue else ""
    agent = f", last with {record.agent_id}" if record.agent_id else ""
    after = f", then {record.after}" if record.after else ""
    after += f", in the place of {record.resumes}" if record.resumes else ""
    after += "" if record.evidence is Evidence.SAW_END else f", {record.evidence}"
    after += f", epoch {record.epoch}" if record.epoch else ""
    after += f", of customer {record.customer_id}" if record.customer_id else ""
    return (
        f"{record.call_id} ENDS {record.outcome}{detail}{queue}, waited {seconds(record.waited_ms)},"
        f" talked {seconds(record.talked_ms)}, offers {record.offers}{agent}{after}"
    )


def _visit(record: r.VisitEnded, names: Names) -> str:
    visit = record.visit
    talk = ""
    if record.offer_id is not None:
        answered = "" if record.answered_ms is None else f" {_at(record.answered_ms)}"
        assert record.connected_ms is not None
        talk = f" by {names.of(record.offer_id)} of {record.agent_id}{answered}, connected {_at(record.connected_ms)}"
    detail = f" ({record.detail})" if record.detail else ""
    to = f", to {record.to}" if record.to else ""
    agent = f", for {visit.named_agent}" if visit.named_agent else ""
    language = f", speaks {visit.language}" if visit.language else ""
    told = "" if record.evidence is Evidence.SAW_END else f", {record.evidence}"
    told += f", epoch {record.epoch}" if record.epoch else ""
    return (
        f"{record.call_id} VISIT {visit.n} {visit.queue} {visit.how_in} {_at(visit.joined_ms)}..{_at(record.ended_ms)}"
        f" {record.outcome}{detail}{talk}{to}, waited {seconds(record.waited_ms)}, offers {record.offers};"
        f" {_wants(visit.priority, visit.required)}, head start {seconds(visit.head_start_ms)}{agent}{language},"
        f" within {seconds(visit.service_level_ms)}, short {seconds(visit.short_abandon_ms)}{told}"
    )


def _offer_closed(record: r.OfferClosed, names: Names) -> str:
    answered = f", answered {_at(record.answered_ms)}" if record.answered_ms is not None else ""
    connected = f", connected {_at(record.connected_ms)}" if record.connected_ms is not None else ""
    return (
        f"{names.of(record.offer_id)} to {record.agent_id} closed {record.outcome} ({record.reason}):"
        f" rung {_at(record.started_ms)}{answered}{connected}, over {_at(record.ended_ms)}"
    )


def _at(ms: int) -> str:
    return f"{ms / 1000:g}"
