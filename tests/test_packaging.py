"""What an installation brings along."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What only the repository itself needs.
DOCUMENTS = {"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "strategies/README.md"}
STAYS = {"config/requirements-dev.lock"}


def test_everything_an_operator_needs_is_installed() -> None:
    """Each file of freeswitch/ and config/ but the lab is put into share/fsacd, where it had its place."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    installed = {
        f"{place.removeprefix('share/fsacd').removeprefix('/')}/{path.name}".removeprefix("/"): path.relative_to(
            ROOT
        ).as_posix()
        for place, patterns in parser["options.data_files"].items()
        for pattern in patterns.split()
        for path in ROOT.glob(pattern)
    }
    shipped = {
        path.relative_to(ROOT).as_posix()
        for top in ("freeswitch", "config")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "lab" not in path.parts
    }
    assert {name: name for name in (shipped | DOCUMENTS) - STAYS} == installed


def test_every_document_that_is_installed_leads_to_installed_ones() -> None:
    """No link of the documents in share/fsacd leads nowhere there."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            place = ((ROOT / document).parent / target).resolve()
            assert place.exists(), (document, target)
            assert place.relative_to(ROOT).parts[0] in {"freeswitch", "config", "strategies", *DOCUMENTS}, target


# --- what it is made of ---


@pytest.fixture(params=["build", "requirements", "requirements-dev"])
def lock(request: pytest.FixtureRequest) -> list[str]:
    """The lines of a lock."""
    return (ROOT / "config" / f"{request.param}.lock").read_text(encoding="utf-8").splitlines()


def pins(lock: Iterable[str]) -> dict[str, str]:
    """The version of each package in it, by its name as it is compared."""
    found = (re.match(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lock)
    return {canonical(pin[1]): pin[2] for pin in found if pin is not None}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, str]:
    return pins((ROOT / "config" / f"{name}.lock").read_text(encoding="utf-8").splitlines())


def test_a_lock_has_a_hash_for_each_package_and_no_address(lock: list[str]) -> None:
    """Pip refuses a file with any other line, and whoever installs has an index of their own."""
    blocks = "\n".join(line for line in lock if not line.startswith("#")).replace("\\\n", " ").splitlines()
    assert blocks
    for block in blocks:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", block), block
    assert not [line for line in lock if "://" in line]


def test_the_locks_hold_all_that_is_asked_for() -> None:
    """What setup.cfg and pyproject.toml name, run or built, has a pin; what both locks hold has the same one."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")

    def names(text: str) -> set[str]:
        return {canonical(match[0]) for line in text.split("\n") if (match := re.match(r"[A-Za-z0-9._-]+", line))}

    run = names(parser["options"]["install_requires"])
    more = set().union(*(names(text) for text in parser["options.extras_require"].values()))
    build = names("\n".join(tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]))
    assert run <= locked("requirements").keys()
    assert run | more <= locked("requirements-dev").keys()
    assert build <= locked("build").keys()
    assert locked("requirements").items() <= locked("requirements-dev").items()


def test_what_is_installed_is_what_is_locked() -> None:
    """The tests run with the very versions that an operator gets."""
    for name, version in {**locked("requirements"), **locked("build")}.items():
        try:
            assert metadata.version(name) == version, name
        except metadata.PackageNotFoundError:
            assert name in {"cffi", "pycparser", "tzdata"}, "but for what another system needs"


def test_the_documents_install_with_hashes() -> None:
    """Every pip of README and Makefile either checks hashes or fetches nothing."""
    for document in ("README.md", "Makefile"):
        lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
        commands = [line for line in lines if re.match(r"\s+(\S+/pip install|\$\(PIP\)) ", line)]
        assert len(commands) == 3, document
        assert all("--require-hashes" in line or "--no-deps" in line for line in commands), document
