"""The journal's lines: a CRC-32 in eight hexadecimal digits, a space, one JSON object.

    {"t": 81234, "f": "CallQueued", "d": {…}}     a fact, and when it entered the engine
    {"t": 81240}                                  time passed
    {"t": 81240, "n": "plugin_failed", "d": {…}}  in the step above a plugin failed, and this is how
    {"t": 81240, "n": "engine_failed"}            the step above was never finished: the engine broke
    {"t": 81250, "n": "clocks", "d": {…}}         what the machine's clocks said then

A newer fsacd reads what an older one has written (`fsacd.core.plain`). Nothing is ever changed in a line.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from types import UnionType
from typing import Any, NamedTuple, get_args
from zlib import crc32

import orjson

from fsacd.core import events
from fsacd.core.events import Event, RulesAmended, TalkDigitsAsked
from fsacd.core.plain import Unreadable, from_plain, is_plain_as_it_is, to_plain
from fsacd.core.records import StrategyFailed
from fsacd.core.rules import AgentRules
from fsacd.journal.clock import Anchor

VERSION = 1

# A hundred years: the engine's clock begins with the machine's start, and never runs ahead of it.
MOST_MS = 100 * 366 * 86_400_000

_CRC_DIGITS = 8
# So many agents are written in one part, which takes less than a millisecond.
_AGENTS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Entered:
    """A fact entered the engine; None: only time passed."""

    at_ms: int
    event: Event | None


@dataclass(frozen=True, slots=True)
class PluginFailedThere:
    """In the step before, this plugin failed."""

    at_ms: int
    failure: StrategyFailed


@dataclass(frozen=True, slots=True)
class EngineFailedThere:
    """The step before was never finished."""

    at_ms: int


Entry = Entered | PluginFailedThere | EngineFailedThere | Anchor


class Damaged(Exception):  # noqa: N818 - what was found in the file, not a fault of ours
    """A line is not as it was written; one sentence."""


def _classes(union: Any) -> list[type]:
    return [cls for part in get_args(union) for cls in (_classes(part) if isinstance(part, UnionType) else [part])]


_EVENTS: dict[str, type] = {cls.__name__: cls for cls in _classes(events.Event)}
# The fast JSON writer takes most facts as they are, which is five times as fast.
_WITH_HELP = frozenset(cls for cls in _EVENTS.values() if not is_plain_as_it_is(cls)) | {TalkDigitsAsked}


def of_entry(now_ms: int, event: Event | None) -> bytes:
    """The line of a fact, or of time that passed."""
    if event is None:
        return sealed(b'{"t":%d}' % now_ms)
    kind = type(event)
    given = _plain(event) if kind in _WITH_HELP else event
    try:
        return sealed(orjson.dumps({"t": now_ms, "f": kind.__name__, "d": given}))
    except TypeError:
        # A number of more than 64 bits, or a text with half a character: rare, and taken by the slower writer.
        return sealed(json.dumps({"t": now_ms, "f": kind.__name__, "d": _plain(event)}).encode())


def _plain(event: Event) -> Any:
    if isinstance(event, TalkDigitsAsked):
        event = replace(event, digits="")  # they may be a secret, and whoever replays them sends nothing
    return to_plain(event, type(event))


class Rendered(NamedTuple):
    """A fact's line, but for its end, which says when it entered the engine."""

    event: RulesAmended
    begin: bytes
    check_sum: int


def rendered(event: RulesAmended) -> Generator[None, None, Rendered | None]:
    """Write the fact down in parts: ten thousand agents take long. None where only the slower writer can."""
    agents = []
    named = iter(event.agents.items())
    try:
        plain = to_plain(replace(event, agents={}), RulesAmended)
        del plain["agents"]
        rest = orjson.dumps(plain)
        while some := dict(islice(named, _AGENTS_AT_ONCE)):
            agents.append(orjson.dumps(to_plain(some, Mapping[str, AgentRules]))[1:-1])
            yield
    except TypeError:
        return None
    content = b'%b,"agents":{%b}}' % (rest[:-1], b",".join(agents))
    yield
    begin = b'{"f":"RulesAmended","d":' + content
    return Rendered(event, begin, crc32(begin))


def of_rendered(now_ms: int, fact: Rendered) -> bytes:
    """The line of a fact that was written down before."""
    end = b',"t":%d}' % now_ms
    return b"%08x %b%b\n" % (crc32(end, fact.check_sum), fact.begin, end)


def of_plugin_failure(now_ms: int, failure: StrategyFailed) -> bytes:
    """The line that says how a plugin failed in the step above."""
    return of_object({"t": now_ms, "n": "plugin_failed", "d": to_plain(failure, StrategyFailed)})


def of_engine_failure(now_ms: int) -> bytes:
    """The line that says that the step above was never finished."""
    return of_object({"t": now_ms, "n": "engine_failed"})


def of_clocks(anchor: Anchor) -> bytes:
    """The line that says what the machine's clocks showed."""
    return of_object({"t": anchor.engine_ms, "n": "clocks", "d": to_plain(anchor, Anchor)})


def of_object(content: dict[str, Any]) -> bytes:
    """The line of any JSON object."""
    try:
        return sealed(orjson.dumps(content))
    except TypeError:
        return sealed(json.dumps(content).encode())


def sealed(content: bytes) -> bytes:
    """A line of this content."""
    return b"%08x %b\n" % (crc32(content), content)


def opened(line: bytes) -> dict[str, Any]:
    """The JSON object in a line (without its line end).

    Raises:
        Damaged: the line is not as it was written.
        Exception: any exception of a JSON reader for text that fsacd never writes, such as a thousand nested lists.
    """
    content = line[_CRC_DIGITS + 1 :]
    if line[: _CRC_DIGITS + 1] != b"%08x " % crc32(content):
        raise Damaged("its check sum is wrong")
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = json.loads(content)  # the slower writer wrote it; the check sum says that it is whole
    if not isinstance(found, dict):
        raise Damaged("it is no JSON object")
    return found


def read(line: bytes) -> Entry | None:
    """The entry in a line; None for a kind of entry that only a newer fsacd writes. Raises as `opened`."""
    found = opened(line)
    try:
        return _entry(found)
    except Unreadable as first:
        try:
            # The faster reader turns integers of more than 64 bits into floats.
            return _entry(json.loads(line[_CRC_DIGITS + 1 :]))
        except Unreadable:
            raise Damaged(f"it is not understood: {first}") from first


def _entry(found: dict[str, Any]) -> Entry | None:
    at_ms = found.get("t")
    if type(at_ms) is not int:
        raise Unreadable("it has no time")
    if not 0 <= at_ms <= MOST_MS:
        raise Unreadable("its time is not valid")
    if not isinstance(found.get("f", ""), str) or not isinstance(found.get("n", ""), str):
        raise Unreadable("its kind is not valid")
    if "f" in found:
        kind = _EVENTS.get(found["f"])
        return Entered(at_ms, from_plain(found.get("d"), kind)) if kind is not None else None
    match found.get("n"):
        case None:
            return Entered(at_ms, None)
        case "plugin_failed":
            return PluginFailedThere(at_ms, from_plain(found.get("d"), StrategyFailed))
        case "engine_failed":
            return EngineFailedThere(at_ms)
        case "clocks":
            anchor: Anchor = from_plain(found.get("d"), Anchor)
            return anchor
        case _:
            return None
