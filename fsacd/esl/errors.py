"""Why there is no connection, each in one sentence for an operator."""

from __future__ import annotations

from greenswitch.esl import NotConnectedError

from fsacd.esl.codec import Kind, Message
from fsacd.process.trouble import shortened


class LinkError(NotConnectedError):  # type: ignore[misc]  # greenswitch is untyped; its users catch its exception
    """There is no connection, or not any more. The text is short, however much the switch said."""

    def __init__(self, sentence: str) -> None:
        super().__init__(shortened(sentence))


class NonsenseError(LinkError):
    """The other end sends what no FreeSWITCH sends; it may be another program."""


class PasswordRefusedError(LinkError, ValueError):
    """FreeSWITCH does not take the password. A ValueError too, because that is what greenswitch raises."""


class NoReplyError(LinkError, TimeoutError):
    """A command was written and its answer did not come in time."""


def why_no_connection(where: str, error: OSError) -> str:
    """The sentence for an attempt that did not even connect."""
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {where} (does FreeSWITCH run, with mod_event_socket loaded?)"
    return f"FreeSWITCH at {where} cannot be reached: {words(error)}"


def why_closed(notice: Message | None) -> str:
    """The sentence for a connection that FreeSWITCH closed, perhaps with a notice."""
    if notice is None:
        return "FreeSWITCH closed the connection"
    if notice.kind is Kind.RUDE_REJECTION:
        return "FreeSWITCH refuses our address (apply-inbound-acl in event_socket.conf.xml)"
    return shortened(f"FreeSWITCH closed the connection: {notice.text.strip().partition(chr(10))[0]}")


def words(error: OSError) -> str:
    """The system's own words for an error."""
    return error.strerror or str(error)
