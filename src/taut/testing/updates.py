"""Training steps that try to break a constraint: ordinary ones, hot ones, and ascent on the gain itself."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

_CLIPPED = ("hot sgd", "weight decay")


def updated(layer: nn.Module, inputs: Tensor, *, steps: int = 3) -> Iterator[str]:
    """Train `layer` in place in one way after another; yields the name of each way when it is done.

    SGD, Adam, SGD with a learning rate of 100 on gradients clipped to 1, weight decay, and Adam ascending the gain
    max |f(x) - f(y)| / |x - y|.
    """
    target = torch.randn_like(layer(inputs).detach())
    ways = {
        "sgd": torch.optim.SGD(layer.parameters(), lr=0.1),
        "adam": torch.optim.Adam(layer.parameters(), lr=0.01),
        "hot sgd": torch.optim.SGD(layer.parameters(), lr=100.0),
        "weight decay": torch.optim.SGD(layer.parameters(), lr=0.5, weight_decay=1.0),
    }
    for name, optimizer in ways.items():
        for _ in range(steps):
            optimizer.zero_grad()
            (layer(inputs) - target).square().mean().backward()
            if name in _CLIPPED:
                nn.utils.clip_grad_norm_(layer.parameters(), 1.0)  # far away in a few steps, but not to infinity
            optimizer.step()
            project(layer)
        yield name
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    direction = torch.randn_like(inputs)
    for _ in range(steps):
        optimizer.zero_grad()
        direction = direction.detach().requires_grad_()
        change = (layer(inputs + direction) - layer(inputs)).flatten(1).norm(dim=1)
        gain = change / direction.flatten(1).norm(dim=1)
        (-gain.sum()).backward()
        optimizer.step()
        project(layer)
        direction = direction.detach() - direction.grad  # type: ignore[operator]
    yield "ascent on the gain"


def project(layer: nn.Module) -> None:
    """The projection that a layer asks for after each update, if any."""
    for module in layer.modules():
        step = getattr(module, "project_", None)
        if callable(step):
            step()


def nasty_weights(shape: torch.Size, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """Weights at which an orthogonalisation may fail: rank-deficient, zero, tiny, huge, badly conditioned."""
    generator = torch.Generator().manual_seed(0)
    m, n = shape
    normal = torch.randn(m, n, generator=generator, dtype=torch.float64)
    yield "normal", normal.to(dtype)
    yield "zero", torch.zeros(m, n, dtype=dtype)
    yield "ones", torch.ones(m, n, dtype=dtype)
    yield "rank one", torch.outer(normal[:, 0], normal[0]).to(dtype)
    yield "tiny", (1e-30 * normal).to(dtype)
    yield "denormal", (normal.sign() * torch.finfo(dtype).tiny / 64).to(dtype)
    yield "huge", (1e30 * normal).to(dtype)
    yield "graded", (normal * torch.logspace(0, -12, n, dtype=torch.float64)).to(dtype)
    yield (
        "one entry",
        torch.zeros(m, n, dtype=dtype).index_put_((torch.tensor(m - 1), torch.tensor(0)), torch.tensor(-3.0).to(dtype)),
    )
    yield "repeated rows", normal[:1].expand(m, n).clone().to(dtype)
