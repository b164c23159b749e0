from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import psycopg
import pytest

from fsacd.store.embedded import EmbeddedPostgres, identity, programs
from fsacd.store.embedded.identity import Mode
from fsacd.store.embedded.launch import CAP_DAC_OVERRIDE
from fsacd.store.embedded.programs import EmbeddedError

pytestmark = pytest.mark.postgres

# What a daemon does, in a process of its own that can be killed.
OWNER = """
from gevent import monkey
monkey.patch_all()
import sys
from pathlib import Path
import psycopg
from fsacd.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
with psycopg.connect(server.dsn) as connection:
    connection.execute("CREATE TABLE written (word text)")
    connection.execute("INSERT INTO written VALUES ('kept')")
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def open_place() -> Iterator[Path]:
    """A directory that every user may pass through."""
    with tempfile.TemporaryDirectory(prefix="fsacd-t-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        yield Path(place)


@pytest.fixture(scope="module")
def cluster(open_place: Path) -> Path:
    """A directory with a cluster in it, stopped."""
    with EmbeddedPostgres(open_place / "cluster", durable=False):
        pass
    return open_place / "cluster"


def answer(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def users_of(directory: Path) -> list[int]:
    """The processes that stand in a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").samefile(directory):
                found.append(int(process.name))
        except OSError:
            continue  # ended meanwhile, a zombie, or not ours to see
    return found


def eventually(condition: Callable[[], bool], deadline_s: float = 20.0) -> bool:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
        gevent.sleep(0.02)
    return True


def test_answers_on_a_unix_socket_only(postgres: EmbeddedPostgres) -> None:
    """It listens on no address, answers as the role fsacd, and stores UTF-8."""
    shown = [
        answer(postgres.dsn, query)
        for query in ("SHOW listen_addresses", "SELECT current_user::text", "SHOW server_encoding")
    ]
    assert shown == ["", "fsacd", "UTF8"]


def test_directories_are_closed_to_others(cluster: Path) -> None:
    """Data and socket belong to one user, who alone may open them."""
    with EmbeddedPostgres(cluster, durable=False):
        modes = [(cluster / name).stat().st_mode & 0o777 for name in ("data", "socket")]
    assert modes == [0o700, 0o700]


def test_never_runs_with_the_rights_of_root(cluster: Path) -> None:
    """PostgreSQL's process holds no right but, where nothing else helps, that of opening files."""
    with EmbeddedPostgres(cluster, durable=False) as server:
        status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    assert int(effective, 16) & ~(1 << CAP_DAC_OVERRIDE) == 0


@pytest.mark.parametrize("mode", list(Mode))
def test_each_identity(open_place: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode) -> None:
    """As another user or in a user namespace it works alike, stops, and starts again on its data."""
    ways = [way for way in identity.candidates(open_place / "absent") if way.mode is mode]
    if not ways:
        pytest.skip(f"this user has no use for {mode}")
    monkeypatch.setattr("fsacd.store.embedded.server.candidates", lambda _data: ways)
    base = open_place / f"as-{mode}"
    for _ in range(2):
        try:
            with EmbeddedPostgres(base, durable=False) as server:
                assert answer(server.dsn, "SELECT 1") == 1
        except EmbeddedError as error:
            if mode in {Mode.NAMESPACE, Mode.PASSING} and re.search(r"not (allowed|permitted)|denied", str(error)):
                pytest.skip(f"forbidden here: {error}")
            raise


def test_stop_leaves_no_process(cluster: Path) -> None:
    """After stop() nobody stands in the data directory and the address is gone."""
    server = EmbeddedPostgres(cluster, durable=False)
    server.start()
    server.stop()
    assert users_of(cluster / "data") == []
    with pytest.raises(EmbeddedError, match="not running"):
        _ = server.dsn


def test_killed_owner_takes_it_along(cluster: Path) -> None:
    """SIGKILL of the process that started it ends it too, and what was written is there at the next start."""
    base = cluster
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(base)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    with owner:
        assert owner.stdout is not None
        ready, _, _ = select.select([owner.stdout], [], [], 30)
        assert ready, "the owner did not start its server"
        assert owner.stdout.readline() == b"started\n"
        assert users_of(base / "data") != []
        owner.send_signal(signal.SIGKILL)
    assert eventually(lambda: users_of(base / "data") == [])
    with EmbeddedPostgres(base) as server:
        assert answer(server.dsn, "SELECT word FROM written") == "kept"


def test_ends_a_left_over_server(cluster: Path) -> None:
    """A postmaster that outlived its owner all the same is ended, and its data are taken over."""
    orphaned = EmbeddedPostgres(cluster, durable=False)
    orphaned.start()
    assert orphaned._lock is not None
    orphaned._lock.close()  # what the kernel does when the owner dies
    with EmbeddedPostgres(cluster, durable=False) as server:
        assert not orphaned.running
        assert answer(server.dsn, "SELECT 1") == 1


def test_stale_pid_of_a_stranger(cluster: Path) -> None:
    """A postmaster.pid whose number meanwhile belongs to another process is cleared away, the process left alone."""
    (cluster / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster / 'data'}\n", encoding="ascii")
    with EmbeddedPostgres(cluster, durable=False) as server:
        assert answer(server.dsn, "SELECT 1") == 1


def test_long_path(open_place: Path, cluster: Path) -> None:
    """A directory too long for a unix socket gets its socket elsewhere, which is gone after stop()."""
    base = cluster.rename(open_place / ("long-" * 24))
    with EmbeddedPostgres(base, durable=False) as server:
        socket = Path(psycopg.conninfo.conninfo_to_dict(server.dsn)["host"])  # type: ignore[arg-type]  # is a str here
        assert socket.parent == Path(tempfile.gettempdir())
        assert answer(server.dsn, "SELECT 1") == 1
    base.rename(cluster)
    assert not socket.exists()


def test_one_server_per_directory(cluster: Path) -> None:
    """A second one on the same directory is refused and does not disturb the first."""
    with EmbeddedPostgres(cluster, durable=False) as first:
        with pytest.raises(EmbeddedError, match="another fsacd is using"):
            EmbeddedPostgres(cluster).start()
        assert answer(first.dsn, "SELECT 1") == 1


def test_foreign_directory(tmp_path: Path) -> None:
    """A directory with somebody else's files is refused and left as it was."""
    (tmp_path / "letter.txt").write_text("mine", encoding="ascii")
    with pytest.raises(EmbeddedError, match="not made by fsacd"):
        EmbeddedPostgres(tmp_path).start()
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_deadline(open_place: Path) -> None:
    """A start that takes longer than it may ends with a sentence and without a process."""
    base = open_place / "slow"
    with pytest.raises(EmbeddedError, match="initdb took longer than 1 ms"):
        EmbeddedPostgres(base, start_ms=1).start()
    assert users_of(base) == []


def test_programs_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the wheel one sentence says what to install."""
    monkeypatch.setattr(programs, "_WHEEL", "no_such_wheel_anywhere")
    with pytest.raises(EmbeddedError, match="install the extra 'embedded'"):
        programs.find(tmp_path)


def test_data_of_another_version(tmp_path: Path) -> None:
    """Data of a PostgreSQL that is not installed are refused before anything is touched."""
    (tmp_path / "PG_VERSION").write_text("9\n", encoding="ascii")
    with pytest.raises(EmbeddedError, match="written by PostgreSQL 9"):
        programs.find(tmp_path)
