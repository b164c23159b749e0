from __future__ import annotations

import pytest

from fsacd.desk.rights import Role
from fsacd.http.api import DaemonStatus, StoreStatus, SwitchStatus
from fsacd.process.trouble import Trouble
from tests.http.rig import FakeDaemon, daemon_status, serve

UP = SwitchStatus("fs1", connected=True)
DOWN = SwitchStatus("fs2", connected=False, detail="connection refused.")
NEW = SwitchStatus("fs1", connected=False)


@pytest.mark.parametrize(
    ("state", "status", "reasons", "degraded"),
    [
        (daemon_status(), 200, [], []),
        (daemon_status(switches=(NEW,)), 503, ["Switch fs1 is not in sync."], []),
        (daemon_status(switches=(DOWN,)), 503, ["Switch fs2 is not in sync."], []),
        (daemon_status(switches=(UP, DOWN)), 200, [], ["Switch fs2 is not in sync."]),
        (daemon_status(switches=()), 503, ["No switch is configured."], []),
        (daemon_status(stopping=True), 503, ["The daemon is stopping."], []),
        (
            daemon_status(failure="KeyError: '+493012345678'"),
            503,
            ["The engine has failed; the log says why."],
            [],
        ),
        (
            daemon_status(store=StoreStatus(configured=True, connected=False, detail="no route.", queued=7)),
            200,
            [],
            ["The database is not connected."],
        ),
        (
            daemon_status(store=StoreStatus(configured=True, connected=True, dropped=3)),
            200,
            [],
            ["The database has lost 3 rows of history since the start."],
        ),
        (daemon_status(store=StoreStatus(configured=False)), 200, [], []),
        (daemon_status(troubles=(Trouble("Said.", "not said"),)), 200, [], ["Said."]),
        (daemon_status(troubles=(Trouble("Said.", blocking=True),)), 503, ["Said."], []),
    ],
)
def test_ready_means_that_calls_are_distributed(
    state: DaemonStatus, status: int, reasons: list[str], degraded: list[str]
) -> None:
    """Not ready without a switch in sync; a missing database or a second switch only degrades."""
    with serve(FakeDaemon(state=state)) as rig:
        reply = rig.get("/readyz", None)
    assert reply.status == status
    assert reply.json == {"ready": status == 200, "reasons": reasons, "degraded": degraded}


@pytest.mark.parametrize(
    ("state", "reasons", "degraded"),
    [
        (daemon_status(switches=(NEW,)), ["Switch fs1 is not in sync."], []),
        (daemon_status(switches=(UP, DOWN)), [], ["Switch fs2 is not in sync: connection refused."]),
        (
            daemon_status(store=StoreStatus(configured=True, connected=False, detail="no route.", queued=7)),
            [],
            ["The database is not connected: 7 rows wait for it: no route."],
        ),
        (daemon_status(troubles=(Trouble("Said.", "more"),)), [], ["Said: more."]),
        (daemon_status(failure="KeyError: '+493012345678'"), ["The engine has failed; the log says why."], []),
    ],
)
def test_who_may_read_sees_the_details(state: DaemonStatus, reasons: list[str], degraded: list[str]) -> None:
    """With a token /readyz says more, and the status page the same in parts; a wrong token says nothing more."""
    with serve(FakeDaemon(state=state)) as rig:
        told = rig.get("/readyz", Role.READ).json
        guessed = rig.ask("GET", "/readyz", None, headers={"Authorization": "Bearer guess"}).json
        stranger = rig.get("/readyz", None).json
        status = rig.get("/api/v1/status", Role.READ).json
    assert (told["reasons"], told["degraded"]) == (reasons, degraded)
    assert guessed == stranger
    assert status["ready"] is not bool(reasons)
    assert [trouble["words"] for trouble in status["troubles"]] == stranger["reasons"] + stranger["degraded"]
    assert [trouble["blocking"] for trouble in status["troubles"]] == [True] * len(reasons) + [False] * len(degraded)


def test_no_detail_is_longer_than_its_limit() -> None:
    """However much a switch, a database or a part has to say, 300 characters of it are kept, on one line."""
    much = "x\n" * 8_000_000
    state = daemon_status(
        switches=(UP, SwitchStatus("fs2", connected=False, detail=much)),
        store=StoreStatus(configured=True, connected=False, detail=much),
        troubles=(Trouble("Said.", much),),
    )
    with serve(FakeDaemon(state=state)) as rig:
        status = rig.get("/api/v1/status", Role.READ).json
        ready = rig.get("/readyz", Role.READ).json
    details = [trouble["detail"] for trouble in status["troubles"]]
    details += [switch["detail"] for switch in status["switches"]] + [status["store"]["detail"]]
    assert len(details) == 6
    assert max(map(len, details)) == 300
    assert all(len(line) <= 400 and "\n" not in line for line in ready["degraded"])


@pytest.mark.parametrize(("failure", "status"), [("", 200), ("AssertionError: x", 503)])
def test_live_means_that_the_engine_turns(failure: str, status: int) -> None:
    """A daemon whose engine has failed asks to be started again."""
    with serve(FakeDaemon(state=daemon_status(failure=failure))) as rig:
        reply = rig.get("/livez", None)
    assert (reply.status, reply.json) == (status, {"live": status == 200})
