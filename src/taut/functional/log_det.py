r"""log |det J| of a map, and of x + h(x) with a contraction h: exact where the dimension is low, else estimated.

For J = I + H with ||H|| <= c < 1 (l2), det J > 0 and log det J = sum over k >= 1 of (-1)^(k+1) / k tr(H^k).
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

_INFLATION = 1.0 + 2.0**-46


def log_abs_det(
    function: Callable[[Tensor], Tensor], x: Float[Tensor, "batch d"]
) -> tuple[Float[Tensor, "batch d"], Float[Tensor, " batch"]]:
    r"""f(x) and log |det J_f(x)| for each sample, exact up to rounding; d backward passes and one d x d LU per sample.

    f treats samples apart from each other. Differentiable, twice if f is.

    Errors: ValueError when f changes the shape. Source: the chain rule.

    >>> log_abs_det(lambda x: x * torch.tensor([2.0, 0.5, 3.0]), torch.ones(1, 3))[1]
    tensor([1.0986])
    """
    with torch.enable_grad():
        points = x if x.requires_grad else x.detach().requires_grad_()
        y = function(points)
        if y.shape != x.shape:
            raise ValueError(
                f"a determinant needs a map that keeps the shape {tuple(x.shape)}, it gives {tuple(y.shape)}"
            )
        rows = [torch.autograd.grad(y[:, index].sum(), points, create_graph=True)[0] for index in range(x.shape[1])]
    jacobian = torch.stack(rows, dim=1)
    found = torch.linalg.slogdet(jacobian).logabsdet if x.shape[1] > 1 else jacobian[:, 0, 0].abs().log()
    return (y, found) if torch.is_grad_enabled() else (y.detach(), found.detach())


def log_det_estimate(
    h: Callable[[Tensor], Tensor],
    x: Float[Tensor, "batch d"],
    *,
    terms: int,
    probes: int = 1,
    weights: Sequence[float] | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "batch d"], Float[Tensor, " batch"]]:
    r"""x + h(x), and an estimate of log det(I + J_h) for each sample: `terms` terms of the series, traces by probes.

    An estimate, neither above nor below: traces are v^T J^k v for random signs v (Hutchinson), without bias; what the
    series leaves out is at most `log_det_truncation_bound`. `weights` multiply the terms: see `roulette_weights`.
    Differentiable; `terms` vector-Jacobian products for each probe.

    Errors: ValueError unless terms >= 1, probes >= 1, as many weights as terms.
    Source: Behrmann et al. (2019), section 3.2.

    >>> h = lambda x: 0.5 * x
    >>> log_det_estimate(h, torch.ones(1, 2), terms=30)[1]  # 2 log 1.5
    tensor([0.8109])
    """
    if terms < 1 or probes < 1:
        raise ValueError(f"terms and probes must be at least 1, got {terms} and {probes}")
    factors = [1.0] * terms if weights is None else list(weights)
    if len(factors) != terms:
        raise ValueError(f"weights must be one for each of the {terms} terms, got {len(factors)}")
    keep = torch.is_grad_enabled()
    with torch.enable_grad():
        points = x if x.requires_grad else x.detach().requires_grad_()
        image = h(points)
        total = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for _ in range(probes):
            signs = torch.randint(2, x.shape, generator=generator, device=generator.device if generator else x.device)
            probe = (2 * signs - 1).to(x)
            vector = probe
            for k, factor in enumerate(factors, start=1):
                (vector,) = torch.autograd.grad(image, points, vector, create_graph=keep, retain_graph=True)
                total = total + (-1) ** (k + 1) * factor / k * (vector * probe).sum(dim=1)
    y, found = points + image, total / probes
    return (y, found) if keep else (y.detach(), found.detach())


def log_det_truncation_bound(contraction: float, *, dimension: int, terms: int) -> float:
    r"""d c^(n+1) / ((n+1) (1-c)): bound of what n terms leave out of log det(I + H), ||H|| <= c (l2), rounded up.

    |tr(H^k)| <= d c^k, so the rest is at most d times the sum over k > n of c^k / k.

    Errors: ValueError unless 0 < c < 1, d >= 1, n >= 1. Source: Behrmann et al. (2019), theorem 3.

    >>> round(log_det_truncation_bound(0.5, dimension=2, terms=3), 4)
    0.0625
    """
    if not 0 < contraction < 1:
        raise ValueError(f"contraction must be between 0 and 1, got {contraction!r}")
    if dimension < 1 or terms < 1:
        raise ValueError(f"dimension and terms must be at least 1, got {dimension} and {terms}")
    power = max(contraction ** (terms + 1), 1e-290)
    return dimension * power / ((terms + 1) * (1.0 - contraction)) * _INFLATION


def roulette_weights(
    contraction: float, *, exact_terms: int = 2, generator: torch.Generator | None = None
) -> list[float]:
    r"""Weights of a random number of terms with which `log_det_estimate` has no bias: Russian roulette.

    After `exact_terms` terms of weight 1, each further one is reached with probability c, and weighs one over the
    probability of reaching it. At that rate the variance is finite: terms fall like c^k, their weights grow like c^-k,
    and the chance of them falls again. About c / (1 - c) further terms on average.

    Errors: ValueError unless 0 < c < 1 and exact_terms >= 1. Source: Chen, Behrmann, Duvenaud and Jacobsen (2019).

    >>> roulette_weights(0.5, generator=torch.Generator().manual_seed(3))[:2]
    [1.0, 1.0]
    """
    if not 0 < contraction < 1:
        raise ValueError(f"contraction must be between 0 and 1, got {contraction!r}")
    if exact_terms < 1:
        raise ValueError(f"exact_terms must be at least 1, got {exact_terms}")
    uniform = 1.0 - float(torch.rand((), generator=generator, dtype=torch.float64))  # in (0, 1]
    further = math.floor(math.log(uniform) / math.log(contraction))  # at least k with probability c^k
    return [1.0] * exact_terms + [contraction**-k for k in range(1, further + 1)]
