"""Classifiers made of l-infinity distances: 1-Lipschitz in linf whatever their weights are."""

import itertools
import math

from torch import nn

from taut import nn as tnn
from taut.models._parts import check_shape

DISTANCES = ("linf-dist", "sort")


def distance_net(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 512,
    depth: int = 2,
    linear: str = "linf-dist",
    relaxation: str = "soft",
    dropout: float = 0.0,
    spread: float = 0.3,
    lipschitz: float = 1.0,
) -> tnn.Sequential:
    r"""-K d(c(d(... c(d(flatten(x))) ...))), d layers of distances, c centring: every logit K-Lipschitz in linf.

    A logit is minus the distance from a learned prototype of its class, plus a bias. There are no activations: a
    distance is none too linear. Inputs are taken to lie in [0, 1].

    Args:
        shape: Shape of one input, such as (1, 28, 28).
        classes: Number of logits.
        width: Distances in each hidden layer.
        depth: Hidden layers, each centred by the mean over training batches (no scaling).
        linear: "linf-dist", or "sort" for SortNet.
        relaxation: Of "linf-dist": "soft" or "lp", see `taut.nn.LInfDistLinear`.
        dropout: q of "sort", in (0, 1).
        spread: Standard deviation of the initial weights.
        lipschitz: K.

    Raises:
        ValueError: A size, a name or a combination that is not allowed.

    Source: Zhang, Cai, Lu, He and Wang (2021); Zhang, Jiang, He and Wang (2022).

    Example:
        >>> import torch, taut
        >>> net = distance_net((1, 8, 8), 10, width=32, depth=1).eval()
        >>> net(torch.zeros(5, 1, 8, 8)).shape, round(taut.lipschitz_bound(taut.fold(net), norm="linf"), 6)
        (torch.Size([5, 10]), 1.0)
    """
    check_shape(shape)
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}")
    if depth < 0 or width < 1:
        raise ValueError(f"width must be at least 1 and depth not negative, got {width} and {depth}")
    if not (math.isfinite(spread) and spread > 0):
        raise ValueError(f"spread must be a positive number, got {spread:g}")
    sizes = [math.prod(shape), *[width] * depth, classes]
    layers: list[nn.Module] = [nn.Flatten()]
    for place, (features, outputs) in enumerate(itertools.pairwise(sizes)):
        last = place == depth
        layer = _layer(linear, features, outputs, bias=last, relaxation=relaxation, drop=dropout)
        nn.init.normal_(layer.weight, 0.5 if place == 0 else 0.0, spread)  # around the middle of what comes in
        layers += [layer, tnn.Scale(-1.0) if last else tnn.BatchCentering(outputs, bias=False)]
    return tnn.Sequential(*layers, lipschitz=lipschitz)


def _layer(
    linear: str, features: int, outputs: int, *, bias: bool, relaxation: str, drop: float
) -> tnn.LInfDistLinear | tnn.SortLinear:
    if linear not in DISTANCES:
        raise ValueError(f"a network of distances has linear layers linf-dist or sort, got {linear!r}")
    if linear == "sort":
        if not 0 < drop < 1:
            raise ValueError(f"sort needs dropout in (0, 1), the share of inputs that training drops, got {drop:g}")
        return tnn.SortLinear(features, outputs, bias=bias, q=drop)
    if drop:
        raise ValueError(f"dropout is for linear sort; linf-dist has none, got {drop:g}")
    if relaxation not in ("soft", "lp"):
        raise ValueError(f"relaxation must be soft or lp, got {relaxation!r}")
    return tnn.LInfDistLinear(features, outputs, bias=bias, relaxation=relaxation)  # type: ignore[arg-type]
