"""Text that is not YAML, or not text, in an operator's words."""

from __future__ import annotations

import re
from typing import Final

import yaml

from fsacd.config.problems import Problem

# Only the library's parser in Python words its errors well; it reads about 100 KB a second.
_REWORD_LIMIT: Final = 262_144
_NOT_TEXT: Final = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_WORDS: Final = (
    (r"found character '\\t'", "a tab cannot indent; use spaces"),
    (
        r"mapping values are not allowed",
        "a colon is not allowed here: the indentation does not fit the line above, or a text with ': ' needs quotes",
    ),
    (r"found unexpected end of stream", "a quoted text is not closed"),
    (r"expected ',' or ('\]'|'\}')", "a list or block opened by a bracket is not closed, or a comma is missing"),
    (r"expected <block end>", "the indentation does not fit the lines above"),
    (r"could not find expected ':'", "expected 'name: value', but there is no colon"),
    (r"found character '(.)' that cannot start", "a text that begins with '{0}' needs quotes"),
    (r"expected the node content, but found '(.*)'", "expected a value, but found '{0}'"),
    (r"expected alphabetic or numeric character", "a text that begins with '&', '*' or '!' needs quotes"),
    (r"found unknown escape character|escape sequence", "unknown escape in a text in double quotes; use single quotes"),
)


def not_text(raw: bytes, file: str) -> tuple[str, Problem | None]:
    """Decode a file's bytes. Gives the text, or the problem for which it is no text."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        line, column = _line_and_column(before, len(before))
        text = f"the file is not UTF-8 text: byte 0x{raw[error.start]:02x} cannot be read; save it as UTF-8"
        return "", Problem(file, line, column, "", text)
    found = _NOT_TEXT.search(text)
    if found is not None:
        line, column = _line_and_column(text, found.start())
        return "", Problem(file, line, column, "", f"control character U+{ord(found[0]):04X} is not allowed")
    return text, None


def syntax_problem(text: str, file: str, error: Exception) -> Problem:
    """Turn the parser's complaint into an operator's sentence."""
    if len(text) <= _REWORD_LIMIT:
        error = _python_complaint(text) or error
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    complaint = str(getattr(error, "problem", None) or error)
    for pattern, words in _WORDS:
        found = re.search(pattern, complaint)
        if found is not None:
            return _problem(file, mark, words.format(*found.groups()) + _opened(error))
    return _problem(file, mark, f"not valid YAML: {complaint.splitlines()[0] if complaint else 'it cannot be read'}")


def _python_complaint(text: str) -> Exception | None:
    try:
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
    except yaml.YAMLError as error:
        return error
    except (ValueError, OverflowError):  # an impossible escape, for which the fast parser has the better error
        return None
    return None


def _opened(error: Exception) -> str:
    context = str(getattr(error, "context", None) or "")
    mark = getattr(error, "context_mark", None)
    if mark is None or not ("flow" in context or "quoted" in context):
        return ""
    return f" (it begins at line {mark.line + 1}, column {mark.column + 1})"


def _problem(file: str, mark: yaml.Mark | None, text: str) -> Problem:
    if mark is None:
        return Problem(file, 0, 0, "", text)
    return Problem(file, mark.line + 1, mark.column + 1, "", text)


def _line_and_column(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1
