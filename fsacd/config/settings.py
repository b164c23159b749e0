"""The blocks of the configuration file that are about the daemon itself: switches, API, log, journal, limits."""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, SecretStr

from fsacd.config.blocks import NO_LIST, Settings
from fsacd.config.forms import (
    AGENT,
    CREDENTIAL,
    DIRECTORY_USER,
    ENVIRONMENT,
    FILE,
    NAME,
    SHA256,
    SYSTEM_USER,
    Address,
    Host,
    Listen,
    Moment,
)
from fsacd.config.kinds import Choice, Duration, Flag, Number, Secret
from fsacd.core.rules import Limits
from fsacd.desk.rights import Role


class SwitchSettings(Settings):
    """One FreeSWITCH, reached by its Event Socket."""

    SECRETS: ClassVar[dict[str, tuple[str, ...]]] = {
        "password": ("password", "password_file", "password_env", "password_credential")
    }
    NEEDS = ("password",)

    host: Annotated[str, Host()] = Field(
        default="127.0.0.1", description="Where its Event Socket listens (event_socket.conf.xml)."
    )
    port: Annotated[int, Number(1, 65_535)] = Field(default=8021, description="The TCP port of its Event Socket.")
    password: Annotated[SecretStr | None, Secret("the password of the Event Socket")] = Field(
        default=None, description="The password of its Event Socket; exactly one of the four ways to give it is needed."
    )
    password_file: Annotated[str | None, FILE] = Field(
        default=None,
        description="A file that holds the password; a relative path starts at this file's directory. Like "
        "every file with a secret it belongs to root or to fsacd's user, and not everybody can read it (mode 0640).",
    )
    password_env: Annotated[str | None, ENVIRONMENT] = Field(
        default=None, description="An environment variable that holds the password."
    )
    password_credential: Annotated[str | None, CREDENTIAL] = Field(
        default=None, description="A systemd credential (LoadCredential=) that holds the password."
    )
    owner: Annotated[str, SYSTEM_USER] = Field(
        default="freeswitch",
        description="The system user, by name or number, that a FreeSWITCH on this machine runs as. Where the system "
        "lets fsacd see who listens, the password is told to no other but root and fsacd's own user; any: to whoever "
        "listens.",
    )
    user: Annotated[str | None, DIRECTORY_USER] = Field(
        default=None,
        description="Log in as this user of FreeSWITCH's directory (userauth). The rights given there prevent "
        "mistakes, but whoever has the password can still take over the whole switch.",
    )
    allow_remote: Annotated[bool, Flag()] = Field(
        default=False, description="Accept a host other than this machine, although Event Socket is not encrypted."
    )
    allow_default_password: Annotated[bool, Flag()] = Field(
        default=False, description="Accept a password that everybody knows: ClueCon, or the one in fsacd's own files."
    )
    respect_outside_calls: Annotated[bool, Flag()] = Field(
        default=True,
        description="Do not ring agents who are in a call of their own there, outgoing or incoming.",
    )
    require_ack: Annotated[str, Choice(("never", "strangers", "always"))] = Field(
        default="strangers",
        description="Whose calls are taken only when the caller has acknowledged the answer (SIP's ACK), some 20 to 40 "
        "ms later. Whoever calls from a forged address never does. Addresses that have acknowledged lately are no "
        "strangers: their calls are taken at once, and ended after 5 s if nobody acknowledges.",
    )
    measure_callers: Annotated[bool, Flag()] = Field(
        default=False,
        description="Keep in history how well callers' legs sounded (leg_quality), too, as of agents' legs always. It "
        "costs the largest event of each call.",
    )
    wake_up_ms: Annotated[int, Duration("0s", "20ms")] = Field(
        default=2,
        description="How often to wake the event connection during calls, so that events come at once; 0s: never.",
    )
    heartbeat_timeout_ms: Annotated[int, Duration("5s", "10m")] = Field(
        default=50_000, description="Reconnect after this long without a heartbeat; FreeSWITCH sends one every 20 s."
    )
    command_timeout_ms: Annotated[int, Duration("100ms", "1m")] = Field(
        default=5_000, description="How long a command may stay unanswered."
    )
    connect_timeout_ms: Annotated[int, Duration("100ms", "1m")] = Field(
        default=2_000, description="How long connecting and logging in may take."
    )
    reconnect_min_ms: Annotated[int, Duration("10ms", "1m")] = Field(
        default=200, description="The wait before the first try to reconnect; each further wait is longer."
    )
    reconnect_max_ms: Annotated[int, Duration("100ms", "10m")] = Field(
        default=1_000, description="The longest wait between two tries to reconnect."
    )
    inbox_limit: Annotated[int, Number(8, 100_000)] = Field(
        default=32, description="How many events are read ahead of their handling; many are slower than few."
    )
    pending_limit: Annotated[int, Number(10, 1_000_000)] = Field(
        default=2_000, description="How many commands may await their answers; beyond that, a command is not sent."
    )
    probe_interval_ms: Annotated[int, Duration("500ms", "5m")] = Field(
        default=1_000, description="How often FreeSWITCH is made to speak; it measures the delay of events, too."
    )
    silence_timeout_ms: Annotated[int, Duration("1s", "5m")] = Field(
        default=3_500, description="Reconnect when FreeSWITCH, made to speak, has said nothing at all for this long."
    )
    fence_term_ms: Annotated[int, Duration("0s", "5m")] = Field(
        default=10_000,
        description="The fence: how long this daemon's right to serve the switch holds after its last renewal; then "
        "another daemon may take over. 0s: no fence is used, and there must never be a second daemon.",
    )
    fence_renewal_ms: Annotated[int, Duration("200ms", "1m")] = Field(
        default=2_500, description="How often the fence is renewed; at most a third of fence_term."
    )
    recovery_wait_ms: Annotated[int, Duration("0s", "30s")] = Field(
        default=2_000,
        description="After a crash of the switch, how long to wait for the next call that it recovers (its start must "
        "run sofia recover) before calls that are still missing count as lost; at most a minute in all.",
    )
    reconcile_interval_ms: Annotated[int, Duration("1s", "1h")] = Field(
        default=30_000, description="How often fsacd compares its own state with what the switch says."
    )


def _one_or_more(value: object) -> object:
    """Turn "1001" into [1001], and nothing into an empty list."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


class TokenSettings(Settings):
    """Who may use the API."""

    SECRETS: ClassVar[dict[str, tuple[str, ...]]] = {
        "token": ("token", "token_file", "token_env", "token_credential", "token_sha256")
    }
    NEEDS = ("token",)

    name: Annotated[str, NAME] = Field(default="", description="Whose token it is; shown in logs and history.")
    role: Annotated[str, Choice(tuple(Role))] = Field(
        default="read",
        description="What its bearer may do; each role may also do what the roles before it may. "
        + " ".join(f"{role}: {'; '.join(verb.says for verb in role.own)}." for role in Role),
    )
    agent: Annotated[tuple[Annotated[str, AGENT], ...], BeforeValidator(_one_or_more)] = Field(
        default=(),
        max_length=1_000,
        description="The agents for whom alone a token of the role agent acts: an agent's id, or a list of ids.",
    )
    expires: Annotated[float | None, Moment()] = Field(
        default=None,
        description="From this moment on the token is refused: a date (its beginning in UTC), or a moment like "
        "2027-01-31T18:00:00+01:00; null: it is valid until it is removed here and the file is reloaded.",
    )
    token: Annotated[SecretStr | None, Secret("a token", longest=256, shortest=16, pattern=r"[\x21-\x7e]*")] = Field(
        default=None, description="The token itself; exactly one of the five ways to give it is needed."
    )
    token_file: Annotated[str | None, FILE] = Field(default=None, description="A file that holds the token.")
    token_env: Annotated[str | None, ENVIRONMENT] = Field(
        default=None, description="An environment variable that holds the token."
    )
    token_credential: Annotated[str | None, CREDENTIAL] = Field(
        default=None, description="A systemd credential (LoadCredential=) that holds the token."
    )
    token_sha256: Annotated[str | None, SHA256] = Field(
        default=None, description="The SHA-256 sum of the token, so that the token itself is not in this file."
    )

    def digest(self) -> str | None:
        """Give the SHA-256 sum of the token in lower-case hexadecimal digits; None when no token is given."""
        if self.token is not None:
            return hashlib.sha256(self.token.get_secret_value().encode()).hexdigest()
        return None if self.token_sha256 is None else self.token_sha256.lower()


class ApiSettings(Settings):
    """The HTTP API, the metrics and the health pages."""

    listen: Annotated[Address, Listen()] = Field(
        default=Address("127.0.0.1", 8090), description="Where to listen; port 0 takes a free one."
    )
    allow_remote: Annotated[bool, Flag()] = Field(
        default=False, description="Accept an address that others can reach, although the API is plain HTTP."
    )
    allowed_hosts: Annotated[tuple[Annotated[str, Host()], ...], NO_LIST] = Field(
        default=(),
        max_length=32,
        description="Names, beside localhost and the address in 'listen', under which the API may be called: that of a "
        "TLS proxy before it, or a name that Prometheus uses. Requests for other names are answered 421. On an address "
        "that others can reach, an empty list allows any name.",
    )
    tokens: Annotated[tuple[TokenSettings, ...], NO_LIST] = Field(
        default=(),
        max_length=100,
        description="Who may use the API; without a token it serves health and metrics alone.",
    )
    connections: Annotated[int, Number(16, 10_000)] = Field(
        default=400,
        description="Connections at once. A quarter is kept for those that have sent nothing yet, half for known "
        "tokens and health. Beyond that, the one idle for longest is closed, those with a known token last.",
    )
    connections_per_address: Annotated[int | None, Number(1, 10_000, null=True)] = Field(
        default=None,
        description="Connections from one address without a known token; null: an eighth of 'connections'. "
        "Behind a proxy all come from its address.",
    )
    body_limit: Annotated[int, Number(1_024, 16_777_216)] = Field(
        default=65_536, description="The longest request body, in bytes."
    )
    request_rate: Annotated[int, Number(1, 10_000)] = Field(
        default=50, description="Requests per second and token. 50 items of a list count as one."
    )
    request_burst: Annotated[int, Number(1, 10_000)] = Field(
        default=100, description="Requests that a token may make at once before the rate holds it back."
    )
    request_timeout_ms: Annotated[int, Duration("500ms", "1m")] = Field(
        default=5_000, description="How long a request may take."
    )
    open_metrics: Annotated[bool, Flag()] = Field(
        default=True,
        description="Serve /metrics without a token; otherwise it needs one of role read. Health never needs one.",
    )


class LogSettings(Settings):
    """What fsacd writes to its standard error."""

    level: Annotated[str, Choice(("debug", "info", "warning", "error"))] = Field(
        default="info", description="The lowest level of the lines that are written."
    )
    format: Annotated[str, Choice(("json", "console"))] = Field(
        default="json", description="One JSON object a line for machines, or coloured lines for people."
    )
    number_digits: Annotated[int, Number(0, 32)] = Field(
        default=4, description="How many last digits of a caller's number are written; the others become stars."
    )


class JournalSettings(Settings):
    """The local directory that holds what entered the engine: a restarted daemon goes on where the last one stopped."""

    directory: Annotated[str | None, FILE] = Field(
        default=None,
        description="An absolute path on a disk of this machine; null: 'journal' in the service's own directory "
        "(systemd's StateDirectory). Where there is none either, a restart forgets who waits and who is logged in.",
    )
    snapshot_entries: Annotated[int, Number(100, 10_000_000)] = Field(
        default=20_000,
        description="After so many entries everything is written down anew, and what was before is removed; a restart "
        "has no more than so many to go through, 10,000 or more a second.",
    )
    snapshot_interval_ms: Annotated[int, Duration("15s", "1d")] = Field(
        default=300_000, description="The same after so long, if anything has happened."
    )


class LimitSettings(Settings):
    """Bounds over all queues."""

    calls: Annotated[int, Number(1, 200_000)] = Field(
        default=20_000, description="Calls at once; beyond that, a call is refused."
    )
    cancel_retry_ms: Annotated[int, Duration("20ms", "5s")] = Field(
        default=100, description="How often the order to end an agent's leg is repeated until the leg has ended."
    )
    connect_ms: Annotated[int, Duration("200ms", "30s")] = Field(
        default=1_500,
        description="How long connecting caller and agent may take before the switch is asked whether they are; "
        "after as long again the caller goes back to the queue.",
    )
    offer_grace_ms: Annotated[int, Duration("500ms", "1m")] = Field(
        default=5_000, description="How long after a ring's own timeout the switch may take to report its end."
    )
    settle_ms: Annotated[int, Duration("100ms", "10s")] = Field(
        default=1_000,
        description="An agent whose leg ends within this time has not talked: the caller keeps their place.",
    )
    switch_gone_ms: Annotated[int, Duration("1m", "1d")] = Field(
        default=600_000,
        description="A switch that has been away for this long is given up: its calls end in the history, agents who "
        "rang, talked or were busy there are free. What is still there when it comes back goes on.",
    )
    ringing: Annotated[int, Number(1, 1_000)] = Field(
        default=100, description="Agents who ring at once for one call, whatever its strategy says."
    )
    rank_pool: Annotated[int, Number(1, 10_000)] = Field(
        default=200, description="Agents who are shown to a strategy that ranks them: those idle for longest."
    )
    longest_wrap_up_ms: Annotated[int, Duration("1m", "1d")] = Field(
        default=3_600_000, description="Wrap-up that only the agent ends: after this long the agent becomes not ready."
    )
    late_codes_ms: Annotated[int, Duration("1m", "1d")] = Field(
        default=1_800_000,
        description="How long after the wrap-up its codes and note can still be set, until the agent's next one ends; "
        "and how long an agent whose talk lacks a required code is kept from being ready.",
    )
    counters_half_life_ms: Annotated[int, Duration("1m", "30d")] = Field(
        default=4 * 3_600_000,
        description="Time on duty after which an agent's past work counts half, for strategies that use it.",
    )
    last_agents: Annotated[int, Number(0, 1_000_000)] = Field(
        default=50_000, description="Callers whose last agent is remembered."
    )
    abandoned: Annotated[int, Number(0, 1_000_000)] = Field(
        default=10_000, description="Callers who hung up and whose places are kept (abandoned_resume)."
    )
    customers: Annotated[int, Number(1_000, 5_000_000)] = Field(
        default=200_000,
        description="Numbers of the database's customers by which callers are recognised; 100,000 take about 40 MB.",
    )
    decisions: Annotated[int, Number(0, 1_000_000)] = Field(
        default=10_000, description="Decisions that can be explained without the database."
    )
    plugin_call_ms: Annotated[int, Duration("1ms", "1s")] = Field(
        default=20,
        description="How much processor time a strategy or call order of your own may take for one answer before it is "
        "interrupted. By the clock it may take ten times that, and at least a second, as the processor may be busy.",
    )
    plugin_retry_ms: Annotated[int, Duration("1s", "1h")] = Field(
        default=10_000,
        description="A strategy or call order that has failed is tried again after this long; "
        "each further failure doubles it.",
    )
    plugin_retry_most_ms: Annotated[int, Duration("1s", "1d")] = Field(
        default=600_000,
        description="The longest such pause. A plugin that has worked for this long begins with plugin_retry again.",
    )

    def limits(self) -> Limits:
        """Give the limits as the engine takes them."""
        return Limits(
            calls=self.calls,
            cancel_retry_ms=self.cancel_retry_ms,
            connect_ms=self.connect_ms,
            offer_grace_ms=self.offer_grace_ms,
            settle_ms=self.settle_ms,
            switch_gone_ms=self.switch_gone_ms,
            ringing=self.ringing,
            rank_pool=self.rank_pool,
            longest_wrap_up_ms=self.longest_wrap_up_ms,
            late_codes_ms=self.late_codes_ms,
            counters_half_life_ms=self.counters_half_life_ms,
            last_agents=self.last_agents,
            abandoned=self.abandoned,
            decisions=self.decisions,
            plugin_retry_ms=self.plugin_retry_ms,
            plugin_retry_most_ms=self.plugin_retry_most_ms,
        )
