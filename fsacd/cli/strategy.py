"""`fsacd strategy …`: check, begin and list strategies and call orders. Works without a daemon."""

from __future__ import annotations

import keyword
import re
import stat
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fsacd.cli.board import clean
from fsacd.cli.output import Column, Document, write_table

if TYPE_CHECKING:
    from fsacd.plugins import Kind

EXIT_OK = 0
EXIT_WRONG = 2

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FILE = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)


def _parameters(plugin: Document) -> str:
    return ", ".join(f"{parameter['name']}: {parameter['default']}" for parameter in plugin["parameters"])


_COLUMNS = (
    Column("NAME", lambda plugin: clean(plugin["name"])),
    Column("KIND", lambda plugin: clean(plugin["kind"])),
    Column("PARAMETERS", lambda plugin: clean(_parameters(plugin))),
    Column("RULE", lambda plugin: clean(plugin["summary"], 120)),
)


@click.group()
def strategy() -> None:
    """Check, begin and list strategies and call orders."""


@strategy.command()
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
def check(files: tuple[Path, ...]) -> int:
    """Check that each FILE keeps the contract of plugins."""
    from fsacd.contract import check_strategy  # noqa: PLC0415 - heavy, and the other commands do without

    code = EXIT_OK
    for file in files:
        complaints = check_strategy(file)
        for complaint in complaints:
            click.echo(complaint, err=True)
        if complaints:
            code = EXIT_WRONG
        else:
            click.echo(f"{file}: good. {_summary(file)}")
            for note in _notes(file):
                click.echo(f"{file}: note: {note}")
    return code


@strategy.command()
@click.argument("name")
@click.option("--dir", "directory", type=_DIRECTORY, default=Path(), help="Where to write it; by default here.")
@click.option("--rank", "kind", flag_value="rank", help="A strategy that looks at all candidates together.")
@click.option("--call-order", "kind", flag_value="call_order", help="A call order.")
def new(name: str, directory: Path, kind: str | None) -> int:
    """Write a plugin NAME.py and its test test_NAME.py, to be changed."""
    from fsacd import plugins  # noqa: PLC0415 - heavy, and --help does without
    from fsacd.plugins.templates import TEMPLATES  # noqa: PLC0415 - the same

    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise click.UsageError(f"'{name}' is no name for a plugin: small letters, digits and _, a letter first")
    shipped = plugins.shipped()
    if name in {*shipped.names("strategy"), *shipped.names("call order")}:
        raise click.UsageError(f"fsacd has a plugin {name} of its own; choose another name")
    texts = TEMPLATES[kind or "key"]
    paths = (directory / f"{name}.py", directory / f"test_{name}.py")
    taken = [str(path) for path in paths if path.exists()]
    if taken:
        raise click.UsageError(f"{' and '.join(taken)} exists already; it is left as it is")
    for path, text in zip(paths, texts, strict=True):
        try:
            with path.open("x", encoding="utf-8") as file:  # "x" refuses a dangling link, too
                file.write(text.replace("NAME", name))
        except OSError as error:
            raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
    setting = "call_order" if kind == "call_order" else "strategy"
    click.echo(
        f"Wrote {paths[0]} and {paths[1]}. Check it: fsacd strategy check {paths[0]}\n"
        f"Its test wants pytest ('{sys.executable} -m pip install pytest'): {sys.executable} -m pytest {paths[1]}\n"
        f"To use it, put {paths[0].name} into a directory of strategy_path and write '{setting}: {name}' in a queue."
    )
    return EXIT_OK


@strategy.command("list")
@click.option("--path", "paths", multiple=True, type=_DIRECTORY, help="A directory of plugins beside fsacd's own.")
def list_plugins(paths: tuple[Path, ...]) -> int:
    """List all strategies and call orders that can be named in the configuration."""
    from fsacd.plugins import Catalogue  # noqa: PLC0415 - heavy, and --help does without

    catalogue, problems = Catalogue.load(paths)
    kinds: tuple[Kind, ...] = ("strategy", "call order")
    rows = [asdict(catalogue.describe(name)) for kind in kinds for name in catalogue.names(kind)]
    write_table(_COLUMNS, rows, sys.stdout)
    for problem in problems:
        click.echo(str(problem), err=True)
    return EXIT_WRONG if problems else EXIT_OK


def _summary(file: Path) -> str:
    from fsacd.plugins.catalogue import load_file  # noqa: PLC0415 - see check

    plugin = load_file(file)
    if plugin.kind == "call order":
        what = "A call order"
    else:
        what = "A strategy that ranks" if plugin.ranks else "A strategy with a key"
    names = ", ".join(plugin.parameters)
    return f"{what}; {f'parameters: {names}' if names else 'no parameters'}."


def _notes(file: Path) -> list[str]:
    """Why the daemon would refuse to load the file where it lies now. The file may get another owner later."""
    notes = []
    for path, what in ((file, "it"), (file.absolute().parent, "its directory")):
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            notes.append(f"others than the owner can write {what}; the daemon would refuse it (chmod go-w)")
    return notes
