"""Frozen dataclass configs to JSON and back, without loss and without silence: unknown keys and wrong types have
names."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from taut.errors import UsageError

ConfigT = TypeVar("ConfigT")


def to_plain(value: Any) -> Any:
    """`value` (a dataclass, tuple, path or scalar) as what JSON can hold.

    Example:
        >>> to_plain((1, Path("data")))
        [1, 'data']
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def from_plain(cls: type[ConfigT], content: Any, *, source: str, where: str = "config") -> ConfigT:
    """The dataclass `cls` that `to_plain` made `content` of. Absent keys take their defaults, or what the class says in
    `absent` of files that are older than the key; those in its `renamed` have another name now; unknown ones are
    refused.

    Args:
        cls: A dataclass, possibly nested.
        content: What `json.load` returned.
        source: File name, for error messages.
        where: Dotted place inside the file, for error messages.

    Raises:
        UsageError: An unknown or missing key, or a value of the wrong type; the sentence names it.
    """
    if not isinstance(content, Mapping):
        raise UsageError(f"{source}: {where} must be an object, not {content!r}")
    old: Mapping[str, str] = getattr(cls, "renamed", {})
    content = {old.get(name, name): item for name, item in content.items()}
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
    unknown = sorted(set(content) - set(fields))
    if unknown:
        raise UsageError(f"{source}: unknown key {where}.{unknown[0]}; known are {', '.join(fields)}")
    values = {name: _value(hints[name], item, source, f"{where}.{name}") for name, item in content.items()}
    for name, field in fields.items():
        no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if no_default and name not in values:
            raise UsageError(f"{source}: {where}.{name} is missing")
    return cls(**{**getattr(cls, "absent", {}), **values})


def _value(hint: Any, item: Any, source: str, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast(type, hint), item, source=source, where=where)
    if origin in (Union, types.UnionType):
        if item is None and type(None) in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _value(hint, item, source, where)
    if origin is Literal and item in arguments:
        return item
    if origin is tuple and isinstance(item, list) and (arguments[-1] is Ellipsis or len(item) == len(arguments)):
        return tuple(_value(arguments[0], each, source, f"{where}[{i}]") for i, each in enumerate(item))
    if hint is Path and isinstance(item, str):
        return Path(item)
    if hint is float and isinstance(item, (int, float)) and not isinstance(item, bool):
        return float(item)
    if hint in (bool, int, str) and type(item) is hint:
        return item
    allowed = f"one of {', '.join(map(repr, arguments))}" if origin is Literal else getattr(hint, "__name__", str(hint))
    raise UsageError(f"{source}: {where} must be {allowed}, not {item!r}")
