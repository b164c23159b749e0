"""Calls and agents as JSON, one after the other: calls go first between them, and what has not changed is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fsacd.core.show.feed import Kind
from fsacd.core.views import AgentView, CallView, Listed
from fsacd.http.kept import Piece, cut
from fsacd.http.present import Presenter
from fsacd.http.routes import Asked, Raw
from fsacd.runtime.pace import Pace

V = TypeVar("V")

_TYPE = "application/json"


class Renderer:
    """Renders calls and agents for one answer. Without `durations`, those that run are null."""

    def __init__(self, asked: Asked, now: Presenter, pace: Pace, *, durations: bool = True) -> None:
        self._kept = asked.context.kept
        self._feed = asked.context.daemon.changes()
        self._clock = asked.context.daemon.wall_ms(0)  # whoever sets the wall clock changes all moments
        self._now = now
        self._pace = pace
        self._durations = durations

    def agents(self, found: Listed[AgentView]) -> list[bytes]:
        """The agents of a list that are still there, each as it is when its turn comes."""
        items = []
        for agent_id in found.keys:
            piece = self._agent(agent_id, found.view)
            if piece is not None:
                items.append(self._filled(piece))
            self._pace.rest_if_due()
        return items

    def calls(self, found: Listed[CallView]) -> list[bytes]:
        """The calls of a list that are still there, likewise."""
        items = []
        for call_id in found.keys:
            number = None if self._feed is None else self._feed.latest("call", call_id)
            piece = self._piece("call", call_id, number, found.view, self._cut_call)
            if piece is not None:
                items.append(self._filled(piece, first=b"%d" % found.position(call_id)))
            self._pace.rest_if_due()
        return items

    def agent(self, view: AgentView) -> Raw:
        """One agent."""
        piece = self._agent(view.agent_id, lambda _: view)
        return Raw(_TYPE, self._filled(piece or self._cut_agent(view)))

    def call(self, view: CallView) -> Raw:
        """One call."""
        return Raw(_TYPE, self._filled(self._cut_call(view)))

    def _agent(self, agent_id: str, view: Callable[[str], AgentView | None]) -> Piece | None:
        number = None if self._feed is None else self._feed.latest("agent", agent_id)
        return self._piece("agent", agent_id, number, view, self._cut_agent)

    def _piece(
        self, kind: Kind, key: str, number: int | None, view: Callable[[str], V | None], render: Callable[[V], Piece]
    ) -> Piece | None:
        """The thing as it was when it changed last; None if it is gone. `number`: that change; None: nobody knows."""
        kept_as, version = (kind, key, self._now.reveal), (number or 0, self._clock)
        piece = None if number is None else self._kept.get(kept_as, version)
        if piece is None:
            seen = view(key)
            if seen is None:
                return None
            piece = render(seen)
            if number is not None and self._feed is not None:
                self._kept.put(kept_as, version, piece)
                self._kept.look_at_oldest(self._feed.is_there)
        return piece

    def _cut_agent(self, view: AgentView) -> Piece:
        return cut(self._now.agent(view).model_dump_json().encode(), state_seconds=view.since_ms)

    def _cut_call(self, view: CallView) -> Piece:
        content = self._now.call(view).model_dump_json().encode()
        return cut(content, position=None, waited_seconds=view.waits_since_ms, talked_seconds=view.talks_since_ms)

    def _filled(self, piece: Piece, first: bytes | None = None) -> bytes:
        return piece.filled(self._now.look.now_ms, durations=self._durations, first=first)


def document(head: bytes, **lists: list[bytes]) -> Raw:
    """A JSON object: what `head`, an object with at least one member, holds, and these lists of rendered items."""
    members = [b'"%b":[%b]' % (name.encode(), b",".join(items)) for name, items in lists.items()]
    content = b",".join([head.removesuffix(b"}"), *members]) + b"}"
    return Raw(_TYPE, content, sum(len(items) for items in lists.values()))


def listed(name: str, items: list[bytes], total: int) -> Raw:
    """One page of a list under this name, and of how many items."""
    return document(b'{"total":%d}' % total, **{name: items})
