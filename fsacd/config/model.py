"""The configuration as a model: every setting with its default, its limits and its description.

The names in the file are the fields' names without `_ms`: durations are written with a unit there, and kept as
milliseconds here. Checks of more than one setting are in `checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from fsacd.caller.hours import Hours
from fsacd.caller.own_fields import FieldType, OwnFields
from fsacd.caller.recognition import Customer
from fsacd.config.agents import AgentSettings
from fsacd.config.blocks import NO_LIST, NO_NAMES, Settings
from fsacd.config.centre import QueueSettings
from fsacd.config.choices import CodeTreeSettings, ReasonTreeSettings, choices
from fsacd.config.customers import CallerNumber, CustomerSettings
from fsacd.config.forms import (
    AGENT,
    DOMAIN,
    FILE,
    NAME,
    AllowedContact,
    Contact,
    contact_for,
)
from fsacd.config.history import StoreSettings
from fsacd.config.hours import HoursSettings
from fsacd.config.kinds import Choice, Duration, Flag
from fsacd.config.number_plan import NumberPlanSettings
from fsacd.config.own_fields import OwnFieldSettings
from fsacd.config.settings import ApiSettings, JournalSettings, LimitSettings, LogSettings, SwitchSettings
from fsacd.config.targets import TargetSettings
from fsacd.core.rules import AgentRules, PhoneRules, QueueRules, Rules
from fsacd.desk.rights import Places


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
        description="How long callers go on waiting while no daemon runs, before they take the dialplan's fallback.",
    )
    stop_ring_ms: Annotated[int, Duration("0s", "10s")] = Field(
        default=0,
        description="How long ringing phones may go on ringing for an answer when fsacd is stopped; 0s: not at all. "
        "Waiting callers wait for the next daemon in any case.",
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
        description="The skills that there are; when given, any other skill in this file is an error.",
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
        default=QueueSettings(), description="The settings of every queue that does not set its own."
    )
    queues: Annotated[dict[Annotated[str, NAME], QueueSettings], NO_NAMES] = Field(
        default={},
        max_length=5_000,
        description="The queues, each by the name that the dialplan puts into fsacd_queue.",
    )
    wrap_up_codes: Annotated[dict[Annotated[str, NAME], CodeTreeSettings], NO_NAMES] = Field(
        default={},
        max_length=100,
        description="What can come of a talk: codes that agents give it, each by an id of your choice, like "
        '{complaint: {name: Complaint, digits: "2"}}, or below a heading: {sale: {name: Sale, codes: {new: {digits: '
        '"11"}}}}. '
        "An agent at a phone dials *36 and the digits. At most 500.",
    )
    not_ready_reasons: Annotated[dict[Annotated[str, NAME], ReasonTreeSettings], NO_NAMES] = Field(
        default={},
        max_length=100,
        description='Why agents are not ready, each by an id of your choice: {lunch: {name: Lunch, digits: "1"}}, or '
        "below a heading: {training: {reasons: {sales: Sales training}}}. When given, every agent who asks for a break "
        "gives one of these; otherwise any text. At a phone they dial *34 and the digits. At most 500.",
    )
    when_queue_removed: TargetSettings | None = Field(
        default=None,
        description="Where callers go when a reload removes their queue and no other queue names it in 'was': {queue: "
        "NAME}, {extension: NUMBER} or {hangup: CAUSE}; null: while callers wait there, such a reload is refused.",
    )
    agent_contact: Annotated[str, Contact(template=True)] = Field(
        default="user/{agent}",
        description="The contact of every agent that has none of their own; {agent} stands for the id.",
    )
    allowed_contacts: Annotated[tuple[Annotated[str, AllowedContact()], ...], NO_LIST] = Field(
        default=(),
        max_length=1_000,
        description="Contacts at which agents may be rung when they log in elsewhere than at an agent's configured "
        "contact; no role can have them rung anywhere else. * stands for letters, digits, '_', '.' and '-', {agent} "
        'for the id: [user/desk*, "user/{agent}@home.example.com"]. A * behind sofia/gateway/ allows any number, '
        "also those that cost money.",
    )
    one_phone_refuses: Annotated[str, Choice(("others_ring_on", "ends_ring"))] = Field(
        default="others_ring_on",
        description="What happens when one of several phones of an agent (devices of one user, phones of one contact) "
        "refuses or is busy. others_ring_on: the agent has refused when all have; ends_ring: at once.",
    )
    follow_diversions: Annotated[str | None, Contact(template=True, placeholder="{number}", null=True)] = Field(
        default=None,
        description="The contact that is rung, once, when the agent's only phone diverts a ring (SIP 302). {number} "
        "stands for the number that the phone names, like sofia/gateway/pstn/{number}, so the phone chooses what is "
        "dialled there. [confirm_key=1] before it keeps callers off a private voicemail. null: a diversion counts "
        "as refused.",
    )
    agent_media_timeout_ms: Annotated[int, Duration("0s", "1h")] = Field(
        default=0,
        description="When an agent's phone has sent no sound for so long, from 1s to 1h, their connection is lost: the "
        "switch ends their leg, the caller goes back to the head of the queue, and the agent is not ready "
        "(connection_lost). 5s suits phones in browsers. A phone that sends nothing while it is muted needs more. "
        "0s: off.",
    )
    agent_domain: Annotated[str | None, DOMAIN] = Field(
        default=None,
        description="The domain of FreeSWITCH's directory in which the phones of agents authenticate whose id has no "
        "domain; a phone of another domain is not that agent's. null: the domain in the agent's contact, else the "
        "switch's own (its global variable domain).",
    )
    agents: Annotated[dict[Annotated[str, AGENT], AgentSettings], NO_NAMES] = Field(
        default={},
        max_length=50_000,
        description="The agents, each by their id: the SIP user that their phone authenticates as, with the domain "
        "where there are several, like 1001@pbx.example.com.",
    )
    agent_figures: Annotated[bool, Flag()] = Field(
        default=True,
        description="Whether anybody gets figures by agent. off, where the law or an agreement with the staff forbids "
        "them: reports name no agent, exports of a span of time neither, explanations tell no counters, and the log "
        "does not say who talked for how long. What agents do at the moment is shown all the same: nobody could be "
        "rung, and nobody helped, without.",
    )
    customers: Annotated[dict[Annotated[str, CallerNumber()], CustomerSettings], NO_NAMES] = Field(
        default={},
        max_length=10_000,
        description="Customers, each by their number (spaces and dashes do not matter). Many customers, or customers "
        "who change often, are better kept in the database: `fsacd customer create`.",
    )
    customer_fields: Annotated[dict[Annotated[str, NAME], OwnFieldSettings], NO_NAMES] = Field(
        default={},
        max_length=100,
        description="Own fields of customers in the database, beside name, numbers and treatment, each by a name of "
        "your choice: {contract: text, since: date}. A field removed here is not shown, but stays in the database.",
    )
    believe_numbers: Annotated[str, Choice(("always", "when_marked"))] = Field(
        default="always",
        description="Whether a number is believed to be the caller's own where the dialplan does not say so by "
        "fsacd_number_believed. Anybody can claim any number, unless a trunk or a password vouches for it: with "
        "when_marked, nobody is recognised by an unmarked number.",
    )
    number_plan: NumberPlanSettings = Field(
        default=NumberPlanSettings(), description="How callers' numbers are compared, and which of them are nobody's."
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
        """Give one agent's rules as the engine takes them. Raises KeyError for an unknown agent."""
        agent = self.agents[agent_id]
        contact = agent.contact if agent.contact is not None else contact_for(self.agent_contact, agent_id)
        own_ms = agent.media_timeout_ms
        silent_ms = self.agent_media_timeout_ms if own_ms is None else own_ms
        phone = PhoneRules(self.one_phone_refuses == "ends_ring", self.follow_diversions or "", silent_ms)
        return agent.rules(agent_id, contact=contact, among=tuple(self.switches), phone=phone)

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
        """Give the own fields of customers."""
        return {name: FieldType(field.type) for name, field in self.customer_fields.items()}

    def rules(self) -> Rules:
        """Give this configuration's rules for the engine."""
        return Rules(
            queues=MappingProxyType({name: self.queue_rules(name) for name in self.queues}),
            agents=MappingProxyType({agent_id: self.agent_rules(agent_id) for agent_id in self.agents}),
            limits=self.limits.limits(),
            when_queue_removed=None if self.when_queue_removed is None else self.when_queue_removed.target(),
            wrap_up_codes=choices(self.wrap_up_codes),
            not_ready_reasons=choices(self.not_ready_reasons),
        )
