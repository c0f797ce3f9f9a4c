r"""Training of a critic on two samples: the Kantorovich-Rubinstein dual by stochastic gradients."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.optim import AggMo, parameter_groups, project_, set_rates
from taut.optim.groups import fused
from taut.transport.dual import dual_value

Progress = Callable[[int, int, float], object]
"""Called after each step with the steps done, all steps, and the critic's mean difference on the last batch."""

_WARMUP = 20
"""Steps over which the rate rises: the first gradients point the same way, and momenta would add them up."""


def train_critic(
    critic: nn.Module,
    x: Float[Tensor, "n *shape"],
    y: Float[Tensor, "m *shape"],
    *,
    steps: int,
    batch_size: int = 256,
    lr: float = 0.01,
    optimizer: str = "aggmo",
    generator: torch.Generator,
    progress: Progress | None = None,
) -> None:
    r"""Raise mean f(x) - mean f(y) over the parameters of `critic`, in place; f keeps the constant of its layers.

    `steps` updates by `optimizer`, "aggmo" or "adam", at a rate that falls from `lr` to 0 like a cosine. Batches are
    drawn by `generator` (of the CPU) alone: the same seed gives the same critic on the same machine. Layers that are
    constrained by projection are projected after each step, and learned splines have rates of their own
    (`taut.optim.parameter_groups`). The critic must be where the samples are, and of their
    dtype.

    Errors: ValueError for options that are not positive, another optimizer, and a critic without trainable parameters.

    >>> import torch, taut
    >>> x, y = torch.zeros(8, 1), torch.ones(8, 1)
    >>> critic = taut.nn.BjorckLinear(1, 1)
    >>> train_critic(critic, x, y, steps=20, generator=torch.Generator().manual_seed(0))
    >>> abs(critic.weight.item())
    1.0
    """
    for name, value in (("steps", steps), ("batch_size", batch_size), ("lr", lr)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive, got {value!r}")
    updates = _optimizer(critic, optimizer, lr)
    critic.train()
    for step in range(steps):
        rate = lr * min(1.0, (step + 1) / _WARMUP) * (1.0 + math.cos(math.pi * step / steps)) / 2.0
        set_rates(updates, rate)
        value = dual_value(critic, _batch(x, batch_size, generator), _batch(y, batch_size, generator))
        updates.zero_grad()
        (-value).backward()
        updates.step()
        project_(critic)
        if progress is not None:
            progress(step + 1, steps, float(value.detach()))
    project_(critic, exact=True)
    critic.eval()


def _optimizer(critic: nn.Module, name: str, lr: float) -> torch.optim.Optimizer:
    groups = parameter_groups(critic, lr=lr)
    if not groups:
        raise ValueError(f"{type(critic).__name__} has no parameters to train: use it as it is, with steps=0")
    if name == "aggmo":
        return AggMo(groups, lr)
    if name == "adam":
        return torch.optim.Adam(groups, lr, fused=fused(groups))
    raise ValueError(f"optimizer must be 'adam' or 'aggmo', got {name!r}")


def _batch(samples: Tensor, size: int, generator: torch.Generator) -> Tensor:
    if size >= len(samples):
        return samples
    return samples[torch.randint(len(samples), (size,), generator=generator).to(samples.device)]
