"""A contact: where an agent is rung. One phone, or several at once (`,`) or one after the other (`|`), with options.

    {rtp_secure_media=true}[leg_timeout=10]user/1001@example.com,sofia/gateway/pstn/+4930123|sofia/lan/1001@[2001:db8::7]

`confirm_key` is ours: whoever answers there hears a tone, and has the call when they press the key. It is for phones
behind a public number, where a voicemail or somebody else may answer.

It is a part of FreeSWITCH's dial strings, and no more than that: whoever may write a contact must not thereby command
the switch. So each phone is one endpoint, and an option is one of those that say how a phone is called, never one that
runs something or names the leg.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fsacd.core.offer import MOST_LEGS

Options = tuple[tuple[str, str], ...]

# Sentences that refuse a contact name these.
GRAMMAR: Final = (
    "a contact: a phone like user/1001@example.com or sofia/gateway/pstn/+4930123, or several, parted by ',' (they "
    "ring at once) or '|' (one after the other); options like leg_timeout=10, or confirm_key=1 for who must press that "
    "key to have the call, stand in [] before one phone or in {} before all"
)

_ENDPOINT: Final = r"[A-Za-z][A-Za-z0-9_.]{0,31}/(?:[A-Za-z0-9_.+%@:/;=~*#-]|\[[0-9A-Fa-f:.]{2,45}\]){1,250}"
ONE_PHONE: Final = re.compile(_ENDPOINT)
_OPTION: Final = re.compile(
    r"(absolute_codec_string|codec_string|jitterbuffer_msec|media_[a-z_]{1,40}|rtp_[a-z_]{1,40}"
    r"|sip_(?!execute|h_X-Fsacd)[A-Za-z0-9_-]{1,60}|leg_timeout|leg_delay_start|leg_progress_timeout"
    r"|confirm_key(?==[0-9*#]\Z)|origination_caller_id_name|origination_caller_id_number|origination_privacy|presence_id)"
    r"=([0-9A-Za-z_.*#+@:/%~;=-]{1,128})"
)
_FOR_ALL: Final = re.compile(r"\{([^{}\[\]|]*)\}")
_PHONE: Final = re.compile(rf"((?:\[[^\[\]{{}}|]*\])*)({_ENDPOINT})(,|\Z)")
_LONGEST: Final = 1_000
# With "unload" or "reload" in the same command, this word unloads Event Socket.
_FATAL: Final = "mod_event_socket"
# It separates whole dial strings.
_ENTERPRISE: Final = ":_:"

# The option for which an answer alone does not take the call: a key must be pressed.
CONFIRM_KEY: Final = "confirm_key"


@dataclass(frozen=True, slots=True)
class Phone:
    """One phone: the endpoint that is dialled, and what holds for it alone."""

    endpoint: str
    options: Options = ()


@dataclass(frozen=True, slots=True)
class Contact:
    """Turns of phones that ring at once, one turn after the other, and the options of all."""

    turns: tuple[tuple[Phone, ...], ...]
    options: Options = ()

    @property
    def phones(self) -> tuple[Phone, ...]:
        """All of them, in the order in which they are dialled."""
        return self.turns[0] if len(self.turns) == 1 else tuple(phone for turn in self.turns for phone in turn)


@lru_cache(maxsize=20_000)
def read(text: str) -> Contact | None:
    """The contact that a text is; None for none, or for one that names more phones than one ring may have."""
    if len(text) > _LONGEST or _ENTERPRISE in text or _FATAL in text.lower():
        return None
    options: Options = ()
    while found := _FOR_ALL.match(text):
        more = _options(found[1])
        if more is None:
            return None
        options, text = options + more, text[found.end() :]
    turns = [_turn(part) for part in text.split("|")]
    whole = Contact(tuple(turn for turn in turns if turn), options)
    return whole if all(turns) and len(whole.phones) <= MOST_LEGS else None


def _turn(text: str) -> tuple[Phone, ...]:
    """The phones that ring at once; none for what is no such list."""
    phones: list[Phone] = []
    at = 0
    while found := _PHONE.match(text, at):
        options: Options = ()
        for block in re.findall(r"\[([^\]]*)\]", found[1]):
            more = _options(block)
            if more is None:
                return ()
            options += more
        phones.append(Phone(found[2], options))
        at = found.end()
        if not found[3]:
            return tuple(phones)
    return ()


def _options(text: str) -> Options | None:
    found = [_OPTION.fullmatch(pair) for pair in text.split(",")]
    pairs = tuple((option[1], option[2]) for option in found if option)
    return pairs if len(pairs) == len(found) else None


def is_one_phone(text: str) -> bool:
    """Whether it is one endpoint and nothing more."""
    return ONE_PHONE.fullmatch(text) is not None and read(text) is not None


def registered(endpoint: str) -> str:
    """Whose registrations the switch looks up for this endpoint: USER@DOMAIN or USER; empty: it looks up none."""
    kind, _, user = endpoint.partition("/")
    return user if kind == "user" and "/" not in user else ""


def is_looked_up(endpoint: str) -> bool:
    """Whether a switch finds this phone by a registration. Those are at the one switch where the phone has registered.

    Any other endpoint is an address (`sofia/lan/1001@192.0.2.10`), or a name in a switch's configuration (a gateway, an
    extension behind `loopback/`), which the operator writes on each switch that is to dial it.
    """
    kind, _, rest = endpoint.partition("/")
    if kind == "sofia":
        return "@" not in rest and not rest.startswith("gateway/")
    return kind in _REGISTERED


_REGISTERED: Final = frozenset({"user", "group", "verto.rtc"})


@lru_cache(maxsize=20_000)  # each ring asks for those of its agent
def endpoints(text: str) -> tuple[str, ...]:
    """The phones that a contact names, without options; none for none."""
    if ONE_PHONE.fullmatch(text) is not None:
        return (text,)  # as nearly all of them are
    contact = read(text)
    return tuple(phone.endpoint for phone in contact.phones) if contact is not None else ()


@lru_cache(maxsize=20_000)  # as above
def most_legs(text: str) -> int:
    """The most legs that a ring at this contact may have. A registered user's number of phones is not known here."""
    if "user/" not in text and "," not in text and "|" not in text:
        return 1
    phones = endpoints(text)
    return MOST_LEGS if any(map(registered, phones)) else max(1, len(phones))


def registered_users(text: str) -> tuple[str, ...]:
    """The users whom a contact names, each once: whose registrations the switch looks up."""
    if "user/" not in text:
        return ()
    return tuple(dict.fromkeys(filter(None, map(registered, endpoints(text)))))
