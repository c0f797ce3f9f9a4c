r"""Parameter groups that follow from the modules: learned activations want rates of their own, and no weight decay."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

_FACTOR = "rate_factor"


def parameter_groups(
    model: nn.Module,
    *,
    lr: float,
    coefficient_rate: float = 1 / 40,
    scale_rate: float = 1 / 4,
    threshold_rate: float = 1.0,
    weight_decay: float = 0.0,
    undecayed: Iterable[nn.Parameter] = (),
) -> list[dict[str, Any]]:
    r"""Groups for any torch optimizer: `lr` for weights, `lr` times a factor for what a module names as its own kind.

    What a module returns from `coefficient_parameters()` gets `lr` times `coefficient_rate`, what it returns from
    `scale_parameters()` gets `lr` times `scale_rate`; `taut.nn.LinearSpline` has both. The `threshold_parameters()` of
    `taut.nn.NActivation` get `lr` times `threshold_rate`. None of these is decayed, nor is `undecayed`: weight decay
    would pull a spline towards the zero function, and a slope of 1 or -1 to 0. Parameters that need the same are one
    group, in the order of the model; parameters without a gradient are left out. The defaults are the ratios of the
    published rates: 2e-3 for weights (and for all that other activations learn), 5e-5 and 5e-4.

    Errors: ValueError for a rate that is not positive and finite, a weight decay that is negative or infinite.
    Source: Ducotterd, Goujon, Bohra, Perdios, Neumayer and Unser (2024) for the rates; He, Zhang, Ren and Sun (2015)
    for slopes without decay.

    >>> import taut
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), taut.nn.LinearSpline(2))
    >>> [(len(group["params"]), group["lr"]) for group in parameter_groups(net, lr=1.0)]
    [(2, 1.0), (1, 0.025), (1, 0.25)]
    """
    rates = {"coefficient_rate": coefficient_rate, "scale_rate": scale_rate, "threshold_rate": threshold_rate}
    for name, value in {"lr": lr, **rates}.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value!r}")
    if not 0 <= weight_decay < math.inf:
        raise ValueError(f"weight_decay must be finite and not negative, got {weight_decay!r}")
    kinds = {id(parameter): (1.0, 0.0) for parameter in undecayed}
    for module in model.modules():
        for name, rate in rates.items():
            method = name.replace("_rate", "_parameters")
            kinds |= {id(parameter): (rate, 0.0) for parameter in _named(module, method)}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault(kinds.get(id(parameter), (1.0, weight_decay)), []).append(parameter)
    return [
        {"params": parameters, "lr": lr * factor, _FACTOR: factor, "weight_decay": decay}
        for (factor, decay), parameters in groups.items()
    ]


def set_rates(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of `optimizer` the rate `rate` times its own factor, which `parameter_groups` put there.

    >>> import taut
    >>> optimizer = torch.optim.Adam(parameter_groups(taut.nn.LinearSpline(2), lr=1.0))
    >>> set_rates(optimizer, 2.0)
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.05, 0.5]
    """
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(_FACTOR, 1.0)


def _named(module: Any, name: str) -> list[nn.Parameter]:
    method = getattr(module, name, None)
    return list(method()) if callable(method) else []  # type: ignore[arg-type]


def fused(groups: Iterable[dict[str, Any]]) -> bool | None:
    """What torch's Adam takes as `fused`, which is a quarter of its time on a CPU: None, for what torch chooses, where
    a parameter is not of contiguous real numbers, as that routine walks through memory as it lies.

    >>> fused([{"params": [torch.zeros(2, 3)]}]), fused([{"params": [torch.zeros(2, 3).mT]}])
    (True, None)
    """
    parameters = [parameter for group in groups for parameter in group["params"]]
    return True if all(p.is_contiguous() and p.is_floating_point() for p in parameters) else None
