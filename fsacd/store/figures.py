"""Rows as an export gives them out where figures by agent are switched off. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Tables whose rows of one agent touch: even without a name, they would tell which of them are one agent's.
LEFT_OUT: Final = ("agent_presence", "agent_states", "log_ins")
_OF_AGENTS: Final = ("agent_id", "named_agent")
_DOOR: Final = "phone:"  # a wish by this door is an agent's own
_NO_AGENTS: Final = ("", "a number")


def without_agents(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without agents: their ids, whom they handed callers to, what explanations and changes say of them."""
    found = dict(row) | {name: None for name in _OF_AGENTS if name in row}
    match table:
        case "decisions":
            found["explanation"] = None
        case "talks" if row["transferred_to"] not in _NO_AGENTS and not row["transferred_to"].startswith("queue "):
            found["transferred_to"] = "an agent"
        case "wrap_ups":
            found["note"] = None
        case "changes" if row["kind"].startswith("agent_"):
            found["subject"] = None
        case _:
            pass
    for name in ("by", "detail"):
        if _DOOR in str(found.get(name) or ""):
            found[name] = None
    return found


def document_without_counters(told: Mapping[str, Any]) -> dict[str, Any]:
    """An explanation as history holds it, without what strategies count of agents.

    Another version of fsacd, or a person, may have written it in another form, which is nobody's figures.
    """
    eligible = told.get("eligible")
    if not isinstance(eligible, list) or not all(isinstance(agent, Mapping) for agent in eligible):
        return dict(told) | {"eligible": None}
    return {**told, "eligible": [{**agent, "key": []} for agent in eligible]}
