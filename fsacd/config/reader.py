"""One YAML file in, one frozen `Config` out, or every problem in it at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fsacd.config.blocks import block_at, places_of, settings_of
from fsacd.config.checks import Names, check_config
from fsacd.config.model import Config
from fsacd.config.plugins import Catalogue, Loader
from fsacd.config.problems import WRONG, Complaint, ConfigErrors, Loc, Problem, path_of
from fsacd.config.secrets import Sources, fill_secrets
from fsacd.config.syntax import not_text
from fsacd.config.tree import Node, Tree, UnreadableError, as_written, place_of, plain_data, read_tree
from fsacd.process import trusted
from fsacd.process.quoting import did_you_mean, shown

MAX_BYTES: Final = 4 * 1024 * 1024
# Each round removes what the round before found wrong; three levels of nested blocks need three rounds.
_ROUNDS: Final = 40
_PROBLEMS: Final = 1_000


def load(path: Path, *, plugins: Loader, environ: Mapping[str, str] | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: the YAML file; relative secret files start at its directory.
        plugins: gives the installed strategies and call orders, and those of the file's `strategy_path`.
        environ: where `…_env` and systemd's credentials are looked up; None is this process's environment.

    Raises:
        ConfigErrors: with everything that is wrong.
    """
    try:
        raw = trusted.read_given(path, MAX_BYTES)
    except OSError as error:
        text = f"cannot read the configuration: {trusted.why(error)}"
        raise ConfigErrors([Problem(str(path), 0, 0, "", text)]) from None
    return parse(raw, path, plugins=plugins, environ=environ)


def parse(raw: bytes, path: Path, *, plugins: Loader, environ: Mapping[str, str] | None = None) -> Config:
    """Read a configuration from a file's bytes; `path` is where they are from. Arguments and errors as for `load`."""
    file = str(path)
    if len(raw) > MAX_BYTES:
        raise ConfigErrors([Problem(file, 0, 0, "", f"larger than {MAX_BYTES // 1024 // 1024} MiB")])
    text, problem = not_text(raw, file)
    if problem is not None:
        raise ConfigErrors([problem])
    try:
        tree = read_tree(text, file)
    except UnreadableError as error:
        raise ConfigErrors([*error.others, error.problem]) from None
    sources = Sources(path.parent, os.environ if environ is None else environ)
    config, complaints = _understand(tree, plugins, sources)
    found = [*tree.problems, *(_placed(complaint, tree.root, file) for complaint in complaints)]
    if config is None or found:
        raise ConfigErrors(_first(found, file))
    return config


def _understand(tree: Tree, plugins: Loader, sources: Sources) -> tuple[Config | None, list[Complaint]]:
    data = plain_data(tree.root)
    data = {} if data is None else data
    if not isinstance(data, dict):
        return None, [Complaint((), f"expected settings like 'switches:', got {shown(data)}")]
    names = Names(*(_keys(data.get(name)) for name in ("switches", "queues", "hours", "agents")))
    taken = set(tree.broken)
    for loc in tree.broken:
        _take_out(data, loc)
    complaints = [complaint for complaint in fill_secrets(Config, data, sources) if not _within(complaint.loc, taken)]
    taken |= {complaint.loc for complaint in complaints}
    catalogue, refused = plugins(list(_strategy_path(data, sources.directory).values()))
    complaints += [Complaint(_place_of_plugin(data, sources.directory, str(why)), str(why)) for why in refused]
    config = _validate(data, catalogue, complaints, taken)
    if config is not None:
        complaints += [c for c in check_config(config, names) if not _said(c, taken)]
    return config, complaints


def _strategy_path(data: dict[str, Any], directory: Path) -> dict[int, Path]:
    """Give the directories that the file names, by their places; the model says what is wrong with the setting."""
    given = data.get("strategy_path")
    names = given if isinstance(given, list) else []
    return {index: directory / name for index, name in enumerate(names) if isinstance(name, str)}


def _place_of_plugin(data: dict[str, Any], directory: Path, why: str) -> Loc:
    """Tell in which of the directories a plugin was refused: the sentence begins with its file."""
    for index, path in _strategy_path(data, directory).items():
        if why.startswith(str(path)):
            return ("strategy_path", index)
    return ("strategy_path",)


def _validate(data: Any, catalogue: Catalogue, complaints: list[Complaint], taken: set[Loc]) -> Config | None:
    """Read the model. Wrong values are removed until the rest is right, so that the rest can be checked, too."""
    for _ in range(_ROUNDS):
        try:
            return Config.model_validate(data, context=catalogue)
        except ValidationError as error:
            now: set[Loc] = set()
            for details in error.errors(include_url=False, include_input=True):
                complaint = _complaint(details)
                loc = complaint.loc
                if not _within(loc, taken) and not _within(loc, now):
                    complaints.append(complaint)
                # Wrong again although removed: the block around it needs this value, so the block is removed.
                while loc and loc in taken:
                    loc = loc[:-1]
                if not _within(loc, now):
                    now.add(loc)
                    _take_out(data, loc)
            taken |= now
    return None


def _complaint(details: ErrorDetails) -> Complaint:
    at_key = "[key]" in details["loc"]
    loc: Loc = tuple(step for step in details["loc"] if step != "[key]")
    context = details.get("ctx", {})
    match details["type"]:
        case kind if kind == WRONG:
            return Complaint(loc, str(context["text"]), at_key)
        case "extra_forbidden":
            return Complaint(loc, _unknown(loc), at_key=True)
        case "dict_type" | "mapping_type":
            return Complaint(loc, f"expected names with settings below them, got {shown(details['input'])}")
        case "list_type" | "tuple_type":
            return Complaint(loc, f"expected a list, got {shown(details['input'])}")
        case "too_long":
            # Of names with settings, pydantic does not say how many there are.
            got = f", got {context['actual_length']}" if context["actual_length"] is not None else ""
            return Complaint(loc, f"at most {context['max_length']} entries are allowed{got}")
        case _:
            return Complaint(loc, details["msg"])


def _unknown(loc: Loc) -> str:
    block, name = block_at(Config, loc[:-1]), str(loc[-1])
    known = settings_of(block) if block is not None else {}
    hint = did_you_mean(name, known)
    if hint:
        return f"unknown setting{hint}"
    places = [path_of(place) for place in dict.fromkeys(places_of(Config, name)) if place]
    if places:
        return f"unknown setting here; it belongs under {' or '.join(places)} (is the indentation right?)"
    return f"unknown setting; there is {', '.join(known)}"


def _take_out(data: Any, loc: Loc) -> None:
    """Remove a value from the data; in a list its place stays, so that the other entries keep theirs."""
    if not loc:
        data.clear()
        return
    *before, last = loc
    for number, step in enumerate(before):
        inside = data.get(step) if isinstance(data, dict) else data[step] if isinstance(step, int) else None
        if not isinstance(inside, dict | list):
            # The path leads into a short form, which is one value in the file.
            last = loc[number]
            break
        data = inside
    if isinstance(data, dict):
        data.pop(last, None)
    elif isinstance(last, int):
        data[last] = {}
    else:
        data[:] = [item for item in data if item != last]


def _within(loc: Loc, taken: AbstractSet[Loc]) -> bool:
    return any(loc[:length] in taken for length in range(len(loc) + 1))


def _said(complaint: Complaint, taken: AbstractSet[Loc]) -> bool:
    loc = complaint.loc
    return _within(loc, taken) or (complaint.of_whole and any(other[: len(loc)] == loc for other in taken))


def _keys(value: object) -> AbstractSet[str] | None:
    match value:
        case None:
            return frozenset()
        case dict():
            return frozenset(value)
        case _:  # no block of names, which is a complaint of its own
            return None


def _placed(complaint: Complaint, root: Node | None, file: str) -> Problem:
    loc = as_written(root, complaint.loc)
    # A short form is one value: what is wrong inside it is wrong there, not at its name.
    mark = place_of(root, loc, at_key=complaint.at_key and loc == complaint.loc)
    return Problem(file, mark.line, mark.column, path_of(loc), complaint.text)


def _first(problems: list[Problem], file: str) -> list[Problem]:
    """Keep a bounded number of problems: nobody reads more, and a wrong file can have one in each of its values."""
    unique = sorted(dict.fromkeys(problems), key=lambda p: (p.line, p.column))
    if len(unique) <= _PROBLEMS:
        return unique
    rest = Problem(file, unique[_PROBLEMS].line, 1, "", f"{len(unique) - _PROBLEMS} more problems from here on")
    return [*unique[:_PROBLEMS], rest]
