"""The routes that only read."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from fsacd.core.views import AgentView, CallView, QueueView, Snapshot
from fsacd.desk.rights import Verb
from fsacd.http import bodies as b
from fsacd.http import models as m
from fsacd.http.health import troubles
from fsacd.http.present import by_arrival, by_id, seconds, timestamp, well_formed
from fsacd.http.problem import ProblemError, unknown
from fsacd.http.reloads import shown as shown_reload
from fsacd.http.routes import V1, Asked, Route

# Ids are random; six characters tell a few thousand live calls apart and can be read out by a person.
PREFIX_MIN = 6


def find_agent(snapshot: Snapshot, agent_id: str, status: HTTPStatus = HTTPStatus.NOT_FOUND) -> AgentView:
    """The agent of this id. Raises the problem of that status with near misses."""
    for agent in snapshot.agents:
        if agent.agent_id == agent_id:
            return agent
    raise unknown("agent", agent_id, (agent.agent_id for agent in snapshot.agents), status)


def find_queue(snapshot: Snapshot, name: str, status: HTTPStatus = HTTPStatus.NOT_FOUND) -> QueueView:
    """The queue of this name. Raises the problem of that status with near misses."""
    for queue in snapshot.queues:
        if queue.name == name:
            return queue
    raise unknown("queue", name, (queue.name for queue in snapshot.queues), status)


def find_call(snapshot: Snapshot, prefix: str) -> CallView:
    """The live call whose id is, or alone begins with, `prefix`. Raises the problems 404, 400 and 409."""
    found = []
    for call in snapshot.calls:
        if call.call_id == prefix:
            return call
        if call.call_id.startswith(prefix):
            found.append(call)
    if len(prefix) < PREFIX_MIN:
        detail = f"Name a call by at least {PREFIX_MIN} characters of its id."
        raise ProblemError(HTTPStatus.BAD_REQUEST, "short-call-id", detail)
    if not found:
        raise unknown("call", prefix, ())
    if len(found) > 1:
        detail = f"{len(found)} calls begin with {prefix!r}; give more characters of the id."
        raise ProblemError(HTTPStatus.CONFLICT, "ambiguous-call-id", detail)
    return found[0]


def status(asked: Asked) -> m.Status:
    """The daemon at a glance."""
    now = asked.presenter()
    daemon = asked.context.daemon.status()
    wall_ms = asked.context.daemon.wall_ms(now.snapshot.now_ms)
    wrong = troubles(daemon)
    return m.Status(
        instance=daemon.instance,
        version=daemon.version,
        ready=not any(trouble.blocking for trouble in wrong),
        at=timestamp(wall_ms),
        started_at=timestamp(daemon.started_ms),
        uptime_seconds=seconds(wall_ms - daemon.started_ms),
        configuration_loaded_at=timestamp(daemon.configured_ms),
        last_reload=None if daemon.last_reload is None else shown_reload(daemon.last_reload),
        switches=[
            m.Switch(
                name=switch.name,
                connected=switch.connected,
                detail=well_formed(switch.detail),
                standing_by=switch.standing_by,
                since_at=None if switch.since_ms is None else timestamp(switch.since_ms),
                event_lag_seconds=None
                if switch.event_lag_ms is None
                else round(max(0.0, switch.event_lag_ms) / 1000, 6),
                events=switch.events,
                reconnects=switch.reconnects,
                pending_commands=switch.pending,
            )
            for switch in daemon.switches
        ],
        store=m.Store(
            configured=daemon.store.configured,
            connected=daemon.store.connected,
            detail=well_formed(daemon.store.detail),
            queued=daemon.store.queued,
            written=daemon.store.written,
            dropped=daemon.store.dropped,
        ),
        troubles=[
            m.Trouble(words=trouble.words, detail=well_formed(trouble.detail), blocking=trouble.blocking)
            for trouble in wrong
        ],
        calls=now.call_states(),
        agents=now.agent_states(),
    )


def queues(asked: Asked) -> m.Queues:
    """All queues, by name."""
    now = asked.presenter()
    views = sorted(now.snapshot.queues, key=lambda view: view.name)
    return m.Queues(queues=[now.queue(view) for view in views])


def queue(asked: Asked) -> m.QueueDetail:
    """One queue with its calls and agents."""
    now = asked.presenter()
    return now.queue_detail(find_queue(now.snapshot, asked.params["queue_name"]))


def agents(asked: Asked) -> m.Agents:
    """The agents, by id."""
    now = asked.presenter()
    query = cast("b.AgentQuery", asked.query)  # the route below says so
    if query.queue is not None:
        find_queue(now.snapshot, query.queue, HTTPStatus.UNPROCESSABLE_ENTITY)
    views = by_id(
        view
        for view in now.snapshot.agents
        if query.state in (None, view.state)
        and (query.queue is None or any(name == query.queue for name, _ in view.queues))
    )
    page = views[query.offset : query.offset + query.limit]
    return m.Agents(agents=[now.agent(view) for view in page], total=len(views))


def agent(asked: Asked) -> m.Agent:
    """One agent."""
    now = asked.presenter()
    return now.agent(find_agent(now.snapshot, asked.params["agent_id"]))


def calls(asked: Asked) -> m.Calls:
    """The live calls, in the order of arrival."""
    now = asked.presenter()
    query = cast("b.CallQuery", asked.query)  # the route below says so
    if query.queue is not None:
        find_queue(now.snapshot, query.queue, HTTPStatus.UNPROCESSABLE_ENTITY)
    views = by_arrival(
        view for view in now.snapshot.calls if query.state in (None, view.state) and query.queue in (None, view.queue)
    )
    page = views[query.offset : query.offset + query.limit]
    return m.Calls(calls=[now.call(view) for view in page], total=len(views))


def call(asked: Asked) -> m.Call:
    """One live call."""
    now = asked.presenter()
    return now.call(find_call(now.snapshot, asked.params["call_id"]))


ROUTES = (
    Route("GET", f"{V1}/status", status, Verb.SEE_STATUS, "The daemon at a glance", m.Status, "status"),
    Route("GET", f"{V1}/queues", queues, Verb.SEE_STATUS, "All queues", m.Queues, "queues"),
    Route(
        "GET", f"{V1}/queues/{{queue_name}}", queue, Verb.SEE_STATUS, "One queue with its calls and agents",
        m.QueueDetail, "queues", refusals=(404,),
    ),
    Route(
        "GET", f"{V1}/agents", agents, Verb.SEE_STATUS, "The agents, by id", m.Agents, "agents",
        query=b.AgentQuery, refusals=(422,),
    ),
    Route("GET", f"{V1}/agents/{{agent_id}}", agent, Verb.SEE_STATUS, "One agent", m.Agent, "agents", refusals=(404,)),
    Route(
        "GET", f"{V1}/calls", calls, Verb.SEE_STATUS, "The live calls, in the order of arrival", m.Calls, "calls",
        query=b.CallQuery, refusals=(422,),
    ),
    Route(
        "GET", f"{V1}/calls/{{call_id}}", call, Verb.SEE_STATUS, "One live call", m.Call, "calls",
        refusals=(400, 404, 409),
    ),
)  # fmt: skip
