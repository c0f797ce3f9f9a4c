"""Which runs a comparison has: the same config but for the activation, wherever the config has it."""

import difflib
import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

from taut.errors import UsageError
from taut.training.serialise import from_plain, to_plain

DEFAULT = ("relu", "abs", "lipschitz-prelu", "group-sort", "householder-activation", "linear-spline")
_FIELD = "activation"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A comparison that could be made."""

    recipe: str
    config: Any
    """Of a task; all runs have it but for the activation."""
    activations: tuple[str, ...]

    def config_of(self, activation: str) -> Any:
        """The config of one run."""
        return _replaced(self.config, _place(self.config, self.recipe), activation)

    def to_plain(self) -> dict[str, Any]:
        """What config.json holds."""
        return {
            "seed": self.config.seed,
            "recipe": self.recipe,
            "task": self.config.task,
            "activations": list(self.activations),
            "base": to_plain(self.config),
        }


def read_plan(content: Any, source: str) -> Plan:
    """What `Plan.to_plain` returned. Raises UsageError where it is not that."""
    from taut.tasks import task

    try:
        recipe, name, activations = content["recipe"], content["task"], tuple(map(str, content["activations"]))
        base = content["base"]
    except (KeyError, TypeError) as error:
        raise UsageError(f"{source} is not the config of a comparison: {error} is missing") from error
    return Plan(
        recipe=str(recipe),
        config=from_plain(task(name).Config, base, source=source, where="config.base"),
        activations=activations,
    )


def chosen_activations(config: Any, recipe: str, asked: Sequence[str]) -> tuple[str, ...]:
    """The activations to compare: those that were asked for, or of the usual ones those that the config takes.

    Raises:
        UsageError: The config has no activation, or not those; or one is named twice.
    """
    allowed = _choices(config, _place(config, recipe))
    for name in asked:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(allowed)}"
            raise UsageError(f"unknown activation {name!r} of {recipe}; {hint}")
    if len(set(asked)) < len(asked):
        raise UsageError(f"activations must differ, got {' '.join(asked)}")
    found = tuple(asked) or tuple(name for name in DEFAULT if name in allowed)
    if len(found) < 2:
        raise UsageError(f"a comparison needs at least two activations, got {' '.join(found) or 'none'}")
    return found


def _place(config: Any, recipe: str) -> tuple[str, ...]:
    """Where the one field `activation` is."""
    found = _places(config)
    if len(found) != 1:
        number = "no activation of its own" if not found else f"{len(found)} activations"
        raise UsageError(f"{recipe} cannot be compared by activation: its configuration has {number}")
    return found[0]


def _places(config: Any) -> list[tuple[str, ...]]:
    places: list[tuple[str, ...]] = []
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name == _FIELD:
            places.append((_FIELD,))
        elif is_dataclass(value):
            places += [(field.name, *inner) for inner in _places(value)]
    return places


def _choices(config: Any, place: Sequence[str]) -> tuple[str, ...]:
    for name in place[:-1]:
        config = getattr(config, name)
    hint = typing.get_type_hints(type(config))[_FIELD]
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else (getattr(config, _FIELD),)


def _replaced(config: Any, place: Sequence[str], activation: str) -> Any:
    first, *rest = place
    value = _replaced(getattr(config, first), rest, activation) if rest else activation
    return replace(config, **{first: value})
