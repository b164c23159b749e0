"""Tables of customers as CSV: encodings, delimiters, quotes, formulas, limits."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.caller import customer_table
from fsacd.caller.customer_table import Line, Table, read_cell, written_cell
from fsacd.errors import Refused
from fsacd.http.customer_forms import COLUMNS


def table(text: str | bytes, delimiter: str | None = None) -> Table:
    data = text.encode() if isinstance(text, str) else text
    return Table(io.BytesIO(data), ("contract", "Since"), delimiter)


def lines(text: str | bytes) -> list[Line]:
    return list(table(text))


def test_the_columns_are_the_api_s() -> None:
    """What a line says is read there."""
    assert customer_table.COLUMNS == COLUMNS


def test_a_table() -> None:
    """Cells by column, with the line where each begins, also behind cells of several lines and blank lines."""
    text = 'Number,NAME,since\r\n+4930111,"ACME, ""the"" firm",2026-01-31\r\n\r\n+4930222,"a\nb",\n,,\n+4930333,Zoë,x\n'
    assert lines(text) == [
        Line(2, {"numbers": "+4930111", "name": 'ACME, "the" firm', "Since": "2026-01-31"}),
        Line(4, {"numbers": "+4930222", "name": "a\nb", "Since": ""}),
        Line(7, {"numbers": "+4930333", "name": "Zoë", "Since": "x"}),
    ]


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_with_and_without_a_mark_and_by_each_delimiter(before: bytes, between: str) -> None:
    """The delimiter is what stands between the columns of the heading; a byte order mark is no letter of its first."""
    text = f'numbers{between}"name,;"{between}contract\n'.replace('"name,;"', '"name"') + f"1{between}Zoë{between}K\n"
    assert lines(before + text.encode()) == [Line(2, {"numbers": "1", "name": "Zoë", "contract": "K"})]


def test_a_delimiter_that_is_given() -> None:
    """One column alone says nothing of what would stand between several."""
    assert list(table("numbers\n1;2\n", ",")) == [Line(2, {"numbers": "1;2"})]
    assert lines("numbers\n1;2\n") == [Line(2, {"numbers": "1;2"})]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: there is no heading"),
        ("name,contract\n", "line 1: neither the column numbers nor the column customer says whom a line is about"),
        ("numbers,telefon\n", "line 1: there is no column 'telefon'; there are customer, numbers, name, "),
        ("numbers,number\n", "line 1: the column numbers is named twice"),
        ("numbers,name\n1,Zo\xeb\n".encode("latin-1"), "line 2: it is not UTF-8 (byte 0xeb); save the file as UTF-8"),
        ("numbers\n1\n".encode("utf-16"), "line 1: the file is UTF-16; save it as UTF-8"),
        ('numbers,name\n1,"x\n2,y\n', "line 2: it is no line of a table (unexpected end of data)"),
        ('numbers,name\n1,"x"y\n', "line 2: it is no line of a table (',' expected after '\"')"),
        ('numbers,name\n1,"' + "x" * 3_000, "line 2: it is no line of a table (field larger than field limit (2048))"),
        ("numbers\n" + "1" * 70_000, "line 2: it is longer than 65536 bytes"),
    ],
)
def test_what_cannot_be_read(text: str | bytes, sentence: str) -> None:
    """One sentence with the line, and nothing is read behind it."""
    with pytest.raises(Refused) as refused:
        lines(text)
    assert str(refused.value).startswith(sentence)


def test_a_line_that_does_not_fit() -> None:
    """It is told by its number, and the lines behind it are read."""
    found = lines("numbers,name\n1\n2,b,c\n3,d\n")
    assert [(line.number, line.wrong) for line in found] == [
        (2, "it has 1 cells, and the heading has 2"),
        (3, "it has 3 cells, and the heading has 2"),
        (4, ""),
    ]


def test_too_many_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file has a limit, and says it."""
    monkeypatch.setattr(customer_table, "LINES_MOST", 3)
    with pytest.raises(Refused, match="line 4: a file has at most 3 lines; split it"):
        lines("numbers\n1\n2\n3\n")


def test_no_more_is_read_than_is_gone_through() -> None:
    """A file of any length takes the memory of a line."""
    file = io.BytesIO(b"numbers\n" + b"1\n" * 100_000)
    assert next(iter(Table(file, ()))).number == 2
    assert file.tell() < 100


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("+49 30 A1", "'+49 30 A1"),
        ("\t=1", "'\t=1"),
        ("'=1", "''=1"),
        ("+4930123", "+4930123"),
        ("+4930123;+4940123", "+4930123;+4940123"),
        ("-1.5", "-1.5"),
        ("ACME", "ACME"),
        ("'s Heeren", "'s Heeren"),
        ("", ""),
    ],
)
def test_formulas(text: str, cell: str) -> None:
    """What a spreadsheet would compute is no formula any more; numbers with a plus stay; each is read as it was."""
    assert written_cell(text) == cell
    assert read_cell(cell) == text


@given(st.text(max_size=20) | st.from_regex(r"'*[=+\-@\t\r'][0-9a-z]*", fullmatch=True))
def test_what_is_written_is_read(text: str) -> None:
    """Whatever a text begins with, it comes back, and as no formula."""
    cell = written_cell(text)
    assert read_cell(cell) == text
    assert cell[:1] not in {"=", "@", "\t", "\r"}


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=20), min_size=3, max_size=3)
)
def test_a_file_that_is_written_is_read(cells: list[str]) -> None:
    """Through the whole of it: quotes, delimiters, apostrophes."""
    out = io.StringIO()
    csv.writer(out).writerows([("numbers", "name", "contract"), ["1" + cells[0], *map(written_cell, cells[1:])]])
    (line,) = lines(out.getvalue())
    assert dict(line.cells) == {"numbers": "1" + cells[0], "name": cells[1], "contract": cells[2]}
