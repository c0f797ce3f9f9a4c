"""Named configurations: each a function without arguments that returns a complete config."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from taut.errors import UsageError
from taut.recipes.certified import CERTIFIED, cifar10_fast, cifar10_fast_gpu
from taut.recipes.cifar10_table import cifar10_table, cifar10_table_small
from taut.recipes.classification import digits, fashion_mnist, mnist, mnist_wide_margin
from taut.recipes.denoising import denoise, denoise_full, denoise_photographs
from taut.recipes.fit_1d import fit_1d
from taut.recipes.gan import gan, gan_digits
from taut.recipes.invertible import invertible_1d, invertible_2d
from taut.recipes.linf import mnist_linf, mnist_linf_dist, mnist_linf_dist_full, mnist_linf_standard
from taut.recipes.lnets import LNETS, published
from taut.recipes.regularisation import cifar10_lipschitz_loss, classify
from taut.recipes.scale import cifar10_resnet, imagenet_resnet50
from taut.recipes.wasserstein import absolute_value, high_dim_cone, three_cones, wasserstein
from taut.recipes.wasserstein_table import full, small

RECIPES: Mapping[str, Callable[[], Any]] = {
    "absolute-value": absolute_value,
    **CERTIFIED,
    "cifar10-lipschitz-loss": cifar10_lipschitz_loss,
    "cifar10-resnet": cifar10_resnet,
    "classify": classify,
    "denoise": denoise,
    "denoise-photographs": denoise_photographs,
    "digits": digits,
    "fashion-mnist": fashion_mnist,
    "fit-1d": fit_1d,
    "gan": gan,
    "gan-digits": gan_digits,
    "high-dim-cone": high_dim_cone,
    "imagenet-resnet50": imagenet_resnet50,
    "invertible-1d": invertible_1d,
    "invertible-2d": invertible_2d,
    **LNETS,
    "mnist": mnist,
    "mnist-linf": mnist_linf,
    "mnist-linf-dist": mnist_linf_dist,
    "mnist-linf-standard": mnist_linf_standard,
    "mnist-wide-margin": mnist_wide_margin,
    "three-cones": three_cones,
    "wasserstein": wasserstein,
}

BUDGETS: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "denoise": {"small": denoise, "full": denoise_full},
    "cifar10-fast": {"small": cifar10_fast, "full": cifar10_fast_gpu},
    "mnist-linf-dist": {"small": mnist_linf_dist, "full": mnist_linf_dist_full},
    **{name: {"small": make, "full": published(make)} for name, make in LNETS.items()},
}
"""Recipes of several sizes, the first being the one that the name alone means: what `taut train --budget` chooses."""

TABLES: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "cifar10-table": {"small": cifar10_table_small, "full": cifar10_table},
    "wasserstein-table": {"small": small, "full": full},
}
"""What `taut reproduce` makes, by budget."""


def recipe(name: str, budget: str | None = None) -> Any:
    """The config of the recipe called `name`. Raises UsageError, with the names that come close, for an unknown one.

    A recipe that has several sizes is taken at `budget`.

    Example:
        >>> recipe("mnist").data.dataset
        'mnist'
    """
    if name not in RECIPES:
        close = difflib.get_close_matches(name, RECIPES, n=2)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(RECIPES)}"
        raise UsageError(f"unknown recipe {name!r}; {hint}")
    return _of_budget(name, budget)() if budget is not None else RECIPES[name]()


def _of_budget(name: str, budget: str) -> Callable[[], Any]:
    if name not in BUDGETS:
        raise UsageError(f"the recipe {name} has one size: --budget is for {', '.join(BUDGETS)}")
    if budget not in BUDGETS[name]:
        raise UsageError(f"--budget must be one of {', '.join(BUDGETS[name])}, got {budget!r}")
    return BUDGETS[name][budget]


def description(name: str) -> str:
    """First line of the recipe's docstring."""
    return first_line(RECIPES[name])


def first_line(make: Callable[[], Any]) -> str:
    """First line of a function's docstring."""
    return (make.__doc__ or "").strip().splitlines()[0]
