"""What came of the last reload, in a file of the service's own directory, for whoever has asked by a signal.

A signal has no answer, and `systemctl reload` must fail when the file was refused. The file is read by the service's
own `ExecReload=`, as the same user, which needs no token for that.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from fsacd.process import trusted

_NAME: Final = "reload.json"
_LIMIT: Final = 1 << 20
# All problems of a file that is wrong everywhere would not fit.
_MOST_PROBLEMS: Final = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """`began_ns` is when the reload began to read, by the machine's monotonic clock; `result` as the API has it."""

    began_ns: int
    result: str
    message: str
    problems: tuple[str, ...] = ()


def write(directory: Path, outcome: Outcome) -> None:
    """Leave word of a reload that has ended, whole or not at all. Raises OSError."""
    told = asdict(outcome) | {"problems": outcome.problems[:_MOST_PROBLEMS]}
    trusted.write_file(directory / _NAME, json.dumps(told).encode(), _LIMIT)


def read(directory: Path) -> Outcome | None:
    """What the daemon has said last; None if it has said nothing that can be read."""
    try:
        told = json.loads(trusted.read_file(directory / _NAME, _LIMIT))
        return Outcome(
            int(told["began_ns"]), str(told["result"]), str(told["message"]), tuple(map(str, told["problems"]))
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None
