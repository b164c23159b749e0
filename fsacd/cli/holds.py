"""`fsacd history hold`: keep what a court asks for from being erased, until the hold is lifted."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fsacd.cli.board import clean
from fsacd.cli.client import BadUse
from fsacd.cli.customer import config_option, database, given_number, load_config, who
from fsacd.cli.history import history

_REASON_LIMIT = 256


@history.command("hold")
@click.argument("number", required=False)
@click.option("--reason", default="", help="Why: a file number, a court's letter.")
@click.option("--lift", is_flag=True, help="Lift the hold.")
@config_option
def history_hold(config: Path, number: str | None, reason: str, *, lift: bool) -> None:
    """Keep everything of the caller with this NUMBER; without one, show who is held.

    Until the hold is lifted, `fsacd history erase` and the removal of the customer are refused, and rows of the caller
    stay, however old they are. Holding and lifting are noted in `changes`, with a masked number.
    """
    from fsacd.store import holds  # noqa: PLC0415 - heavy, and for this command only

    settings = load_config(config)
    plan = settings.number_plan.plan()
    if len(reason) > _REASON_LIMIT or not reason.isprintable():
        raise BadUse(f"--reason: expected up to {_REASON_LIMIT} letters; got {reason[:40]!r}.")
    if number is None:
        if reason or lift:
            raise BadUse("say the NUMBER of the caller.")
        with database(settings, config, name="fsacd history") as connection:
            for hold in holds.every(connection):
                told = f"{hold.number}  {hold.at:%Y-%m-%d %H:%M}  {hold.by}  {hold.reason}"
                sys.stdout.write(f"{clean(told, 1_000)}\n")
        return
    if not reason and not lift:
        raise BadUse("--reason: say why, for whoever asks for the caller to be erased.")
    wanted = given_number(number, plan)
    with database(settings, config, name="fsacd history") as connection:
        if lift:
            holds.lift(connection, wanted, reason, who(), plan)
        else:
            holds.place(connection, wanted, reason, who())
    sys.stdout.write(f"{clean(wanted)} {'may be erased again' if lift else 'is held'}\n")
