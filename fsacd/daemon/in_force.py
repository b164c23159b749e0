"""What a configuration means to the parts of the daemon that take it at a reload.

A reload makes it of the new file beside the calls (`reading`), so that nothing has to be worked out when it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fsacd.caller.hours import Hours
from fsacd.caller.number_plan import NumberPlan
from fsacd.caller.recognition import Customer, table
from fsacd.config.model import Config
from fsacd.core.rules import Rules
from fsacd.daemon import wiring
from fsacd.desk.rights import Places
from fsacd.esl.features import Member
from fsacd.http.access import Token
from fsacd.http.customer_forms import Terms

_AT_START: Final = ("switches", "api", "store", "journal", "log", "lease_ms", "instance", "number_plan")


@dataclass(frozen=True, slots=True)
class InForce:
    """A configuration, by what each part takes. `members` holds the agents' PINs: it is shown to nobody.

    `customers` are those of the file, by the identities of their numbers; `customers_refused` had no place.
    `at_next_start` names what has changed since the start and is not in force.
    """

    rules: Rules
    hours: Mapping[str, Hours]
    places: Places
    members: Mapping[str, Member]
    may_act_for_others: bool
    tokens: tuple[Token, ...]
    believes_unmarked: bool
    may_see: frozenset[str]
    agent_variables: frozenset[str]
    customers: Mapping[str, Customer]
    customers_refused: int
    customers_limit: int
    terms: Terms
    stop_ring_ms: int
    plugin_call_ms: int
    agent_figures: bool
    at_next_start: tuple[str, ...] = ()


def in_force(config: Config, started_with: Config, plan: NumberPlan) -> InForce:
    """What this configuration means to a daemon that has started with that one, and whose number plan this is."""
    customers, refused = table(config.known_customers(), config.limits.customers, plan.identity)
    return InForce(
        rules=config.rules(),
        hours=config.opening_hours(),
        places=config.places(),
        members=wiring.members(config),
        may_act_for_others=config.allow_acting_for_others,
        tokens=wiring.tokens(config),
        believes_unmarked=config.believe_numbers == "always",
        may_see=config.may_see(),
        agent_variables=config.agent_variables(),
        customers=customers,
        customers_refused=refused,
        customers_limit=config.limits.customers,
        terms=wiring.customer_terms(config),
        stop_ring_ms=config.stop_ring_ms,
        plugin_call_ms=config.limits.plugin_call_ms,
        agent_figures=config.agent_figures,
        at_next_start=needs_restart(started_with, config),
    )


def needs_restart(old: Config, new: Config) -> tuple[str, ...]:
    """The parts of the configuration that have changed and take effect at the next start only."""
    return tuple(part for part in _AT_START if _at_start(old, part) != _at_start(new, part))


def _at_start(config: Config, part: str) -> object:
    """The settings of this part of the configuration that take effect at the next start only, without the tokens."""
    return config.api.model_copy(update={"tokens": ()}) if part == "api" else getattr(config, part)
