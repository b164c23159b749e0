"""What an operator configures of the simulated switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# The most events that wait for a client; further events are lost to it.
MAX_QUEUE = 100_000


@dataclass(frozen=True, slots=True)
class User:
    """A directory user who may open the Event Socket; an empty list of rights means all."""

    password: str
    allowed_api: str = ""
    allowed_events: str = ""

    def api_names(self) -> frozenset[str] | None:
        """The API commands that the user may use, None for all."""
        return frozenset(self.allowed_api.replace(",", " ").split()) if self.allowed_api else None

    def event_names(self) -> frozenset[str] | None:
        """The events and subclasses that the user may listen to, None for all."""
        return frozenset(self.allowed_events.replace(",", " ").split()) if self.allowed_events else None


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator would configure; times in seconds."""

    password: str = "ClueCon"  # noqa: S105  what every fresh FreeSWITCH has, and no secret
    users: Mapping[str, User] = field(default_factory=dict)
    hostname: str = "sim.example.net"
    heartbeat_s: float = 20
    max_sessions: int = 5_000
    max_queue: int = MAX_QUEUE
