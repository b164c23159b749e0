"""Writes the engine's records to the log."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import structlog

from fsacd.core.records import (
    Anomaly,
    CallEnded,
    CallOutcome,
    Record,
    StandingLegLost,
    StrategyFailed,
    StrategyReturned,
)
from fsacd.log import setup as logs

log = structlog.get_logger(__name__)


def log_records(records: Sequence[Record]) -> None:
    """Log the records that somebody may look for."""
    for record in records:
        if isinstance(record, CallEnded):
            # A refused call has waited nowhere, and any caller can be refused as often as they like: do not flood the
            # log.
            refused = record.outcome is CallOutcome.REFUSED
            say = partial(logs.seldom, log.info, record.detail) if refused else log.info
            say(
                "call ended",
                call=record.call_id,
                contact_id=record.contact_id,
                queue=record.queue,
                outcome=str(record.outcome),
                detail=record.detail,
                agent=logs.agent(record.agent_id),
                waited_ms=record.waited_ms,
                talked_ms=record.talked_ms,
                offers=record.offers,
                caller=logs.number(record.number),
            )
        elif isinstance(record, Anomaly):
            logs.seldom(log.warning, record.kind, "anomaly", kind=record.kind, what=record.text)
        elif isinstance(record, StrategyFailed):
            again_s = None if record.again_ms is None else (record.again_ms - record.at_ms) / 1_000
            log.error(
                "a plugin failed; the queue goes on without it",
                queue=record.queue,
                what=record.why,
                tried_again_in_s=again_s,
            )
        elif isinstance(record, StandingLegLost):
            logs.seldom(
                log.warning, record.agent_id, "a standing leg has ended", agent=record.agent_id, why=record.cause
            )
        elif isinstance(record, StrategyReturned):
            log.info("a plugin that failed is tried again", queue=record.queue, plugin=record.plugin)
