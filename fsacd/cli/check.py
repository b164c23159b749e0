"""Tells what a reload of a file would do to callers and agents: `fsacd check` asks the running daemon for them.

The daemon is only read, with any token that may read. The effects on its callers and agents are computed here, from the
file that is checked: the daemon's own file, or a draft.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from fsacd.cli.client import Client, Document, NotReachable
from fsacd.cli.session import token_given
from fsacd.config.effects import effects
from fsacd.config.model import Config
from fsacd.errors import FsacdError

# The time for all questions together: checking a file must not wait long for a daemon that hangs. Of thousands of
# callers it tells in parts, as calls go first, and a long list counts as many requests.
DEADLINE_S: Final = 10.0
_PAGE: Final = 5_000
# Addresses to listen on that mean any; the daemon is then asked on this machine.
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, not listened on


def told_beforehand(config: Config, environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """What a reload of this configuration would do, line by line; or why that is not known."""
    url = environ.get("FSACD_URL") or _url(config)
    try:
        token = _token(config, environ)
        if not token:
            yield f"what a reload would do is not known: the daemon at {url} tells nobody without a token"
            return
        calls, agents = _who_is_there(url, token)
    except FsacdError as error:
        why = str(error).partition("; is it running")[0] if isinstance(error, NotReachable) else str(error)
        yield f"what a reload would do is not known: {why}"
        return
    would = effects(config.rules(), calls, agents)
    for sentence in would.throws_out:
        yield f"the daemon at {url} would refuse a reload: {sentence}"
    for sentence in would.told:
        yield f"a reload of the daemon at {url} would do this: {sentence}"
    if not would.told and not would.throws_out:
        yield f"a reload of the daemon at {url} would take nothing from anybody there"


def _url(config: Config) -> str:
    listen = config.api.listen
    host = _ANY.get(listen.host, listen.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{listen.port}"


def _token(config: Config, environ: Mapping[str, str]) -> str:
    """The commands' token; else the first token in the file that stands there in plain text and has not expired."""
    file = environ.get("FSACD_TOKEN_FILE")
    given = token_given(environ.get("FSACD_TOKEN"), Path(file) if file else None)
    if given:
        return given
    now_s = time.time()
    usable = (token for token in config.api.tokens if token.expires is None or token.expires > now_s)
    return next((token.token.get_secret_value() for token in usable if token.token is not None), "")


def _who_is_there(url: str, token: str) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Queue and state of each call, and the state of each agent. Raises what `Client` raises."""
    ends_at = time.monotonic() + DEADLINE_S

    def pages(what: str) -> Iterator[Document]:
        yield from _pages(
            lambda offset, left_s: Client(url, token, left_s).get(what, limit=_PAGE, offset=offset), ends_at
        )

    calls = [(str(call["queue"]), str(call["state"])) for page in pages("calls") for call in page["calls"]]
    agents = {str(agent["id"]): str(agent["state"]) for page in pages("agents") for agent in page["agents"]}
    return calls, agents


def _pages(ask: Callable[[int, float], Document], ends_at: float) -> Iterator[Document]:
    offset, total = 0, 1
    while offset < total:
        left_s = ends_at - time.monotonic()
        if left_s <= 0:
            raise NotReachable(f"it did not tell all within {DEADLINE_S:g} s")
        page = ask(offset, left_s)
        yield page
        offset, total = offset + _PAGE, int(page["total"])
