"""The state of the links and of the database, as the API shows it."""

from __future__ import annotations

from fsacd.esl.control import CallControl
from fsacd.http.api import StoreStatus, SwitchStatus
from fsacd.runtime.loop import Runtime
from fsacd.store.postgres import StoreState


def switch_status(control: CallControl, runtime: Runtime) -> SwitchStatus:
    """One switch and its link."""
    stats = control.stats()
    return SwitchStatus(
        name=control.name,
        connected=control.in_sync,
        standing_by=control.standing_by,
        detail=control.detail,
        since_ms=runtime.wall_ms(runtime.engine_ms(control.since_ms)),
        event_lag_ms=stats.lag_ms,
        events=stats.events,
        reconnects=stats.reconnects,
        pending=stats.pending,
    )


def store_status(state: StoreState) -> StoreStatus:
    """The database of history."""
    return StoreStatus(
        configured=True,
        connected=state.connected,
        detail=state.error or "",
        queued=state.queued,
        written=state.written,
        dropped=state.dropped,
    )
