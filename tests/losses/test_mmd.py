"""MMD against double sums of loops, against closed forms of normal laws, and where it must be 0."""

import math

import pytest
import torch

from taut.losses import mmd

EPS = torch.finfo(torch.float64).eps
KERNELS = {
    "gaussian": lambda r, s: math.exp(-r * r / (2 * s * s)),
    "inverse-multiquadric": lambda r, s: s * s / (s * s + r * r),
    "energy": lambda r, s: -r,
}


def samples(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("unbiased", [True, False])
def test_it_is_the_sum_over_pairs(kernel: str, unbiased: bool) -> None:
    x, y, bandwidths = samples(5, 2, 2), samples(7, 2, 2, seed=1) + 1, (0.5, 2.0)

    def mean(a: torch.Tensor, b: torch.Tensor, same: bool) -> float:
        pairs = [
            sum(KERNELS[kernel](math.dist(u.flatten().tolist(), v.flatten().tolist()), s) for s in bandwidths) / 2
            for i, u in enumerate(a)
            for j, v in enumerate(b)
            if not (same and unbiased and i == j)
        ]
        return sum(pairs) / len(pairs)

    expected = mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    found = mmd(x, y, kernel=kernel, bandwidths=bandwidths, unbiased=unbiased)
    assert float(found) == pytest.approx(expected, abs=100 * EPS)


def test_normal_laws_have_a_closed_form() -> None:
    """E k(x, y) of N(0, 1) and N(m, 1) with a Gaussian kernel: s / sqrt(s^2 + 2) exp(-m^2 / (2 (s^2 + 2)))."""
    s, m, count = 0.7, 1.5, 400
    value = s / math.sqrt(s * s + 2)
    truth = 2 * value - 2 * value * math.exp(-m * m / (2 * (s * s + 2)))
    drawn = torch.stack(
        [
            mmd(samples(count, 1, seed=seed), samples(count, 1, seed=100 + seed) + m, bandwidths=(s,))
            for seed in range(40)
        ]
    )
    assert abs(float(drawn.mean()) - truth) <= 4.5 * float(drawn.std()) / math.sqrt(len(drawn))


@pytest.mark.parametrize("kernel", KERNELS)
def test_equal_laws_have_mean_0_and_equal_samples_exactly(kernel: str) -> None:
    drawn = torch.stack([mmd(samples(40, 2, seed=s), samples(40, 2, seed=1000 + s), kernel=kernel) for s in range(200)])
    assert abs(float(drawn.mean())) <= 4.5 * float(drawn.std()) / math.sqrt(len(drawn))
    x = samples(30, 2)
    assert float(mmd(x, x, kernel=kernel, unbiased=False)) == pytest.approx(0.0, abs=10 * EPS)
    assert float(drawn.min()) < 0


@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients(kernel: str) -> None:
    x, y = samples(4, 2).requires_grad_(), samples(3, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: mmd(x, y, kernel=kernel), (x, y))
    same = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)  # all at distance 0
    (gradient,) = torch.autograd.grad(mmd(same, same.detach() + 0.0, kernel=kernel), same)
    assert bool(torch.isfinite(gradient).all())


def test_what_is_refused() -> None:
    x = samples(3, 2)
    for call in (
        lambda: mmd(x, samples(3, 1)),
        lambda: mmd(x, x[:1]),
        lambda: mmd(x, x, kernel="rbf"),
        lambda: mmd(x, x, bandwidths=(1.0, 0.0)),
        lambda: mmd(x, x, bandwidths=()),
    ):
        with pytest.raises(ValueError, match=r"must (be|have)"):
            call()
