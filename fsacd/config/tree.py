"""Turns YAML text into a tree that knows the place of everything in the file.

The parser's events are composed here and not by the YAML library, so that every scalar keeps its text (the setting
decides what it means: `0100` stays an extension), keys given twice are refused, and aliases cannot blow the tree up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from fsacd.config.problems import Loc, Problem, path_of
from fsacd.config.syntax import syntax_problem
from fsacd.process.quoting import shown

MAX_DEPTH: Final = 32
MAX_VALUES: Final = 500_000

_FAST: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS: Final = frozenset({"!", *(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "bool", "null", "map", "seq"))})
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file, line and column from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Scalar:
    """A value as its text; `plain` is without quotes."""

    mark: Mark
    text: str
    plain: bool
    values: int = 1
    height: int = 0


@dataclass(slots=True)
class Entry:
    """One setting in a block: where its name stands, and its value."""

    mark: Mark
    node: Node


@dataclass(slots=True)
class Block:
    """A mapping. `values` counts every value in it, those behind aliases at each use; `height` its levels."""

    mark: Mark
    entries: dict[str, Entry] = field(default_factory=dict)
    values: int = 1
    height: int = 1


@dataclass(slots=True)
class Listing:
    """A sequence."""

    mark: Mark
    items: list[Node] = field(default_factory=list)
    values: int = 1
    height: int = 1


Node = Scalar | Block | Listing


class UnreadableError(Exception):
    """The text cannot be read further; `problem` is the reason, `others` what was found before."""

    def __init__(self, problem: Problem, others: tuple[Problem, ...] = ()) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.others = others


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree: its root (None when the text is empty) and the problems that did not stop the reading.

    `broken` are the paths of values that could not be read, of which nothing else is complained.
    """

    root: Node | None
    problems: tuple[Problem, ...] = ()
    broken: tuple[Loc, ...] = ()


def read_tree(text: str, file: str) -> Tree:
    """Read one YAML document.

    Raises:
        UnreadableError: when the text is not YAML, or more of it than anyone writes by hand or by program.
    """
    composer = _Composer(file)
    try:
        for event in yaml.parse(text, Loader=_FAST):
            composer.take(event)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The Python parser lets int() and chr() fail on impossible escapes; to the operator they are syntax errors.
        raise UnreadableError(syntax_problem(text, file, error), tuple(composer.problems)) from None
    return Tree(composer.root, tuple(composer.problems), tuple(composer.broken))


def plain_data(node: Node | None) -> Any:
    """Give the tree as dicts, lists, texts and None."""
    match node:
        case None:
            return None
        case Scalar():
            return None if node.plain and node.text in _NULLS else node.text
        case Block():
            return {name: plain_data(entry.node) for name, entry in node.entries.items()}
        case Listing():
            return [plain_data(item) for item in node.items]


def as_written(root: Node | None, loc: Loc) -> Loc:
    """Cut a path where the file has a short form, which is one value in the file."""
    node = root
    for length, step in enumerate(loc):
        match node:
            case Block() if str(step) in node.entries:
                node = node.entries[str(step)].node
            case Listing() if isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            case Scalar() if plain_data(node) is not None:
                return loc[:length]
            case _:
                return loc
    return loc


def place_of(root: Node | None, loc: Loc, *, at_key: bool = False) -> Mark:
    """Find where a path stands: a plain value at the value, anything else at its name, a missing one at its block."""
    mark, node = Mark(1, 1), root
    for step in loc:
        match node:
            case Block() if str(step) in node.entries:
                entry = node.entries[str(step)]
                mark, node = entry.mark, entry.node
            case Listing() if isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                mark = node.mark
            case Listing():
                named = (item for item in node.items if isinstance(item, Scalar) and item.text == step)
                node = next(named, None)
                return node.mark if node is not None else mark
            case _:
                return mark
    return node.mark if isinstance(node, Scalar) and not at_key else mark


@dataclass(slots=True)
class _Frame:
    node: Block | Listing
    anchor: str | None
    key: str | None = None
    key_mark: Mark | None = None
    # Of a key given twice the first value counts; the second is read and dropped.
    dropping: bool = False
    merges: list[Block] = field(default_factory=list)


class _Composer:
    """Composes events into the tree, with a stack instead of recursion, so that a file may be nested deeply."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self.broken: list[Loc] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._values = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        # The most frequent kinds first: a file may hold hundreds of thousands of events.
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._stop(_mark(event), "the file has a second document (a line '---'); write one only")
            case _:  # the stream's and the document's ends carry nothing
                pass

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._check_tag(event)
        node = Scalar(_mark(event), event.value, event.style in {None, ""} and event.tag in {None, "!"})
        if _SURROGATE.search(node.text):
            self._complain(node.mark, "half of a surrogate pair is not a character", broken=True)
            node.text = _SURROGATE.sub("?", node.text)
        self._count(node)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._place(node)

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        self._check_tag(event)
        mark = _mark(event)
        node: Block | Listing = Block(mark) if isinstance(event, yaml.MappingStartEvent) else Listing(mark)
        self._count(node)
        self._stack.append(_Frame(node, event.anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        if isinstance(frame.node, Block):
            for merged in frame.merges:
                for name, entry in merged.entries.items():
                    frame.node.entries.setdefault(name, entry)
        if frame.anchor:
            self._anchors[frame.anchor] = frame.node
        self._place(frame.node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        anchor, mark = event.anchor or "", _mark(event)
        node = self._anchors.get(anchor)
        if node is None:
            inside = any(frame.anchor == anchor for frame in self._stack)
            reason = "it stands inside what it refers to" if inside else f"no &{anchor} comes before it"
            self._complain(mark, f"cannot follow *{anchor}: {reason}", broken=True)
            node = Scalar(mark, "", plain=True)
        self._count(node)
        self._place(node)

    def _place(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        frame.node.values += node.values
        frame.node.height = max(frame.node.height, node.height + 1)
        if isinstance(frame.node, Listing):
            frame.node.items.append(node)
        elif frame.key_mark is None:
            self._key(frame, frame.node, node)
        else:
            self._value(frame, frame.node, node)

    def _key(self, frame: _Frame, block: Block, node: Node) -> None:
        frame.key_mark, frame.dropping = node.mark, True
        if not isinstance(node, Scalar):
            self._complain(node.mark, "a setting's name must be a plain word")
        elif node.plain and node.text == "":
            self._complain(node.mark, "a name is missing before the colon")
        elif node.text in block.entries:
            first = block.entries[node.text].mark
            text = f"given twice; the first stands at line {first.line}, column {first.column}"
            self._complain(node.mark, text, node.text)
        else:
            frame.key, frame.dropping = node.text, False

    def _value(self, frame: _Frame, block: Block, node: Node) -> None:
        key, key_mark = frame.key, frame.key_mark
        if key == "<<" and not frame.dropping:
            merges = node.items if isinstance(node, Listing) else [node]
            if all(isinstance(merge, Block) for merge in merges):
                frame.merges += [merge for merge in merges if isinstance(merge, Block)]
            else:
                self._complain(node.mark, "'<<' takes an alias of a block, like *base")
        elif key is not None and key_mark is not None and not frame.dropping:
            block.entries[key] = Entry(key_mark, node)
        frame.key, frame.key_mark, frame.dropping = None, None, False

    def _count(self, node: Node) -> None:
        # Aliases of aliases could nest deeper than the text does.
        if len(self._stack) + node.height > MAX_DEPTH:
            raise self._stop(node.mark, f"nested deeper than {MAX_DEPTH} levels")
        self._values += node.values
        if self._values > MAX_VALUES:
            raise self._stop(node.mark, f"more than {MAX_VALUES} values, those behind aliases counted at each use")

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None and event.tag not in _TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._complain(_mark(event), f"the tag {shown(tag)} means nothing here; write the value alone", broken=True)

    def _here(self) -> Iterator[str | int]:
        for frame in self._stack:
            if frame.dropping:
                return
            if isinstance(frame.node, Listing):
                yield len(frame.node.items)
            elif frame.key is not None:
                yield frame.key

    def _complain(self, mark: Mark, text: str, name: str | None = None, *, broken: bool = False) -> None:
        loc = (*self._here(), name) if name is not None else tuple(self._here())
        if broken and not any(frame.dropping for frame in self._stack):
            self.broken.append(loc)
        self.problems.append(Problem(self.file, mark.line, mark.column, path_of(loc), text))

    def _stop(self, mark: Mark, text: str) -> UnreadableError:
        problem = Problem(self.file, mark.line, mark.column, path_of(tuple(self._here())), text)
        return UnreadableError(problem, tuple(self.problems))


def _mark(event: yaml.Event) -> Mark:
    if event.start_mark is None:  # the library's types allow it; its parsers never do it
        return Mark(1, 1)
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)
