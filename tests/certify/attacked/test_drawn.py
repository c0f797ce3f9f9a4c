"""Random networks: the certified program against the network, its constant against slopes, radii against attacks."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from random_networks import draw
from taut import certify, fold
from taut.attacks import margins, pgd, rounding_attack

NORMS: tuple[Literal["l2", "linf"], ...] = ("l2", "linf")


def sizes(values: Tensor, norm: str) -> Tensor:
    flat = values.flatten(1)
    return flat.norm(dim=1) if norm == "l2" else flat.abs().amax(dim=1)


def check(model: nn.Module, x: Tensor, norm: Literal["l2", "linf"], words: list[str]) -> int:
    """Number of samples with a radius."""
    network = fold(model).double().eval()
    with torch.no_grad():
        reference = network(x.double())
    evaluation = certify.evaluate(model, x, norm=norm)
    assert (sizes(evaluation.logits - reference, norm) <= 2 * evaluation.error_bound).all(), words
    labels = reference.argmax(1)
    certificate = certify.robustness(model, x, labels, norm=norm)
    bound = certificate.lipschitz_bound * (1 + 1e-9) + 1e-12
    for point in x.double():
        jacobian = torch.func.jacrev(lambda z: network(z[None] * 1.0)[0])(point).flatten(1)
        slope = torch.linalg.matrix_norm(jacobian, 2) if norm == "l2" else jacobian.abs().sum(1).amax()
        assert float(slope.detach()) <= bound, words
    step = torch.randn(x.shape, dtype=torch.float64)
    with torch.no_grad():
        assert (sizes(network(x + step) - reference, norm) <= bound * sizes(step, norm)).all(), words
    found = rounding_attack(model, x, labels, certificate.radius, norm=norm, rivals=1, steps=2)
    assert found.breaks == 0, words
    radius = float(certificate.radius[0])
    if 0 < radius < 1e6:
        box = (float(x.min()) - radius - 1, float(x.max()) + radius + 1)
        worst = pgd(network, x[:1].double(), labels[:1], eps=radius, norm=norm, steps=5, restarts=1, bounds=box)
        with torch.no_grad():
            assert margins(network(worst), labels[:1]) > 0, words
    return int(certificate.radius.gt(0).sum())


@pytest.mark.parametrize("seeds", [range(10), pytest.param(range(10, 60), marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("images", [False, True])
def test_random_networks(images: bool, seeds: range) -> None:
    """Those that can be certified: about two thirds."""
    certified = taken = 0
    for seed in seeds:
        model, shape, words = draw(seed, images=images)
        try:
            certify.lower(model, shape)
        except (TypeError, ValueError):
            continue
        taken += 1
        x = torch.randn(3, *shape)
        certified += check(model, x, NORMS[seed % 2], words)
    assert taken >= len(seeds) // 3
    assert certified >= len(seeds)
