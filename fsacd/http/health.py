"""Health and metrics for monitoring, without a token unless the configuration says otherwise."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel

from fsacd.desk.rights import Verb
from fsacd.http import models as m
from fsacd.http.api import DaemonStatus
from fsacd.http.present import well_formed
from fsacd.http.problem import sentence
from fsacd.http.routes import Asked, Raw, Route, Unready
from fsacd.process.trouble import Trouble

# The content type of the Prometheus text format, for the API's description; the callable gives the exact one.
_METRICS_TYPE = "text/plain"


def troubles(daemon: DaemonStatus) -> list[Trouble]:
    """All troubles now. Calls are distributed as long as none of them is `blocking`."""
    found = []
    if daemon.failure:
        # The failure's text may hold a caller's number, which even readers of the details must not see.
        found.append(Trouble("The engine has failed; the log says why.", blocking=True))
    if daemon.stopping:
        found.append(Trouble("The daemon is stopping.", blocking=True))
    missing = [switch for switch in daemon.switches if not switch.connected]
    none_left = len(missing) == len(daemon.switches)
    found.extend(_missing(switch.name, switch.detail, blocking=none_left) for switch in missing)
    if not daemon.switches:
        found.append(Trouble("No switch is configured.", blocking=True))
    store = daemon.store
    if store.configured and not store.connected:
        waiting = f"{store.queued} rows wait for it"
        found.append(
            Trouble("The database is not connected.", f"{waiting}: {store.detail}" if store.detail else waiting)
        )
    if store.dropped:
        found.append(Trouble(f"The database has lost {store.dropped} rows of history since the start."))
    return [*found, *daemon.troubles]


def _missing(switch: str, detail: str, *, blocking: bool) -> Trouble:
    return Trouble(f"Switch {switch} is not in sync.", detail, blocking=blocking)


def readiness(daemon: DaemonStatus, *, details: bool = False) -> m.Readiness:
    """Whether calls are distributed, in fixed words for everybody; with the details for those who may read them."""
    told = troubles(daemon)
    reasons = [_sentence(trouble, details) for trouble in told if trouble.blocking]
    degraded = [_sentence(trouble, details) for trouble in told if not trouble.blocking]
    return m.Readiness(ready=not reasons, reasons=reasons, degraded=degraded)


def _sentence(trouble: Trouble, details: bool) -> str:
    if not (details and trouble.detail):
        return trouble.words
    return sentence(f"{trouble.words.rstrip('.')}: {well_formed(trouble.detail)}")


def page(daemon: DaemonStatus, path: str) -> tuple[HTTPStatus, bytes]:
    """The page that strangers get at /livez or /readyz: HTTP status and document."""
    answer = _live(daemon) if path == "/livez" else _ready(daemon, details=False)
    status = HTTPStatus.OK
    if isinstance(answer, Unready):
        status, answer = HTTPStatus.SERVICE_UNAVAILABLE, answer.document
    return status, answer.model_dump_json().encode()


def _live(daemon: DaemonStatus) -> BaseModel | Unready:
    return Unready(m.Live(live=False)) if daemon.failure else m.Live(live=True)


def _ready(daemon: DaemonStatus, *, details: bool) -> BaseModel | Unready:
    state = readiness(daemon, details=details)
    return state if state.ready else Unready(state)


def livez(asked: Asked) -> BaseModel | Unready:
    """Report liveness: an answer at all proves that the hub runs; a failed engine is reported."""
    return _live(asked.context.daemon.status())


def readyz(asked: Asked) -> BaseModel | Unready:
    """Report readiness, and why not: in fixed words for strangers, with the details for those who may read them."""
    return _ready(asked.context.daemon.status(), details=asked.may(Verb.SEE_STATUS))


def metrics(asked: Asked) -> Raw:
    """The figures for Prometheus."""
    content, content_type = asked.context.metrics()
    return Raw(content_type, content)


ROUTES = (
    Route(
        "GET", "/livez", livez, Verb.SEE_HEALTH, "The process runs", m.Live, "health",
        limited=False, refusals=(503,),
    ),
    Route(
        "GET", "/readyz", readyz, Verb.SEE_HEALTH, "Calls are distributed, or why not", m.Readiness, "health",
        limited=False, refusals=(503,),
    ),
    Route(
        "GET", "/metrics", metrics, Verb.SEE_METRICS, "Figures for Prometheus", None, "health",
        content_type=_METRICS_TYPE,
    ),
)  # fmt: skip
