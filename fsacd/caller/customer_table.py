"""Tables of customers as CSV: read line by line, written cell by cell, each bounded. Pure but for the file.

A cell that a spreadsheet would take for a formula is written with an apostrophe before it, and read without it. A
number with a plus before it is no formula, and stays as it is.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from fsacd.errors import Refused

COLUMNS: Final = ("customer", "numbers", "name", "priority", "head_start", "skills", "agent", "language")
# Other names that people use for these columns.
_ALIASES: Final = {"number": "numbers", "id": "customer"}
DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t"}
LINES_MOST: Final = 1_000_000
_LINE_BYTES: Final = 65_536
_CELL_LETTERS: Final = 2_048
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_NUMERAL: Final = frozenset("+-0123456789.*#;/() ")
_OTHER_ENCODINGS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: its line number in the file, its cells by column, and what is wrong with it, if anything."""

    number: int
    cells: Mapping[str, str]
    wrong: str = ""


class Table:
    """A table that is read while it is iterated over.

    `fields` are the own fields that are declared. Raises Refused, here and during iteration, for a file that cannot be
    read further: for its encoding, its heading or its quotes.
    """

    def __init__(self, file: BinaryIO, fields: Iterable[str], delimiter: str | None = None) -> None:
        self._lines = _Lines(file)
        first = next(self._lines, "")
        if not first.strip():
            raise Refused("line 1: there is no heading; it names the columns, such as numbers,name")
        self.delimiter = delimiter or _delimiter_of(first)
        csv.field_size_limit(_CELL_LETTERS)
        self._reader = csv.reader(_chained(first, self._lines), delimiter=self.delimiter, strict=True)
        self.columns = _columns(self._row() or [], fields)

    def __iter__(self) -> Iterator[Line]:
        while True:
            number = self._reader.line_num + 1
            row = self._row()
            if row is None:
                return
            if number > LINES_MOST:
                raise Refused(f"line {number}: a file has at most {LINES_MOST} lines; split it")
            if not any(cell.strip() for cell in row):
                continue  # a blank line
            if len(row) != len(self.columns):
                yield Line(number, {}, f"it has {len(row)} cells, and the heading has {len(self.columns)}")
            else:
                yield Line(number, {name: read_cell(cell) for name, cell in zip(self.columns, row, strict=True)})

    def _row(self) -> list[str] | None:
        number = self._reader.line_num + 1
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise Refused(f"line {number}: it is no line of a table ({error}); are its quotes closed?") from None


class _Lines:
    """The lines of a file as texts. Raises Refused for what is no text in UTF-8."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(_LINE_BYTES + 1)
        if not raw:
            raise StopIteration
        self._number += 1
        if self._number == 1:
            if raw.startswith(_OTHER_ENCODINGS):
                raise Refused("line 1: the file is UTF-16; save it as UTF-8")
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if len(raw) > _LINE_BYTES:
            raise Refused(f"line {self._number}: it is longer than {_LINE_BYTES} bytes")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = raw[error.start]
            raise Refused(f"line {self._number}: it is not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8") from None


def _chained(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter_of(heading: str) -> str:
    """The delimiter: of the usual ones, the one that is most frequent outside quotes."""
    bare = re.sub(r'"[^"]*"', "", heading)
    return max(DELIMITERS.values(), key=bare.count)


def _columns(heading: Sequence[str], fields: Iterable[str]) -> tuple[str, ...]:
    known = {name.lower(): name for name in (*COLUMNS, *fields)}
    found = []
    for cell in heading:
        word = read_cell(cell).strip().lower()
        name = known.get(_ALIASES.get(word, word))
        if name is None:
            raise Refused(f"line 1: there is no column {cell.strip()[:40]!r}; there are {', '.join(known.values())}")
        if name in found:
            raise Refused(f"line 1: the column {name} is named twice")
        found.append(name)
    if not {"customer", "numbers"} & set(found):
        raise Refused("line 1: neither the column numbers nor the column customer says whom a line is about")
    return tuple(found)


def read_cell(text: str) -> str:
    """A cell's text, without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text


def written_cell(text: str) -> str:
    """A text as it can stand in a cell; `read_cell` gives it back."""
    is_number = text[:1] != "'" and _NUMERAL.issuperset(text)
    return f"'{text}" if _FORMULA.match(text) and not is_number else text
