"""The base class of blocks of settings, and how blocks contain each other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, ClassVar, Final, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic.fields import FieldInfo

from fsacd.config.kinds import Kind
from fsacd.config.problems import Loc, wrong
from fsacd.process.quoting import shown


def yaml_name(field: str) -> str:
    """Give a field's name in the file: durations carry their unit in the value there, not in the name."""
    return field.removesuffix("_ms")


class Settings(BaseModel):
    """A block of settings: frozen, and closed to settings it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # an input may be a secret
        alias_generator=yaml_name,
        populate_by_name=False,
    )

    # What the block expects, for the error about anything else in its place.
    EXPECTS: ClassVar[str] = "a block of settings"
    # Whether the block is written in one line, like {queue: sales}.
    INLINE: ClassVar[bool] = False
    # Secret → the settings by which it can be given, the secret itself first.
    SECRETS: ClassVar[dict[str, tuple[str, ...]]] = {}
    # The secrets that must be given.
    NEEDS: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _block(cls, value: object) -> object:
        # A heading whose settings are all commented out is an empty block, not an error.
        value = cls.short_form({} if value is None else value)
        if not isinstance(value, dict | cls):
            raise wrong(f"expected {cls.EXPECTS}, got {shown(value)}")
        return value

    @classmethod
    def short_form(cls, value: object) -> object:
        """Turn a block's short form, where it has one, into the block."""
        return value

    def written(self) -> str:
        """Write the block in one line, as it can stand in the file, without the settings that are not set."""
        given = {name: (kind_of(field), getattr(self, name)) for name, field in type(self).model_fields.items()}
        parts = [
            f"{yaml_name(name)}: {kind.show(value)}"
            for name, (kind, value) in given.items()
            if kind and value is not None
        ]
        return "{" + ", ".join(parts) + "}"


NO_LIST: Final = BeforeValidator(lambda value: () if value is None else value)
"""For lists: a heading with nothing below it is an empty list."""

NAMES: Final = BeforeValidator(lambda value: (value,) if isinstance(value, str) else () if value is None else value)
"""For lists of names: a name alone is a list of one."""

NO_NAMES: Final = BeforeValidator(lambda value: {} if value is None else value)
"""For named blocks: a heading with nothing below it has no blocks."""


def kind_of(field: FieldInfo) -> Kind | None:
    """Give the kind of value that a field takes; None for a block, a list or named blocks."""
    return next((part for part in field.metadata if isinstance(part, Kind)), None)


def block_of(annotation: Any) -> tuple[type[Settings] | None, type | None]:
    """Give the block inside an annotation and what it is wrapped in: dict (named blocks), tuple (a list) or None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return block_of(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation, None
    if origin is dict:
        return block_of(get_args(annotation)[1])[0], dict
    if origin is tuple:
        return block_of(get_args(annotation)[0])[0], tuple
    inner = [block_of(arm)[0] for arm in get_args(annotation)]
    return next((block for block in inner if block is not None), None), None


def settings_of(block: type[Settings]) -> dict[str, FieldInfo]:
    """Give a block's settings by their names in the file."""
    return {yaml_name(name): field for name, field in block.model_fields.items()}


def block_at(root: type[Settings], loc: Loc) -> type[Settings] | None:
    """Give the block that a path leads to; None when it leads to a plain value or nowhere."""
    block: type[Settings] | None = root
    wrapped: type | None = None
    for step in loc:
        if wrapped is not None:
            wrapped = None
            continue
        field = settings_of(block).get(str(step)) if block is not None else None
        if field is None:
            return None
        block, wrapped = block_of(field.annotation)
    return block if wrapped is None else None


@cache
def _inner_blocks(block: type[Settings]) -> tuple[tuple[str, type[Settings], type | None], ...]:
    # Kept, because a file may hold ten thousand agents and the model does not change.
    inner = ((name, *block_of(field.annotation)) for name, field in settings_of(block).items())
    return tuple((name, inside, wrapped) for name, inside, wrapped in inner if inside is not None)


def blocks_in(
    block: type[Settings], data: object, loc: Loc = ()
) -> Iterator[tuple[Loc, type[Settings], dict[str, Any]]]:
    """Give every block in the data, the outer before the inner. Data of the wrong shape is passed over."""
    if not isinstance(data, dict):
        return
    yield loc, block, data
    for name, inner, wrapped in _inner_blocks(block):
        value = data.get(name)
        if value is None:
            continue
        if wrapped is dict and isinstance(value, dict):
            for key, item in value.items():
                if item is None:  # a name with nothing below it is a block whose settings are all at their defaults
                    value[key] = {}
                yield from blocks_in(inner, value[key], (*loc, name, key))
        elif wrapped is tuple and isinstance(value, list):
            for index, item in enumerate(value):
                yield from blocks_in(inner, item, (*loc, name, index))
        elif wrapped is None:
            yield from blocks_in(inner, value, (*loc, name))


def places_of(root: type[Settings], setting: str, loc: Loc = ()) -> Iterator[Loc]:
    """Give the blocks that have a setting of this name, for the hint about a setting in the wrong block."""
    for name, field in settings_of(root).items():
        inner, wrapped = block_of(field.annotation)
        if name == setting:
            yield loc
        if inner is not None:
            yield from places_of(inner, setting, (*loc, name, *(("NAME",) if wrapped is dict else ())))
