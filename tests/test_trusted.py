"""Opening files: who may have written them, what may lie in their place, and what a person is told."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fsacd.process import trusted
from fsacd.process.aside import Aside
from tests.store.rig import await_true

NOBODY_HERE = frozenset({4_000_000_001})
LIMIT = 1_000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that is ours."""
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    return place


def refused(attempt: Callable[[], object]) -> str:
    """Why it was not possible."""
    try:
        attempt()
    except OSError as error:
        return trusted.why(error)
    pytest.fail("it was possible")


# --- directories ---


def test_a_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """It is made with those above it, and is fine the next time."""
    path = tmp_path / "a" / "b"
    for _ in range(2):
        trusted.make_directory(path)
    assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("mode", "who"), [(0o702, "everybody"), (0o720, "its group"), (0o1777, "everybody")])
def test_a_directory_that_others_can_write_is_refused(place: Path, mode: int, who: str) -> None:
    """Whoever can put files there commands us; also where they cannot remove ours."""
    place.chmod(mode)
    with pytest.raises(trusted.Untrusted, match=f"^it can be written by {who}; .* [(]chmod go-w[)]$"):
        trusted.make_directory(place)


def test_a_directory_of_somebody_else_is_refused(place: Path) -> None:
    """Its owner can change everything in it; the sentence names who should own it."""
    with pytest.raises(trusted.Untrusted, match=r"^it belongs to \S+; it must belong to user 4000000001 [(]chown[)]$"):
        trusted.check_directory(place, NOBODY_HERE)


def test_a_directory_on_the_way_that_everybody_can_write_is_refused(place: Path) -> None:
    """They could put another directory in the place of the one that was looked at; not where it is like /tmp."""
    inner = place / "outer" / "inner"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o777)
    with pytest.raises(trusted.Untrusted, match=f"^its directory {inner.parent} can be written by everybody"):
        trusted.check_directory(inner)
    (inner / "deeper").mkdir()
    with pytest.raises(trusted.Untrusted, match=f"^the directory {inner.parent} on the way can be written"):
        trusted.check_directory(inner / "deeper")
    inner.parent.chmod(0o1777)
    trusted.check_directory(inner)


def test_the_link_that_systemd_makes_is_followed(place: Path) -> None:
    """/var/lib/fsacd is a link to private/fsacd for a service whose user is made when it starts."""
    (place / "private").mkdir(mode=0o700)
    (place / "private" / "fsacd").mkdir(mode=0o700)
    (place / "fsacd").symlink_to("private/fsacd")
    trusted.make_directory(place / "fsacd" / "journal")
    assert (place / "private" / "fsacd" / "journal").is_dir()
    assert trusted.resolved(place / "fsacd" / ".." / "fsacd", trusted.users()) == place / "private" / "fsacd"


def test_links_in_a_circle_and_files_on_the_way_are_errors(place: Path) -> None:
    """Nothing is followed for ever, and a file is no directory."""
    (place / "a").symlink_to("b")
    (place / "b").symlink_to("a")
    (place / "file").touch()
    for name, words in (("a/x", "it is a symbolic link"), ("file/x", "not a directory"), ("gone/x", "no such file")):
        assert refused(lambda: trusted.check_directory(place / name)).startswith(words)  # noqa: B023 - called at once


def test_root_trusts_a_daemons_user_in_its_own_directory(place: Path) -> None:
    """Root may look after a directory that belongs to the daemon's user, and what it makes there is that user's."""
    if os.geteuid() != 0:  # nobody else can give a directory away, nor is trusted with another's
        assert trusted.users_of(Path("/")) == trusted.users()
        return
    os.chown(place, 4_321, 4_321)
    with pytest.raises(trusted.Untrusted):
        trusted.check_directory(place)
    users = trusted.users_of(place)
    trusted.check_directory(place, users)
    for _ in range(2):
        os.close(trusted.open_or_create(place / "lock", os.O_RDWR, users))
    assert (place / "lock").stat().st_uid == 4_321


# --- files ---


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(b"precious")
    target.chmod(0o600)
    path.symlink_to(target)


def link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def directory(path: Path) -> None:
    path.mkdir()


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        before = Path.cwd()
        os.chdir(path.parent)  # the path may be too long for a socket's name
        sock.bind(path.name)
        os.chdir(before)


def written_by_others(path: Path) -> None:
    path.write_bytes(b"x")
    path.chmod(0o606)


def too_long(path: Path) -> None:
    path.write_bytes(b"x" * (LIMIT + 1))
    path.chmod(0o600)


def vast(path: Path) -> None:
    path.touch(mode=0o600)
    os.truncate(path, 1 << 40)  # a terabyte that takes no disk


STRANGERS: list[Callable[[Path], None]] = [
    *(pipe, link, link_to_nowhere, endless, directory, listener, written_by_others, too_long, vast)
]
# What every opening refuses; how long a file may be, only its reader knows.
OF_NO_USE = STRANGERS[:-2]
named = pytest.mark.parametrize("put", STRANGERS, ids=lambda put: put.__name__)


@pytest.mark.timeout(300)
@named
def test_a_stranger_is_neither_read_nor_waited_for(put: Callable[[Path], None], place: Path) -> None:
    """Whatever lies in the place of a file of ours is refused at once, in words."""
    put(place / "file")
    assert re.fullmatch(
        "it is (not a regular file|a symbolic link|larger than 1000 bytes)|it can be written by everybody.*|"
        "no such device or address",
        refused(lambda: trusted.read_file(place / "file", LIMIT)),
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("put", OF_NO_USE, ids=lambda put: put.__name__)
def test_a_stranger_is_not_written_to(put: Callable[[Path], None], place: Path) -> None:
    """Neither where a file is opened, nor where it is made; what a link leads to stays what it is."""
    put(place / "file")
    for attempt in (
        lambda: trusted.open_file(place / "file", os.O_WRONLY),
        lambda: trusted.open_or_create(place / "file", os.O_WRONLY),
        lambda: trusted.create_file(place / "file"),
    ):
        assert refused(attempt)
    assert not (place / "nowhere").exists()
    assert not (place / "target").exists() or (place / "target").read_bytes() == b"precious"


@pytest.mark.parametrize("put", [link, link_to_nowhere, pipe, endless], ids=lambda put: put.__name__)
def test_a_draft_that_is_something_else_is_replaced(put: Callable[[Path], None], place: Path) -> None:
    """A linked draft does not overwrite what it is linked to: the new one is made anew."""
    put(place / "file.draft")
    trusted.write_file(place / "file.json", b"content", LIMIT)
    assert trusted.read_file(place / "file.json", LIMIT) == b"content"
    assert not (place / "nowhere").exists()
    assert not (place / "target").exists() or (place / "target").read_bytes() == b"precious"
    assert not os.path.lexists(place / "file.draft")


def test_nothing_is_written_that_would_not_be_read(place: Path) -> None:
    """What whoever reads it would refuse is refused before it takes the place of what is there."""
    with pytest.raises(trusted.Untrusted, match="it would be larger than 1000 bytes"):
        trusted.write_file(place / "file", b"x" * (LIMIT + 1), LIMIT)
    assert list(place.iterdir()) == []


# --- what a person has put there ---


def given(path: Path, mode: int = 0o600) -> Path:
    path.write_bytes(b"said")
    path.chmod(mode)
    return path


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "put", [put for put in STRANGERS if put not in {link, directory}], ids=lambda put: put.__name__
)
def test_a_stranger_in_the_place_of_a_configuration_is_told(put: Callable[[Path], None], place: Path) -> None:
    """The same at the end of a path that a person has given, where a link would be fine."""
    put(place / "file")
    assert refused(lambda: trusted.read_given(place / "file", LIMIT))


@pytest.mark.parametrize(
    ("mode", "secret", "words"),
    [
        (0o644, False, ""),
        (0o640, True, ""),
        (0o440, True, ""),
        (0o644, True, r"everybody can read this secret \(chmod o-r\)"),
        (0o660, False, "the file can be written by its group"),
        (0o602, False, "the file can be written by everybody"),
    ],
)
def test_the_mode_of_a_given_file(place: Path, mode: int, secret: bool, words: str) -> None:
    """A configuration may be read by all; a secret by its group at most, as systemd's credentials are."""
    path = given(place / "file", mode)
    if not words:
        assert trusted.read_given(path, LIMIT, secret=secret) == b"said"
        return
    with pytest.raises(trusted.Untrusted, match=f"^{words}"):
        trusted.read_given(path, LIMIT, secret=secret)


def test_links_that_nobody_else_can_make_lead_to_a_given_file(place: Path) -> None:
    """As a container's secrets and many a system's configuration are laid out."""
    (place / "data-1").mkdir(mode=0o755)
    given(place / "data-1" / "secret")
    (place / "data").symlink_to("data-1")
    (place / "secret").symlink_to("data/secret")
    assert trusted.read_given(place / "secret", LIMIT, secret=True) == b"said"
    (place / "data-1").chmod(0o777)
    with pytest.raises(trusted.Untrusted, match=f"^its directory {place}/data-1 can be written by everybody"):
        trusted.read_given(place / "secret", LIMIT)


def test_a_directory_like_tmp_may_hold_a_configuration_but_no_plugins(place: Path) -> None:
    """Others cannot touch the file there; but they could lay files of their own beside it."""
    path = given(place / "file")
    place.chmod(0o1777)
    assert trusted.read_given(path, LIMIT) == b"said"
    with pytest.raises(trusted.Untrusted, match=r"^its directory .* can be written by everybody"):
        trusted.read_given(path, LIMIT, alone=True)


def test_a_given_file_of_somebody_else_is_refused(place: Path) -> None:
    """Whoever owns it could write it."""
    with pytest.raises(trusted.Untrusted, match=r"belongs to .*; it must belong to user 4000000001"):
        trusted.read_given(given(place / "file"), LIMIT, trusted=NOBODY_HERE)


def test_no_descriptor_is_left_open(place: Path) -> None:
    """Whatever is refused is closed; a daemon looks again and again."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number, put in enumerate(put for put in STRANGERS if put is not link):
        put(place / str(number))
        for attempt in (trusted.read_file, trusted.read_given, trusted.read_any):
            assert refused(lambda: attempt(place / str(number), 0))  # noqa: B023 - called at once
    await_true(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)  # gevent closes when its loop comes round


# --- aside ---


@named
def test_whatever_it_is_can_be_put_aside(put: Callable[[Path], None], place: Path) -> None:
    """Any number of times, under names of their own; and it can be removed, with nothing else."""
    aside = Aside(place)
    for _ in range(3):
        put(place / "file")
        assert aside.move(place / "file")
        (place / "target").unlink(missing_ok=True)
    assert aside.names() == ["file", "file.1", "file.2"]
    aside.forget()
    assert aside.names() == []


def test_so_many_are_kept_aside(place: Path) -> None:
    """The newest: a disk that damages file after file is not filled with them."""
    aside = Aside(place)
    for number in range(50):
        given(place / f"file-{number:02}")
        assert aside.move(place / f"file-{number:02}")
    assert len(aside.names()) == 32
    assert "file-49" in aside.names()


def test_a_file_in_use_is_kept_once(place: Path) -> None:
    """However often it is found to be damaged; and it is still there when it is removed from its place."""
    aside = Aside(place)
    path = given(place / "file")
    assert all(aside.keep(path) for _ in range(3))
    path.unlink()
    assert (aside.names(), (aside.path / "file").read_bytes()) == (["file"], b"said")


@pytest.mark.parametrize("put", [link, pipe, endless], ids=lambda put: put.__name__)
def test_nothing_is_put_where_aside_is_no_directory(put: Callable[[Path], None], place: Path) -> None:
    """It stays, and nobody is led elsewhere by it."""
    aside = Aside(place)
    put(aside.path)
    assert not aside.move(given(place / "file"))
    assert not aside.keep(place / "file")
    assert (place / "file").exists()
