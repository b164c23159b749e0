"""The routes by which a supervisor changes calls, agents and queues. Each posts one fact; history keeps who asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import cast

from fsacd.core import events as e
from fsacd.core.rules import Service, SkillLevels
from fsacd.core.show.look import Look
from fsacd.core.views import AgentView
from fsacd.desk.rights import Verb
from fsacd.http import bodies as b
from fsacd.http import models as m
from fsacd.http.actions import agent_after
from fsacd.http.problem import ProblemError, unknown
from fsacd.http.queries import check_queue, find_agent, find_call, find_queue
from fsacd.http.routes import V1, Asked, Route
from fsacd.runtime.pace import Pace

_WRONG = HTTPStatus.UNPROCESSABLE_ENTITY
# The configuration's limits for an agent; many small changes must not exceed them.
_SKILLS_MAX = 200
_QUEUES_MAX = 500


def call_promote(asked: Asked) -> m.Done:
    """The call goes before all others of its queue."""
    call = find_call(asked.context.daemon.look(), asked.params["call_id"])
    asked.ask(e.CallPromoteAsked(call.call_id, asked.by))
    return m.Done(message=f"Call {call.call_id} goes before all others of the queue {call.queue}.")


def call_change(asked: Asked) -> m.Done:
    """The call's class, head start or required skills are others."""
    body = cast("b.CallChange", asked.body)  # the route below says so
    look = asked.context.daemon.look()
    call = find_call(look, asked.params["call_id"])
    required: SkillLevels | None = None
    if body.required_skills is not None:
        _check_skills(look, body.required_skills)
        required = tuple(sorted(body.required_skills.items()))
    head_start_ms = None if body.head_start_seconds is None else round(body.head_start_seconds * 1000)
    asked.context.daemon.ask(
        e.CallChangeAsked(call.call_id, asked.by, body.priority, required, head_start_ms), asked.who
    )
    return m.Done(message=f"Call {call.call_id} was changed: {_said(body)}.")


def _check_skills(look: Look, skills: Iterable[str]) -> None:
    # A skill that no agent has is probably misspelt, and the call would wait for ever.
    known = Pace().whole(look.skills())
    for skill in skills:
        if skill not in known:
            raise unknown("skill", skill, sorted(known), _WRONG)


def _said(body: b.CallChange) -> str:
    """The changes, in words for a person."""
    said = [] if body.priority is None else [f"priority {body.priority}"]
    if body.head_start_seconds is not None:
        said.append(f"head start {body.head_start_seconds:g} s")
    if body.required_skills is not None:
        skills = " and ".join(f"{skill} {level}" for skill, level in sorted(body.required_skills.items()))
        said.append(f"requires {skills or 'nothing'} of its own")
    return ", ".join(said)


def call_send(asked: Asked) -> m.Done:
    """The call goes to one agent."""
    body = cast("b.CallSend", asked.body)  # the route below says so
    look = asked.context.daemon.look()
    call = find_call(look, asked.params["call_id"])
    agent = find_agent(look, body.agent, _WRONG)
    asked.context.daemon.ask(
        e.CallSendAsked(call.call_id, agent.agent_id, asked.by, round(body.for_seconds * 1000)), asked.who
    )
    return m.Done(
        message=f"Call {call.call_id} goes to agent {agent.agent_id}; for {body.for_seconds:g} s nobody else gets it."
    )


def agent_change(asked: Asked) -> m.Agent:
    """The agent can do or serves something else, until the configuration says something new of the agent."""
    body = cast("b.AgentChange", asked.body)  # the route below says so
    # Nothing yields between this reading and the engine's step, so that two simultaneous changes cannot undo each
    # other.
    look = asked.context.daemon.look()
    agent = find_agent(look, asked.params["agent_id"])
    skills = None if body.skills is None else _skills(agent, body.skills, only=body.only)
    queues = None if body.queues is None else _queues(look, agent, body.queues, only=body.only)
    return agent_after(asked, e.AgentChangeAsked(agent.agent_id, asked.by, skills, queues))


def _skills(agent: AgentView, wanted: Mapping[str, int | None], *, only: bool) -> SkillLevels:
    has = dict(agent.skills)
    for skill, level in wanted.items():
        if level is None and skill not in has:
            raise unknown("skill", skill, has, _WRONG, of=f"agent {agent.agent_id}")
    levels = {skill: level for skill, level in wanted.items() if level is not None}
    kept = {} if only else {skill: level for skill, level in has.items() if skill not in wanted}
    skills = {**kept, **levels}
    if len(skills) > _SKILLS_MAX:
        raise ProblemError(_WRONG, "too-many", f"Agent {agent.agent_id} cannot have more than {_SKILLS_MAX} skills.")
    return tuple(sorted(skills.items()))


def _queues(
    look: Look, agent: AgentView, wanted: Mapping[str, b.ServiceChange | None], *, only: bool
) -> Mapping[str, Service]:
    serves = dict(agent.queues)
    queues = {} if only else {name: service for name, service in serves.items() if name not in wanted}
    for name, change in wanted.items():
        if change is None:
            if name not in serves:
                raise unknown("queue", name, serves, _WRONG, of=f"agent {agent.agent_id}")
            continue
        check_queue(look, name, _WRONG)
        queues[name] = _service(serves.get(name, Service()), change)
    if len(queues) > _QUEUES_MAX:
        raise ProblemError(_WRONG, "too-many", f"Agent {agent.agent_id} cannot serve more than {_QUEUES_MAX} queues.")
    return MappingProxyType(queues)


def _service(before: Service, change: b.ServiceChange) -> Service:
    return Service(
        rank=before.rank if change.rank is None else change.rank,
        delay_ms=before.delay_ms if change.delay_seconds is None else round(change.delay_seconds * 1000),
        backup=before.backup if change.backup is None else change.backup,
        weight=before.weight if change.weight is None else change.weight,
    )


def queue_open(asked: Asked) -> m.Queue:
    """The queue takes calls."""
    return _queue_set(asked, is_open=True)


def queue_close(asked: Asked) -> m.Queue:
    """The queue takes no calls."""
    return _queue_set(asked, is_open=False)


def _queue_set(asked: Asked, *, is_open: bool) -> m.Queue:
    now = asked.presenter()
    name = check_queue(now.look, asked.params["queue_name"])
    asked.ask(e.QueueSetOpen(name, is_open, asked.by))
    return now.queue(find_queue(now.look, name, Pace()))


_AGENT = f"{V1}/agents/{{agent_id}}"
_CALL = f"{V1}/calls/{{call_id}}"
_QUEUE = f"{V1}/queues/{{queue_name}}"
_REFUSALS = (400, 404, 409, 411, 413, 415, 422, 503)

ROUTES = (
    Route(
        "POST", f"{_CALL}/promote", call_promote, Verb.CHANGE_CALLS,
        "Let a call go before all others of its queue, whatever their class", m.Done, "calls", refusals=_REFUSALS,
    ),
    Route(
        "POST", f"{_CALL}/change", call_change, Verb.CHANGE_CALLS,
        "Change a call's priority, head start or required skills", m.Done, "calls",
        body=b.CallChange, refusals=_REFUSALS,
    ),
    Route(
        "POST", f"{_CALL}/send", call_send, Verb.MOVE_CALLS, "Send a call to one agent", m.Done, "calls",
        body=b.CallSend, refusals=_REFUSALS,
    ),
    Route(
        "POST", f"{_AGENT}/change", agent_change, Verb.CHANGE_AGENTS,
        "Change an agent's skills and queues, until the configuration says something new of them", m.Agent, "agents",
        body=b.AgentChange, refusals=_REFUSALS,
    ),
    Route(
        "POST", f"{_QUEUE}/open", queue_open, Verb.OPEN_QUEUES,
        "Open a queue, until its hours change next", m.Queue, "queues", refusals=_REFUSALS,
    ),
    Route(
        "POST", f"{_QUEUE}/close", queue_close, Verb.OPEN_QUEUES,
        "Close a queue, until its hours change next; calls take its overflow for that", m.Queue, "queues",
        refusals=_REFUSALS,
    ),
)  # fmt: skip
