"""The few exceptions that cross layers. `str(error)` is always one clear sentence for an operator."""

from __future__ import annotations

from collections.abc import Sequence


class FsacdError(Exception):
    """An error that an operator should read; any other exception that escapes is a fault of ours."""


class Refused(FsacdError):  # noqa: N818 - a refusal is an ordinary answer, not an error of the one who gives it
    """What was asked for cannot be done now. `problems` holds the single reasons when there are several."""

    def __init__(self, sentence: str, problems: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.problems = tuple(problems)


class Forbidden(FsacdError):  # noqa: N818 - as Refused: an ordinary answer
    """Whoever asks has no right to what they ask for."""


class Unavailable(FsacdError):  # noqa: N818 - named after the state the daemon is in
    """The daemon cannot say yes or no now: overloaded, stopping, or an answer did not come in time."""
