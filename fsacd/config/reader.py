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
from fsacd.config.checks import STRATEGIES, Names, check_config
from fsacd.config.model import Config
from fsacd.config.problems import WRONG, Complaint, ConfigErrors, Loc, Problem, did_you_mean, path_of, shown
from fsacd.config.secrets import Sources, fill_secrets
from fsacd.config.syntax import not_text
from fsacd.config.tree import Node, Tree, UnreadableError, place_of, plain_data, read_tree

MAX_BYTES: Final = 4 * 1024 * 1024
# Each round takes out what the one before found wrong; a block inside a block inside a block needs three.
_ROUNDS: Final = 40
_PROBLEMS: Final = 1_000


def load(path: Path, *, strategies: AbstractSet[str] = STRATEGIES, environ: Mapping[str, str] | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: the YAML file; relative secret files start at its directory.
        strategies: the ring strategies there are.
        environ: where `…_env` and systemd's credentials are looked up; None is this process's environment.

    Raises:
        ConfigErrors: with everything that is wrong.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        text = f"cannot read the configuration: {(error.strerror or 'it failed').lower()}"
        raise ConfigErrors([Problem(str(path), 0, 0, "", text)]) from None
    return parse(raw, path, strategies=strategies, environ=environ)


def parse(
    raw: bytes, path: Path, *, strategies: AbstractSet[str] = STRATEGIES, environ: Mapping[str, str] | None = None
) -> Config:
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
    config, complaints = _understand(tree, strategies, sources)
    found = [*tree.problems, *(_placed(complaint, tree.root, file) for complaint in complaints)]
    if config is None or found:
        raise ConfigErrors(_first(found, file))
    return config


def _understand(tree: Tree, strategies: AbstractSet[str], sources: Sources) -> tuple[Config | None, list[Complaint]]:
    data = plain_data(tree.root)
    data = {} if data is None else data
    if not isinstance(data, dict):
        return None, [Complaint((), f"expected settings like 'switches:', got {shown(data)}")]
    names = Names(_keys(data.get("switches")), _keys(data.get("queues")), strategies)
    taken = set(tree.broken)
    for loc in tree.broken:
        _take_out(data, loc)
    complaints = [complaint for complaint in fill_secrets(Config, data, sources) if not _within(complaint.loc, taken)]
    taken |= {complaint.loc for complaint in complaints}
    config = _validate(data, complaints, taken)
    if config is not None:
        complaints += [c for c in check_config(config, names) if not _said(c, taken)]
    return config, complaints


def _validate(data: Any, complaints: list[Complaint], taken: set[Loc]) -> Config | None:
    """Read the model, taking out what is wrong until the rest is right, so that the rest can be checked too."""
    for _ in range(_ROUNDS):
        try:
            return Config.model_validate(data)
        except ValidationError as error:
            for details in error.errors(include_url=False, include_input=True):
                complaint = _complaint(details)
                loc = complaint.loc
                if not _within(loc, taken):
                    complaints.append(complaint)
                # Wrong again although taken out: the block around it cannot do without.
                while loc and loc in taken:
                    loc = loc[:-1]
                taken.add(loc)
                _take_out(data, loc)
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
            return Complaint(
                loc, f"at most {context['max_length']} entries are allowed, got {context['actual_length']}"
            )
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
    """Take a value out of the data; in a list, its place is kept so that the others keep theirs."""
    if not loc:
        data.clear()
        return
    *before, last = loc
    for number, step in enumerate(before):
        inside = data.get(step) if isinstance(data, dict) else data[step] if isinstance(step, int) else None
        if not isinstance(inside, dict | list):
            # The path goes through a short form: what it stands for is one value in the file.
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
        case _:  # not names at all, which is a problem of its own
            return None


def _placed(complaint: Complaint, root: Node | None, file: str) -> Problem:
    mark = place_of(root, complaint.loc, at_key=complaint.at_key)
    return Problem(file, mark.line, mark.column, path_of(complaint.loc), complaint.text)


def _first(problems: list[Problem], file: str) -> list[Problem]:
    """Keep a bounded number of problems: nobody reads more, and a wrong file can have one in each of its values."""
    unique = sorted(dict.fromkeys(problems), key=lambda p: (p.line, p.column))
    if len(unique) <= _PROBLEMS:
        return unique
    rest = Problem(file, unique[_PROBLEMS].line, 1, "", f"{len(unique) - _PROBLEMS} more problems from here on")
    return [*unique[:_PROBLEMS], rest]
