"""The routes that ask for something. Each posts one fact and answers when the engine has taken it."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from fsacd.core import events as e
from fsacd.desk.rights import Verb
from fsacd.http import bodies as b
from fsacd.http import models as m
from fsacd.http.problem import sentence, unknown
from fsacd.http.queries import check_queue, find_agent, find_call
from fsacd.http.routes import V1, Asked, Route


def agent_after(asked: Asked, wish: e.AgentEvent) -> m.Agent:
    """Post this to the engine, and return the agent's new state. Raises Refused, and the problem 404."""
    # Looking first turns a misspelt id into 404 with a near miss, not into a refusal of the engine.
    now = asked.presenter()
    find_agent(now.look, wish.agent_id)
    asked.ask(wish)
    return now.agent(find_agent(now.look, wish.agent_id))


def agent_login(asked: Asked) -> m.Agent:
    """The agent comes to work."""
    body = cast("b.Login", asked.body)  # the route below says so
    return agent_after(asked, e.AgentLoggedIn(asked.params["agent_id"], asked.by, body.contact, body.ready))


def agent_logout(asked: Asked) -> m.Agent:
    """The agent goes home."""
    return agent_after(asked, e.AgentLoggedOut(asked.params["agent_id"], asked.by))


def agent_ready(asked: Asked) -> m.Agent:
    """The agent wants calls, or those of one queue again."""
    body, agent_id = cast("b.Ready", asked.body), asked.params["agent_id"]  # the route below says so
    if body.queue is not None:
        _check_queue(asked, agent_id, body.queue)
        return agent_after(asked, e.AgentSetReadyFor(agent_id, asked.by, body.queue))
    return agent_after(asked, e.AgentSetReady(agent_id, asked.by))


def agent_not_ready(asked: Asked) -> m.Agent:
    """The agent wants no calls, or none of one queue."""
    body, agent_id = cast("b.NotReady", asked.body), asked.params["agent_id"]  # the route below says so
    if body.queue is not None:
        _check_queue(asked, agent_id, body.queue)
        return agent_after(asked, e.AgentSetNotReadyFor(agent_id, asked.by, body.queue, body.reason))
    return agent_after(asked, e.AgentSetNotReady(agent_id, asked.by, body.reason))


def _check_queue(asked: Asked, agent_id: str, queue: str) -> None:
    """The agent is there and serves the queue; else the problem 404 or 422, with a near miss."""
    serves = dict(find_agent(asked.context.daemon.look(), agent_id).queues)
    if queue not in serves:
        raise unknown("queue", queue, serves, HTTPStatus.UNPROCESSABLE_ENTITY, of=f"agent {agent_id}")


def agent_end_wrap_up(asked: Asked) -> m.Agent:
    """The agent has finished their after-call work."""
    return agent_after(asked, e.AgentEndedWrapUp(asked.params["agent_id"], asked.by))


def agent_wrap_up(asked: Asked) -> m.Agent:
    """The agent says what came of a talk."""
    body = cast("b.WrapUp", asked.body)  # the route below says so
    codes = None if body.codes is None else tuple(body.codes)
    return agent_after(
        asked, e.AgentCodedWrapUp(asked.params["agent_id"], asked.by, codes, body.note, body.offer_id or "")
    )


def call_requeue(asked: Asked) -> m.Done:
    """The call goes back to a queue."""
    body = cast("b.Requeue", asked.body)  # the route below says so
    look = asked.context.daemon.look()
    call = find_call(look, asked.params["call_id"])
    if body.queue is not None:
        check_queue(look, body.queue, HTTPStatus.UNPROCESSABLE_ENTITY)
    asked.ask(e.CallRequeueAsked(call.call_id, asked.by, body.queue))
    return m.Done(message=f"Call {call.call_id} goes back to the queue {body.queue or call.queue}.")


def call_hangup(asked: Asked) -> m.Done:
    """The call is ended."""
    call = find_call(asked.context.daemon.look(), asked.params["call_id"])
    asked.ask(e.CallHangupAsked(call.call_id, asked.by))
    return m.Done(message=f"Call {call.call_id} is being hung up.")


def resync(asked: Asked) -> m.Done:
    """The engine's state is compared with the switches', and differences are repaired."""
    return m.Done(message=sentence(asked.context.daemon.resync(asked.who)))


_AGENT = f"{V1}/agents/{{agent_id}}"
_CALL = f"{V1}/calls/{{call_id}}"
_AGENT_REFUSALS = (400, 404, 409, 411, 413, 415, 422, 503)
_CALL_REFUSALS = _AGENT_REFUSALS

ROUTES = (
    Route(
        "POST", f"{_AGENT}/login", agent_login, Verb.ACT_AS_AGENT, "Log an agent in", m.Agent, "agents",
        body=b.Login, refusals=_AGENT_REFUSALS,
    ),
    Route(
        "POST", f"{_AGENT}/logout", agent_logout, Verb.ACT_AS_AGENT,
        "Log an agent out, after their call if they have one", m.Agent, "agents", refusals=_AGENT_REFUSALS,
    ),
    Route(
        "POST", f"{_AGENT}/ready", agent_ready, Verb.ACT_AS_AGENT, "Make an agent ready, for all or for one queue",
        m.Agent, "agents", body=b.Ready, refusals=_AGENT_REFUSALS,
    ),
    Route(
        "POST", f"{_AGENT}/not-ready", agent_not_ready, Verb.ACT_AS_AGENT,
        "Make an agent not ready, after their call and wrap-up if they are busy; or for one queue alone, at once",
        m.Agent, "agents", body=b.NotReady, refusals=_AGENT_REFUSALS,
    ),
    Route(
        "POST", f"{_AGENT}/end-wrap-up", agent_end_wrap_up, Verb.ACT_AS_AGENT, "End an agent's wrap-up before its time",
        m.Agent, "agents", refusals=_AGENT_REFUSALS,
    ),
    Route(
        "POST", f"{_AGENT}/wrap-up", agent_wrap_up, Verb.ACT_AS_AGENT,
        "Set wrap-up codes and a note of an agent's talk: while it goes on, in its wrap-up, or for a while after",
        m.Agent, "agents", body=b.WrapUp, refusals=_AGENT_REFUSALS,
    ),
    Route(
        "POST", f"{_CALL}/requeue", call_requeue, Verb.MOVE_CALLS,
        "Put a call back into its queue, or into another, with the waiting time it has",
        m.Done, "calls", body=b.Requeue, refusals=_CALL_REFUSALS,
    ),
    Route(
        "POST", f"{_CALL}/hangup", call_hangup, Verb.END_CALLS, "Hang a call up", m.Done, "calls",
        refusals=_CALL_REFUSALS,
    ),
    Route(
        "POST", f"{V1}/resync", resync, Verb.RESYNC, "Compare with the switches now, and repair what differs",
        m.Done, "status", refusals=(400, 409, 411, 413, 415, 422, 503),
    ),
)  # fmt: skip
