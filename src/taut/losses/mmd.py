r"""Maximum mean discrepancy between two samples: the distance of their mean embeddings by a kernel, squared."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

KERNELS = ("gaussian", "inverse-multiquadric", "energy")
"""The names of the kernels."""


def mmd(
    x: Float[Tensor, "n *shape"],
    y: Float[Tensor, "m *other"],
    *,
    kernel: str = "gaussian",
    bandwidths: Sequence[float] = (0.2, 0.5, 1.0, 2.0),
    unbiased: bool = True,
) -> Float[Tensor, ""]:
    r"""MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y), 0 in expectation only for equal laws.

    Kernels of r = |x - y| (l2), the mean over the bandwidths s: "gaussian" exp(-r^2 / (2 s^2)); "inverse-multiquadric"
    s^2 / (s^2 + r^2); "energy" -r, without a bandwidth: the energy distance. `unbiased` leaves pairs of a sample with
    itself out: then the mean is that of the distributions, and values below 0 occur. Otherwise it is at least 0, up to
    rounding, and too large by about 1/n + 1/m times the spread of the kernel. Differentiable.

    Errors: ValueError for samples of different shapes, fewer than two (one, if biased), unknown kernels and bandwidths
    that are not positive. Source: Gretton et al. (2012), lemma 6.

    >>> x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])
    >>> mmd(x, y, kernel="energy")  # 2 E|x - y| - E|x - x'| - E|y - y'|
    tensor(-1.)
    >>> mmd(x, y, kernel="energy", unbiased=False)
    tensor(2.)
    """
    a, b = x.flatten(1), y.flatten(1)
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"x and y must be samples of one shape, got {tuple(x.shape[1:])} and {tuple(y.shape[1:])}")
    if min(len(a), len(b)) < (2 if unbiased else 1):
        raise ValueError(f"x and y must have at least {2 if unbiased else 1} samples, got {len(a)} and {len(b)}")
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
    if not bandwidths or not all(s > 0 for s in bandwidths):
        raise ValueError(f"bandwidths must be one or more positive numbers, got {tuple(bandwidths)}")
    within = _within(a, kernel, bandwidths, unbiased) + _within(b, kernel, bandwidths, unbiased)
    return within - 2 * _values(_squares(a, b), kernel, bandwidths).mean()


def _within(a: Tensor, kernel: str, bandwidths: Sequence[float], unbiased: bool) -> Tensor:
    values, count = _values(_squares(a, a), kernel, bandwidths), len(a)
    if not unbiased:
        return values.mean()
    others = ~torch.eye(count, dtype=torch.bool, device=a.device)
    return (values * others).sum() / (count * (count - 1))


def _squares(a: Tensor, b: Tensor) -> Tensor:
    # differences, not products: those lose the digits of points that are close
    return torch.stack([(left[:, None] - right[None]).square() for left, right in zip(a.T, b.T, strict=True)]).sum(0)


def _values(squares: Tensor, kernel: str, bandwidths: Sequence[float]) -> Tensor:
    if kernel == "energy":
        # the square root has no slope at 0, and a sample at distance 0 pulls in no direction
        apart = squares > 0
        return -torch.where(apart, torch.where(apart, squares, 1.0).sqrt(), 0.0)
    total = torch.zeros_like(squares)
    for s in bandwidths:
        total = total + ((-squares / (2 * s * s)).exp() if kernel == "gaussian" else s * s / (s * s + squares))
    return total / len(bandwidths)
