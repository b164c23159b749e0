"""What a route is: falcon's routing, the check of roles and the OpenAPI document are all made from the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel

from fsacd.http.access import Role, Token
from fsacd.http.api import Context
from fsacd.http.bodies import Body, NoBody, NoQuery, Query
from fsacd.http.present import Presenter

V1 = "/api/v1"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that has passed every check: who asks, for what, with which body and query."""

    context: Context
    who: Token | None
    by: str
    params: dict[str, str]
    body: BaseModel
    query: BaseModel

    @property
    def role(self) -> Role:
        """What the asker may do."""
        return self.who.role if self.who else Role.READ

    def presenter(self) -> Presenter:
        """The present moment as the asker may see it."""
        return Presenter(
            snapshot=self.context.daemon.snapshot(),
            wall_ms=self.context.daemon.wall_ms,
            reveal=self.role >= Role.SUPERVISOR,
            digits=self.context.settings.number_digits,
        )


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is not JSON."""

    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Unready:
    """An answer with a document although it is not a success: 503."""

    document: BaseModel


Handler = Callable[[Asked], BaseModel | Raw | Unready]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `role` None: open to everybody who reaches the address."""

    method: str
    path: str
    handler: Handler
    role: Role | None
    summary: str
    answer: type[BaseModel] | None
    tag: str
    body: type[Body] = NoBody
    query: type[Query] = NoQuery
    # Counted against a limit; health is not, so that a flood cannot make a healthy daemon look dead.
    limited: bool = True
    refusals: tuple[int, ...] = ()
    content_type: str = "application/json"
