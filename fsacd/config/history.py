"""The settings of the database that keeps the history, and of the spool of rows that wait for it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from fsacd.config.blocks import Settings
from fsacd.config.forms import CREDENTIAL, ENVIRONMENT, FILE
from fsacd.config.kinds import DAY_MS, Duration, Number, Secret, Size


class SpoolSettings(Settings):
    """The directory where history waits that the database has not taken yet."""

    directory: Annotated[str | None, FILE] = Field(
        default=None,
        description="An absolute path on a disk of this machine; null: 'spool' in the service's own directory "
        "(systemd's StateDirectory). Where there is none either, history waits in memory, and a crash loses it.",
    )
    limit: Annotated[int, Size("1MB", "1000GB")] = Field(
        default=256_000_000,
        description="How large it may grow; beyond that, new rows are dropped and counted. Half is for explanations.",
    )


Kept = Annotated[int | None, Duration("1d", "36500d", null=True)]


class KeepSettings(Settings):
    """How long history is kept; what is older is deleted, a little at a time."""

    calls_ms: Kept = Field(
        default=400 * DAY_MS, description="Finished calls, with offers, talks and wrap-ups; null: kept for ever."
    )
    visits_ms: Kept = Field(default=400 * DAY_MS, description="The stays of calls in queues, a row for each.")
    decisions_ms: Kept = Field(default=30 * DAY_MS, description="Explained decisions, by far the largest part.")
    changes_ms: Kept = Field(default=400 * DAY_MS, description="Changes by hand.")
    agent_states_ms: Kept = Field(
        default=90 * DAY_MS, description="Agents' log-ins, and the intervals that they spent in each state."
    )


class StoreSettings(Settings):
    """The PostgreSQL database that keeps the history; calls never wait for it."""

    SECRETS: ClassVar[dict[str, tuple[str, ...]]] = {"dsn": ("dsn", "dsn_file", "dsn_env", "dsn_credential")}
    NEEDS = ("dsn",)

    dsn: Annotated[SecretStr | None, Secret("a PostgreSQL connection string", longest=2_048)] = Field(
        default=None,
        description="The connection, like postgresql://fsacd@localhost/fsacd; needed in one of the four ways.",
    )
    dsn_file: Annotated[str | None, FILE] = Field(default=None, description="A file that holds the connection string.")
    dsn_env: Annotated[str | None, ENVIRONMENT] = Field(
        default=None, description="An environment variable that holds the connection string."
    )
    dsn_credential: Annotated[str | None, CREDENTIAL] = Field(
        default=None, description="A systemd credential (LoadCredential=) that holds the connection string."
    )
    queue_limit: Annotated[int, Number(100, 10_000_000)] = Field(
        default=100_000,
        description="How many rows may wait in memory; without a spool new rows beyond that are dropped and counted.",
    )
    batch: Annotated[int, Number(1, 10_000)] = Field(
        default=500, description="How many rows go into one transaction at most."
    )
    retry_min_ms: Annotated[int, Duration("10ms", "1m")] = Field(
        default=200, description="The wait before the first retry."
    )
    retry_max_ms: Annotated[int, Duration("100ms", "10m")] = Field(
        default=30_000, description="The longest wait between two tries."
    )
    statement_timeout_ms: Annotated[int, Duration("100ms", "5m")] = Field(
        default=10_000, description="How long the database may take for one statement."
    )
    spool: SpoolSettings = Field(
        default=SpoolSettings(), description="Where history waits that the database has not taken yet."
    )
    keep: KeepSettings = Field(default=KeepSettings(), description="How long history is kept.")
