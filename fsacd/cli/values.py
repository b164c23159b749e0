"""Values as they are written on the command line: durations, and skills with their levels. Callbacks for click."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click

_LEVELS = range(1, 11)
_WHOLE = re.compile(r"-?[0-9]{1,9}")
_REAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


class Whole(click.IntRange):
    """A whole number between two bounds, in the digits of ASCII: Python by itself takes 1_0 and those of any script."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it. Raises BadParameter when it is none."""
        if isinstance(value, str) and not _WHOLE.fullmatch(value):
            self.fail(f"{value[:40]!r} is not a whole number.", param, ctx)
        number: int = super().convert(value, param, ctx)
        return number


class Real(click.FloatRange):
    """A number between two bounds, written as 2 or 0.5."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it. Raises BadParameter when it is none."""
        if isinstance(value, str) and not _REAL.fullmatch(value):
            self.fail(f"{value[:40]!r} is not a number.", param, ctx)
        number: float = super().convert(value, param, ctx)
        return number


def seconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """A duration such as 20s or 1h30m, as in the configuration, in seconds. Raises BadParameter when it is none."""
    if value is None:
        return None
    from fsacd.config.kinds import duration_ms  # noqa: PLC0415 - only a duration needs pydantic

    ms = duration_ms(value)
    if ms is None:
        raise click.BadParameter(f"{value!r} is not a duration like 20s or 1m30s.")
    return ms / 1000


def skill_levels(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> dict[str, int]:
    """Skills with their levels, such as french=5. Raises BadParameter for anything else, or a skill named twice."""
    levels = {}
    for value in values:
        skill, _, level = value.rpartition("=")
        if not skill or not (level.isascii() and level.isdigit() and int(level) in _LEVELS):
            raise click.BadParameter(f"{value!r} is not a skill with a level from 1 to 10, like french=5.")
        if skill in levels:
            raise click.BadParameter(f"the skill {skill!r} is named twice.")
        levels[skill] = int(level)
    return levels
