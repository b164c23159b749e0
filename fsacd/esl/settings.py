"""How the link behaves: every interval in milliseconds, every bound in numbers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum


class RequireAck(StrEnum):
    """Whose calls wait for the ACK of our answer (SIP), as the configuration has it."""

    NEVER = "never"
    STRANGERS = "strangers"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """A switch's address, and the intervals and bounds of its link."""

    password: str
    host: str = "127.0.0.1"
    port: int = 8021
    # The system user as whom FreeSWITCH runs, if it is on this machine; nobody else is told the password (`owner`).
    owner: str = "freeswitch"
    # `user@domain` logs in with the directory's rights for that user (userauth); empty: Event Socket's own password.
    user: str = ""

    # While busy, one newline to the event connection so often: FreeSWITCH looks only every 20 ms by itself. 0: never.
    wake_up_ms: int = 2
    # An own event makes the round trip so often; it measures the event lag and makes both connections speak. 0: never.
    probe_interval_ms: int = 1_000
    # After a probe, nothing at all has come on one of the two connections for this long: it is dead. A probe that is
    # late among other events is a sign of load, not of death.
    silence_timeout_ms: int = 3_500
    # Without probes: nothing at all came on the event connection for so long. HEARTBEAT comes every 20 s.
    heartbeat_timeout_ms: int = 50_000
    connect_timeout_ms: int = 2_000
    command_timeout_ms: int = 5_000
    # FreeSWITCH has taken none of our bytes for this long: the connection is dead.
    write_timeout_ms: int = 5_000
    reconnect_min_ms: int = 200
    reconnect_max_ms: int = 1_000
    # After nonsense: the pause before the next attempt, and how long the other end must then be quiet after its
    # greeting before it is believed to be FreeSWITCH again.
    nonsense_pause_ms: int = 1_000
    quiet_ms: int = 300

    # How long after the last renewal no other daemon can take the switch. 0: there is no fence.
    fence_term_ms: int = 10_000
    fence_renewal_ms: int = 2_500
    # How long a switch that was started anew may take to recover calls, before those that are missing count as lost.
    recovery_wait_ms: int = 2_000
    # Which calls are not distributed before their caller has acknowledged our answer (SIP's ACK).
    require_ack: RequireAck = RequireAck.STRANGERS
    # Whether to hear how callers' legs sounded: in their last event, which is the largest of a call.
    measure_callers: bool = False
    # How often engine and switch are compared.
    reconcile_interval_ms: int = 30_000

    # Commands on their way, written or not, late ones included; beyond, a command is not sent.
    pending_limit: int = 2_000
    # Events between the reader and the handler; beyond, the reader pauses and TCP holds the rest back. Few, so that an
    # event is handled while it is still in the processor's cache: 1,000 cost half as much again per event.
    inbox_limit: int = 32
    # If there is still no room after this time, the connection is dropped, and the switch is read anew.
    inbox_stall_ms: int = 5_000
    # How long the handler works before it lets other greenlets work.
    slice_ms: float = 5.0


@dataclass(slots=True)
class Counters:
    """What a link has seen since the daemon started; shared by all its connections, read by `SwitchLink.stats`."""

    events: int = 0
    bytes: int = 0
    handler_errors: int = 0
    slice_overruns: int = 0
    inbox_stalls: int = 0
    timeouts: int = 0
    late_replies: int = 0
    refused_commands: int = 0
    wake_ups: int = 0
    connects: int = 0
    # Messages that were left out because they were too large, and connections that ended for nonsense on them.
    left_out: int = 0
    left_out_at_s: float = float("-inf")
    nonsense: int = 0
    nonsense_at_s: float = float("-inf")
    nonsense_why: str = ""

    def note_left_out(self, count: int) -> None:
        """Count messages that were left out because they were too large."""
        self.left_out += count
        self.left_out_at_s = time.monotonic()

    def note_nonsense(self, why: str) -> None:
        """Count a connection that is ended because of nonsense."""
        self.nonsense += 1
        self.nonsense_at_s, self.nonsense_why = time.monotonic(), why

    probes: int = 0
    probes_missed: int = 0
    lag_ms: float | None = None
    lag_max_ms: float = 0.0
