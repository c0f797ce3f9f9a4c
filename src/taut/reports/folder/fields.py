"""Typed reading of what may be damaged."""

import math
from pathlib import Path
from typing import Any, TypeGuard

from taut.errors import UserError


class Fields:
    """Typed access to a JSON object that names the file and the field when something is wrong with it."""

    def __init__(self, values: dict[str, Any], path: Path, within: str = "") -> None:
        self.values = values
        self.path = path
        self._within = within

    def number(self, name: str) -> float:
        """A finite number that must be there."""
        value = self.values.get(name)
        if not _is_number(value):
            raise self.wrong(name, "a number", value)
        return float(value)

    def optional_number(self, name: str) -> float | None:
        """A number, or None where it is absent or null."""
        return None if self.values.get(name) is None else self.number(name)

    def count(self, name: str) -> int:
        """A whole number that is not negative and must be there."""
        value = self.number(name)
        if value < 0 or value != int(value):
            raise self.wrong(name, "a whole number that is not negative", self.values[name])
        return int(value)

    def optional_count(self, name: str) -> int | None:
        """Like `count`, or None where it is absent or null."""
        return None if self.values.get(name) is None else self.count(name)

    def numbers(self, name: str, *, length: int | None = None) -> list[float]:
        """A list of finite numbers, `length` of them where that is given; empty where it is absent or null."""
        values = self.sequence(name)
        if not all(_is_number(value) for value in values) or length not in (None, len(values)):
            raise self.wrong(name, "a list of numbers" if length is None else f"a list of {length} numbers", values)
        return [float(value) for value in values]

    def text(self, name: str) -> str:
        """A string that must be there."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise self.wrong(name, "a string", value)
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, or None where it is absent or null."""
        return None if self.values.get(name) is None else self.text(name)

    def mapping(self, name: str) -> dict[str, Any]:
        """An object; empty where it is absent or null."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(name, "an object", value)
        return value or {}

    def sequence(self, name: str) -> list[Any]:
        """A list; empty where it is absent or null."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, list):
            raise self.wrong(name, "a list", value)
        return value or []

    def inner(self, name: str) -> "Fields":
        """The object `name` with typed access of its own; its errors name it too. Without fields where it is absent."""
        return Fields(self.mapping(name), self.path, f"{self._within}{name}.")

    def rows(self, name: str) -> list["Fields"]:
        """A list of objects, each with typed access of its own; empty where it is absent or null."""
        values = self.sequence(name)
        if not all(isinstance(value, dict) for value in values):
            raise self.wrong(name, "a list of objects", values)
        return [Fields(value, self.path, f"{self._within}{name}[{index}].") for index, value in enumerate(values)]

    def by_radius(self, name: str) -> dict[float, float]:
        """An object `{radius: fraction}`, as numbers, in increasing order of the radius."""
        try:
            pairs = {float(radius): float(fraction) for radius, fraction in self.mapping(name).items()}
        except (TypeError, ValueError) as error:
            raise self.wrong(name, "an object from radii to fractions", self.values[name]) from error
        return dict(sorted(pairs.items()))

    def wrong(self, name: str, expected: str, value: object) -> UserError:
        """The error to raise for a field that is not as it must be."""
        found = "it is missing" if value is None else f"got {value!r}"
        return UserError(f"{self.path} is damaged: {self._within + name!r} must be {expected}, {found}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
