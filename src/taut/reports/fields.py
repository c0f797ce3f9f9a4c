"""Typed reading of what may be damaged."""

from pathlib import Path
from typing import Any

from taut.errors import UserError


class Fields:
    """Typed access to a JSON object that names the file and the field when something is wrong with it."""

    def __init__(self, values: dict[str, Any], path: Path) -> None:
        self.values = values
        self.path = path

    def number(self, name: str) -> float:
        """A number that must be there."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "a number", value)
        return float(value)

    def optional_number(self, name: str) -> float | None:
        """A number, or None where it is absent or null."""
        return None if self.values.get(name) is None else self.number(name)

    def text(self, name: str) -> str:
        """A string that must be there."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise self.wrong(name, "a string", value)
        return value

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
        return UserError(f"{self.path} is damaged: {name!r} must be {expected}, {found}")
