"""A real FreeSWITCH for the tests: found, started on free loopback ports from freeswitch/lab, killed, started again."""

from __future__ import annotations

import ctypes
import itertools
import math
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import time
import wave
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.fair import Stopwatch, children

REPOSITORY = Path(__file__).resolve().parents[3]
PASSWORD = "lab-password"
DOMAIN, OTHER_DOMAIN = "lab.fsacd.test", "other.fsacd.test"
_START_S = 30.0
# How often somebody who waits looks at what the processors have left to them.
_LOOK_S = 1.0
# It asks each phone for its call anew, one after the other, as fast as the machine is.
_RECOVERY_S = 300.0
_PR_SET_PDEATHSIG = 1
# Three runs of tests at the same time (make e2e) have ports for sound of their own: two switches that take the same one
# have a call without sound.
_LANE = int(os.environ.get("FSACD_E2E_LANE", "0"))
_SOUND, _SOUND_PORTS = 16_384, 5_400


def find_freeswitch() -> str | None:
    """The program, from FREESWITCH_PREFIX or PATH."""
    prefix = os.environ.get("FREESWITCH_PREFIX")
    if prefix:
        found = shutil.which("freeswitch", path=f"{prefix}/bin")
        if found:
            return found
    return shutil.which("freeswitch")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody has right now, and that this process has not been given before.

    Not one of those that the kernel gives to whoever asks for any: a client of another test could have it by the time
    that a daemon listens there. Each lane has ports of its own.
    """
    while True:
        port = _FIRST_PORT + _PORTS * _LANE + next(_ports) % _PORTS
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


# Below what the kernel gives away (net.ipv4.ip_local_port_range), and beside the ports for sound.
_FIRST_PORT, _PORTS = 9_000, 2_000
_ports = itertools.count(os.getpid() * 7)


def free_sip_port() -> int:
    """A port free for UDP and TCP alike: FreeSWITCH binds both."""
    while True:
        port = free_port(socket.SOCK_DGRAM)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def die_with_parent() -> None:
    """Run in a child before exec: whatever happens to the tests, nothing of theirs stays behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def await_true(condition: Callable[[], object], deadline_s: float, what: str) -> None:
    """Wait until the condition holds; AssertionError naming `what` when it does not in time.

    What counts is the time that this process and those that it has started had: a busy machine makes nobody late.
    """
    began_s = time.monotonic()
    watch = None
    while not condition():
        time.sleep(0.02)
        # A look reads of each thread of a switch: what fifty waits did fifty times a second would itself be the load.
        if time.monotonic() - began_s < min(_LOOK_S, deadline_s):
            continue
        if watch is None:
            watch = Stopwatch(*children())
        elif watch.look() + _LOOK_S > deadline_s:
            raise AssertionError(f"{what}: not within {deadline_s:g} s")
        else:
            began_s = time.monotonic()


class Esl:
    """The simplest Event Socket client there is, for the tests' own questions; shares no code with fsacd's."""

    def __init__(self, port: int, timeout_s: float = 10.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._file = self._socket.makefile("rb")
        self._read()
        self._socket.sendall(f"auth {PASSWORD}\n\n".encode())
        headers, _ = self._read()
        assert "+OK" in headers.get("Reply-Text", ""), headers

    def _read(self) -> tuple[dict[str, str], str]:
        headers: dict[str, str] = {}
        while (line := self._file.readline().decode("utf-8", "replace").rstrip("\n")) or not headers:
            assert line or headers, "FreeSWITCH closed the connection"
            name, _, value = line.partition(": ")
            headers[name] = value
        length = int(headers.get("Content-Length", 0))
        return headers, self._file.read(length).decode("utf-8", "replace") if length else ""

    def api(self, command: str) -> str:
        """One api command's answer."""
        self._socket.sendall(f"api {command}\n\n".encode())
        return self._read()[1].strip()

    def at_once(self, *commands: str) -> list[str]:
        """The answers to commands that reach the switch in one piece: nothing of ours takes time between them."""
        self._socket.sendall("".join(f"api {command}\n\n" for command in commands).encode())
        return [self._read()[1].strip() for _ in commands]

    def fire(self, subclass: str) -> None:
        """Let the switch send an event to everybody who wants this subclass."""
        self._socket.sendall(f"sendevent CUSTOM\nEvent-Subclass: {subclass}\n\n".encode())
        self._read()

    def close(self) -> None:
        """Leave."""
        self._file.close()
        self._socket.close()


@dataclass
class RealSwitch:
    """One FreeSWITCH process in a directory of its own; the ports stay the same over a restart."""

    directory: Path
    agents: tuple[str, ...]
    esl_port: int = field(default_factory=free_port)
    trunk_port: int = field(default_factory=free_sip_port)
    agent_port: int = field(default_factory=free_sip_port)
    conf: Path = REPOSITORY / "freeswitch" / "lab"
    track_calls: bool = False
    # Callers' REFER is refused by their SIP profile, and so is that of agents whose phones are there.
    disable_transfer: bool = False
    # It tells of REFER by events of their own (sofia::transferor and others).
    transfer_events: bool = False
    # A user may register several devices.
    several_registrations: bool = False
    # FreeSWITCH without the commands and applications that run programs.
    no_system: bool = False
    # How much sound it sends in one packet (ms, at most 120) to phones that do not say how much they want. Each packet
    # wakes a thread: where hundreds are on the phone and nobody listens, six times longer ones cost a sixth.
    ptime_ms: int = 20
    dialplan: Path = REPOSITORY / "freeswitch" / "dialplan"
    # The users of a second domain of the directory.
    others: tuple[str, ...] = ()
    # The domain in whose directory every phone is looked up, whatever it says; "": the one that it says.
    forced_domain: str = DOMAIN
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = find_freeswitch()
        assert program is not None
        places = {name: self.directory / name for name in ("log", "db", "run", "music", "temp")}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        _write_music(places["music"] / "music.wav")
        users = self.directory / "users.xml"
        users.write_text(_users(self.agents), encoding="utf-8")
        others = self.directory / "others.xml"
        others.write_text(_users(self.others, password="other"), encoding="utf-8")
        environment = {
            "FSACD_LAB_AGENT_PORT": str(self.agent_port),
            "FSACD_LAB_TRUNK_PORT": str(self.trunk_port),
            "FSACD_LAB_ESL_PORT": str(self.esl_port),
            "FSACD_LAB_ESL_PASSWORD": PASSWORD,
            # Below the ports that the kernel gives to other sockets.
            "FSACD_LAB_RTP_START": str(_SOUND + _LANE * _SOUND_PORTS),
            "FSACD_LAB_RTP_END": str(_SOUND + _LANE * _SOUND_PORTS + _SOUND_PORTS - 2),
            # What a crash needs to be survived; without it each call costs the switch less.
            "FSACD_LAB_TRACK_CALLS": "true" if self.track_calls else "false",
            "FSACD_LAB_DISABLE_TRANSFER": "true" if self.disable_transfer else "false",
            "FSACD_LAB_TRANSFER_EVENTS": "true" if self.transfer_events else "false",
            "FSACD_LAB_SEVERAL_REGISTRATIONS": "contact" if self.several_registrations else "false",
            "FSACD_LAB_NO_SYSTEM": "true" if self.no_system else "false",
            "FSACD_LAB_PTIME": str(self.ptime_ms),
            "FSACD_LAB_USERS": str(users),
            "FSACD_LAB_OTHERS": str(others),
            "FSACD_LAB_FORCED_DOMAIN": self.forced_domain,
            "FSACD_LAB_MUSIC": str(places["music"]),
            "FSACD_LAB_DIALPLAN": str(self.dialplan),
        }
        # No -np: where it may, it takes a real-time priority, as it does wherever it is installed. At a usual one its
        # clock runs slow beside busy programs, and each `bgapi` then holds its connection up for a second.
        words = ["-nf", "-nc", "-nonat", "-conf", str(self.conf)]
        for option in ("log", "db", "run", "temp"):
            words += [f"-{option}", str(places[option])]
        for option in ("storage", "recordings", "cache", "sounds", "scripts"):
            words += [f"-{option}", str(places["temp"])]
        with (self.directory / "freeswitch.out").open("ab") as out:
            self._process = subprocess.Popen(
                [program, *words],
                env={**os.environ, **environment, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - the tests' process runs no threads that hold locks here
            )
        await_true(self._answers, _START_S, "FreeSWITCH answers on its Event Socket and both SIP ports")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"FreeSWITCH ended: see {self.directory}"
        try:
            esl = Esl(self.esl_port)
        except (OSError, AssertionError):
            return False
        status = esl.api("sofia status")
        esl.close()
        return status.count("RUNNING") == 2

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """As a crash would: -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def tracked(self, having: str = "") -> int:
        """The legs that it could recover now, with this in what it knows of them; written down after their events."""
        try:
            with closing(sqlite3.connect(f"file:{self.directory}/db/core.db?mode=ro", uri=True, timeout=5)) as database:
                count = database.execute("SELECT count(*) FROM recovery WHERE metadata LIKE ?", (f"%{having}%",))
                return int(count.fetchone()[0])
        except sqlite3.OperationalError:
            return -1  # the switch is writing: who only reads cannot open it beside a journal

    def recover(self) -> str:
        """Bring back the calls of before a crash, as the operator's unit does; what it says of it."""
        esl = Esl(self.esl_port, _RECOVERY_S)
        answer = esl.api("sofia recover")
        esl.close()
        return answer

    def esl(self) -> Esl:
        """A connection of the test's own."""
        return Esl(self.esl_port)


def _users(agents: tuple[str, ...], password: str = "pw") -> str:
    users = "".join(
        f'<user id="{agent}"><params><param name="password" value="{password}{agent}"/></params>'
        f'<variables><variable name="user_context" value="agents"/></variables></user>\n'
        for agent in agents
    )
    return f"<include>\n{users}</include>\n"


def _write_music(path: Path) -> None:
    """Five seconds of a tone."""
    with wave.open(str(path), "wb") as music:
        music.setnchannels(1)
        music.setsampwidth(2)
        music.setframerate(8000)
        tone = (int(3000 * math.sin(2 * math.pi * 440 * sample / 8000)) for sample in range(5 * 8000))
        music.writeframes(b"".join(struct.pack("<h", value) for value in tone))
