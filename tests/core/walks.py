"""Random walks: an adversary's deeds drawn by one die, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from types import MappingProxyType

from fsacd.core import events as e
from fsacd.core.rules import Rules
from tests.core.acts import ACTS, WEIGHTS, act
from tests.core.adversary import Adversary
from tests.core.centres import AGENTS, Pick, build_rules

# What a number must hold for all that rules may say to be drawn from it.
RULES_BITS = 660
# What any other deed draws from.
_DEED_BITS = 40
_NAMES = [name for name, done in ACTS.items() for _ in range(WEIGHTS[done])]


# What one of their items takes of an agent. Two of either may be held at once, a phone call beside none.
SHARES = MappingProxyType({"sales": ("chat", 40), "vip": ("mail", 25)})


def weighed(rules: Rules) -> Rules:
    """The same rules, where some queues hold no phone calls."""
    queues = {
        name: replace(queue, channel=SHARES[name][0], weight=SHARES[name][1]) if name in SHARES else queue
        for name, queue in rules.queues.items()
    }
    return replace(rules, queues=MappingProxyType(queues))


def rules_of_chance(dice: Random) -> Rules:
    """One of many small call centres."""
    return build_rules(Pick(dice.getrandbits(RULES_BITS)))


def at_work(adversary: Adversary) -> Adversary:
    """All agents log in."""
    for agent_id in AGENTS:
        adversary.tell(e.AgentLoggedIn(agent_id, "test"))
    return adversary


def deeds(adversary: Adversary, dice: Random) -> Callable[[], None]:
    """What does the adversary's next deed, each time that it is called."""

    def deed() -> None:
        name = dice.choice(_NAMES)
        act(adversary, name, dice.getrandbits(RULES_BITS if name == "rules_change" else _DEED_BITS))

    return deed


def walk(adversary: Adversary, dice: Random, acts: int) -> Adversary:
    """So many deeds."""
    deed = deeds(adversary, dice)
    for _ in range(acts):
        deed()
    return adversary
