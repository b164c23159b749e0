"""Each wrong file in `bad/` gives exactly the lines beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fsacd.config.problems import ConfigErrors
from fsacd.config.reader import load
from tests.config.few_plugins import few_plugins

BAD = Path(__file__).parent / "bad"


def problems_of(path: Path) -> str:
    with pytest.raises(ConfigErrors) as caught:
        load(path, plugins=few_plugins, environ={})
    return str(caught.value) + "\n"


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.yaml")))
def test_a_wrong_file_gives_exactly_the_lines_beside_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every problem of a file is said in one run, with its line, its column and what to do."""
    monkeypatch.chdir(BAD)
    said = problems_of(Path(f"{name}.yaml"))
    expected = BAD / f"{name}.txt"
    if os.environ.get("FSACD_REWRITE"):  # the rewritten lines are read in the diff
        expected.write_text(said, encoding="utf-8")
    assert expected.read_text(encoding="utf-8") == said


def test_a_secret_never_appears_in_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with a secret is said without the secret."""
    monkeypatch.chdir(BAD)
    said = "".join(problems_of(path) for path in sorted(Path().glob("*.yaml")))
    for secret in ("ClueCon", "secret-of-the-switch", "hunter2", "0123456789abcdef", "'abc'"):
        assert secret not in said, secret


def test_every_wrong_file_has_its_lines() -> None:
    """No expected text is left behind by a file that has gone."""
    assert sorted(path.stem for path in BAD.glob("*.yaml")) == sorted(path.stem for path in BAD.glob("*.txt"))
