"""The client commands' common parts: the options that all of them take, and showing once or repeatedly."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from fsacd.cli import output as o
from fsacd.cli.board import clean
from fsacd.cli.client import DEFAULT_URL, BadUse, Client, Document, NotReachable
from fsacd.cli.values import Real
from fsacd.process import trusted

PAGE = 5_000
_TOKEN_FILE_LIMIT = 4_096
_WATCH_S = 2.0

_Command = TypeVar("_Command", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Session:
    """The values of the common options."""

    client: Client
    output: o.Format
    watch_s: float | None = None


def common_options(command: _Command) -> _Command:
    """The options of every client command; the command gets a Session instead."""

    @click.option("--url", envvar="FSACD_URL", default=DEFAULT_URL, show_default=True, help="Address of the API.")
    @click.option("--token", envvar="FSACD_TOKEN", help="Token for the API; others can see it in the process list.")
    @click.option(
        "--token-file",
        envvar="FSACD_TOKEN_FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File that holds the token.",
    )
    @click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="What the answer looks like.",
    )
    @click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
    @functools.wraps(command)
    def wrapped(
        url: str,
        token: str | None,
        token_file: Path | None,
        output: str,
        *,
        as_json: bool,
        watch: float | None = None,
        **rest: Any,
    ) -> None:
        client = Client(url, token_given(token, token_file))
        try:
            command(Session(client, "json" if as_json else cast("o.Format", output), watch), **rest)
        except KeyboardInterrupt:
            # Ctrl-C is the regular end of --watch; any other command is interrupted by it.
            if watch is None:
                raise

    return cast("_Command", wrapped)


def watch_option(command: _Command) -> _Command:
    """`--watch [SECONDS]`; put above `common_options`, which hands it on in the Session."""
    option = click.option(
        "--watch", is_flag=False, flag_value=_WATCH_S, default=None, type=Real(0.2, 3600),
        metavar="[SECONDS]", help=f"Show it again every so many seconds ({_WATCH_S:g} by default), until Ctrl-C.",
    )  # fmt: skip
    return option(command)


def token_given(token: str | None, token_file: Path | None) -> str:
    """The token as it was given, or the empty text. Raises BadUse for a file that cannot be read."""
    # A token on the command line goes before the file; a named file that cannot be read is always an error.
    if token is not None:
        return token.strip()
    if token_file is None:
        return ""
    try:
        return trusted.read_given(token_file, _TOKEN_FILE_LIMIT, secret=True).decode("ascii").strip()
    except OSError as error:
        raise BadUse(f"The token file {str(token_file)!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise BadUse(f"The token file {str(token_file)!r} does not hold a token.") from None


def repeat(session: Session, fetch: Callable[[], Document], show: Callable[[Document], None]) -> None:
    """Fetch and show once, or again and again until Ctrl-C; in the middle of that, a daemon may be away for a while."""
    document = fetch()
    streaming = session.watch_s is not None
    while True:
        if session.output == "table":
            if streaming and sys.stdout.isatty():
                click.clear()
            show(document)
        else:
            o.write_document(document, session.output, sys.stdout, stream=streaming)
        if session.watch_s is None:
            return
        document = _next(fetch, session.watch_s)


def _next(fetch: Callable[[], Document], interval_s: float) -> Document:
    while True:
        time.sleep(interval_s)
        try:
            return fetch()
        except NotReachable as error:
            o.complain(str(error))


def done(session: Session, document: Document) -> None:
    """Show the sentence with which the daemon says that it was done."""
    if session.output == "table":
        sys.stdout.write(clean(document["message"], 1_000) + "\n")
    else:
        o.write_document(document, session.output, sys.stdout)
