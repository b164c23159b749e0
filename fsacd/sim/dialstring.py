"""How FreeSWITCH takes an originate command apart, quotes, brackets and all."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_TIMEOUT_S = 60
MAX_WORDS = 7


def split_words(text: str, limit: int = 10) -> list[str]:
    """Split at blanks as switch_separate_string does: single quotes hold a word together, a backslash protects."""
    words: list[str] = []
    at = 0
    while at < len(text) and len(words) < limit:
        while at < len(text) and text[at] == " ":
            at += 1
        if at >= len(text):
            break
        end = len(text) if len(words) == limit - 1 else _word_end(text, at)
        words.append(_clean(text[at:end]))
        at = end
    return words


def _word_end(text: str, at: int) -> int:
    quoted = False
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == "'":
            quoted = not quoted
        elif text[at] == " " and not quoted:
            return at
        at += 1
    return at


# Before any other character a backslash is kept (cleanup_separated_string in switch_utils.c).
_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t", "s": " ", "'": "'", '"': '"', "\\": "\\"}


def _clean(word: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(word):
        if word[at] == "\\" and word[at + 1 : at + 2] in _UNESCAPED:
            at += 1
            out.append(_UNESCAPED[word[at]])
        elif word[at] != "'":
            out.append(word[at])
        at += 1
    return "".join(out)


@dataclass(frozen=True, slots=True)
class Dialled:
    """One phone of a dial string: the endpoint, and the variables of its own leg."""

    endpoint: str
    variables: dict[str, str]


Turns = tuple[tuple[Dialled, ...], ...]


@dataclass(frozen=True, slots=True)
class Originate:
    """An originate command taken apart: `variables` are those of all legs; the phones of a turn ring at once."""

    variables: dict[str, str]
    turns: Turns
    extension: str
    dialplan: str
    context: str
    cid_name: str
    cid_number: str
    timeout_s: int


def parse(text: str) -> Originate | None:
    """Take the command's argument apart; None if FreeSWITCH would answer with the usage line."""
    words: list[str | None] = [None if word == "undef" else word for word in split_words(text)]
    if not 2 <= len(words) <= MAX_WORDS or text.count("'") % 2:  # noqa: PLR2004  a dial string and an extension
        return None
    words += [None] * (MAX_WORDS - len(words))
    variables, phones = brackets(words[0] or "", "{<")
    return Originate(
        variables=variables,
        turns=tuple(tuple(map(_dialled, _parted(turn, ","))) for turn in _parted(phones, "|")),
        extension=words[1] or "",
        dialplan=words[2] or "XML",
        context=words[3] or "default",
        cid_name=words[4] or "",
        cid_number=words[5] or "",
        timeout_s=int(words[6]) if words[6] and words[6].isdigit() else DEFAULT_TIMEOUT_S,
    )


def _dialled(text: str) -> Dialled:
    variables, endpoint = brackets(text.strip(), "[")
    return Dialled(endpoint, variables)


def _parted(text: str, separator: str) -> list[str]:
    """The text split at its separators, except those in brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign == "[") - (sign == "]" and depth > 0)
        if sign == separator and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def brackets(text: str, kinds: str = "{[<") -> tuple[dict[str, str], str]:
    """The variables of the leading blocks of these kinds, {...}, <...> or [...], and what is left.

    A brace inside a value ends the block, even in quotes: FreeSWITCH has this fault, and so has the model.
    """
    variables: dict[str, str] = {}
    while text and text[0] in kinds:
        closing = {"{": "}", "[": "]", "<": ">"}[text[0]]
        end = text.find(closing)
        if end < 0:
            break
        variables |= _pairs(text[1:end])
        text = text[end + 1 :].lstrip()
    return variables, text


def _pairs(text: str) -> dict[str, str]:
    separator = ","
    if text.startswith("^^") and len(text) > 2:  # noqa: PLR2004  ^^ and the new separator
        separator, text = text[2], text[3:]
    pairs: dict[str, str] = {}
    for item in _split(text, separator):
        name, found, value = item.partition("=")
        # Values with an expansion in them are dropped: a stranger could have put it there.
        if found and "${" not in value:
            pairs[name.strip()] = value.strip("'")
    return pairs


def _split(text: str, separator: str) -> list[str]:
    items, item, at = [], "", 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] == separator:
            item += separator
            at += 1
        elif text[at] == separator:
            items.append(item)
            item = ""
        else:
            item += text[at]
        at += 1
    return [*items, item]
