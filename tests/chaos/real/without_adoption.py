"""A daemon that adopts nobody: whoever waited before its start is lost, and sent to the fallback.

It shows what `fsacd_lost_callers_total` counts: callers whose call ends by no wish of theirs or of a rule.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from gevent import monkey

monkey.patch_all()

from fsacd.cli import main as cli  # noqa: E402 - gevent's patching comes first
from fsacd.core.events import CallLost  # noqa: E402
from fsacd.core.views import Underway  # noqa: E402
from fsacd.esl import differences, encoder, missed, strangers  # noqa: E402

_missed = missed.findings


def _adopt_nobody(
    underway: Underway,
    switch: str,
    rows: Mapping[str, differences.Row],
    ask: differences.Ask,
    returned: differences.Returned,
    away: differences.Absence = differences.HERE,
    talk: differences.Talk | None = None,
    *,
    silent: bool = False,
) -> Iterator[differences.Finding]:
    waiting = {call.leg.uuid: call for call in underway.calls if call.leg is not None and call.state == "waiting"}
    for leg in waiting.keys() & rows.keys():
        out = encoder.uuid_transfer(leg, "fsacd_fallback", differences.CONTEXT)
        lost = CallLost(waiting[leg].call_id, "not_adopted")
        yield differences.Finding(differences.Difference.CALL_ELSEWHERE, leg, lost, remedy=out)
    yield from _missed(underway, switch, rows, ask, returned, away, talk, silent=silent)


if __name__ == "__main__":
    missed.findings = _adopt_nobody
    strangers.suspected = lambda *_: []
    sys.exit(cli.main())
