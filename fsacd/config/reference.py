"""The reference: a configuration file that holds every setting, commented out, at its default.

`python -m fsacd.config.reference > config/fsacd.yaml` writes it anew after a change of the model.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from typing import Any, Final

from pydantic.fields import FieldInfo

from fsacd.config.blocks import Settings, block_of, kind_of, settings_of
from fsacd.config.kinds import Kind
from fsacd.config.model import Config
from fsacd.config.problems import Loc

_WIDTH: Final = 110
_HEADER: Final = """\
The configuration of fsacd. Every setting stands here at its default, commented out. To change one, remove the '#'
before it and before the headings that it stands under. Names are up to 64 letters, digits, '_', '.' or '-'.
Durations are written with their unit: 300ms, 15s, 2m, 1h30m. `fsacd check FILE` says all that is wrong with a file;
`fsacd reload` takes a changed one over and keeps the old one when the new one is wrong."""

# Values to show instead of defaults: names of an operator's choice, and settings without a default.
EXAMPLES: Final[dict[Loc, str]] = {
    ("switches",): "fs1",
    ("switches", "fs1", "password_file"): "switch.password",
    ("api", "tokens", 0, "name"): "wallboard",
    ("api", "tokens", 0, "token_env"): "FSACD_TOKEN",
    ("store", "dsn_env"): "FSACD_DSN",
    ("queues",): "support",
    ("agents",): '"1001"',
    ("hours",): "office",
    ("hours", "office", "zone"): "Europe/Berlin",
}
# Settings that cannot be left out, and so are not commented out.
ACTIVE: Final[frozenset[Loc]] = frozenset({("switches",), ("switches", "fs1"), ("switches", "fs1", "password_file")})


def reference() -> str:
    """Give the text of `config/fsacd.yaml`."""
    writer = _Writer()
    writer.prose(_HEADER.splitlines(), 0)
    writer.block(Config, Config(), ())
    return "\n".join(writer.lines) + "\n"


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._explained: set[type[Settings]] = set()

    def prose(self, lines: list[str], indent: int) -> None:
        self.lines += [f"{' ' * indent}# {line}".rstrip() for line in lines]

    def setting(self, loc: Loc, indent: int, text: str) -> None:
        self.lines.append(f"{' ' * indent}{'' if loc in ACTIVE else '#'}{text}")

    def block(self, block: type[Settings], defaults: Settings | None, loc: Loc, indent: int = 0) -> None:
        for number, (name, field) in enumerate(settings_of(block).items()):
            default = getattr(defaults, _attribute(block, name)) if defaults is not None else field.default
            # The first setting of an entry in a list carries the entry's dash.
            dash = "- " if number == 0 and loc and isinstance(loc[-1], int) else ""
            if not loc or not dash:
                self.lines += [""] if not loc else []
            self._describe(field, indent)
            self._setting(field, default, (*loc, name), indent - len(dash), dash)

    def _describe(self, field: FieldInfo, indent: int) -> None:
        kind = kind_of(field)
        limits = f" ({kind.limits})" if kind is not None and kind.limits else ""
        self.prose(textwrap.wrap(f"{field.description}{limits}", _WIDTH - indent), indent)

    def _setting(self, field: FieldInfo, default: Any, loc: Loc, indent: int, dash: str) -> None:
        name, kind = loc[-1], kind_of(field)
        block, wrapped = block_of(field.annotation)
        if kind is not None:
            self.setting(loc, indent, f"{dash}{name}: {EXAMPLES.get(loc) or kind.show(default)}")
        elif block is None:
            self.setting(loc, indent, f"{name}: {'{}' if isinstance(default, dict) else _words(default)}")
        elif block.INLINE:
            self._explain(block, indent)
            self.setting(loc, indent, f"{name}: {_inline(default)}")
        elif wrapped is tuple:
            self.setting(loc, indent, f"{name}:")
            self.block(block, None, (*loc, 0), indent + 4)
        elif wrapped is dict:
            entry = EXAMPLES[loc]
            self.setting(loc, indent, f"{name}:")
            self._entry(block, (*loc, entry.strip('"')), entry, indent + 2)
        else:
            self._explained.add(block)
            self.setting(loc, indent, f"{name}:")
            self.block(block, default if isinstance(default, Settings) else None, loc, indent + 2)

    def _entry(self, block: type[Settings], loc: Loc, entry: str, indent: int) -> None:
        if block in self._explained:
            self.prose(["Takes every setting that stands under 'defaults'."], indent)
            self.setting(loc, indent, f"{entry}: {{}}")
            return
        self.setting(loc, indent, f"{entry}:")
        self.block(block, None, loc, indent + 2)

    def _explain(self, block: type[Settings], indent: int) -> None:
        """Describe a block that is written in one line, where it first comes."""
        if block in self._explained:
            return
        said = [base for base in self._explained if issubclass(block, base)]
        self._explained.add(block)
        for name, field in settings_of(block).items():
            if any(name in settings_of(base) for base in said):
                continue
            limits = _limits(kind_of(field), field.default)
            text = f"{name}: {field.description}" + (f" ({limits})" if limits else "")
            self.prose(textwrap.wrap(text, _WIDTH - indent, initial_indent="  ", subsequent_indent="    "), indent)


def _limits(kind: Kind | None, default: Any) -> str:
    if kind is None:
        return ""
    shown = "" if default in {None, ""} else f"default {kind.show(default)}"
    return "; ".join(part for part in (kind.limits, shown) if part)


def _words(words: Iterable[str]) -> str:
    """A list in one line; a word that YAML would read as a number stands in quotes."""
    return "[" + ", ".join(f'"{word}"' if word.isascii() and word.isdigit() else word for word in words) + "]"


def _inline(default: Any) -> str:
    match default:
        case None:
            return "null"
        case Settings():
            return default.written()
        case tuple():
            return "[]"
        case _:
            return "{}"


def _attribute(block: type[Settings], name: str) -> str:
    return name if name in block.model_fields else f"{name}_ms"


if __name__ == "__main__":
    sys.stdout.write(reference())
