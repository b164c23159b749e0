"""The routes that only read."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from fsacd.core.show.look import Look
from fsacd.core.views import AgentView, CallView, QueueView
from fsacd.desk.rights import Verb
from fsacd.http import bodies as b
from fsacd.http import models as m
from fsacd.http import tags
from fsacd.http.health import troubles
from fsacd.http.lists import Renderer, document, listed
from fsacd.http.present import seconds, timestamp, well_formed
from fsacd.http.problem import ProblemError, unknown
from fsacd.http.reloads import shown as shown_reload
from fsacd.http.routes import V1, Asked, Raw, Route
from fsacd.runtime.pace import Pace

# Ids are random; six characters tell a few thousand live calls apart and can be read out by a person.
PREFIX_MIN = 6


def find_agent(look: Look, agent_id: str, status: HTTPStatus = HTTPStatus.NOT_FOUND) -> AgentView:
    """The agent of this id. Raises the problem of that status with near misses."""
    found = look.agent(agent_id)
    if found is None:
        raise unknown("agent", agent_id, look.agent_ids, status)
    return found


def check_queue(look: Look, name: str, status: HTTPStatus = HTTPStatus.NOT_FOUND) -> str:
    """The name, which is a queue's. Raises the problem of that status with near misses."""
    if name not in look.queue_names:
        raise unknown("queue", name, look.queue_names, status)
    return name


def find_queue(look: Look, name: str, pace: Pace) -> QueueView:
    """The queue of this name. Calls go first meanwhile. Raises the problem 404 with near misses."""
    found = pace.whole(look.queue(check_queue(look, name)))
    if found is None:  # a reload has just taken it out
        raise unknown("queue", name, look.queue_names)
    return found


def find_call(look: Look, prefix: str) -> CallView:
    """The live call whose id is, or alone begins with, `prefix`. Raises the problems 404, 400 and 409."""
    found = look.call(prefix)
    if found is not None:
        return found
    if len(prefix) < PREFIX_MIN:
        detail = f"Name a call by at least {PREFIX_MIN} characters of its id."
        raise ProblemError(HTTPStatus.BAD_REQUEST, "short-call-id", detail)
    ids = look.calls_beginning(prefix)
    if len(ids) > 1:
        detail = f"{len(ids)} calls begin with {prefix!r}; give more characters of the id."
        raise ProblemError(HTTPStatus.CONFLICT, "ambiguous-call-id", detail)
    found = look.call(ids[0]) if ids else None
    if found is None:
        raise unknown("call", prefix, ())
    return found


def status(asked: Asked) -> m.Status:
    """The daemon at a glance."""
    now = asked.presenter()
    counts = Pace().whole(now.look.counts())
    daemon = asked.context.daemon.status()
    wall_ms = asked.context.daemon.wall_ms(now.look.now_ms)
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
        calls=now.call_states(counts),
        agents=now.agent_states(counts),
    )


def queues(asked: Asked) -> m.Queues:
    """All queues, by name."""
    now = asked.presenter()
    return m.Queues(queues=[now.queue(view) for view in Pace().whole(now.look.counts()).queues])


def queue(asked: Asked) -> Raw:
    """One queue with its calls and agents."""
    now, pace = asked.presenter(), Pace()
    view, renderer = find_queue(now.look, asked.params["queue_name"], pace), Renderer(asked, now, pace)
    calls = pace.whole(now.look.calls(queue=view.name, limit=m.PAGE_MAX))
    agents = pace.whole(now.look.agents(queue=view.name, limit=m.PAGE_MAX))
    return document(
        now.queue(view).model_dump_json().encode(), calls=renderer.calls(calls), agents=renderer.agents(agents)
    )


def agents(asked: Asked) -> Raw:
    """The agents, by id."""
    now, pace = asked.presenter(), Pace()
    query = cast("b.AgentQuery", asked.query)  # the route below says so
    if query.queue is not None:
        check_queue(now.look, query.queue, HTTPStatus.UNPROCESSABLE_ENTITY)
    found = pace.whole(now.look.agents(queue=query.queue, state=query.state, offset=query.offset, limit=query.limit))
    return listed("agents", Renderer(asked, now, pace, durations=query.durations).agents(found), found.total)


def agent(asked: Asked) -> Raw:
    """One agent."""
    now, query = asked.presenter(), cast("b.DurationsQuery", asked.query)  # the route below says so
    found = find_agent(now.look, asked.params["agent_id"])
    return Renderer(asked, now, Pace(), durations=query.durations).agent(found)


def calls(asked: Asked) -> Raw:
    """The live calls, in the order of arrival."""
    now, pace = asked.presenter(), Pace()
    query = cast("b.CallQuery", asked.query)  # the route below says so
    if query.queue is not None:
        check_queue(now.look, query.queue, HTTPStatus.UNPROCESSABLE_ENTITY)
    found = pace.whole(now.look.calls(queue=query.queue, state=query.state, offset=query.offset, limit=query.limit))
    return listed("calls", Renderer(asked, now, pace, durations=query.durations).calls(found), found.total)


def call(asked: Asked) -> Raw:
    """One live call."""
    now, query = asked.presenter(), cast("b.DurationsQuery", asked.query)  # the route below says so
    found = find_call(now.look, asked.params["call_id"])
    return Renderer(asked, now, Pace(), durations=query.durations).call(found)


ROUTES = (
    Route("GET", f"{V1}/status", status, Verb.SEE_STATUS, "The daemon at a glance", m.Status, "status"),
    Route("GET", f"{V1}/queues", queues, Verb.SEE_STATUS, "All queues", m.Queues, "queues", shows=tags.queues),
    Route(
        "GET", f"{V1}/queues/{{queue_name}}", queue, Verb.SEE_STATUS, "One queue with its calls and agents",
        m.QueueDetail, "queues", refusals=(404,), shows=tags.queue,
    ),
    Route(
        "GET", f"{V1}/agents", agents, Verb.SEE_STATUS, "The agents, by id", m.Agents, "agents",
        query=b.AgentQuery, refusals=(422,), shows=tags.agents,
    ),
    Route(
        "GET", f"{V1}/agents/{{agent_id}}", agent, Verb.SEE_STATUS, "One agent", m.Agent, "agents",
        query=b.DurationsQuery, refusals=(404, 422), shows=tags.agent,
    ),
    Route(
        "GET", f"{V1}/calls", calls, Verb.SEE_STATUS, "The live calls, in the order of arrival", m.Calls, "calls",
        query=b.CallQuery, refusals=(422,), shows=tags.calls,
    ),
    Route(
        "GET", f"{V1}/calls/{{call_id}}", call, Verb.SEE_STATUS, "One live call", m.Call, "calls",
        query=b.DurationsQuery, refusals=(400, 404, 409, 422), shows=tags.call,
    ),
)  # fmt: skip
