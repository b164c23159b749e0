"""The live table of queues and agents, from the API's JSON: for a terminal, or as plain lines for a pipe or a log.

Nothing from a caller reaches the terminal as it is: escape sequences, control characters and marks that turn the
writing direction are replaced, because callers choose their own names.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:  # rich takes a tenth of a second to import; plain lines do without it
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.table import Table

Document = Mapping[str, Any]

_TEXT_LIMIT = 80
# Control, format (direction marks, joiners), surrogate, private, and line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

# A table's heading, its rule, and an empty line above and below; and the rows that are shown on any terminal.
_FRAME_LINES = 4
# A sentence of ours and a detail, which has 300 characters at most.
_TROUBLE_LENGTH = 400
_TROUBLES_SHOWN = 5
_ROWS_MIN = 3

# The order in which agents are shown when there is no room for all: busy agents first.
_STATE_ORDER = (
    "talking", "offered", "wrapping_up", "busy", "held_back", "ready", "not_ready", "leaving", "logged_out"
)  # fmt: skip
_STATE_STYLES = {
    "talking": "green",
    "offered": "yellow",
    "wrapping_up": "cyan",
    "busy": "blue",
    "held_back": "magenta",
    "ready": "bold green",
    "not_ready": "red",
    "leaving": "dim",
    "logged_out": "dim",
}


def clean(value: object, limit: int = _TEXT_LIMIT) -> str:
    """Text that is safe on a terminal: unprintable characters become `?`, and it is cut at `limit` characters."""
    text = str(value)
    shown = text[: limit + 1]
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join("?" if unicodedata.category(char) in _UNSAFE else char for char in shown)
    return shown if len(text) <= limit else shown[: limit - 1] + "…"


def width(text: str) -> int:
    """How many columns of a terminal the text takes: two for most characters of Chinese, Japanese and Korean."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in {"W", "F"} for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def duration(seconds: float | None) -> str:
    """Seconds as people say them: 12s, 2m05s, 1h02m, 3d04h; nothing for None."""
    if seconds is None:
        return ""
    whole = int(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes == 0:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes}m{rest:02}s"
    days, hours = divmod(hours, 24)
    if days == 0:
        return f"{hours}h{minutes:02}m"
    return f"{days}d{hours:02}h"


@dataclass(frozen=True, slots=True)
class Board:
    """One look at the daemon: `/status`, and the lists of `/queues` and `/agents`. `note` is shown above it."""

    status: Document
    queues: Sequence[Document] = ()
    agents: Sequence[Document] = ()
    note: str = ""

    def by_state(self) -> list[Document]:
        """The agents, the busy ones first."""
        order = {state: place for place, state in enumerate(_STATE_ORDER)}
        return sorted(self.agents, key=lambda agent: (order.get(agent["state"], len(order)), agent["id"]))

    def states(self) -> list[tuple[str, int]]:
        """How many agents are in each state, the busy states first."""
        counts = Counter(agent["state"] for agent in self.agents)
        return sorted(counts.items(), key=lambda item: _STATE_ORDER.index(item[0]) if item[0] in _STATE_ORDER else 99)


def _link_state(switch: Document) -> str:
    if switch["connected"]:
        return "up"
    return "standing by" if switch.get("standing_by") else "DOWN"


def _database_state(store: Document) -> str:
    state = "up" if store["connected"] else "DOWN"
    if not store["connected"] and store["queued"]:
        state += f", {store['queued']} rows wait"
    return state + (f", {store['dropped']} rows LOST" if store["dropped"] else "")


def headline(board: Board) -> str:
    """The daemon in one line."""
    status = board.status
    ready = "ready" if status["ready"] else "NOT READY"
    switches = ", ".join(f"{clean(switch['name'])} {_link_state(switch)}" for switch in status["switches"])
    parts = [f"fsacd {clean(status['version'])} {clean(status['instance'])}", ready]
    if switches:
        parts.append(f"switch {switches}")
    if status["store"]["configured"]:
        parts.append(f"database {_database_state(status['store'])}")
    parts.append(f"up {duration(status['uptime_seconds'])}")
    return " · ".join(parts)


def troubles(board: Board) -> list[str]:
    """The daemon's troubles, one line for each; an older daemon reports none."""
    shown = []
    for trouble in board.status.get("troubles", ()):
        detail = f" ({trouble['detail']})" if trouble["detail"] else ""
        shown.append(clean(f"{trouble['words']}{detail}", _TROUBLE_LENGTH))
    last = board.status.get("last_reload")
    if last is not None and last["result"] in ("refused", "failed"):
        what = f"The last reload, by {last['by']}, was not put in force: {last['message']}"
        shown.append(clean(what, _TROUBLE_LENGTH))
    return shown


def lines(board: Board) -> list[str]:
    """The board as plain lines, each beginning with the time, for a pipe or a log."""
    at = str(board.status["at"])[11:19]
    shown = [f"{at} {clean(board.note, 200)}"] if board.note else []
    shown.append(f"{at} {headline(board)}")
    shown += [f"{at} {trouble}" for trouble in troubles(board)]
    widest = max((len(str(queue["name"])) for queue in board.queues), default=0)
    for queue in board.queues:
        oldest = queue["oldest_wait_seconds"]
        # A caller for whom a phone rings waits too, so the longest wait belongs to both numbers before it.
        longest = "" if oldest is None else f" (oldest {duration(oldest)})"
        shown.append(
            f"{at} {clean(queue['name']):{widest}}  waiting {queue['waiting']}, offered {queue['offered']}{longest}, "
            f"talking {queue['talking']}, answered {queue['answered']}, abandoned {queue['abandoned']}, "
            f"agents ready {queue['agents_ready']} of {queue['agents_logged_in']}" + _outlook(queue)
        )
    states = ", ".join(f"{clean(state)} {count}" for state, count in board.states())
    shown.append(f"{at} agents: {states or 'none'}")
    return shown


def _outlook(queue: Document) -> str:
    """The estimated wait, and whether the queue is open, for a call that came now."""
    estimate = queue["estimated_wait_seconds"]
    wait = f", estimated wait {duration(estimate)}" if estimate else ""
    return ", ".join((wait if queue["open"] else f"{wait}, closed", *failed_plugins(queue)))


def failed_plugins(queue: Document) -> list[str]:
    """A word for each plugin of the queue that is out of service; an older daemon reports none."""
    return [f"{clean(one['plugin'])} FAILED" for one in queue.get("substituted", ())]


def table(board: Board, *, height: int | None = None) -> RenderableType:
    """The board for a terminal. `height` is the number of rows there is room for; None: all."""
    from rich.console import Group  # noqa: PLC0415 - see the top
    from rich.text import Text  # noqa: PLC0415 - see the top

    head: list[RenderableType] = [Text(headline(board), style="bold" if board.status["ready"] else "bold red")]
    if board.note:
        head.append(Text(clean(board.note, 200), style="yellow"))
    head += [
        Text(trouble, style="yellow", no_wrap=True, overflow="ellipsis")
        for trouble in troubles(board)[:_TROUBLES_SHOWN]
    ]
    if height is None:
        return Group(*head, _queue_table(board, None), _agent_table(board, None))
    room = max(2 * _ROWS_MIN, height - len(head) - 2 * _FRAME_LINES)
    queue_room = min(len(board.queues), room // 2)
    return Group(*head, _queue_table(board, queue_room), _agent_table(board, room - queue_room))


def _fit(rows: Sequence[Document], room: int | None) -> tuple[Sequence[Document], int]:
    """The rows for which there is room, and how many are left out; the line that says so takes a row of its own."""
    if room is None or len(rows) <= room:
        return rows, 0
    return rows[: room - 1], len(rows) - (room - 1)


def _queue_table(board: Board, room: int | None) -> Table:
    from rich.text import Text  # noqa: PLC0415 - see the top

    grid = _grid(
        "queue",
        "waiting>",
        "oldest>",
        "ewt>",
        "offered>",
        "talking>",
        "answered>",
        "abandoned>",
        "ready>",
        "logged in>",
    )
    shown, left_out = _fit(board.queues, room)
    for queue in shown:
        oldest = queue["oldest_wait_seconds"]
        odd = [*([] if queue["open"] else ["closed"]), *failed_plugins(queue)]
        name = clean(queue["name"])
        grid.add_row(
            Text(f"{name} ({', '.join(odd)})", style="red") if odd else Text(name),
            Text(str(queue["waiting"]), style="bold yellow" if queue["waiting"] else "dim"),
            Text(duration(oldest)),
            Text(duration(queue["estimated_wait_seconds"])),
            Text(str(queue["offered"])),
            Text(str(queue["talking"]), style="green" if queue["talking"] else "dim"),
            Text(str(queue["answered"])),
            Text(str(queue["abandoned"]), style="red" if queue["abandoned"] else "dim"),
            Text(str(queue["agents_ready"])),
            Text(str(queue["agents_logged_in"])),
        )
    _more(grid, left_out)
    return grid


def _agent_table(board: Board, room: int | None) -> Table:
    from rich.text import Text  # noqa: PLC0415 - see the top

    grid = _grid("agent", "name", "state", "for>", "detail", "queues")
    shown, left_out = _fit(board.by_state(), room)
    for agent in shown:
        grid.add_row(
            Text(clean(agent["id"])),
            Text(clean(agent["name"], 24)),
            Text(clean(agent["state"]), style=_STATE_STYLES.get(agent["state"], "")),
            Text(duration(agent["state_seconds"])),
            Text(agent_detail(agent)),
            Text(clean(", ".join(service["queue"] for service in agent["queues"]), 40)),
        )
    _more(grid, left_out)
    return grid


def agent_detail(agent: Document) -> str:
    """The details of an agent's state: the call, the reason, the state that follows."""
    parts = []
    if agent["call_id"]:
        parts.append(f"call {clean(agent['call_id'], 9)}")
    if agent.get("caller"):
        parts.append(clean(agent["caller"], 24))
    if agent["reason"]:
        parts.append(clean(agent["reason"], 24))
    if agent["then"]:
        parts.append(f"then {clean(agent['then'], 24)}")
    resting = [clean(service["queue"]) for service in agent["queues"] if not service.get("ready", True)]
    if resting:
        parts.append(f"not ready for {clean(', '.join(resting), 40)}")
    return ", ".join(parts)


def _grid(*columns: str) -> Table:
    from rich import box  # noqa: PLC0415 - see the top
    from rich.table import Table  # noqa: PLC0415 - see the top

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        grid.add_column(
            column.rstrip(">"), justify="right" if column.endswith(">") else "left", no_wrap=True, overflow="ellipsis"
        )
    return grid


def _more(grid: Table, left_out: int) -> None:
    if left_out:
        from rich.text import Text  # noqa: PLC0415 - see the top

        grid.add_row(Text(f"… {left_out} more", style="dim"))


@dataclass(slots=True)
class Screen:
    """Where boards are drawn: a table that is redrawn in place, or lines that follow each other."""

    out: TextIO
    _console: Console | None = field(default=None, repr=False)
    _live: Live | None = field(default=None, repr=False)

    def draw(self, board: Board) -> None:
        """Show this board now."""
        if self._live is None or self._console is None:
            self.out.write("".join(f"{line}\n" for line in lines(board)))
            self.out.flush()
            return
        self._live.update(table(board, height=self._console.size.height), refresh=True)


@contextmanager
def screen(out: TextIO, *, alternate: bool = False) -> Iterator[Screen]:
    """A place to draw on until the block ends. `alternate`: use the terminal's second screen and leave no trace."""
    if not out.isatty():
        yield Screen(out)
        return
    from rich.console import Console  # noqa: PLC0415 - see the top
    from rich.live import Live  # noqa: PLC0415 - see the top

    console = Console(file=out, highlight=False, markup=False, emoji=False)
    # rich must not refresh by itself: that would take a thread, and nothing changes between two boards.
    with Live(console=console, auto_refresh=False, screen=alternate, transient=False) as live:
        yield Screen(out, console, live)
