from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import structlog

from fsacd.log import setup as logs
from fsacd.log.setup import Style, number
from fsacd.log.writer import LineWriter

CALL_ID = "12345678-1234-4321-8765-123456789012"


class Reader:
    """The other end of a standard error of our own."""

    def __init__(self) -> None:
        self.end, self.descriptor = os.pipe()

    def text(self) -> str:
        assert logs.flush(5_000)
        return os.read(self.end, 1_000_000).decode()

    def line(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text())
        return found

    def set_up(self, style: Style = "json", **settings: Any) -> Any:
        logs.setup(style=style, descriptor=self.descriptor, **settings)
        return structlog.get_logger("fsacd.test")


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    made = Reader()
    monkeypatch.setattr(logs, "_writer", None)
    monkeypatch.setattr(logs, "_digits", 4)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield made
    logging.captureWarnings(capture=False)
    logging.basicConfig(handlers=handlers, level=level, force=True)
    structlog.reset_defaults()
    os.close(made.end)
    os.close(made.descriptor)


def test_one_json_object_a_line(reader: Reader) -> None:
    """A line says when, how important, where, what, and then the rest."""
    reader.set_up().info("queued", queue="support", waiting=3)
    line = reader.line()
    assert list(line) == ["time", "level", "logger", "event", "queue", "waiting"]
    assert line | {"time": ""} == {
        "time": "", "level": "info", "logger": "fsacd.test", "event": "queued", "queue": "support", "waiting": 3,
    }  # fmt: skip
    assert line["time"].endswith("Z")


def test_level(reader: Reader) -> None:
    """What is less important than the level is not written."""
    log = reader.set_up(level="warning")
    log.info("quiet")
    log.warning("loud")
    assert reader.line()["event"] == "loud"


@pytest.mark.parametrize(
    ("digits", "text", "shown"),
    [
        (4, "+49 30 123-456", "***3456"),
        (4, "1001", "1001"),
        (4, "anonymous", "***"),
        (4, "", ""),
        (0, "4930123456", "***"),
        (2, "1001", "***01"),
        (32, "4930123456", "4930123456"),
    ],
)
def test_number_shows_its_last_digits(reader: Reader, digits: int, text: str, shown: str) -> None:
    """A wrapped number is cut however it comes into a line; only reveal() gives it back."""
    wrapped = number(text)
    reader.set_up(number_digits=digits).info(f"from {wrapped}", caller=wrapped, all=[wrapped], **{"as": {"x": wrapped}})
    line = reader.line()
    assert (line["event"], line["caller"], line["all"], line["as"]) == (f"from {shown}", shown, [shown], {"x": shown})
    assert repr(wrapped) == shown
    assert wrapped.reveal() == text


def test_bare_numbers_are_cut_too(reader: Reader) -> None:
    """A long number in any text is cut, wherever it stands; the ids of calls stay whole."""
    reader.set_up().info("sip:4930123456@host", text=("tel:+4930123456", {"4930123456": b"4930123456"}), call=CALL_ID)
    text = reader.text()
    assert "4930123456" not in text
    assert text.count("***3456") == 4
    assert CALL_ID in text


def test_number_in_a_traceback(reader: Reader) -> None:
    """An exception's text is no way around; its lines stay lines."""
    reader.set_up().error("failed", exc_info=ValueError("cannot reach 4930123456 \x1b[31m"))
    told = reader.line()["exception"]
    assert "4930123456" not in told
    assert "\x1b" not in told
    assert told.splitlines()[-1] == "ValueError: cannot reach ***3456 \ufffd[31m"


@pytest.mark.parametrize("style", ["json", "console"])
def test_control_characters(reader: Reader, style: Style) -> None:
    """A hostile caller name forges no line, moves no cursor and turns no text around."""
    hostile = "Eve\x1b[2J\r\nevent=forged\x9b1m\u202eevil\x00\ud83d"
    reader.set_up(style=style).info("named " + hostile, name=hostile, **{hostile: 1})
    text = reader.text()
    assert text.count("\n") == 1
    assert [mark for mark in "\x1b\r\x9b\u202e\x00" if mark in text] == []


def test_anything_can_be_logged(reader: Reader) -> None:
    """Huge, deep and strange values are written in a bounded form instead of failing."""
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    reader.set_up().info("odd", big=2**70, deep=deep, many=list(range(9_999)), thing=object, long="x" * 99_999)
    line = reader.line()
    assert line["big"] == "***" + str(2**70)[-4:]
    assert len(line["many"]) == 50
    assert len(line["long"]) == 2_001
    assert line["thing"] == "<class 'object'>"


def test_number_at_the_cut(reader: Reader) -> None:
    """A long text is not cut in the middle of a number, where too little of it would be left to know it by."""
    reader.set_up().info("x" * 1_995 + "4930123456")
    assert reader.line()["event"] == "x" * 1_995 + "…"


def test_libraries_and_warnings(reader: Reader) -> None:
    """What the standard library's logging and warnings say comes in the same form, from warnings on."""
    reader.set_up()
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("call from %s", "4930123456")
    assert reader.line()["event"] == "call from ***3456"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    assert reader.line()["logger"] == "py.warnings"


def test_library_with_a_broken_format(reader: Reader) -> None:
    """A library whose arguments do not fit its text loses no line and raises nothing."""
    reader.set_up()
    logging.getLogger("library").warning("a %d", "b")
    assert reader.line()["event"] == "a %d"


def test_reader_who_does_not_read(reader: Reader) -> None:
    """A full pipe blocks nobody: lines beyond the limit are dropped, and their number is told when there is room."""
    writer = LineWriter(reader.descriptor, limit=100)
    line = b"x" * 999 + b"\n"
    for _ in range(1_000):
        writer.write(line)
    assert not writer.flush(10)
    assert writer.dropped > 0
    taken = b""
    os.set_blocking(reader.end, False)
    while not writer.flush(1):
        with suppress(BlockingIOError):  # read faster than it was written
            taken += os.read(reader.end, 65_536)
    writer.write(b"again\n")
    assert writer.flush(5_000)
    while not taken.endswith(b"again\n"):
        taken += os.read(reader.end, 1_000_000)
    assert taken.count(line) == 1_000 - writer.dropped
    assert json.loads(taken.splitlines()[-2])["lines"] == writer.dropped


def test_reader_who_left(reader: Reader) -> None:
    """When nobody reads any more, lines go nowhere, and the end of the process does not wait for them."""
    end, descriptor = os.pipe()
    os.close(end)
    writer = LineWriter(descriptor)
    writer.write(b"lost\n")
    assert writer.flush(5_000)
    os.close(descriptor)


def test_complaint(capsys: pytest.CaptureFixture[str]) -> None:
    """What stops the start is said in plain words, line by line, without control characters."""
    logs.complain("config.yaml:4:5: unknown\x1b setting\nconfig.yaml:9:1: empty")
    assert capsys.readouterr().err == "fsacd: config.yaml:4:5: unknown? setting\nfsacd: config.yaml:9:1: empty\n"
