"""The table of routes: falcon's routing, the check of rights and the OpenAPI document are made from its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from fsacd.core.show.feed import Feed
from fsacd.desk.rights import WHOLE, Principal, Target, Verb, Wish, may
from fsacd.http.api import Context
from fsacd.http.bodies import Body, NoBody, NoQuery, Query
from fsacd.http.present import Presenter

V1 = "/api/v1"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that has passed every check: who asks, for what, with which body and query."""

    context: Context
    who: Principal
    params: dict[str, str]
    body: BaseModel
    query: BaseModel

    @property
    def by(self) -> str:
        """Who asks, as history shows it."""
        return self.who.subject

    def may(self, verb: Verb) -> bool:
        """Whether the asker may do this to everything."""
        return may(self.who, verb, WHOLE, self.context.wall()) is None

    def ask(self, wish: Wish) -> None:
        """Post this to the engine, in the asker's name. Raises Forbidden, Refused and Unavailable."""
        self.context.daemon.ask(wish, self.who)

    def presenter(self) -> Presenter:
        """The engine as the asker may see it."""
        return Presenter(
            look=self.context.daemon.look(),
            wall_ms=self.context.daemon.wall_ms,
            reveal=self.may(Verb.SEE_NUMBERS),
            digits=self.context.settings.number_digits,
        )


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is rendered already. `items`: how many things of a list it holds."""

    content_type: str
    content: bytes
    items: int = 0


@dataclass(frozen=True, slots=True)
class Unready:
    """An answer with a document although it is not a success: 503."""

    document: BaseModel


Handler = Callable[[Asked], BaseModel | Raw | Unready]
# The number of the latest change that a document may show; None: there is no such document.
Shows = Callable[[Asked, Feed], int | None]


def target_of(params: Mapping[str, str], agent_of: Callable[[str], str]) -> Target:
    """The agent, queue or call that a path names. `Daemon.ask` finds out in which queue a call is.

    `agent_of` gives the agent of a talk, or the empty text for an unknown one.
    """
    agent, queue = params.get("agent_id"), params.get("queue_name")
    if "talk_id" in params:
        agent = agent_of(params["talk_id"])
    return Target(() if agent is None else (agent,), () if queue is None else (queue,))


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `verb` is the right that it needs; its path names the target (`target_of`)."""

    method: str
    path: str
    handler: Handler
    verb: Verb
    summary: str
    answer: type[BaseModel] | None
    tag: str
    body: type[Body] = NoBody
    query: type[Query] = NoQuery
    # Whether requests count against the rate limit; health does not, so that a flood cannot make a healthy daemon look
    # dead.
    limited: bool = True
    refusals: tuple[int, ...] = ()
    content_type: str = "application/json"
    shows: Shows | None = None  # where the document has an ETag (`tags`)
