"""ETags: in which version a document is, told by the feed of changes, without making the document.

All tags are weak: a long list is made while the engine goes on, so it may already show what changed meanwhile. A tag is
made before its document, so it is never too new for it.

A tag holds until something changes that the document may show. Durations that run change all the time, so with them a
tag holds for a second of the engine's clock at most; whoever keeps documents asks for them with `durations=false`.
"""

from __future__ import annotations

import falcon

from fsacd.core.show.feed import Feed
from fsacd.desk.rights import Verb
from fsacd.http.bodies import AgentQuery, CallQuery, DurationsQuery
from fsacd.http.routes import Asked, Shows


def agent(asked: Asked, feed: Feed) -> int | None:
    """One agent."""
    agent_id = asked.params["agent_id"]
    return feed.latest("agent", agent_id) if agent_id in asked.context.daemon.look().agent_ids else None


def agents(asked: Asked, feed: Feed) -> int | None:
    """A list of agents; without its filter it is refused when the queue of the filter is gone."""
    assert isinstance(asked.query, AgentQuery)
    return _of_queue(feed, feed.latest_of("agent"), asked.query.queue)


def call(asked: Asked, feed: Feed) -> int | None:
    """One call, by its whole id; its position changes with its queue."""
    call_id = asked.params["call_id"]
    queue = asked.context.daemon.look().queue_of(call_id)
    return _of_queue(feed, feed.latest("call", call_id), queue) if queue else None


def calls(asked: Asked, feed: Feed) -> int | None:
    """A list of calls. A position changes only with a call."""
    assert isinstance(asked.query, CallQuery)
    return _of_queue(feed, feed.latest_of("call"), asked.query.queue)


def queue(asked: Asked, feed: Feed) -> int | None:
    """One queue with its calls and agents."""
    name = asked.params["queue_name"]
    if name not in asked.context.daemon.look().queue_names:
        return None
    return max(feed.latest("queue", name), feed.latest_of("call"), feed.latest_of("agent"))


def queues(_asked: Asked, feed: Feed) -> int | None:
    """All queues."""
    return feed.latest_of("queue")


def _of_queue(feed: Feed, number: int, queue_name: str | None) -> int:
    return number if queue_name is None else max(number, feed.latest("queue", queue_name))


def tag_of(asked: Asked, shows: Shows | None) -> str | None:
    """The document's tag, without W and quotation marks; None if there is none."""
    feed = asked.context.daemon.changes()
    number = None if shows is None or feed is None else shows(asked, feed)
    if number is None or feed is None:
        return None
    # Who may see numbers gets another document, and whoever sets the wall clock changes all moments in it.
    told = [feed.here.epoch, number, int(asked.may(Verb.SEE_NUMBERS)), asked.context.daemon.wall_ms(0)]
    if not isinstance(asked.query, DurationsQuery) or asked.query.durations:
        told.append(asked.context.daemon.look().now_ms // 1000)
    return "-".join(map(str, told))


def is_known(req: falcon.Request, tag: str) -> bool:
    """Whether the asker has the document already, by their If-None-Match."""
    known = req.if_none_match or ()
    return tag in known or "*" in known
