"""Health and figures: what monitoring asks, without a token unless the configuration says otherwise."""

from __future__ import annotations

from fsacd.http import models as m
from fsacd.http.api import DaemonStatus
from fsacd.http.routes import Asked, Raw, Route, Unready
from fsacd.rights import Verb

# The Prometheus text format names its version in here; the exact one comes from the callable.
_METRICS_TYPE = "text/plain"


def readiness(daemon: DaemonStatus) -> m.Readiness:
    """Whether calls are distributed: at least one switch is in sync and nothing is being shut down."""
    # What failed may carry a caller's number, and this page is open to everybody.
    reasons = ["The engine has failed; the log says why."] if daemon.failure else []
    if daemon.stopping:
        reasons.append("The daemon is stopping.")
    missing = [_missing(switch.name, switch.detail) for switch in daemon.switches if not switch.connected]
    degraded: list[str] = []
    if len(missing) == len(daemon.switches):
        reasons.extend(missing or ["No switch is configured."])
    else:
        degraded.extend(missing)
    store = daemon.store
    if store.configured and not store.connected:
        why = f": {store.detail}" if store.detail else "."
        degraded.append(f"The database is not connected, {store.queued} rows wait for it{why}")
    if store.dropped:
        degraded.append(f"The database has lost {store.dropped} rows of history since the start.")
    reasons.extend(trouble.words for trouble in daemon.troubles if trouble.blocking)
    degraded.extend(trouble.words for trouble in daemon.troubles if not trouble.blocking)
    return m.Readiness(ready=not reasons, reasons=reasons, degraded=degraded)


def _missing(switch: str, detail: str) -> str:
    return f"Switch {switch} is not in sync: {detail}" if detail else f"Switch {switch} is not in sync yet."


def livez(asked: Asked) -> m.Live | Unready:
    """Answering at all proves that the hub turns; a daemon whose engine has died says so."""
    if asked.context.daemon.status().failure:
        return Unready(m.Live(live=False))
    return m.Live(live=True)


def readyz(asked: Asked) -> m.Readiness | Unready:
    """Ready, or not and why."""
    state = readiness(asked.context.daemon.status())
    return state if state.ready else Unready(state)


def metrics(asked: Asked) -> Raw:
    """The figures for Prometheus."""
    content, content_type = asked.context.metrics()
    return Raw(content_type, content)


ROUTES = (
    Route(
        "GET", "/livez", livez, Verb.SEE_HEALTH, "The process turns", m.Live, "health",
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
