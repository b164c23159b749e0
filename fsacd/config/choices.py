"""The lists that agents choose from, in an operator's words: wrap-up codes, and reasons for not being ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import override

from fsacd.config.blocks import NO_NAMES, Settings
from fsacd.config.forms import DIGITS, NAME
from fsacd.config.kinds import Text
from fsacd.config.problems import Complaint, Loc
from fsacd.core.choices import BELOW, Choice, Choices
from fsacd.process.quoting import did_you_mean, shown

# So many of one kind, over both levels: an agent has to find them, and refusals name them.
MOST: Final = 500

_Name = Annotated[str, Text("a name for people", longest=64)]
_Digits = Annotated[str | None, DIGITS]
_NAME: Final = "What people read; empty: the id."


class _Named(Settings):
    """What can be chosen."""

    INLINE = True

    name: _Name = Field(default="", description=_NAME)

    @classmethod
    @override
    def short_form(cls, value: object) -> object:
        # A text alone is the name.
        return {"name": value} if isinstance(value, str) else value


class CodeSettings(_Named):
    """One wrap-up code below a heading."""

    EXPECTS = 'a name like New customer, or {name: New customer, digits: "11"}'

    digits: _Digits = Field(default=None, description="What an agent dials behind *36 to give the code; null: nothing.")


class CodeTreeSettings(CodeSettings):
    """A wrap-up code, or a heading with codes below it."""

    EXPECTS = 'a name like Complaint, {name: Complaint, digits: "2"}, or a heading like {name: Sale, codes: {new: New}}'

    codes: Annotated[dict[Annotated[str, NAME], CodeSettings], NO_NAMES] = Field(
        default={},
        max_length=100,
        description="The codes below it, each by an id; then only those can be given, as heading/id.",
    )


class ReasonSettings(_Named):
    """One reason below a heading."""

    EXPECTS = 'a name like Lunch, or {name: Lunch, digits: "1"}'

    digits: _Digits = Field(default=None, description="What an agent dials behind *34 for this reason; null: nothing.")


class ReasonTreeSettings(ReasonSettings):
    """A reason for not being ready, or a heading with reasons below it."""

    EXPECTS = 'a name like Lunch, {name: Lunch, digits: "1"}, or a heading like {reasons: {sales: Sales}}'

    reasons: Annotated[dict[Annotated[str, NAME], ReasonSettings], NO_NAMES] = Field(
        default={},
        max_length=100,
        description="The reasons below it, each by an id; then only those can be given, as heading/id.",
    )


_Leaf = CodeSettings | ReasonSettings


def _below(settings: CodeTreeSettings | ReasonTreeSettings) -> tuple[str, Mapping[str, _Leaf]]:
    """The name of the setting that holds what stands below a heading, and that."""
    if isinstance(settings, CodeTreeSettings):
        return "codes", settings.codes
    return "reasons", settings.reasons


def choices(tree: Mapping[str, CodeTreeSettings] | Mapping[str, ReasonTreeSettings]) -> Choices:
    """Give what can be chosen as the engine takes it: in the order of the file, without the headings."""
    return tuple(choice for _, choice in _leaves(tree, ()))


def _leaves(
    tree: Mapping[str, CodeTreeSettings] | Mapping[str, ReasonTreeSettings], loc: Loc
) -> Iterator[tuple[Loc, Choice]]:
    for name, settings in tree.items():
        setting, below = _below(settings)
        if not below:
            yield (*loc, name), Choice(name, settings.name or name, settings.digits or "")
        for inner, leaf in below.items():
            yield (*loc, name, setting, inner), Choice(f"{name}{BELOW}{inner}", leaf.name or inner, leaf.digits or "")


def check_choices(
    tree: Mapping[str, CodeTreeSettings] | Mapping[str, ReasonTreeSettings], loc: Loc
) -> Iterator[Complaint]:
    """Complain of digits that mean several things or nothing, and of more choices than anybody can find."""
    for name, settings in tree.items():
        setting, below = _below(settings)
        if below and settings.digits is not None:
            yield Complaint(
                (*loc, name, "digits"),
                f"only what stands in its {setting} can be dialled; give the digits there, or take the {setting} out",
            )
    leaves = list(_leaves(tree, loc))
    if len(leaves) > MOST:
        yield Complaint(loc, f"there are {len(leaves)}; at most {MOST} can be chosen from", at_key=True)
    ids = {choice.choice_id for _, choice in leaves}
    seen: dict[str, str] = {}
    for where, choice in leaves:
        if not choice.digits:
            continue
        first = seen.setdefault(choice.digits, choice.choice_id)
        if first != choice.choice_id:
            yield Complaint((*where, "digits"), f"{shown(choice.digits)} is dialled for {shown(first)} already")
        elif choice.digits in ids - {choice.choice_id}:
            yield Complaint((*where, "digits"), f"{shown(choice.digits)} is the id of another one; choose other digits")


def check_names(given: Iterable[str], tree: Mapping[str, CodeTreeSettings], loc: Loc) -> Iterator[Complaint]:
    """Complain of wrap-up codes that a queue names and nobody has configured."""
    known = {*tree, *(choice.choice_id for choice in choices(tree))}
    for place, name in enumerate(given):
        if name not in known:
            yield Complaint((*loc, place), f"unknown wrap-up code {shown(name)}{did_you_mean(name, known)}")
