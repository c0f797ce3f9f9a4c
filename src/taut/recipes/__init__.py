"""Named configurations: each a function without arguments that returns a complete config."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from taut.errors import UsageError
from taut.recipes.classification import digits, fashion_mnist, mnist, mnist_wide_margin
from taut.recipes.fit_1d import fit_1d
from taut.recipes.gan import gan, gan_digits
from taut.recipes.wasserstein import absolute_value, high_dim_cone, three_cones, wasserstein
from taut.recipes.wasserstein_table import full, small

RECIPES: Mapping[str, Callable[[], Any]] = {
    "absolute-value": absolute_value,
    "digits": digits,
    "fashion-mnist": fashion_mnist,
    "fit-1d": fit_1d,
    "gan": gan,
    "gan-digits": gan_digits,
    "high-dim-cone": high_dim_cone,
    "mnist": mnist,
    "mnist-wide-margin": mnist_wide_margin,
    "three-cones": three_cones,
    "wasserstein": wasserstein,
}

TABLES: Mapping[str, Mapping[str, Callable[[], Any]]] = {"wasserstein-table": {"small": small, "full": full}}
"""What `taut reproduce` makes, by budget."""


def recipe(name: str) -> Any:
    """The config of the recipe called `name`. Raises UsageError, with the names that come close, for an unknown one.

    Example:
        >>> recipe("mnist").data.dataset
        'mnist'
    """
    if name not in RECIPES:
        close = difflib.get_close_matches(name, RECIPES, n=2)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(RECIPES)}"
        raise UsageError(f"unknown recipe {name!r}; {hint}")
    return RECIPES[name]()


def description(name: str) -> str:
    """First line of the recipe's docstring."""
    return first_line(RECIPES[name])


def first_line(make: Callable[[], Any]) -> str:
    """First line of a function's docstring."""
    return (make.__doc__ or "").strip().splitlines()[0]
