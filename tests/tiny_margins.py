"""Classifiers of two classes that are all but undecided at a sample: what rounding errors can break.

The rows of the head are a and -a, so that near the sample the margin falls at most sqrt(2) L times as fast as the point
moves, L being the constant of the logits, and exactly so where the body keeps lengths.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from taut import fold
from taut import nn as tnn

Body = tuple[nn.Module, tuple[int, ...]]
"""Everything before the head, and the shape of its samples."""


def _orthogonal(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight)
    return layer


def _dense() -> Body:
    layers = [part for _ in range(6) for part in (_orthogonal(32, 32), tnn.MaxMin())]
    return nn.Sequential(*layers), (32,)


def _convolutions() -> Body:
    def mix(channels: int) -> nn.Conv2d:
        layer = nn.Conv2d(channels, channels, 1)
        nn.init.orthogonal_(layer.weight.data.view(channels, channels))
        return layer

    wide = nn.Conv2d(16, 16, 3, padding=1)
    wide.weight.data.mul_(0.1)
    shuffle = nn.PixelUnshuffle(2)
    return nn.Sequential(mix(4), tnn.Abs(), shuffle, mix(16), tnn.MaxMin(), wide, tnn.Abs(), nn.Flatten()), (4, 6, 4)


def _sll() -> Body:
    return fold(nn.Sequential(*(tnn.SLLLinear(24, 24) for _ in range(4)))), (24,)


class _Skip(nn.Module):
    """x + f(x)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def _skips() -> Body:
    def block() -> nn.Module:
        return _Skip(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)))

    return nn.Sequential(block(), block(), nn.AvgPool2d(2), nn.Flatten()), (4, 4, 6)


def _spread() -> Body:
    """Scales from 1e-6 to 1e6, undone by the next layer."""
    first, second = _orthogonal(32, 32), _orthogonal(32, 32)
    scales = 10.0 ** torch.linspace(-6, 6, 32)
    with torch.no_grad():
        first.weight.mul_(scales[:, None])
        first.bias.mul_(scales)
        second.weight.div_(scales)
    return nn.Sequential(first, tnn.Abs(), second, tnn.Abs()), (32,)


def _trained() -> Body:
    """Weights trained so that rounding does the most: large products that cancel, for a small gradient."""
    body = nn.Sequential(*(nn.Linear(24, 24) for _ in range(3)))
    x = torch.randn(16, 24)
    optimiser = torch.optim.Adam(body.parameters(), lr=3e-3)
    for _ in range(60):
        size = x.abs()
        for layer in body:
            size = size @ layer.weight.abs().T + layer.bias.abs()
        gain = torch.linalg.multi_dot([layer.weight for layer in reversed(body)]).norm()
        loss = gain.log() - size.norm().log()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return body, (24,)


def _spectral() -> Body:
    body = nn.Sequential(parametrizations.spectral_norm(nn.Linear(20, 20)), tnn.FullSort()).eval()
    return fold(body), (20,)


BODIES: dict[str, Callable[[], Body]] = {
    "linear": lambda: (nn.Identity(), (64,)),
    "deep dense": _dense,
    "convolutions": _convolutions,
    "SLL blocks": _sll,
    "skips": _skips,
    "spread": _spread,
    "trained": _trained,
    "spectral": _spectral,
}


@torch.no_grad()
def undecided(name: str, margin: float, seed: int, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, Tensor]:
    """A network and one sample (as a batch) of class 0; its margin is about `margin` times the logits without bias."""
    torch.manual_seed(seed)
    with torch.enable_grad():
        body, shape = BODIES[name]()
    body = copy.deepcopy(body).requires_grad_(False).to(dtype).eval()
    x = torch.randn(1, *shape).to(dtype)
    hidden = copy.deepcopy(body).double()(x.double())[0]
    row = torch.randn(len(hidden), dtype=torch.float64).to(dtype).double()
    logit = float(row @ hidden)
    head = nn.Linear(len(row), 2, dtype=dtype)
    head.weight.copy_(torch.stack((row, -row)))
    head.bias.copy_(torch.tensor([-logit, logit - margin * abs(logit)], dtype=torch.float64))
    return nn.Sequential(body, head).eval().requires_grad_(False), x


def naive_radius(model: nn.Module, x: Tensor, norm: str) -> float:
    """margin / (L sqrt(2)), with the constant L near the sample, all in the precision of the model: no certificate."""
    with torch.enable_grad():
        point = x.clone().requires_grad_(True)
        logits = model(point)[0]
        (gradient,) = torch.autograd.grad(logits[0] - logits[1], point)
    size = gradient.norm() if norm == "l2" else gradient.abs().sum()
    return max(float((logits[0] - logits[1]).detach() / size), 0.0)
