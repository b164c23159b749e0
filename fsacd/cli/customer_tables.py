"""`fsacd customer import` and `export`: tables of customers in CSV, over the API, in pieces of bounded size.

A file is read twice. First the whole file is checked, and every bad line is reported: if there is one, nothing is
imported. Then the file is imported in batches, each whole or not at all. If the daemon or its database fails in
between, the command says up to which line the file is imported. The same file can be imported again, because existing
customers stay unchanged.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from fsacd.caller.customer_table import COLUMNS, DELIMITERS, Line, Table, written_cell
from fsacd.cli import output as o
from fsacd.cli.client import BadUse, Client, Document, NotReachable
from fsacd.cli.customer import customer
from fsacd.cli.session import Session, common_options
from fsacd.errors import Refused

_BATCH_LINES: Final = 200
# Well below what the API takes as a body (api.body_limit).
_BATCH_BYTES: Final = 24_000
_PAGE: Final = 500
_TOLD: Final = 1_000

_delimiter = click.option(
    "--delimiter", type=click.Choice(tuple(DELIMITERS)), help="What stands between cells; else what the heading shows."
)


@customer.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would become of it.")
@_delimiter
@common_options
def import_(session: Session, file: Path, delimiter: str | None, *, dry_run: bool) -> None:
    """Import customers from a FILE in CSV, in UTF-8, with a heading.

    Columns are customer (an id like c17), numbers (several with ; between them), name, priority, head_start (60s),
    skills (french=3; vip=5), agent, language, and the own fields. Whoever has one of the numbers is changed, whoever
    has none is new. What has no column stays as it is, an empty cell means nothing is known; no number is taken away.

    Every bad line is told, and then nothing is imported. Otherwise the file is imported in batches of up to 200 lines,
    each whole or not at all; if one fails, the file can be imported again.
    """
    fields = session.client.get("customers", limit=1)["fields"]
    counts = _try(session.client, file, list(fields), delimiter)
    if not dry_run:
        counts = _import(session.client, file, list(fields), delimiter)
    document: Document = {name: counts[name] for name in ("added", "changed", "unchanged")} | {"dry_run": dry_run}
    if session.output != "table":
        o.write_document(document, session.output, sys.stdout)
        return
    would = "would be " if dry_run else ""
    told = f"{counts['added']} customers {would}added, {counts['changed']} {would}changed"
    sys.stdout.write(f"{told}, {counts['unchanged']} unchanged\n")


def _try(client: Client, file: Path, fields: list[str], delimiter: str | None) -> Counter[str]:
    """Check all lines without importing them; returns what they would change. Raises Refused with every bad line."""
    counts, wrong = Counter[str](), _Wrong()
    # Eight bytes for each number and customer, and the line: they tell whether two batches name the same one.
    seen: dict[int, int] = {}
    for lines in _batches(file, fields, delimiter):
        wrong.add(f"line {line.number}: {line.wrong}" for line in lines if line.wrong)
        good = [line for line in lines if not line.wrong]
        if not good:
            continue
        try:
            document = client.post("customers", "import", body=_body(good, dry_run=True))
        except Refused as refused:
            if not refused.problems:
                raise
            wrong.add(refused.problems)
            continue
        counts.update({name: document[name] for name in ("added", "changed", "unchanged")})
        for line, numbers, owner in zip(good, document["numbers"], document["customers"], strict=True):
            for name in (*numbers, *([] if owner is None else [owner])):
                first = seen.setdefault(hash(name), line.number)
                if first != line.number:
                    wrong.add([f"line {line.number}: {name} is in line {first}, too"])
                    break
    wrong.tell(file)
    return counts


class _Wrong:
    """The bad lines: their count, and the first of them."""

    def __init__(self) -> None:
        self._count = 0
        self._told: list[str] = []

    def add(self, sentences: Iterable[str]) -> None:
        """Add bad lines."""
        for sentence in sentences:
            self._count += 1
            if len(self._told) < _TOLD:
                self._told.append(sentence)

    def tell(self, file: Path) -> None:
        """Raises Refused if there is any bad line."""
        if self._count:
            lines = "1 line is" if self._count == 1 else f"{self._count} lines are"
            raise Refused(f"nothing was imported: {lines} wrong in {file}", self._told)


def _import(client: Client, file: Path, fields: list[str], delimiter: str | None) -> Counter[str]:
    counts = Counter[str]()
    last = 1
    for lines in _batches(file, fields, delimiter):
        try:
            document = client.post("customers", "import", body=_body(lines, dry_run=False))
        except (Refused, NotReachable) as error:
            there = f"the lines up to {last} are imported" if last > 1 else "nothing is imported"
            said = f"{there}, those from {lines[0].number} on are not ({str(error).rstrip('.')}); import the file again"
            kind = NotReachable(said) if isinstance(error, NotReachable) else Refused(said, error.problems)
            raise kind from error
        counts.update({name: document[name] for name in ("added", "changed", "unchanged")})
        last = lines[-1].number
    return counts


def _batches(file: Path, fields: list[str], delimiter: str | None) -> Iterator[list[Line]]:
    """The lines, in batches that fit into one request. Raises Refused, and BadUse for a file that cannot be read."""
    batch: list[Line] = []
    size = 0
    try:
        with file.open("rb") as opened:
            for line in Table(opened, fields, DELIMITERS.get(delimiter or "")):
                length = len(json.dumps(dict(line.cells))) + 40
                if batch and (len(batch) >= _BATCH_LINES or size + length > _BATCH_BYTES):
                    yield batch
                    batch, size = [], 0
                batch.append(line)
                size += length
    except OSError as error:
        raise BadUse(f"{file} cannot be read: {error.strerror}.") from error
    if batch:
        yield batch


def _body(lines: list[Line], *, dry_run: bool) -> Document:
    return {"lines": [{"line": line.number, "cells": dict(line.cells)} for line in lines], "dry_run": dry_run}


@customer.command("export")
@click.option("--name", help="Those alone whose name begins so.")
@click.option("--delimiter", type=click.Choice(tuple(DELIMITERS)), default="comma", show_default=True)
@click.option("--bom", is_flag=True, help="Begin with a byte order mark: some spreadsheets know UTF-8 by it alone.")
@common_options
def export(session: Session, name: str | None, delimiter: str, *, bom: bool) -> None:
    """Write the customers in the database to standard output, as CSV that `import` takes again.

    What a spreadsheet would take for a formula has an apostrophe before it. What is changed meanwhile may be in it as
    it was or as it is.
    """
    if session.output != "table":
        raise BadUse("export writes CSV; `fsacd customer search` has JSON and YAML.")
    client, after = session.client, None
    writer = csv.writer(sys.stdout, delimiter=DELIMITERS[delimiter], lineterminator="\n")
    fields: list[str] | None = None
    while True:
        page = client.get("customers", limit=_PAGE, after=after, name_begins=name)
        if fields is None:
            fields = list(page["fields"])
            sys.stdout.write("\ufeff" if bom else "")
            writer.writerow((*COLUMNS, *fields))
        writer.writerows([written_cell(cell) for cell in _cells(row, fields)] for row in page["customers"])
        after = page["next"]
        if after is None:
            return


def _cells(row: Document, fields: list[str]) -> list[str]:
    skills = "; ".join(f"{skill}={level}" for skill, level in row["skills"].items())
    priority = "" if row["priority"] is None else str(row["priority"])
    numbers = "; ".join(row["numbers"])
    own = [str(row["own"].get(name, "")) for name in fields]
    # A duration that the configuration would take, too; whole milliseconds.
    length_ms = round(row["head_start_seconds"] * 1000)
    head_start = "" if not length_ms else f"{length_ms // 1000}s" if length_ms % 1000 == 0 else f"{length_ms}ms"
    return [row["id"], numbers, row["name"], priority, head_start, skills, row["agent"] or "", row["language"], *own]
