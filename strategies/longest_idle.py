"""longest_idle: the agent whose last talk ended longest ago rings first. A break does not change his turn."""

from __future__ import annotations

from fsacd.strategy import AgentFacts

API_VERSION = 1
name = "longest_idle"


def key(agent: AgentFacts) -> tuple[float, ...]:
    """Since when he has had no talk."""
    return (agent.idle_since_ms,)
