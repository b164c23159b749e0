"""Secrets that are given by a file, the environment or systemd's credentials, put in the place of the secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fsacd.config.blocks import Settings, blocks_in
from fsacd.config.problems import Complaint, Loc
from fsacd.process import trusted
from fsacd.process.quoting import shown

_LONGEST_FILE: Final = 65_536
_SHOWN_PATH: Final = 240


class UnavailableError(Exception):
    """A secret is not available; the text says why, and never holds any part of it."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where secrets come from: the configuration's directory and the environment."""

    directory: Path
    environ: Mapping[str, str]

    def from_file(self, name: str) -> str:
        """Read a secret from a file; a relative path starts at the configuration's directory."""
        return _read(self.directory / name)

    def from_environment(self, name: str) -> str:
        """Read a secret from an environment variable."""
        if not self.environ.get(name):
            raise UnavailableError(f"the environment variable {name} is not set")
        return self.environ[name]

    def from_credential(self, name: str) -> str:
        """Read a secret that systemd passed to this unit."""
        directory = self.environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise UnavailableError(
                "systemd gave no credentials ($CREDENTIALS_DIRECTORY is not set); add LoadCredential="
            )
        return _read(Path(directory) / name)


def fill_secrets(root: type[Settings], data: Any, sources: Sources) -> Iterator[Complaint]:
    """Put each secret that is given by reference into its place in `data`; complain of those that are not available."""
    for loc, block, settings in blocks_in(root, data):
        for secret, ways in block.SECRETS.items():
            yield from _fill(loc, settings, secret, ways, needed=secret in block.NEEDS, sources=sources)


def _fill(
    loc: Loc, settings: dict[str, Any], secret: str, ways: tuple[str, ...], *, needed: bool, sources: Sources
) -> Iterator[Complaint]:
    given = [way for way in settings if way in ways and settings[way] is not None]
    if len(given) > 1:
        others = ways[0] if given[0] == ways[0] else given[0]
        yield Complaint((*loc, given[1]), f"{secret} is given already by '{others}'; keep one of them", at_key=True)
    elif not given and needed:
        yield Complaint((*loc, secret), f"missing; give it by one of {', '.join(ways)}")
    elif given and isinstance(settings[given[0]], str):
        way = given[0]
        try:
            match way.removeprefix(secret):
                case "_file":
                    settings[secret] = sources.from_file(settings[way])
                case "_env":
                    settings[secret] = sources.from_environment(settings[way])
                case "_credential":
                    settings[secret] = sources.from_credential(settings[way])
                case _:  # the secret itself, or its sum, stands in the file
                    pass
        except UnavailableError as error:
            yield Complaint((*loc, way), str(error))


def _read(path: Path) -> str:
    where = shown(path, _SHOWN_PATH)
    try:
        raw = trusted.read_given(path, _LONGEST_FILE, secret=True)
    except OSError as error:
        raise UnavailableError(f"cannot read {where}: {trusted.why(error)}") from None
    except ValueError:  # a NUL in the path
        raise UnavailableError(f"cannot read {where}: that is no path") from None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise UnavailableError(f"cannot read {where}: it is not UTF-8 text") from None
    # Editors end a file with a newline that is no part of the secret.
    text = text.rstrip("\r\n")
    if not text:
        raise UnavailableError(f"cannot read {where}: it is empty")
    return text
