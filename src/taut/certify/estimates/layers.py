"""Lower bounds of the constants of single layers, as they are used in a network: proven or found by a short search."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.certify.breakdown import Norm
from taut.certify.estimates.attained import conv_attained, linear_attained
from taut.certify.estimates.budget import Budget
from taut.certify.estimates.estimate import estimate_of_copy
from taut.certify.norms.stencil import is_plain_convolution
from taut.certify.rules.module_rules import Leaf, is_plain_linear
from taut.nn.constants import constant

_EVALUATIONS = 400
_DEAR = 10.0
"""Share of the time that a convolution gets, in those of another layer."""
_PATCH = 4
_ENTRYWISE = ("torch.nn.modules.activation", "torch.nn.modules.batchnorm")


@dataclass(frozen=True, kw_only=True)
class Attained:
    """A lower bound of one layer's constant."""

    value: float
    """The layer's constant is not below it."""
    method: str
    """How it was found: "checked vector" is a proof, "pair of points" is up to the estimate of rounding."""


def layers_attained(
    twin: nn.Module,
    leaves: Sequence[Leaf],
    *,
    norm: Norm,
    sample: Float[Tensor, "one *shape"] | None,
    seconds: float,
    seed: int,
) -> list[Attained | None]:
    """A lower bound for each use of a layer, in order; None where none was found.

    `twin` is the float64 copy, by whose names the leaves go. `sample`, where there is one, goes through it, so that
    each layer is looked at near inputs that it gets, at their size.
    """
    inputs = _inputs_of_leaves(twin, leaves, sample)
    known: dict[tuple[int, tuple[int, ...] | None], Attained | None] = {}
    end = time.monotonic() + seconds
    found = []
    for position, (leaf, x) in enumerate(zip(leaves, inputs, strict=True)):
        module = _named(twin, leaf.name)
        key = id(module), None if x is None else tuple(x.shape)
        if key not in known:
            left = sum(_weight(twin, later) for later in leaves[position:])
            share = max(0.0, end - time.monotonic()) * _weight(twin, leaf) / left + 1e-3
            known[key] = _attained(module, x, norm=norm, seconds=share, seed=seed)
        found.append(known[key])
    return found


def _named(twin: nn.Module, name: str) -> nn.Module:
    return twin if name == "(model)" else twin.get_submodule(name)


def _weight(twin: nn.Module, leaf: Leaf) -> float:
    return _DEAR if is_plain_convolution(_named(twin, leaf.name)) else 1.0


def _attained(module: nn.Module, x: Tensor | None, *, norm: Norm, seconds: float, seed: int) -> Attained | None:
    end = time.monotonic() + seconds
    if is_plain_linear(module):
        weight: Any = module.weight
        return Attained(value=linear_attained(weight.detach(), norm), method="checked vector")
    if is_plain_convolution(module):
        axes: Any = module.kernel_size  # type: ignore[assignment]
        image = None if x is None else tuple(x.shape[-len(axes) :])
        generator = torch.Generator("cpu").manual_seed(seed)
        value = conv_attained(
            module, norm, image=image, generator=generator, out_of_time=lambda: time.monotonic() > end
        )
        return Attained(value=value, method="checked vector")
    if x is None or not bool(x.isfinite().all()):
        return None
    budget = Budget(evaluations=_EVALUATIONS, seconds=seconds)
    try:
        value = estimate_of_copy(module, _patch(module, x, norm), norm=norm, budget=budget, seed=seed).value
    except (RuntimeError, TypeError, ValueError):  # a layer that cannot be evaluated alone keeps its proof
        return None
    return Attained(value=value, method="pair of points")


def _patch(module: nn.Module, x: Tensor, norm: Norm) -> Tensor:
    """A few positions of an image, where a layer treats each of them, and nothing else, in the same way."""
    ours = type(module).__module__.startswith("taut.nn.activation") and constant(module, norm) is not None
    if x.ndim < 3 or not (type(module).__module__ in _ENTRYWISE or ours):
        return x
    return x[(slice(None), slice(None), *[slice(0, _PATCH)] * (x.ndim - 2))]


def _inputs_of_leaves(twin: nn.Module, leaves: Sequence[Leaf], sample: Tensor | None) -> list[Tensor | None]:
    """What each use of a layer gets when the sample goes through the network, by the order of the uses."""
    if sample is None:
        return [None] * len(leaves)
    seen: dict[int, list[Tensor]] = defaultdict(list)
    modules = {id(module): module for module in (_named(twin, leaf.name) for leaf in leaves)}

    def record(module: nn.Module, args: tuple[Any, ...]) -> None:
        if args and isinstance(args[0], Tensor):
            seen[id(module)].append(args[0].detach().clone())

    hooks = [module.register_forward_pre_hook(record) for module in modules.values()]
    try:
        with torch.no_grad():
            twin(sample.clone())
    finally:
        for hook in hooks:
            hook.remove()
    uses: dict[int, int] = defaultdict(int)
    inputs: list[Tensor | None] = []
    for leaf in leaves:
        key = id(_named(twin, leaf.name))
        inputs.append(seen[key][uses[key]] if uses[key] < len(seen[key]) else None)
        uses[key] += 1
    return inputs
