"""The states of a link, and its counters."""

from __future__ import annotations

from dataclasses import dataclass

from fsacd.process.trouble import shortened


@dataclass(frozen=True, slots=True)
class Connecting:
    """An attempt is under way."""


@dataclass(frozen=True, slots=True)
class Up:
    """Both connections stand and are subscribed; events of before are lost, and the switch must be read anew.

    `restarted`: the switch is not the process that we knew, so every leg that we knew is gone (False on the first
    connection). `uptime_ms` is the switch's uptime at `at_ms` of our monotonic clock. `dialplan` is the installed
    dialplan's version, as text. `denied` are the events and commands that the switch refuses us.
    """

    core_uuid: str
    hostname: str
    restarted: bool
    uptime_ms: int
    at_ms: int
    dialplan: str = ""
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Down:
    """There is no link; the reason, at most 300 characters, is for an operator. The next attempt comes by itself."""

    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", shortened(self.reason))


LinkState = Connecting | Up | Down


@dataclass(frozen=True, slots=True)
class LinkStats:
    """Counted since the link was started, over all its connections; lags in milliseconds.

    `slice_overruns`: how often the handler held everybody else up for twice its slice. `inbox_stalls`: how often the
    reader had to wait for the handler. `timeouts`, `late_replies`: commands unanswered in time, and answers that came
    after all and were dropped. `left_out`: messages that were too large, or had too many headers, and were not looked
    at. `nonsense`: connections that were ended because of what no FreeSWITCH sends; `nonsense_why`: why the last one
    was. `left_out_ago_s`, `nonsense_ago_s`: seconds since the last of these, infinity if there was none. `not_sent`:
    commands refused because too many were on their way already. `lag_ms`: from our firing the last probe event to its
    arrival; None before the first.
    """

    connected: bool
    connects: int
    reconnects: int
    events: int
    bytes: int
    waiting_events: int
    pending: int
    handler_errors: int
    slice_overruns: int
    inbox_stalls: int
    timeouts: int
    late_replies: int
    not_sent: int
    left_out: int
    left_out_ago_s: float
    nonsense: int
    nonsense_ago_s: float
    nonsense_why: str
    wake_ups: int
    probes: int
    probes_missed: int
    lag_ms: float | None
    lag_max_ms: float
