"""The configuration as a model: every setting with its default, its limits and its description.

The names in the file are the fields' names without `_ms`: durations are written with a unit there, and kept as
milliseconds here. What concerns more than one setting is checked in `checks`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, SecretStr

from fsacd.caller.hours import Hours
from fsacd.caller.own_fields import FieldType, OwnFields
from fsacd.caller.recognition import Customer
from fsacd.config.blocks import NO_LIST, NO_NAMES, Settings
from fsacd.config.centre import AgentSettings, QueueSettings
from fsacd.config.customers import CallerNumber, CustomerSettings
from fsacd.config.forms import (
    AGENT,
    CREDENTIAL,
    DIRECTORY_USER,
    DOMAIN,
    ENVIRONMENT,
    FILE,
    NAME,
    SHA256,
    SYSTEM_USER,
    Address,
    AllowedContact,
    Contact,
    Host,
    Listen,
    Moment,
    contact_for,
)
from fsacd.config.history import StoreSettings
from fsacd.config.keeping import JournalSettings
from fsacd.config.kinds import Choice, Duration, Flag, Number, Secret
from fsacd.config.number_plan import NumberPlanSettings
from fsacd.config.opening import HoursSettings
from fsacd.config.own_fields import OwnFieldSettings
from fsacd.config.targets import TargetSettings
from fsacd.core.rules import AgentRules, Limits, PhoneRules, QueueRules, Rules
from fsacd.desk.rights import Places, Role


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
        description="Log in as this user of FreeSWITCH's directory (userauth). The rights given there keep mistakes "
        "away; the password is worth the whole switch all the same.",
    )
    allow_remote: Annotated[bool, Flag()] = Field(
        default=False, description="Accept a host other than this machine, although Event Socket is not encrypted."
    )
    allow_default_password: Annotated[bool, Flag()] = Field(
        default=False, description="Accept a password that everybody knows: ClueCon, or the one in fsacd's own files."
    )
    respect_outside_calls: Annotated[bool, Flag()] = Field(
        default=True,
        description="Do not ring agents who are in a call of their own there, be it that they dial out or are called.",
    )
    require_ack: Annotated[str, Choice(("never", "strangers", "always"))] = Field(
        default="strangers",
        description="Whose call is taken only when its caller has acknowledged the answer (SIP's ACK), some 20 to 40 "
        "ms later. Who sends calls in the name of an address that is not theirs never does. Calls from an address that "
        "has acknowledged lately are no strangers': they are taken at once, and ended after 5 s if nobody does.",
    )
    wake_up_ms: Annotated[int, Duration("0s", "20ms")] = Field(
        default=3,
        description="How often to wake the event connection during calls, so that events come at once; 0s: never.",
    )
    heartbeat_timeout_ms: Annotated[int, Duration("5s", "10m")] = Field(
        default=50_000, description="Reconnect after so long without a heartbeat; FreeSWITCH sends one every 20 s."
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
        default=2_000, description="How many commands may await their answers; beyond, a command is not sent."
    )
    probe_interval_ms: Annotated[int, Duration("500ms", "5m")] = Field(
        default=1_000, description="How often FreeSWITCH is made to speak; it measures the delay of events, too."
    )
    silence_timeout_ms: Annotated[int, Duration("1s", "5m")] = Field(
        default=3_500, description="Reconnect when FreeSWITCH, made to speak, has said nothing at all for so long."
    )
    fence_term_ms: Annotated[int, Duration("0s", "5m")] = Field(
        default=10_000,
        description="How long after its last renewal this daemon's right to serve the switch holds; then another "
        "daemon may take over. 0s: no such right is asked for, and there must never be a second daemon.",
    )
    fence_renewal_ms: Annotated[int, Duration("200ms", "1m")] = Field(
        default=2_500, description="How often that right is renewed; a third of its term at most."
    )
    recovery_wait_ms: Annotated[int, Duration("0s", "30s")] = Field(
        default=2_000,
        description="When the switch has crashed, how long to wait for the next call that it recovers (its start must "
        "run sofia recover) before those that are still missing are counted as lost; a minute in all at most.",
    )
    reconcile_interval_ms: Annotated[int, Duration("1s", "1h")] = Field(
        default=30_000, description="How often fsacd compares what it believes with what the switch says."
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
        description="What its bearer may do; each role may do all that the ones before it may. "
        + " ".join(f"{role}: {'; '.join(verb.says for verb in role.own)}." for role in Role),
    )
    agent: Annotated[tuple[Annotated[str, AGENT], ...], BeforeValidator(_one_or_more)] = Field(
        default=(),
        max_length=1_000,
        description="For whom a token of the role agent acts, and for nobody else: an agent's id, or a list of some.",
    )
    expires: Annotated[float | None, Moment()] = Field(
        default=None,
        description="From this moment on the token is refused: a date, from its beginning in UTC, or a moment like "
        "2027-01-31T18:00:00+01:00; null: it holds until it is taken out and the file reloaded.",
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
        default=None, description="The SHA-256 sum of the token, so that the token itself stands nowhere here."
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
        "that others can reach, none here means any.",
    )
    tokens: Annotated[tuple[TokenSettings, ...], NO_LIST] = Field(
        default=(),
        max_length=100,
        description="Who may use the API; without a token it serves health and metrics alone.",
    )
    connections: Annotated[int, Number(16, 10_000)] = Field(
        default=400,
        description="Connections at once. A quarter is kept for those that have said nothing yet, half for known "
        "tokens and health. Beyond, whoever has been idle for longest is sent away, those with a known token last.",
    )
    connections_per_address: Annotated[int | None, Number(1, 10_000, null=True)] = Field(
        default=None,
        description="Connections from one address without a known token; null: an eighth of 'connections'. "
        "Behind a proxy all come from its address.",
    )
    body_limit: Annotated[int, Number(1_024, 16_777_216)] = Field(
        default=65_536, description="The longest request body, in bytes."
    )
    request_rate: Annotated[int, Number(1, 10_000)] = Field(default=50, description="Requests per second and token.")
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
        default="info", description="The least important lines that are written."
    )
    format: Annotated[str, Choice(("json", "console"))] = Field(
        default="json", description="One JSON object a line for machines, or coloured lines for people."
    )
    number_digits: Annotated[int, Number(0, 32)] = Field(
        default=4, description="How many last digits of a caller's number are written; the others become stars."
    )


class LimitSettings(Settings):
    """Bounds over all queues."""

    calls: Annotated[int, Number(1, 200_000)] = Field(
        default=20_000, description="Calls at once; beyond, a call is refused."
    )
    cancel_retry_ms: Annotated[int, Duration("20ms", "5s")] = Field(
        default=100, description="How often the order to end an agent's leg is repeated until the leg has ended."
    )
    connect_ms: Annotated[int, Duration("200ms", "30s")] = Field(
        default=1_500,
        description="How long connecting caller and agent may take before the switch is asked for it; "
        "after as long again the caller goes back to the queue.",
    )
    offer_grace_ms: Annotated[int, Duration("500ms", "1m")] = Field(
        default=5_000, description="How long after a ring's own timeout the switch may take to report its end."
    )
    settle_ms: Annotated[int, Duration("100ms", "10s")] = Field(
        default=1_000,
        description="An agent who is gone within this time has not talked: his caller keeps his place in the queue.",
    )
    ringing: Annotated[int, Number(1, 1_000)] = Field(
        default=100, description="Agents who ring at once for one call, whatever its strategy says."
    )
    rank_pool: Annotated[int, Number(1, 10_000)] = Field(
        default=200, description="Agents who are shown to a strategy that compares them, those idle for longest."
    )
    longest_wrap_up_ms: Annotated[int, Duration("1m", "1d")] = Field(
        default=3_600_000, description="Wrap-up that only the agent ends: after so long he is not ready."
    )
    counters_half_life_ms: Annotated[int, Duration("1m", "30d")] = Field(
        default=4 * 3_600_000,
        description="What an agent has done counts half after so long on duty, for strategies that go by it.",
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
        description="How much processor time a strategy or call order of your own may take for one answer before it "
        "is interrupted; by the clock, as others may need the processor, ten times that, and at least a second.",
    )
    plugin_retry_ms: Annotated[int, Duration("1s", "1h")] = Field(
        default=10_000,
        description="A strategy or call order that has failed is tried again after so long; "
        "each further failure doubles it.",
    )
    plugin_retry_most_ms: Annotated[int, Duration("1s", "1d")] = Field(
        default=600_000,
        description="But no later than this; one that has worked for so long begins anew.",
    )

    def limits(self) -> Limits:
        """Give the limits as the engine takes them."""
        return Limits(
            calls=self.calls,
            cancel_retry_ms=self.cancel_retry_ms,
            connect_ms=self.connect_ms,
            offer_grace_ms=self.offer_grace_ms,
            settle_ms=self.settle_ms,
            ringing=self.ringing,
            rank_pool=self.rank_pool,
            longest_wrap_up_ms=self.longest_wrap_up_ms,
            counters_half_life_ms=self.counters_half_life_ms,
            last_agents=self.last_agents,
            abandoned=self.abandoned,
            decisions=self.decisions,
            plugin_retry_ms=self.plugin_retry_ms,
            plugin_retry_most_ms=self.plugin_retry_most_ms,
        )


class Config(Settings):
    """The whole configuration of one daemon."""

    instance: Annotated[str, NAME] = Field(
        default="fsacd", description="The name of this daemon, in logs and in the history."
    )
    switches: Annotated[dict[Annotated[str, NAME], SwitchSettings], NO_NAMES] = Field(
        default={}, max_length=32, description="The FreeSWITCH servers, each by a name of your choice; at least one."
    )
    lease_ms: Annotated[int, Duration("15s", "1h")] = Field(
        default=60_000,
        description="How long callers go on waiting when the daemon is gone, before they take the dialplan's fallback.",
    )
    stop_ring_ms: Annotated[int, Duration("0s", "10s")] = Field(
        default=0,
        description="When fsacd is stopped, how long phones that ring may go on ringing for an answer; 0s: not at all. "
        "Its callers wait for the next daemon in any case.",
    )
    api: ApiSettings = Field(default=ApiSettings(), description="The HTTP API, the metrics and the health pages.")
    store: StoreSettings | None = Field(
        default=None, description="The PostgreSQL database that keeps the history; null: none is kept."
    )
    journal: JournalSettings = Field(
        default=JournalSettings(), description="The local directory that holds what entered the engine."
    )
    log: LogSettings = Field(default=LogSettings(), description="What fsacd writes to its standard error.")
    limits: LimitSettings = Field(default=LimitSettings(), description="Bounds over all queues.")
    skills: Annotated[tuple[Annotated[str, NAME], ...], NO_LIST] = Field(
        default=(),
        max_length=1_000,
        description="The skills there are; when given, any other skill is taken for a slip of the pen.",
    )
    strategy_path: Annotated[tuple[Annotated[str, FILE], ...], NO_LIST] = Field(
        default=(),
        max_length=20,
        description="Directories with strategies and call orders of your own; a relative path starts at this file's "
        "directory. They must belong to root or to fsacd's user, and nobody else may write to them.",
    )
    hours: Annotated[dict[Annotated[str, NAME], HoursSettings], NO_NAMES] = Field(
        default={}, max_length=1_000, description="Opening hours, each by a name that queues use in their 'hours'."
    )
    defaults: QueueSettings = Field(
        default=QueueSettings(), description="What holds for every queue that does not say otherwise."
    )
    queues: Annotated[dict[Annotated[str, NAME], QueueSettings], NO_NAMES] = Field(
        default={},
        max_length=5_000,
        description="The queues, each by the name that the dialplan puts into fsacd_queue.",
    )
    when_queue_removed: TargetSettings | None = Field(
        default=None,
        description="Where the callers go whose queue a reload takes away, and no other queue has as 'was': {queue: "
        "NAME}, {extension: NUMBER} or {hangup: CAUSE}; null: while callers wait there, such a reload is refused.",
    )
    agent_contact: Annotated[str, Contact(template=True)] = Field(
        default="user/{agent}",
        description="The contact of every agent that has none of their own; {agent} stands for the id.",
    )
    allowed_contacts: Annotated[tuple[Annotated[str, AllowedContact()], ...], NO_LIST] = Field(
        default=(),
        max_length=1_000,
        description="Where agents may be rung who log in elsewhere than at the configured contact of an agent; "
        "nobody, whatever their role, can have them rung anywhere else. * stands for letters, digits, '_', '.' and "
        "'-', {agent} for the id: [user/desk*, \"user/{agent}@home.example.com\"]. A * behind sofia/gateway/ is any "
        "number that costs money.",
    )
    one_phone_refuses: Annotated[str, Choice(("others_ring_on", "ends_ring"))] = Field(
        default="others_ring_on",
        description="What it means that one of several phones of an agent refuses or is busy, be they devices of one "
        "user or phones of one contact. others_ring_on: the agent has refused when all have; ends_ring: at once.",
    )
    follow_diversions: Annotated[str | None, Contact(template=True, placeholder="{number}", null=True)] = Field(
        default=None,
        description="Where a ring goes on, once, when the agent's only phone diverts it (SIP 302): a contact in which "
        "{number} stands for the number that the phone names, like sofia/gateway/pstn/{number}; the phone chooses what "
        "is dialled there. [confirm_key=1] before it keeps callers off a private voicemail. null: a diversion counts "
        "as refused.",
    )
    agent_domain: Annotated[str | None, DOMAIN] = Field(
        default=None,
        description="The domain of FreeSWITCH's directory that the agents' phones authenticate in, for ids without "
        "one; a phone of another domain is not that agent's. null: the one that the agent's contact names, else the "
        "switch's own (its global variable domain).",
    )
    agents: Annotated[dict[Annotated[str, AGENT], AgentSettings], NO_NAMES] = Field(
        default={},
        max_length=50_000,
        description="The agents, each by their id: the SIP user that their phone authenticates as, where there are "
        "several domains with the domain, like 1001@pbx.example.com.",
    )
    customers: Annotated[dict[Annotated[str, CallerNumber()], CustomerSettings], NO_NAMES] = Field(
        default={},
        max_length=10_000,
        description="Customers, each by his number (spaces and dashes in it mean nothing); more of them, and such as "
        "come and go, are kept in the database: `fsacd customer create`.",
    )
    customer_fields: Annotated[dict[Annotated[str, NAME], OwnFieldSettings], NO_NAMES] = Field(
        default={},
        max_length=100,
        description="What customers in the database have beside name, numbers and treatment, each by a name of your "
        "choice: {contract: text, since: date}. What is taken out here is shown no more, and stays in the database.",
    )
    believe_numbers: Annotated[str, Choice(("always", "when_marked"))] = Field(
        default="always",
        description="Whether a caller's number is taken for his own where the dialplan does not say so by "
        "fsacd_number_believed. Anybody can claim any number, unless a trunk or a password vouches for it: with "
        "when_marked nobody is recognised by a number that is not marked.",
    )
    number_plan: NumberPlanSettings = Field(
        default=NumberPlanSettings(), description="How callers' numbers are read, and which of them are nobody's."
    )
    allow_acting_for_others: Annotated[bool, Flag()] = Field(
        default=True, description="Let an agent use a feature code for another agent who has a PIN, by that PIN."
    )

    def queue(self, name: str) -> QueueSettings:
        """Give a queue's settings, the defaults filled in. Raises KeyError for an unknown queue."""
        return self.queues[name].over(self.defaults)

    def queue_rules(self, name: str) -> QueueRules:
        """Give one queue's rules as the engine takes them. Raises KeyError for an unknown queue."""
        return self.queue(name).rules(name)

    def agent_rules(self, agent_id: str) -> AgentRules:
        """Give one agent as the engine takes him. Raises KeyError for an unknown agent."""
        agent = self.agents[agent_id]
        contact = agent.contact if agent.contact is not None else contact_for(self.agent_contact, agent_id)
        switch = agent.switch if agent.switch is not None else next(iter(self.switches), "")
        phone = PhoneRules(self.one_phone_refuses == "ends_ring", self.follow_diversions or "")
        return agent.rules(agent_id, contact=contact, switch=switch, phone=phone)

    def agent_domains(self) -> Mapping[str, str]:
        """Give the domain of each agent who is in one by their id or by `agent_domain`."""
        domains = {agent_id: agent_id.partition("@")[2] or self.agent_domain or "" for agent_id in self.agents}
        return MappingProxyType({agent_id: domain for agent_id, domain in domains.items() if domain})

    def places(self) -> Places:
        """Give the places where agents may be rung."""
        return Places(
            MappingProxyType({agent_id: self.agent_rules(agent_id).contact for agent_id in self.agents}),
            self.allowed_contacts,
            MappingProxyType(
                {agent_id: agent.allowed_contacts for agent_id, agent in self.agents.items() if agent.allowed_contacts}
            ),
        )

    def opening_hours(self) -> Mapping[str, Hours]:
        """Give the hours of every queue that has any, by queue."""
        named = {name: hours.hours() for name, hours in self.hours.items()}
        chosen = {name: self.queue(name).hours for name in self.queues}
        return MappingProxyType({queue: named[name] for queue, name in chosen.items() if name is not None})

    def may_see(self) -> frozenset[str]:
        """Give the queues whose agents may see a number that its caller wants hidden."""
        return frozenset(name for name in self.queues if self.queue(name).show_withheld)

    def agent_variables(self) -> frozenset[str]:
        """Give all entries of the queues' lists of variables that go along to agents' legs."""
        return frozenset(entry for name in self.queues for entry in self.queue(name).agent_variables)

    def known_customers(self) -> tuple[Customer, ...]:
        """Give the customers as recognition takes them."""
        return tuple(settings.customer(number) for number, settings in self.customers.items())

    def own_fields(self) -> OwnFields:
        """Give the fields that customers have beside ours."""
        return {name: FieldType(field.type) for name, field in self.customer_fields.items()}

    def rules(self) -> Rules:
        """Give everything that the engine is told by this configuration."""
        return Rules(
            queues=MappingProxyType({name: self.queue_rules(name) for name in self.queues}),
            agents=MappingProxyType({agent_id: self.agent_rules(agent_id) for agent_id in self.agents}),
            limits=self.limits.limits(),
            when_queue_removed=None if self.when_queue_removed is None else self.when_queue_removed.target(),
        )
