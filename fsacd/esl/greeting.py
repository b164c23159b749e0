"""How FreeSWITCH greets, pure: a program that greets otherwise is not FreeSWITCH, and is not told the password.

auth/request, and nothing more until we answer   go on
text/rude-rejection, text/disconnect-notice      it is one, and does not want us
anything else                                    StrangerError
"""

from __future__ import annotations

from typing import Final

from fsacd.esl.codec import ProtocolError

_HELLO: Final = b"Content-Type: auth/request\n\n"
_REFUSALS: Final = (b"Content-Type: text/rude-rejection\n", b"Content-Type: text/disconnect-notice\n")


class StrangerError(ProtocolError):
    """What listens there is no FreeSWITCH."""


def greets(heard: bytes) -> bool | None:
    """Whether the other end asks for the password (True) or refuses us (False); None: its greeting is not complete.

    `heard` is all that has come so far. Raises StrangerError as soon as it cannot be FreeSWITCH's greeting.
    """
    if heard == _HELLO:
        return True
    if any(heard.startswith(refusal) for refusal in _REFUSALS):
        return False
    if any(whole.startswith(heard) for whole in (_HELLO, *_REFUSALS)):
        return None
    raise StrangerError("What listens there does not greet as FreeSWITCH does; it is not told the password.")
