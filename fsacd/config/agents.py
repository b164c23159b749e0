"""The settings of an agent, in an operator's words, and the rules made of them."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, SecretStr
from typing_extensions import override

from fsacd.config.blocks import NAMES, NO_LIST, NO_NAMES, Settings
from fsacd.config.forms import CREDENTIAL, ENVIRONMENT, FILE, NAME, AllowedContact, Contact
from fsacd.config.kinds import Duration, Flag, Number, Secret, Text
from fsacd.config.problems import wrong
from fsacd.config.routing import Levels, NotReadyAfterSettings, OwnHoldBackSettings, WrapUpSettings
from fsacd.core.rules import AgentRules, OwnPauses, PhoneRules, Service
from fsacd.core.skills import levels_of
from fsacd.process.quoting import shown


class ServiceSettings(Settings):
    """How an agent serves one queue."""

    INLINE = True
    EXPECTS = "a rank like 1 or {rank: 1, delay: 20s, backup: true, weight: 3}"

    rank: Annotated[int, Number(1, 1_000)] = Field(
        default=1, description="The agent's order of preference; 1 before 2."
    )
    delay_ms: Annotated[int, Duration("0s", "1d")] = Field(
        default=0,
        description="The agent takes only calls of the queue that have waited this long; see the queue's "
        "no_agent_no_delay.",
    )
    backup: Annotated[bool, Flag()] = Field(
        default=False, description="The agent is backup: they take only calls that a step has opened to the backup."
    )
    weight: Annotated[int, Number(1, 100)] = Field(
        default=1, description="The agent's share of the calls, for strategies that give shares."
    )

    @classmethod
    @override
    def short_form(cls, value: object) -> object:
        # A number alone is the rank.
        return {"rank": value} if isinstance(value, str | int) else value

    def service(self) -> Service:
        """Give it as the engine takes it."""
        return Service(self.rank, self.delay_ms, self.backup, self.weight)


def _queues_of_agent(value: object) -> object:
    """Turn the list [support, sales] into the blocks {support: , sales: }, each with rank 1."""
    if not isinstance(value, list | tuple):
        return value
    seen: dict[str, Any] = {}
    for name in value:
        if not isinstance(name, str):
            raise wrong(f"expected the name of a queue, got {shown(name)}")
        if name in seen:
            raise wrong(f"queue {shown(name)} is listed twice")
        seen[name] = None
    return seen


class AgentSettings(Settings):
    """One agent."""

    SECRETS: ClassVar[dict[str, tuple[str, ...]]] = {"pin": ("pin", "pin_file", "pin_env", "pin_credential")}

    name: Annotated[str, Text("a name")] = Field(default="", description="The agent's name, for people.")
    contact: Annotated[str | None, Contact(null=True)] = Field(
        default=None,
        description="Where the agent's phone is rung, like user/1001@example.com; null: as agent_contact says.",
    )
    allowed_contacts: Annotated[tuple[Annotated[str, AllowedContact()], ...], NO_LIST] = Field(
        default=(),
        max_length=50,
        description="Other contacts at which this agent may log in and be rung, written as in allowed_contacts.",
    )
    switch: Annotated[tuple[Annotated[str, NAME], ...], NAMES] = Field(
        default=(),
        max_length=32,
        description="The switch at which the agent's phone registers, needed only where there are several; or a list, "
        "like [fs1, fs2], where these share their registrations. Calls on other switches do not ring the agent, unless "
        "one phone of their contact is an address (sofia/internal/1001@192.0.2.10), a gateway or loopback.",
    )
    pin: Annotated[SecretStr | None, Secret("a PIN of digits", longest=16, shortest=4, pattern="[0-9]*")] = Field(
        default=None, description="Lets others use feature codes for this agent; without a PIN nobody else can."
    )
    pin_file: Annotated[str | None, FILE] = Field(default=None, description="A file that holds the PIN.")
    pin_env: Annotated[str | None, ENVIRONMENT] = Field(
        default=None, description="An environment variable that holds the PIN."
    )
    pin_credential: Annotated[str | None, CREDENTIAL] = Field(
        default=None, description="A systemd credential (LoadCredential=) that holds the PIN."
    )
    queues: Annotated[dict[Annotated[str, NAME], ServiceSettings], BeforeValidator(_queues_of_agent), NO_NAMES] = Field(
        default={},
        max_length=500,
        description="The agent's queues, by rank: [support, sales], {support: 1, sales: 2} or "
        "{support: {rank: 1, delay: 9s}}.",
    )
    skills: Levels = Field(
        default={},
        max_length=200,
        description="What the agent can do, with levels 1 to 10 (10 best), like {german: 8}.",
    )
    wrap_up: WrapUpSettings | None = Field(
        default=None,
        description="This agent's wrap-up (ACW) in the place of the queue's: 30s, or {ends: by_agent}; null: as the "
        "queue says.",
    )
    hold_back: OwnHoldBackSettings = Field(
        default=OwnHoldBackSettings(),
        description="How long this agent is not rung again after an offer that came to nothing.",
    )
    not_ready_after: NotReadyAfterSettings | None = Field(
        default=None,
        description="After how many offers in a row that came to nothing this agent becomes not ready, written as for "
        "queues; null: as the queue says.",
    )
    media_timeout_ms: Annotated[int | None, Duration("0s", "1h", null=True)] = Field(
        default=None,
        description="After how long without sound from this agent's phone their connection is lost, from 1s to 1h; "
        "0s: never; null: as agent_media_timeout says.",
    )
    standing_leg: Annotated[bool, Flag()] = Field(
        default=False,
        description="The agent's phone is rung once, when they log in, and stays answered until they log out: each of "
        "their calls comes after a short tone, without ringing. For agents on public numbers, whose dialling takes "
        'seconds; see README, "Standing legs". Their contact is one phone, and their switch one.',
    )
    login_at_start: Annotated[bool, Flag()] = Field(
        default=False, description="Logged in and ready when the daemon starts, for phones that are always staffed."
    )

    def rules(self, agent_id: str, *, contact: str, among: tuple[str, ...], phone: PhoneRules) -> AgentRules:
        """Give the agent's rules as the engine takes them; `among` are all switches."""
        services = {name: service.service() for name, service in self.queues.items()}
        return AgentRules(
            agent_id=agent_id,
            name=self.name,
            contact=contact,
            switch=next(iter(self.switch or among), ""),
            queues=MappingProxyType(services),
            skills=levels_of(self.skills),
            phone=phone,
            own=self._own(),
            # Where all switches reach the agent there is nothing to be looked at.
            switches=() if set(self.switch) >= set(among) else self.switch,
            standing_leg=self.standing_leg,
        )

    def _own(self) -> OwnPauses:
        wrap_up = self.wrap_up if self.wrap_up is not None else WrapUpSettings()
        given = wrap_up.model_fields_set
        return OwnPauses(
            wrap_up_ms=wrap_up.time_ms if "time_ms" in given else None,
            wrap_up=wrap_up.mode() if "ends" in given else None,
            hold_back_ms=self.hold_back.times(),
            not_ready_after=self.not_ready_after.limits() if self.not_ready_after is not None else MappingProxyType({}),
        )
