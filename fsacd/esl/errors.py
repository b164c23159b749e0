"""Why there is no connection, each in one sentence for an operator."""

from __future__ import annotations

from greenswitch.esl import NotConnectedError


class LinkError(NotConnectedError):  # type: ignore[misc]  # greenswitch is untyped; its users catch its exception
    """There is no connection, or there is none any more."""


class PasswordRefusedError(LinkError, ValueError):
    """FreeSWITCH does not take the password. A ValueError too, because that is what greenswitch raises."""


class NoReplyError(LinkError, TimeoutError):
    """A command was written and its answer did not come in time."""
