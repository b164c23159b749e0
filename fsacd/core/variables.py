"""Which of a caller's channel variables go along to the agent's leg: a queue's list, and what no list may hold. Pure.

The operator chooses the names, but callers may choose the values: a trunk's headers become variables, too. So a name is
refused by which FreeSWITCH acts on the leg that has it: runs an application or a command (`execute_on_answer`,
`api_hangup_hook`), changes who is dialled, how and for how long (`origination_…`, `leg_timeout`, `sip_invite_…`), where
the leg goes (`hangup_after_bridge`, `transfer_…`), or what becomes of its sound (`bypass_media`, `record_…`). Of
SIP's own variables the headers alone go along, and of those the ones that mean nothing to SIP itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from fsacd.core.events import LegVariable

# In a list: those that the dialplan itself has exported (`export`, FreeSWITCH's variable of this name).
EXPORTED: Final = "export_vars"
MOST: Final = 20  # for one call
LONGEST: Final = 256  # characters of a value
_LEAST_LETTERS: Final = 4  # of a name before a star

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_HEADER: Final = "sip_h_"
# Letters of a header's name: what a phone or desk looks at. `X-Fsacd-…` are our own.
_HEADERS: Final = re.compile(r"x-(?!fsacd).+|alert-info|answer-mode|call-info|priority|subject|user-to-user")
_OF_HEADERS: Final = (
    "of the SIP headers X-… go along (but not X-Fsacd-…), and Alert-Info, Answer-Mode, Call-Info, Priority, Subject "
    "and User-to-User"
)
_OURS: Final = ("fsacd_",)
_ACTS: Final = (
    "absolute_codec", "api_", "bind_", "bridge_", "bypass_", "call_timeout", "campon", "cc_", "codec_",
    "conference_", "continue_on", "curl_", "detect_", "dialed_", "disable_", "domain_", "dtls", "enable_",
    "ep_codec", "event_", "exec_", "execute_on", "export_vars", "fail_on", "failure_causes", "fax_", "fifo_",
    "force_", "forked_", "group_confirm", "hangup_", "hold_music", "ice_", "ignore_", "inherit_", "inline_",
    "instant_", "leg_", "limit_", "loopback_", "max_forwards", "media_", "monitor_", "originat", "outbound_",
    "park_", "playback_", "presence_", "process_cdr", "proxy_", "read_", "record_", "ringback", "rtp_", "session_",
    "sip_", "socket_", "sofia_", "soft_", "srtp_", "stir_", "suppress_", "switch_", "t38_", "text_", "timer_",
    "transfer_", "user_", "uuid", "verto_", "video_", "webrtc_", "write_", "zrtp_",
)  # fmt: skip


def refusal(entry: str) -> str | None:
    """Why an entry of a list (a name, or its beginning and a star) can be none; None for one that can."""
    name = entry.removesuffix("*")
    if entry == EXPORTED:
        return None
    if _NAME.fullmatch(name) is None:
        return "it is no name of a channel variable: letters, digits, '_', '.' and '-', and perhaps a star at its end"
    if name != entry and len(name) < _LEAST_LETTERS:
        return f"before the star stand at least {_LEAST_LETTERS} letters"
    return _why_not(name, is_beginning=name != entry)


def _why_not(name: str, *, is_beginning: bool = False) -> str | None:
    lowered = name.lower()
    if lowered.startswith(_OURS) or (is_beginning and any(ours.startswith(lowered) for ours in _OURS)):
        return "variables that begin with fsacd_ are fsacd's own"
    if lowered.startswith(_HEADER):
        header = lowered.removeprefix(_HEADER)
        if is_beginning or _HEADERS.fullmatch(header):
            return None
        return _OF_HEADERS
    if lowered.startswith(_ACTS) or (is_beginning and any(acts.startswith(lowered) for acts in _ACTS)):
        return "FreeSWITCH acts by variables with such a name, and callers may choose their values"
    return None


class Wanted:
    """Entries of lists, ready to be asked for names. Names are compared without regard to case, as FreeSWITCH does."""

    def __init__(self, entries: Iterable[str]) -> None:
        lowered = {entry.lower() for entry in entries}
        self.exported = EXPORTED in lowered
        self._names = frozenset(entry for entry in lowered - {EXPORTED} if not entry.endswith("*"))
        self._beginnings = tuple(sorted(entry[:-1] for entry in lowered if entry.endswith("*")))

    @property
    def by_name(self) -> bool:
        """Whether any are wanted for their names."""
        return bool(self._names or self._beginnings)

    def wants(self, name: str, *, exported: bool = False) -> bool:
        """Whether a variable of this name goes along."""
        lowered = name.lower()
        listed = lowered in self._names or lowered.startswith(self._beginnings) or (exported and self.exported)
        return listed and may_go(name)


def may_go(name: str) -> bool:
    """Whether a variable of this name may go along at all."""
    return _NAME.fullmatch(name) is not None and _why_not(name) is None


_DIGITS: Final = re.compile(r"[0-9]+")
# A number shorter than this may be in any value by chance. The last digits identify a number, however it is written.
_TELLING_DIGITS: Final = 5
_LAST_DIGITS: Final = 7


def chosen(
    variables: Iterable[LegVariable], entries: Iterable[str], *, hidden_number: str = "", hidden_name: str = ""
) -> Iterator[tuple[str, str]]:
    """Name and value of the variables that a queue's list lets go along.

    `hidden_number`, `hidden_name`: of a caller who asks that they be shown to nobody; values that tell them stay back.
    """
    wanted = Wanted(entries)
    number, name = "".join(_DIGITS.findall(hidden_number)), hidden_name.strip().casefold()
    for variable in variables:
        if not wanted.wants(variable.name, exported=variable.exported):
            continue
        digits = "".join(_DIGITS.findall(variable.value))
        tells = len(number) >= _TELLING_DIGITS and number[-_LAST_DIGITS:] in digits
        tells = tells or bool(name and name in variable.value.casefold())
        hides = bool(hidden_number or hidden_name) and variable.name.lower().startswith("effective_caller_id")
        if not tells and not hides:
            yield variable.name, variable.value
