"""The documented file is complete, at its defaults, and loads; the examples load."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fsacd.config.blocks import Settings, block_of, kind_of, settings_of
from fsacd.config.check import check
from fsacd.config.model import Config
from fsacd.config.problems import Loc
from fsacd.config.reader import parse
from fsacd.config.reference import EXAMPLES, reference
from fsacd.plugins import Catalogue

CONFIG = Path(__file__).parents[2] / "config"
ENVIRON = {
    "FSACD_SWITCH_PASSWORD": "fine",
    "FSACD_TOKEN": "0123456789abcdef",
    "FSACD_DSN": "host=localhost dbname=fsacd",
}


def shipped_plugins(paths: Sequence[Path]) -> tuple[Catalogue, Sequence[object]]:
    return Catalogue.load(paths, installed=False)


def blocks(block: type[Settings] = Config, loc: Loc = ()) -> Iterator[tuple[Loc, type[Settings]]]:
    """Walk over every kind of block, with the path that the reference has it at."""
    yield loc, block
    for name, field in settings_of(block).items():
        inner, wrapped = block_of(field.annotation)
        if inner is None or inner.INLINE or name == "queues":
            continue
        entry: Loc = ()
        if wrapped is tuple:
            entry = (0,)
        elif wrapped is dict:
            entry = (EXAMPLES[*loc, name].strip('"'),)
        yield from blocks(inner, (*loc, name, *entry))


def uncommented() -> str:
    return re.sub(r"(?m)^( *)#(?=[^ ])", r"\1", reference())


def test_the_file_is_the_model_s() -> None:
    """config/fsacd.yaml is what the model says; run `python -m fsacd.config.reference` after a change."""
    assert (CONFIG / "fsacd.yaml").read_text(encoding="utf-8") == reference()


def test_every_setting_stands_there_at_its_default_with_its_description() -> None:
    """No setting is missing from the reference, and none has another value there than without it."""
    tree = yaml.load(uncommented(), Loader=yaml.BaseLoader)
    prose = " ".join(re.sub(r"(?m)^ *# *", "", reference()).split())
    seen = 0
    for loc, block in blocks():
        value: Any = tree
        for step in loc:
            value = value[step]
        for name, field in settings_of(block).items():
            assert name in value, (*loc, name)
            assert " ".join(str(field.description).split()) in prose, (*loc, name)
            kind = kind_of(field)
            if kind is not None:
                expected = yaml.load(EXAMPLES.get((*loc, name)) or kind.show(field.default), Loader=yaml.BaseLoader)
                assert value[name] == expected, (*loc, name)
            seen += 1
    assert seen > 80


def test_every_default_is_within_its_own_limits() -> None:
    """What a setting shows as its default can be written."""
    for loc, block in blocks():
        for name, field in settings_of(block).items():
            kind = kind_of(field)
            # What must be given has no default that could be written.
            if kind is not None and field.default not in ("", None):
                assert kind.parse(yaml.load(kind.show(field.default), Loader=yaml.BaseLoader)) == field.default, (
                    loc,
                    name,
                )


@pytest.mark.parametrize("text", [reference(), uncommented()], ids=["as it is", "uncommented"])
def test_the_reference_loads(text: str, tmp_path: Path) -> None:
    """As it is and with every '#' removed, the reference means the defaults."""
    (tmp_path / "switch.password").write_text("fine\n", encoding="utf-8")
    (tmp_path / "switch.password").chmod(0o600)
    config = parse(text.encode(), tmp_path / "fsacd.yaml", plugins=shipped_plugins, environ=ENVIRON)
    bare = parse(
        b"switches: {fs1: {password_file: switch.password}}",
        tmp_path / "fsacd.yaml",
        plugins=shipped_plugins,
        environ={},
    )
    same = set(Config.model_fields) - {"api", "store", "queues", "agents", "hours"}
    assert {name: getattr(config, name) for name in same} == {name: getattr(bare, name) for name in same}
    assert config.api.model_copy(update={"tokens": ()}) == bare.api


@pytest.mark.parametrize("path", sorted((CONFIG / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_good(path: Path) -> None:
    """Each example can be started with, and leaves nothing to note."""
    code, text = check(path, plugins=shipped_plugins, environ=ENVIRON)
    assert code == 0, text
    assert ": note: " not in text
