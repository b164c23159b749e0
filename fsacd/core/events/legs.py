"""Where a caller can be reached, and who asks for something."""

from __future__ import annotations

from fsacd.core.fact import fact

# Who asked for a change: "phone:1001", "api:wallboard", "cli:root". Recorded, never interpreted.
By = str


@fact
class Leg:
    """Where a caller can be reached: one channel on one switch."""

    switch: str
    uuid: str


@fact
class LegVariable:
    """A channel variable of a caller's leg that may go along to the agent's; `exported`: the dialplan says so."""

    name: str
    value: str
    exported: bool = False
