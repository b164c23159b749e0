"""What fsacd writes to its standard error: one line per event, JSON for machines or columns for people.

Three things hold for every line, whoever wrote it: a long number is cut to its last digits, a control character never
reaches a terminal, and a reader who does not read (a full pipe, a stopped terminal) never holds a call up: lines wait
in a queue with an end, and a thread of the operating system writes them.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from fsacd.log.repeats import Repeats
from fsacd.log.writer import LineWriter

Style = Literal["json", "console"]

_LONG_NUMBER = re.compile(r"(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|\d{7,}", re.IGNORECASE)
# Control characters, line separators, half surrogates, and the marks that turn text around on a terminal.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_BUT_BREAKS = re.compile(_UNSAFE.pattern.replace(r"\x00-\x1f", r"\x00-\x08\x0b-\x1f"))
# A text without any of this is written as it is; nearly all are.
_SUSPECT = re.compile(rf"\d{{7}}|{_UNSAFE.pattern}")
_TEXT_LIMIT = 2_000
_TRACE_LIMIT = 20_000
_ITEMS_LIMIT = 50
_DEPTH_LIMIT = 4
_INT64 = 2**63

# How many last digits of a number are written; setup() changes it once, at the start.
_digits = 4
_shows_agents = True
_writer: LineWriter | None = None


class Number:
    """A caller's number on its way to a log: however it is printed, only its last digits show."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        """The last digits; without any digits, only the fact that there was something."""
        digits = "".join(character for character in self._text if character.isdecimal())
        if not digits:
            return "***" if self._text else ""
        return digits if len(digits) <= _digits else _cut(digits)

    def __repr__(self) -> str:
        return str(self)

    def reveal(self) -> str:
        """The whole number, for anything but a log."""
        return self._text


def number(text: str) -> Number:
    """Wrap a number so that it can only be logged redacted: `log.info("queued", caller=number(call.number))`."""
    return Number(text)


def agent(agent_id: str | None) -> str | None:
    """The agent of a line that says how much they did; None where figures by agent are switched off."""
    return agent_id if _shows_agents else None


def show_agents(on: bool) -> None:
    """From now on, lines that say how much an agent did name them, or not."""
    global _shows_agents  # noqa: PLW0603 - one process has one standard error
    _shows_agents = on


def setup(level: str = "info", style: Style = "json", number_digits: int = 4, descriptor: int = 2) -> None:
    """Send structlog's and the standard library's logs to a file descriptor; called once, after monkey-patching.

    `level` is the least important that is written; `number_digits` how many last digits of a number are shown.
    """
    global _digits, _writer  # noqa: PLW0603 - one process has one standard error
    _digits = number_digits
    _key.cache_clear()
    _writer = LineWriter(descriptor)
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=_processors(style, os.isatty(descriptor)),
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=_Factory(_writer),
        cache_logger_on_first_use=True,
    )
    # Libraries' lines go the same way, but without their details unless these are asked for.
    logging.basicConfig(handlers=[_Bridge()], level=max(least, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)


_repeats = Repeats()


def seldom(tell: Callable[..., object], kind: str, event: str, /, *, group: str = "", **fields: object) -> None:
    """Log a line at most once a minute for each kind, however often it comes: `seldom(log.warning, "skills", "…")`.

    It is for every line that a switch, a caller or a stranger can cause. `group` is whose lines they are: within one
    group a limited number of kinds are told apart, and the rest count as one. How many lines were left out is said at
    the end of the minute (`tell_repeats`).
    """
    if _repeats.is_due(group, event, kind, tell):
        tell(event, **fields)


def tell_repeats() -> None:
    """Say how many lines of each kind were left out in the minute that has passed; called every second."""
    for repeat in _repeats.over():
        fields = {"group": repeat.group} if repeat.group else {}
        repeat.tell(repeat.event, kind=repeat.kind, repeated=repeat.count, **fields)


def flush(patience_ms: int = 1_000) -> bool:
    """Wait until everything said so far is written; False when the reader did not take it in time."""
    return _writer is None or _writer.flush(patience_ms)


def complain(text: str) -> None:
    """Tell the person who started us, in plain words, also when logs are not set up."""
    flush()
    for line in text.splitlines() or [""]:
        sys.stderr.write(f"fsacd: {_UNSAFE.sub('?', line)}\n")
    sys.stderr.flush()


def _processors(style: Style, is_terminal: bool) -> list[Processor]:
    chain: list[Processor] = [
        structlog.processors.add_log_level,
        _add_name,
        structlog.processors.format_exc_info,
        tame,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    if style == "json":
        return [*chain, _as_json]
    columns = structlog.dev.ConsoleRenderer(colors=is_terminal, timestamp_key="time")
    return [*chain, lambda logger, name, event: f"{columns(logger, name, event)}\n".encode(errors="replace")]


def tame(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Make every text of an event safe to write; a processor for structlog."""
    tamed: EventDict = {}
    for key, value in event.items():
        if key == "exception" and isinstance(value, str):
            tamed[key] = _text(value, _UNSAFE_BUT_BREAKS, _TRACE_LIMIT)
        else:
            tamed[_key(str(key))] = _value(value)
    return tamed


def _value(value: object, depth: int = 0) -> object:
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if -_INT64 <= value < _INT64 else _text(str(value))
        case str():
            return _text(value)
        case bytes():
            return _text(value[:_TEXT_LIMIT].decode(errors="backslashreplace"))
        case Number():
            return str(value)
        case Mapping() if depth < _DEPTH_LIMIT:
            return {_text(str(key)): _value(item, depth + 1) for key, item in _few(value.items())}
        case list() | tuple() | set() | frozenset() if depth < _DEPTH_LIMIT:
            return [_value(item, depth + 1) for item in _few(value)]
        case _:
            return _text(repr(value))


def _few(items: Iterable[Any]) -> Iterable[Any]:
    return islice(items, _ITEMS_LIMIT)


@lru_cache(maxsize=256)  # every line of a kind has the same names
def _key(text: str) -> str:
    return _text(text)


def _text(text: str, unsafe: re.Pattern[str] = _UNSAFE, limit: int = _TEXT_LIMIT) -> str:
    if len(text) <= limit and _SUSPECT.search(text) is None:
        return text
    if len(text) > limit:
        # A number that is cut in two might be too short to be recognised and redacted, so its digits go, too.
        text = text[:limit].rstrip("0123456789") + "…"
    return unsafe.sub("\ufffd", _LONG_NUMBER.sub(_cut_match, text))


def _cut_match(match: re.Match[str]) -> str:
    found = match[0]
    return found if match["uuid"] or len(found) <= _digits else _cut(found)


def _cut(digits: str) -> str:
    return "***" + digits[len(digits) - _digits :]


def _as_json(_logger: WrappedLogger, _name: str, event: EventDict) -> bytes:
    first = {key: event.pop(key) for key in ("time", "level", "logger", "event") if key in event}
    return orjson.dumps({**first, **event}, default=repr, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE)


def _add_name(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event.setdefault("logger", logger.name)
    return event


class _Line:
    """The receiver of structlog's finished lines."""

    def __init__(self, name: str, write: Callable[[bytes], None]) -> None:
        self.name = name
        self.msg = self.debug = self.info = self.warning = self.warn = write
        self.error = self.err = self.critical = self.fatal = self.exception = self.failure = self.log = write


class _Factory:
    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def __call__(self, *names: Any) -> _Line:
        return _Line(str(names[0]) if names else "fsacd", self._writer.write)


class _Bridge(logging.Handler):
    """Carries the standard library's records over to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # a library's arguments that do not fit its own text
            text = str(record.msg)
        structlog.get_logger(record.name).log(record.levelno, text, exc_info=record.exc_info)
