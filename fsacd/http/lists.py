"""Long answers: each item is made and rendered when its turn comes, and calls go first between the turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from pydantic import BaseModel

from fsacd.http.routes import Raw
from fsacd.runtime.pace import Pace

V = TypeVar("V")


def rendered(views: Iterable[V], model: Callable[[V], BaseModel], pace: Pace) -> list[bytes]:
    """The items of a list as JSON."""
    items = []
    for view in views:
        items.append(model(view).model_dump_json().encode())
        pace.rest_if_due()
    return items


def document(head: bytes, **lists: list[bytes]) -> Raw:
    """A JSON object: what `head`, an object with at least one member, holds, and these lists of rendered items."""
    members = [b'"%b":[%b]' % (name.encode(), b",".join(items)) for name, items in lists.items()]
    content = b",".join([head.removesuffix(b"}"), *members]) + b"}"
    return Raw("application/json", content, sum(len(items) for items in lists.values()))


def listed(name: str, items: list[bytes], total: int) -> Raw:
    """One page of a list under this name, and of how many items."""
    return document(b'{"total":%d}' % total, **{name: items})
