"""`fsacd sim`: the simulated switch with its call centre as a program of its own."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

import gevent
from gevent.event import Event

from fsacd.sim.agenda import SECOND, Agenda
from fsacd.sim.callcentre import CallCentre
from fsacd.sim.control import ControlServer
from fsacd.sim.dialplan import Dialplan, DialplanError
from fsacd.sim.server import SwitchServer
from fsacd.sim.settings import Settings
from fsacd.sim.switch import Switch
from fsacd.sim.workload import PLAN, Plan, entry_dialplan


def _shipped_dialplan() -> Path:
    """Where fsacd's own dialplan is: in the repository, or where the installation put it (see setup.cfg)."""
    beside = Path(__file__).resolve().parents[2]
    places = [beside, beside / "share" / "fsacd", Path(sysconfig.get_path("data")) / "share" / "fsacd"]
    found = [place / "freeswitch" / "dialplan" for place in places]
    return next((directory for directory in found if (directory / "fsacd.xml").is_file()), found[0])


# The files that an operator installs on a real switch.
DIALPLAN = _shipped_dialplan()
EXIT_OK, EXIT_FAILED = 0, 1
_PR_SET_PDEATHSIG = 1


def fsacd_dialplan(plan: Plan = PLAN, directory: Path = DIALPLAN) -> Dialplan:
    """Fsacd's dialplan with the plan's entry points around it. Raises DialplanError, naming the file."""
    dialplan = Dialplan()
    dialplan.add(entry_dialplan(plan))
    dialplan.read(directory / "fsacd.xml")
    dialplan.read(directory / "default" / "fsacd.xml", context="default")
    last = directory / "default" / "zz_fsacd_last.xml"
    if last.is_file():  # an older dialplan has none
        dialplan.read(last, context="default")
    return dialplan


def run_sim(
    host: str = "127.0.0.1",
    port: int = 8021,
    password: str = "ClueCon",  # noqa: S107  what every fresh FreeSWITCH has, and no secret
    seed: int = 1,
    *,
    callers: bool = True,
    control_port: int | None = None,
    dialplan: Path = DIALPLAN,
) -> int:
    """Run until SIGTERM or SIGINT, or until the parent dies. Returns the exit code.

    Prints `listening on HOST:PORT` when clients can connect. With `control_port` (0: any free one) a second line
    `control on HOST:PORT` names the port that takes faults as JSON lines (see `fsacd.sim.control`). Without `callers`
    the switch stands empty.
    """
    parent = os.getppid()
    _die_with_parent()
    done = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, done.set)
    try:
        plan = fsacd_dialplan(directory=dialplan)
    except DialplanError as error:
        print(f"fsacd sim: {error}", file=sys.stderr)
        return EXIT_FAILED
    agenda = Agenda(seed, epoch_us=int(time.time() * SECOND))
    switch = Switch(agenda, Settings(password=password), plan)
    server = SwitchServer(switch, host, port)
    control = ControlServer(server, host, control_port) if control_port is not None else None
    try:
        server.start()
        if control is not None:
            control.start()
    except OSError as error:
        print(f"fsacd sim: cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}", file=sys.stderr)
        return EXIT_FAILED
    if callers:
        server.do(CallCentre(switch).start)
    _say(f"listening on {server.address[0]}:{server.address[1]}")
    if control is not None:
        _say(f"control on {control.address[0]}:{control.address[1]}")
    while not done.wait(timeout=1) and os.getppid() == parent:
        pass
    if control is not None:
        control.stop()
    server.stop()
    return EXIT_OK


def _say(line: str) -> None:
    print(line, flush=True)


def _die_with_parent() -> None:
    """Ask Linux for SIGTERM at the parent's death; elsewhere the loop in `run_sim` notices it within a second."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):
        return  # No such call on this system.


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m fsacd.sim`; `argv` are the words after the program's name."""
    parser = argparse.ArgumentParser(prog="fsacd sim", description="A simulated FreeSWITCH with a call centre on it.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8021, help="Event Socket port; 0: any free one")
    parser.add_argument("--password", default=os.environ.get("FSACD_SIM_PASSWORD", "ClueCon"))
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same callers")
    parser.add_argument("--no-callers", action="store_true", help="an empty switch, without callers and agents")
    parser.add_argument("--control-port", type=int, help="take faults as JSON lines here; 0: any free port")
    parser.add_argument("--dialplan", type=Path, default=DIALPLAN, help="directory of fsacd's dialplan")
    words = parser.parse_args(argv)
    return run_sim(
        words.host,
        words.port,
        words.password,
        words.seed,
        callers=not words.no_callers,
        control_port=words.control_port,
        dialplan=words.dialplan,
    )
