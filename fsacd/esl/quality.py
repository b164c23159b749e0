"""What the switch has measured of a leg's sound, from the leg's last event. Pure."""

from __future__ import annotations

import math
import re
from typing import Final

from fsacd.core.records import LegMeasured
from fsacd.esl.announced import LONGEST_TEXT
from fsacd.esl.codec import Message
from fsacd.esl.translate import CALLERS_LAST_EVENT

Filters = tuple[tuple[str, str], ...]

# The event that has the figures, and the variables that have them (switch_core_media.c, set_stats).
LAST_EVENT: Final = "CHANNEL_HANGUP_COMPLETE"
_STAT: Final = "variable_rtp_audio_in_"
_DECIMAL: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII)
# A figure beyond this is none, and the database's integer holds no more.
_MOST: Final = 2_000_000_000


def heard(filters: Filters, *, callers: bool) -> Filters:
    """The filters of a link that hears what was measured of agents' legs, with `callers` of theirs, too."""
    return tuple(pair for pair in filters if not callers or pair != CALLERS_LAST_EVENT)


def measured(event: Message, now_ms: int) -> LegMeasured | None:
    """The figures of one of our legs; None if nothing was heard from its phone, or this event has none.

    `mos_hundredths` is the switch's own estimate (switch_rtp.c, do_mos): it knows lost and late packets, no codec.
    Without any packet the switch says 4.50, which means nothing. Jitter is the root of the greatest variance in which
    packets came (milliseconds squared).
    """
    who = event.get("variable_fsacd_leg")
    packets = _figure(event, "packet_count")
    mos = _figure(event, "mos")
    if event.name != LAST_EVENT or who not in ("agent", "caller") or not packets or not mos:
        return None
    variance = _figure(event, "jitter_max_variance")
    return LegMeasured(
        leg=event.get("Unique-ID")[:LONGEST_TEXT],
        who=who,
        offer_id=event.get("variable_fsacd_offer")[:LONGEST_TEXT] if who == "agent" else "",
        call_id=event.get("variable_fsacd_call")[:LONGEST_TEXT],
        at_ms=now_ms,
        mos_hundredths=round(mos * 100),
        packets=int(packets),
        flaws=int(_figure(event, "flaw_total") or 0),
        jitter_ms=round(math.sqrt(variance)) if variance is not None else None,
    )


def _figure(event: Message, name: str) -> float | None:
    text = event.get(_STAT + name)
    figure = float(text) if _DECIMAL.fullmatch(text) else None
    return figure if figure is not None and figure <= _MOST else None
