"""The API's view of the daemon, and the WSGI application made from it.

The API owns nothing: it looks at the engine, and posts facts ("an agent logged in, by api:wallboard") as all do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from fsacd.caller.customers import Change, Imported, ImportRow, Page, Record, Search
from fsacd.core.show.feed import Feed
from fsacd.core.show.look import Look
from fsacd.core.views import Explanation
from fsacd.desk.rights import Principal, Wish
from fsacd.http.access import Token
from fsacd.http.customer_forms import Forms
from fsacd.http.kept import Kept
from fsacd.process.trouble import Trouble, shortened

# The text of /metrics and its content type.
Metrics = Callable[[], tuple[bytes, str]]

# (call, limit) -> the latest decisions about a call in history, as `fsacd.http.explain` reads them. May wait for the
# database; raises Unavailable when that cannot be asked.
StoredExplanations = Callable[[str, int], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class SwitchStatus:
    """One link. `connected`: in sync; `standing_by`: another daemon serves the switch.

    `detail` has at most 300 characters; `since_ms` is Unix time in ms; `event_lag_ms` is None before the first probe.
    """

    name: str
    connected: bool
    detail: str = ""
    standing_by: bool = False
    since_ms: int | None = None
    event_lag_ms: float | None = None
    events: int = 0
    reconnects: int = 0
    pending: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", shortened(self.detail))


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The database. `detail` says in one sentence what is wrong, in at most 300 characters, or nothing."""

    configured: bool = False
    connected: bool = False
    detail: str = ""
    queued: int = 0
    written: int = 0
    dropped: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", shortened(self.detail))


# How far a reload is, or what came of it; `tried` is the end of a dry run.
ReloadResult = Literal["waiting", "running", "in_force", "tried", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """One reload. Times are Unix time in ms, None until they have come.

    `message` is one sentence, empty until the end; `problems` are those of a file that was refused.
    """

    number: int
    by: str
    asked_ms: int
    dry_run: bool = False
    result: ReloadResult = "waiting"
    message: str = ""
    problems: tuple[str, ...] = ()
    began_ms: int | None = None
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """The daemon itself. Times are Unix time in ms.

    `failure` is set when the process runs but its engine has failed: a supervisor should start it again. `troubles` are
    all other things that work less well than they should.
    """

    instance: str
    version: str
    started_ms: int
    configured_ms: int
    switches: tuple[SwitchStatus, ...]
    store: StoreStatus = StoreStatus()
    stopping: bool = False
    failure: str = ""
    troubles: tuple[Trouble, ...] = ()
    last_reload: ReloadStatus | None = None


class Daemon(Protocol):
    """What the API needs of the daemon."""

    def ask(self, wish: Wish, principal: Principal) -> None:
        """Post a wish and wait until the engine has taken it.

        Raises Forbidden when it is not this principal's to ask, Refused, or Unavailable when it takes too long.
        """
        ...

    def look(self) -> Look:
        """The engine as it is now, one thing at a time."""
        ...

    def changes(self) -> Feed | None:
        """What has changed in the engine; None where nobody keeps that, so that no document has an ETag."""
        ...

    def explain(self, call_id: str) -> tuple[Explanation, ...]:
        """The remembered decisions about a call, oldest first; if the call still waits, the reason comes last."""
        ...

    def wall_ms(self, engine_ms: int) -> int:
        """The engine's clock as Unix time in ms."""
        ...

    def reload(self, principal: Principal, *, dry_run: bool = False, even_so: bool = False) -> str:
        """Swap the configuration, or say what that would do (`dry_run`); what happened, in one sentence.

        Raises Forbidden, or Refused with the problems of a bad file. Also raises Refused if callers would have no place
        to go, unless `even_so` is set.
        """
        ...

    def begin_reload(
        self, principal: Principal, *, dry_run: bool = False, even_so: bool = False, within_s: float = 0
    ) -> ReloadStatus:
        """Begin the same, and tell how far it is when it has ended or this time is over.

        Raises Forbidden, or Unavailable when too many wait already.
        """
        ...

    def reload_of(self, number: int) -> ReloadStatus | None:
        """How far this reload is, or what came of it; None if it is not remembered."""
        ...

    def resync(self, principal: Principal) -> str:
        """Begin to compare engine and switches now; returns one sentence that says so.

        Raises Forbidden, or Refused when this daemon serves no switch.
        """
        ...

    def status(self) -> DaemonStatus:
        """The daemon, its links and its database."""
        ...


class Customers(Protocol):
    """The customers in the database. Everything here may wait for it, and raises Unavailable when it cannot be asked.

    KeyError: there is no customer of that id. Refused: the request cannot be fulfilled; one sentence says why.
    """

    def show(self, customer_id: int) -> Record:
        """The customer of this id, or the one into whom they were merged. Raises KeyError."""
        ...

    def search(self, wanted: Search) -> Page:
        """A page of the customers who match."""
        ...

    def create(self, wanted: Change, by: str) -> Record:
        """Create a customer. Raises Refused."""
        ...

    def change(self, customer_id: int, wanted: Change, by: str) -> Record:
        """Change a customer. Raises KeyError, Refused."""
        ...

    def delete(self, customer_id: int, by: str) -> Record:
        """Delete a customer. Raises KeyError, Refused."""
        ...

    def merge(self, kept_id: int, gone_id: int, by: str) -> tuple[Record, str]:
        """Merge two customers; also returns what of the other was not kept. Raises KeyError, Refused."""
        ...

    def take(self, rows: Sequence[ImportRow], by: str, *, dry_run: bool) -> Imported:
        """Import a batch of a table, whole or not at all."""
        ...


@dataclass(frozen=True, slots=True)
class CustomerDesk:
    """The customers of the database, and the forms by which requests about them are read now."""

    book: Customers
    forms: Callable[[], Forms]


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How the API behaves. Sizes in bytes, rates in requests per second, times in seconds.

    Without tokens only health, metrics and the description of the API are served. `allowed_hosts` are the names, beside
    loopback's own, under which the API may be called; on another address than loopback, none means any.
    `connection_limit` and `per_address` are what `fsacd.http.places` takes. A connection must say something within
    `first_byte_s`, send the whole of a request within `read_deadline_s`, and may wait `idle_s` for the next one.
    """

    host: str = "127.0.0.1"
    port: int = 8090
    tokens: tuple[Token, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    open_metrics: bool = True
    number_digits: int = 4
    body_limit: int = 65_536
    header_limit: int = 16_384
    rate: float = 50.0
    burst: float = 100.0
    connection_limit: int = 400
    per_address: int | None = None
    first_byte_s: float = 5.0
    read_deadline_s: float = 10.0
    answer_deadline_s: float = 10.0
    idle_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Context:
    """What every request is answered from. `clock` is monotonic, `wall` Unix time; both in seconds."""

    daemon: Daemon
    settings: ApiSettings
    metrics: Metrics
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    explanations: StoredExplanations | None = None
    customers: CustomerDesk | None = None
    kept: Kept = field(default_factory=Kept)
