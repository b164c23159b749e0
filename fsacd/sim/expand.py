"""FreeSWITCH's `${...}`: variables, substrings and API calls inside an application's text."""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_DEPTH = 20
_SLICE = re.compile(r"^(?P<name>[^:()]+):(?P<offset>-?[0-9]+)(?::(?P<length>-?[0-9]+))?$")

Lookup = Callable[[str], str]
Call = Callable[[str, str], str]


def expand(text: str, lookup: Lookup, call: Call, depth: int = 0) -> str:
    """Replace every `${...}`; `lookup` gives a variable ("" if unset), `call` an API command's output."""
    if "${" not in text:
        return text
    if depth > MAX_DEPTH:
        return ""
    out: list[str] = []
    at = 0
    while (start := text.find("${", at)) >= 0:
        end = _closing(text, start + 2)
        if end < 0:
            break
        out.append(text[at:start])
        out.append(_value(text[start + 2 : end], lookup, call, depth))
        at = end + 1
    out.append(text[at:])
    return "".join(out)


def _closing(text: str, at: int) -> int:
    depth = 1
    for index in range(at, len(text)):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    return -1


def _value(inner: str, lookup: Lookup, call: Call, depth: int) -> str:
    opening = inner.find("(")
    if opening > 0 and inner.endswith(")") and inner[:opening].replace("_", "").isalnum():
        return call(inner[:opening], expand(inner[opening + 1 : -1], lookup, call, depth + 1))
    name = expand(inner, lookup, call, depth + 1)
    if " " in name and ":" not in name.split(" ")[0]:
        command, _, argument = name.partition(" ")
        return call(command, argument)
    if part := _SLICE.match(name):
        value = lookup(part["name"])
        offset = int(part["offset"])
        value = value[offset:]
        return value if part["length"] is None else value[: int(part["length"])]
    return lookup(name)


_CONDITION = re.compile(
    r"^(?P<a>'(?:[^'\\]|\\.)*'|[^ ]*)\s+(?P<op>==|!=|<=|>=|<|>)\s+(?P<b>'(?:[^'\\]|\\.)*'|[^ ]+)\s+\?(?P<rest>.*)$",
    re.DOTALL,
)


def condition(text: str) -> str:
    """The `cond` command. A side that is no plain number counts by its length, a newline behind it included."""
    match = _CONDITION.match(text)
    if match is None:
        return "-ERR"
    # A third part belongs to the second.
    branches = [part.strip() for part in match["rest"].split(":", 1)]
    result = _compare(match["a"], match["op"], match["b"])
    if result:
        return branches[0]
    return branches[1] if len(branches) > 1 else ""


def _compare(a: str, op: str, b: str) -> bool:
    number_a, number_b = _number(a), _number(b)
    if op in {"==", "!="} and number_a is None and number_b is None:
        return (_bare(a) == _bare(b)) is (op == "==")
    x = float(len(_bare(a))) if number_a is None else number_a
    y = float(len(_bare(b))) if number_b is None else number_b
    return {"==": x == y, "!=": x != y, "<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y}[op]


def _bare(text: str) -> str:
    return text[1:-1] if text.startswith("'") else text


def _number(text: str) -> float | None:
    if text.startswith("'") or not re.fullmatch(r"[+-]?[0-9.]*", text):
        return None
    lead = re.match(r"[+-]?[0-9]*\.?[0-9]*", text)
    try:
        return float(lead.group()) if lead else 0.0
    except ValueError:  # atof takes "", "-" and "." for nought
        return 0.0


def regex(text: str) -> str:
    """The `regex` command: `data|pattern[|substitution]`, %0..%9 standing for the groups."""
    parts = text.split("|")
    if len(parts) < 2:  # noqa: PLR2004  data and pattern
        return "-ERR"
    match = re.search(parts[1], parts[0])
    if len(parts) == 2:  # noqa: PLR2004  no substitution: yes or no
        return "true" if match else "false"
    if match is None:
        return parts[0]
    groups = (match.group(), *match.groups(""))
    return re.sub(r"[%$]([0-9])", lambda hit: groups[int(hit[1])] if int(hit[1]) < len(groups) else "", parts[2])
