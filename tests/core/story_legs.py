"""The language of the stories for switches and for the standing legs of agents there.

switch fs1 connected                or lost, restarted, taken, held 7
leg 1001 stands                     the latest leg of theirs is answered; `stands back`: it has just come there
leg 1001 stands another             a leg stands that an earlier daemon has rung
leg 1001 ends                       or `ends silent`, `ends unsent`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.views import Step
from tests.core.story_rules import StoryError


def switch_fact(switch: str, words: list[str]) -> e.Event:
    """A fact about a switch."""
    match words:
        case ["held", epoch]:
            return e.SwitchHeld(switch, int(epoch))
        case ["connected"]:
            return e.SwitchConnected(switch)
        case ["lost"]:
            return e.SwitchLost(switch)
        case ["restarted"]:
            return e.SwitchRestarted(switch)
        case ["taken"]:
            return e.SwitchTaken(switch)
    raise StoryError(f"no fact of a switch: {' '.join(words)}")


def leg_fact(agent_id: str, words: list[str], steps: Iterable[Step]) -> e.StandingEvent:
    """A fact about an agent's standing leg: the latest that was rung in these steps."""
    rung = [c for step in steps for c in step.commands if isinstance(c, k.RingStandingLeg) and c.agent_id == agent_id]
    leg = e.Leg("fs1", f"leg-{agent_id}-another" if "another" in words else rung[-1].leg)
    match [word for word in words if word != "another"]:
        case ["stands", *back] if back in ([], ["back"]):
            return e.StandingLegUp(agent_id, leg, bool(back))
        case ["ends", *how] if how in ([], ["silent"], ["unsent"]):
            return e.StandingLegEnded(leg, "NORMAL_CLEARING", silent=how == ["silent"], sent=how != ["unsent"])
    raise StoryError(f"no fact of a standing leg: {' '.join(words)}")


def tell_leg(command: k.StandingCommand, known: dict[str, str]) -> str:
    """A command about a standing leg; `known` are the legs' names."""
    match command:
        case k.RingStandingLeg():
            known[command.leg] = f"the leg of {command.agent_id}"
            silent = f", ends when silent for {command.media_timeout_ms / 1000:g}s" if command.media_timeout_ms else ""
            return f"ring {command.agent_id} at {command.contact} on {command.switch} to stand{silent}"
        case k.ReturnStandingLeg(leg):
            return f"return {known.get(leg, leg)}"
        case k.EndStandingLeg(leg):
            return f"end {known.get(leg, leg)}"


def tell_trouble(record: r.Anomaly | r.StandingLegLost, named: Callable[[str], str]) -> str:
    """A record of what should not have happened; `named` replaces ids in a sentence."""
    if isinstance(record, r.StandingLegLost):
        return f"the leg of {record.agent_id} IS LOST: {record.cause}"
    return f"ANOMALY {record.kind}: {named(record.text)}"
