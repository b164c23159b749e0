"""Legs that FreeSWITCH makes by itself because a caller's REFER named a call which it does not know. Pure.

The address in such a REFER is dialled over the caller's SIP profile, in no context: no dialplan can refuse it. The only
remedy is to end the leg before anybody answers. (`disable-transfer` in the profile refuses the REFER: freeswitch/.)
"""

from __future__ import annotations

from typing import Final

from fsacd.esl.codec import Message
from fsacd.esl.wire import UUID, is_offer

EVENTS: Final = ("CHANNEL_CREATE",)
# FreeSWITCH writes on the new leg for which leg it is made: the partner of the leg that sent the REFER.
_FOR: Final = "variable_sip_h_X-FS-Refer-For"
FILTERS: Final = ((_FOR, "/^./"),)


def unwanted(message: Message) -> str:
    """The new leg, if it is made for an agent's leg; else nothing. An agent's own REFER makes one for the caller's."""
    if message.name != "CHANNEL_CREATE" or message.get("Call-Direction") != "outbound":
        return ""
    whom, leg = message.get(_FOR), message.get("Unique-ID")
    if UUID.fullmatch(whom) is None or not is_offer(whom):
        return ""
    return leg if UUID.fullmatch(leg) is not None else ""
