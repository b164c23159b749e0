"""Sanitises text that strangers chose before it stands in a command: names, numbers, variables. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

NAME_LIMIT: Final = 64
NUMBER_LIMIT: Final = 32
CARRIED_LIMIT: Final = 256

# With "unload" or "reload" in the same command, the word that turns it into the unloading of Event Socket.
FATAL: Final = "mod_event_socket"
# The separator between the phones of an enterprise originate.
ENTERPRISE: Final = ":_:"
_NAME_MARKS: Final = frozenset(".-+&()\u2019")
_CARRIED_MARKS: Final = frozenset("_.*#+@:/%~;=?&!()-\u2019")
_PLAIN_NAME: Final = re.compile(r"(?:[0-9A-Za-z.+&()-]+ )*[0-9A-Za-z.+&()-]+")
_NUMBER: Final = re.compile(r"[^0-9A-Za-z+*#.-]")


def caller_name(text: str) -> str:
    """A caller's name, sanitised for an agent's phone: letters, digits, blanks, a few marks, at most 64 characters.

    Apostrophes become typographic ones, because the plain one quotes in FreeSWITCH. Underscores go: without them no
    name can complete the word mod_event_socket. Slashes go: FreeSWITCH shows only what follows the last one.
    """
    if len(text) <= NAME_LIMIT and _PLAIN_NAME.fullmatch(text) and text.casefold() != "undef":
        return text  # nearly all names are
    kept: list[str] = []
    # Cut first: a name of 64 KiB costs no more than one of 256 characters.
    for character in unicodedata.normalize("NFC", text[: 4 * NAME_LIMIT].replace("'", "\u2019")):
        if unicodedata.category(character)[0] in "LMN" or character in _NAME_MARKS:
            kept.append(character)
        elif character.isspace() or character in "_/":
            kept.append(" ")
    name = " ".join("".join(kept).split())[:NAME_LIMIT].strip()
    # FreeSWITCH takes the bare word undef for "no argument".
    return f"{name}." if name.casefold() == "undef" else name


def caller_number(text: str) -> str:
    """A caller's number, sanitised: digits, letters, plus, star, hash, dot and dash, at most 32 characters."""
    number = _NUMBER.sub("", text[: 4 * NUMBER_LIMIT])[:NUMBER_LIMIT]
    return "" if number.lower() == "undef" else number


def carried_value(text: str) -> str:
    """A carried variable's value, sanitised: letters, digits, blanks and _.*#+@:/%~;=?&!()-, at most 256 characters.

    A character that separates or quotes words in FreeSWITCH becomes a blank, the apostrophe a typographic one. The
    result is empty if the value holds a word that FreeSWITCH takes for something else.
    """
    kept = (
        character if unicodedata.category(character)[0] in "LMN" or character in _CARRIED_MARKS else " "
        for character in unicodedata.normalize("NFC", text[:CARRIED_LIMIT].replace("'", "\u2019"))
    )
    value = " ".join("".join(kept).split())[:CARRIED_LIMIT].strip()
    return "" if ENTERPRISE in value or FATAL in value.lower() else value
