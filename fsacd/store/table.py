"""What a table of history is: its columns, its key, how rows get into it, and into which month. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

# The month of rows that are not in their month yet.
BEFORE = datetime(1000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Better:
    """Of several rows with this key the highest in rank stays; `standing` gives the rank in SQL, for a table."""

    key: str
    standing: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns in the order of a row's values, each with its type.

    `better` is for a table whose row two daemons can write with different knowledge: it says which row replaces the
    other.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    better: Better | None = None
    by_month: bool = False  # its rows lie in partitions by the month in which they began
    began: str = "started_at"  # the column that says when
    # The month is a column of its own, `month`, and part of the key: where two daemons tell of one row, their clocks
    # may differ by so little as to matter only to a key that holds a moment. These columns are the rest of the key;
    # empty: there is no such column.
    month: str = ""
    # Rows of a version before it had months lie in a partition of their own, see `fsacd.store.moving`.
    before: bool = False

    @property
    def insert(self) -> str:
        """The statement that inserts rows from one JSON array; an existing row stays, unless the new one is better."""
        names = ", ".join(name for name, _ in self.columns)
        typed = ", ".join(f"{name} {kind}" for name, kind in self.columns)
        select, order = "SELECT *", ""
        if (better := self.better) is not None:
            # One row of each key: no statement may change a row twice.
            key = self.month or better.key
            select, order = f"SELECT DISTINCT ON ({key}) *", f"ORDER BY {key}, {better.standing('t')} DESC"
        source = f"json_to_recordset(%s) AS t ({typed})"
        if self.month:
            names = f"{names}, month"
            source = f"(SELECT *, {self.month_of_t()} AS month FROM {source}) AS t"  # noqa: S608 - texts of this module
        source = f"{select} FROM {source} {order}"
        return f"INSERT INTO {self.name} ({names}) {source} ON CONFLICT {self.conflict}"

    @property
    def conflict(self) -> str:
        """What an insert does where a row with this key is there already."""
        if (better := self.better) is None:
            return "DO NOTHING"
        names = ", ".join(name for name, _ in self.columns)
        new = ", ".join(f"EXCLUDED.{name}" for name, _ in self.columns)
        replaces = f"{better.standing('EXCLUDED')} > {better.standing(self.name)}"
        return f"({better.key}) DO UPDATE SET ({names}) = ROW({new}) WHERE {replaces}"

    def month_of_t(self, *, is_moved: bool = False) -> str:
        """The month of a row `t` in SQL: the one in which it is there already, else the one in which it began.

        It is there already in another month if it began where two months meet, or if a version of before has written
        it; `is_moved`: it is the latter row itself.
        """
        same = " AND ".join(f"there.{name} = t.{name}" for name in self.month.split(", "))
        near = [first_day(f"t.{self.began} {shift} interval '1 hour'") for shift in "-+"]
        months = ", ".join([f"'{BEFORE:%Y-%m-%d} 00:00Z'"] * (self.before and not is_moved) + near)
        there = f"SELECT there.month FROM {self.name} there WHERE {same} AND there.month IN ({months}) LIMIT 1"  # noqa: S608 - texts of this module
        return f"COALESCE(({there}), {first_day(f't.{self.began}')})"


def first_day(moment: str) -> str:
    """The first day of a moment's month in UTC, in SQL."""
    return f"date_trunc('month', ({moment}) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"


def table(
    name: str,
    columns: str,
    better: Better | None = None,
    *,
    by_month: bool = False,
    began: str = "started_at",
    month: str = "",
    before: bool = False,
) -> Table:
    """A table whose columns, each with its type, stand in one text; the rest as in `Table`."""
    pairs = (column.split() for column in columns.split(","))
    return Table(name, tuple((column, kind) for column, kind in pairs), better, by_month, began, month, before)
