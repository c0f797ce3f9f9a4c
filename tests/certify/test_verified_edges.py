"""Certificates at the edge of the arithmetic, and of what torch accepts, are proven by both implementations."""

import pytest
import torch
from torch import Tensor, nn

from random_networks import draw
from taut.certify import robustness, verify


def zeroed(layer: nn.Module) -> nn.Module:
    with torch.no_grad():
        layer.weight.zero_()  # type: ignore[operator, union-attr]
    return layer


NETWORKS = {
    "window beyond the image": (
        nn.Sequential(nn.MaxPool1d(4, ceil_mode=True), nn.Flatten(), nn.Linear(2, 3)),
        (2, 3),
    ),
    "constant": (zeroed(nn.Linear(4, 3)), (4,)),
    "constant body": (nn.Sequential(zeroed(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 3)), (4,)),
    "constant convolution": (nn.Sequential(zeroed(nn.Conv2d(1, 2, 3)), nn.Flatten(), nn.Linear(8, 3)), (1, 4, 4)),
    "stride that divides one axis": (
        nn.Sequential(
            nn.Conv2d(2, 2, 3, stride=(3, 3), padding=(0, 1), padding_mode="circular"), nn.Flatten(), nn.Linear(8, 3)
        ),
        (2, 6, 5),
    ),
}


def certified(model: nn.Module, shape: tuple[int, ...], norm: str) -> Tensor:
    inputs = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        labels = model(inputs).argmax(1)
    certificate = robustness(model, inputs, labels, norm=norm)
    verify(certificate, model, inputs, labels)
    return certificate.radius


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_implementations_agree(name: str, norm: str) -> None:
    torch.manual_seed(0)
    radius = certified(*NETWORKS[name], norm)
    assert bool((radius > 0).all())
    if name.startswith("constant"):
        assert float(radius.min()) > 1e30


@pytest.mark.parametrize("seed", [2029, 2122, 30920])
def test_both_implementations_agree_on_circular_convolutions_that_a_search_found(seed: int) -> None:
    model, shape, _ = draw(seed, images=True)
    certified(model.eval(), shape, "l2")
