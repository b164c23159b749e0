"""A plugin's file: who may have written it, what its text must and must not hold, and its module.

What is refused here are mistakes that would break a promise (a replay decides the same, a decision waits for nothing).
It is no sandbox: whoever can write a plugin's file can run code as the daemon. Hence the look at owner and mode.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Final

from fsacd.plugins.time_limit import TookTooLong, within
from fsacd.process import trusted as files
from fsacd.strategy import API_VERSION

_SIZE_LIMIT: Final = 262_144
# Running a file only defines things; a second is an eternity for it.
RUN_LIMIT_S: Final = 1.0

_ALLOWED: Final = (
    *("__future__", "bisect", "collections", "dataclasses", "enum", "functools", "heapq", "itertools", "math"),
    *("operator", "statistics", "typing"),
)
_CLOCK: Final = "a plugin has no clock of its own; the times are in the facts"
_DIE: Final = "a plugin has no die of its own; rank() is given one"
_IO: Final = "a plugin reads, writes and waits for nothing"
_WHY_NOT_IMPORT: Final = {
    **dict.fromkeys(("time", "datetime", "calendar", "zoneinfo", "sched"), _CLOCK),
    **dict.fromkeys(("random", "secrets", "uuid"), _DIE),
    **dict.fromkeys(
        (
            *("asyncio", "ctypes", "gevent", "http", "importlib", "io", "logging", "multiprocessing", "os", "pathlib"),
            *("requests", "select", "shutil", "signal", "socket", "sqlite3", "subprocess", "sys", "threading"),
            *("urllib", "psycopg", "redis"),
        ),
        _IO,
    ),
}
_UNSTABLE: Final = "its answer differs from run to run, and a replay must decide the same"
_WHY_NOT_CALL: Final = {
    **dict.fromkeys(("hash", "id"), _UNSTABLE),
    **dict.fromkeys(("open", "print", "input", "breakpoint"), _IO),
    **dict.fromkeys(("eval", "exec", "compile", "__import__"), "a plugin's file must say all that it does"),
}


class Unfit(Exception):  # noqa: N818 - said of a file, as in "unfit to be a plugin"
    """A file cannot be a plugin; one sentence, without the file's name. A `line` of 0 means the file as a whole."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


# --- who may have written it ---


def read_file(path: Path, trusted: frozenset[int]) -> str:
    """The text of a plugin's file that nobody but its owner, one of the `trusted` user ids, can have written.

    Raises:
        Unfit: Somebody else could write the file or into its directory, or it cannot be read.
    """
    try:
        return _decoded(files.read_given(path, _SIZE_LIMIT, trusted=trusted, alone=True))
    except OSError as error:
        raise Unfit(_not_read(error)) from error


def read_any(path: Path) -> str:
    """The text of a file whoever may have written it: one that is being worked on, or that Python trusts anyway.

    Raises:
        Unfit: It cannot be read.
    """
    try:
        return _decoded(files.read_any(path, _SIZE_LIMIT))
    except OSError as error:
        raise Unfit(_not_read(error)) from error


def _not_read(error: OSError) -> str:
    return str(error) if isinstance(error, files.Untrusted) else f"it cannot be read: {error.strerror}"


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unfit("it is not UTF-8 text", raw.count(b"\n", 0, error.start) + 1) from error


# --- what it says ---


def check_text(text: str) -> None:
    """Look at a plugin's text without running it.

    Raises:
        Unfit: It is no Python, is written for another version of the contract, or does what a plugin must not do.
    """
    tree = _parsed(text)
    _check_version(tree)
    for why in sorted(_faults(tree), key=lambda fault: fault.line):
        raise why


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise Unfit(f"this is not Python: {error.msg}", error.lineno or 0) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unfit(f"this is not Python: {error}") from error


def _check_version(tree: ast.Module) -> None:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name("API_VERSION")], value=value):
                pass
            case ast.AnnAssign(target=ast.Name("API_VERSION"), value=value) if value is not None:
                pass
            case _:
                continue
        version = value.value if isinstance(value, ast.Constant) else None
        if type(version) is not int:
            raise Unfit(f"API_VERSION must be a number, as in API_VERSION = {API_VERSION}", node.lineno)
        if version != API_VERSION:
            raise Unfit(f"it is written for API_VERSION {version}; this fsacd has {API_VERSION}", node.lineno)
        return
    raise Unfit(f"it does not say which contract it is written for; add the line API_VERSION = {API_VERSION}")


def _faults(tree: ast.Module) -> Iterator[Unfit]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield from _import_fault(alias.name, node.lineno)
            case ast.ImportFrom(level=level) if level:
                yield Unfit("imports its neighbours: a plugin is one file", node.lineno)
            case ast.ImportFrom(module="fsacd", names=names) if all(alias.name == "strategy" for alias in names):
                pass
            case ast.ImportFrom(module=str(module)):
                yield from _import_fault(module, node.lineno)
            case ast.Call(func=ast.Name(name)) if name in _WHY_NOT_CALL:
                yield Unfit(f"calls {name}(): {_WHY_NOT_CALL[name]}", node.lineno)
            case ast.Global(names=global_names):
                yield Unfit(f"changes {global_names[0]}: a plugin remembers nothing", node.lineno)
            case ast.ExceptHandler(type=None | ast.Name("BaseException")):
                yield Unfit(
                    "catches everything: a plugin that takes too long must let itself be interrupted", node.lineno
                )
            case _:
                pass


def _import_fault(module: str, line: int) -> Iterator[Unfit]:
    top = module.partition(".")[0]
    if module == "fsacd.strategy" or top in _ALLOWED:
        return
    why = "a plugin knows fsacd.strategy alone" if top in {"fsacd", "strategies"} else _WHY_NOT_IMPORT.get(top)
    yield Unfit(f"imports {module}: {why or 'a plugin may import fsacd.strategy and ' + ', '.join(_ALLOWED)}", line)


# --- its module ---


def run_text(text: str, file: str, name: str) -> ModuleType:
    """Make a module of a checked text.

    Raises:
        Unfit: It raised, or took longer than a second.
    """
    module = ModuleType(f"fsacd_plugin_{name}")
    module.__file__ = file
    # While it runs, dataclasses look their module up by name.
    sys.modules[module.__name__] = module
    try:
        code = compile(text, file, "exec", dont_inherit=True)
        within(RUN_LIMIT_S, exec, code, module.__dict__)
    except TookTooLong as error:
        raise Unfit(f"it took longer than {RUN_LIMIT_S:g} s to define its class") from error
    except (Exception, SystemExit) as error:
        raise Unfit(f"it raised {said(error)}", line_of(error.__traceback__, file)) from error
    finally:
        del sys.modules[module.__name__]
    return module


def line_of(traceback: TracebackType | None, file: str) -> int:
    """The line of `file` that raised; 0 if none did."""
    line = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == file:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


_SAID_CHARACTERS: Final = 200


def said(error: BaseException, where: str = "") -> str:
    """An exception's class, where it was raised, and its text, on one line that is not too long."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - the text of a plugin's own exception may be anything, even another exception
        text = ""
    text = "".join(char if char.isprintable() else "?" for char in text[: _SAID_CHARACTERS + 1])
    cut = text if len(text) <= _SAID_CHARACTERS else f"{text[: _SAID_CHARACTERS - 1]}…"
    return f"{type(error).__name__}{where}: {cut}" if cut else f"{type(error).__name__}{where}"
