"""The settings of the journal, from which a restarted daemon goes on where the last one stopped."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fsacd.config.blocks import Settings
from fsacd.config.forms import FILE
from fsacd.config.kinds import Duration, Number


class JournalSettings(Settings):
    """The local directory that holds what entered the engine."""

    directory: Annotated[str | None, FILE] = Field(
        default=None,
        description="An absolute path on a disk of this machine; null: 'journal' in the service's own directory "
        "(systemd's StateDirectory). Where there is none either, a restart forgets who waits and who is logged in.",
    )
    snapshot_entries: Annotated[int, Number(100, 10_000_000)] = Field(
        default=20_000,
        description="After this many entries a snapshot is written and older entries are removed, so that a restart "
        "has no more than these to replay, 10,000 or more a second.",
    )
    snapshot_interval_ms: Annotated[int, Duration("15s", "1d")] = Field(
        default=300_000, description="A snapshot is also written after this long, if anything has happened."
    )
