"""A PostgreSQL of our own, for trying fsacd out and for its tests: started by us, ended with us, reachable by us alone.

It listens on a unix socket only, lets in the user who started it and nobody else (peer authentication), and does not
outlive this process even when that is killed: the kernel tells it. What such an end leaves behind, the next start
takes over. Under the given directory, which belongs to us:

    lock           held while we use the directory
    log            what PostgreSQL says, without statements or values
    pg_hba.conf    who may come in
    pg_ident.conf
    data/          the cluster, 0700, of the user PostgreSQL runs as
    socket/        the same; elsewhere (named in `socket.path`) when the path would be too long for a unix socket
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import gevent
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from fsacd.process import trusted
from fsacd.store.embedded import programs, stale
from fsacd.store.embedded.identity import UNPRIVILEGED, Identity, Mode, candidates
from fsacd.store.embedded.programs import EmbeddedError, Programs

ROLE = "fsacd"
DATABASE = "fsacd"
# sockaddr_un holds 108 bytes, the last of them NUL.
SOCKET_PATH_LIMIT = 107
_SOCKET_NAME = ".s.PGSQL.5432"
_LAUNCHER = Path(__file__).with_name("launch.py")
_PROBE_S = 10.0
_POLL_S = 0.02
_LOG_TAIL_BYTES = 2_000
_RECORD_BYTES = 4_096
_SOCKET_PREFIX = "fsacd-"
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "50",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "jit": "off",  # systemd's MemoryDenyWriteExecute forbids it, and our queries are short
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Callers' numbers and names stay out of the log: no statement, no detail.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class EmbeddedPostgres:
    """One PostgreSQL on `data_dir`; a context manager. Times are milliseconds.

    `durable=False` is for tests: faster, and a power cut may lose everything.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True, start_ms: int = 30_000, stop_ms: int = 3_000) -> None:
        self._base = Path(data_dir).absolute()
        self._data = self._base / "data"
        self._durable = durable
        self._start_ms = start_ms
        self._stop_ms = stop_ms
        self._lock: IO[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None

    @property
    def dsn(self) -> str:
        """How to reach the database, in libpq's words; no secret is in it.

        Raises:
            EmbeddedError: it is not running.
        """
        return self.dsn_of(DATABASE)

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._server is not None and self._server.poll() is None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._server.pid if self._server is not None and self.running else None

    def dsn_of(self, database: str) -> str:
        """The same for another database of this server."""
        if self._socket is None:
            raise EmbeddedError("the embedded PostgreSQL is not running")
        return make_conninfo(host=str(self._socket), dbname=database, user=ROLE, connect_timeout=5)

    def start(self) -> None:
        """Start it and wait until it answers a query; a leftover of a killed process is ended first.

        Raises:
            EmbeddedError: it did not come up in time, or cannot; one sentence says why.
        """
        if self._server is not None:
            raise EmbeddedError("the embedded PostgreSQL is already started")
        deadline = time.monotonic() + self._start_ms / 1_000
        try:
            self._take_directory()
            installed = programs.find(self._data)
            stale.end(self._data, self._stop_ms)
            self._remove_old_socket()
            identity = self._choose_identity(installed)
            self._write_access(identity)
            if not self._data.exists():
                self._initialise(installed, identity, deadline)
            self._socket = self._make_socket_directory(identity)
            self._server = self._spawn(identity, self._data, self._command(installed))
            self._await_answer(deadline)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it within the stop time and a second: politely, then without waiting for its disk, then by force."""
        server, self._server = self._server, None
        if server is not None:
            for number, patience_s in ((signal.SIGINT, self._stop_ms / 1_000), (signal.SIGQUIT, 1.0)):
                with suppress(subprocess.TimeoutExpired):
                    server.send_signal(number)
                    server.wait(patience_s)
                    break
            else:
                server.kill()
                server.wait()
        if self._socket is not None:
            self._remove_old_socket()
            self._socket = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _take_directory(self) -> None:
        lock = self._base / "lock"
        try:
            # Files in this directory name what is read and removed, so the directory must be ours.
            trusted.make_directory(self._base)
            if not lock.exists() and any(self._base.iterdir()):
                raise EmbeddedError(f"{self._base} is not empty and was not made by fsacd; choose another directory")
            self._lock = os.fdopen(trusted.open_or_create(lock, os.O_WRONLY | os.O_APPEND), "ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedError(f"another fsacd is using {self._base}; choose another directory") from None
        except OSError as error:
            raise EmbeddedError(f"the embedded PostgreSQL cannot use {self._base}: {trusted.why(error)}") from error

    def _choose_identity(self, installed: Programs) -> Identity:
        """The first identity in which the programs run and the directory can be entered, tried and not guessed."""
        refusals = []
        for identity in candidates(self._data):
            # Others may pass through, but not list, when PostgreSQL is another user; its own directories are 0700.
            self._base.chmod(0o711 if identity.mode is Mode.USER else 0o700)
            probe = subprocess.run(  # noqa: S603 - our own launcher and programs, no shell
                self._launch(identity, self._base, [installed["postgres"], "--version"]),
                stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_S, check=False, env=_environment(),
            )  # fmt: skip
            if probe.returncode == 0:
                return identity
            said = probe.stderr.decode(errors="replace").strip()
            refusals.append(f"as {identity.mode} {identity.uid}: {said or f'exit code {probe.returncode}'}")
        raise EmbeddedError(
            f"PostgreSQL refuses to run as root, and no other user ({', '.join(UNPRIVILEGED)}) can run it on "
            f"{self._base}; run fsacd as an ordinary user, or put it and its data where others may pass "
            f"({'; '.join(refusals) or 'the data belong to somebody else'})"
        )

    def _write_access(self, identity: Identity) -> None:
        """Write pg_hba.conf and pg_ident.conf anew at each start, since names and users may have changed."""
        quoted = identity.client.replace('"', '""')
        for name, text in (
            ("pg_hba.conf", "local all all peer map=fsacd\n"),
            ("pg_ident.conf", f'fsacd "{quoted}" {ROLE}\n'),
        ):
            path = self._base / name
            path.write_text(text, encoding="utf-8")
            path.chmod(0o644)  # whatever our umask is: PostgreSQL's user has to read it

    def _initialise(self, installed: Programs, identity: Identity, deadline: float) -> None:
        """Make the cluster beside its place, and move it there when it is complete."""
        fresh = self._base / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        self._own(fresh, identity)
        command = [
            installed["initdb"], "-D", str(fresh), "-U", ROLE, "--auth-local=peer", "--auth-host=reject",
            "--encoding=UTF8", "--locale=C", "--no-instructions", *([] if self._durable else ["--no-sync"]),
        ]  # fmt: skip
        process = self._spawn(identity, self._base, command)
        try:
            code = process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            raise EmbeddedError(f"initdb took longer than {self._start_ms} ms on {self._base}") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code != 0:
            raise EmbeddedError(f"initdb failed on {self._base}: {self._log_tail()}")
        fresh.rename(self._data)

    def _command(self, installed: Programs) -> list[str]:
        settings = dict(_SETTINGS) | ({} if self._durable else _NOT_DURABLE)
        settings |= {"hba_file": str(self._base / "pg_hba.conf"), "ident_file": str(self._base / "pg_ident.conf")}
        if installed.major >= 18:  # noqa: PLR2004 - asynchronous reading came with 18; it costs three idle processes
            settings["io_method"] = "sync"
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [installed["postgres"], "-D", str(self._data), "-k", str(self._socket), *options]

    def _launch(self, identity: Identity, directory: Path, command: list[str]) -> list[str]:
        who = [str(os.getpid()), str(identity.mode), str(identity.uid), str(identity.gid)]
        return [sys.executable, "-I", "-S", str(_LAUNCHER), *who, str(directory), *command]

    def _spawn(self, identity: Identity, directory: Path, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._base / "log").open("wb") as log:
            # A session of its own, so that a Ctrl-C in the terminal does not end it before we have written everything.
            return subprocess.Popen(  # noqa: S603 - our own launcher and programs, no shell
                self._launch(identity, directory, command),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environment(),
            )  # fmt: skip

    def _await_answer(self, deadline: float) -> None:
        while True:
            if not self.running:
                raise EmbeddedError(f"the embedded PostgreSQL ended at once: {self._log_tail()}")
            try:
                self._ensure_database()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"the embedded PostgreSQL did not answer within {self._start_ms} ms: {error}"
                    ) from error
                gevent.sleep(_POLL_S)
            else:
                return

    def _ensure_database(self) -> None:
        with psycopg.connect(self.dsn_of("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).rowcount
            if not known:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _make_socket_directory(self, identity: Identity) -> Path:
        place = self._base / "socket"
        if _fits(place):
            self._own(place, identity)
            return place
        place = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX))
        trusted.write_file(self._base / "socket.path", os.fsencode(place), _RECORD_BYTES)
        if not _fits(place):
            raise EmbeddedError(
                f"neither {self._base} nor {place} is short enough for a unix socket "
                f"({SOCKET_PATH_LIMIT} bytes with the socket's name); choose a shorter directory"
            )
        self._own(place, identity)
        return place

    def _remove_old_socket(self) -> None:
        record = self._base / "socket.path"
        places = [self._base / "socket"]
        with suppress(FileNotFoundError):
            place = Path(os.fsdecode(trusted.read_file(record, _RECORD_BYTES)))
            places += [place] if place.name.startswith(_SOCKET_PREFIX) else []
        for place in places:
            # Somebody may have tidied it away before us, as programs that clean temporary directories do.
            shutil.rmtree(place, ignore_errors=True)
        record.unlink(missing_ok=True)

    @staticmethod
    def _own(place: Path, identity: Identity) -> None:
        place.mkdir(mode=0o700, exist_ok=True)
        if identity.is_other:
            os.chown(place, *identity.owner, follow_symlinks=False)

    def _log_tail(self) -> str:
        with suppress(OSError):
            text = (self._base / "log").read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
            return " | ".join(line.strip() for line in text.splitlines()[-5:] if line.strip()) or "it said nothing"
        return f"{self._base / 'log'} cannot be read"


def _fits(place: Path) -> bool:
    return len(os.fsencode(place / _SOCKET_NAME)) <= SOCKET_PATH_LIMIT


def _environment() -> dict[str, str]:
    """PostgreSQL's environment, without ours: a PGDATA or LD_LIBRARY_PATH of the operator's shell must not reach it."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
