"""Losses of Wasserstein GANs: what critic and generator lower, and the two ways to keep a plain critic from growing."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.losses._samples import refuse_batch_norm
from taut.losses.margin import kr_loss


def critic_loss(real: Float[Tensor, "n *one"], fake: Float[Tensor, "m *one"]) -> Float[Tensor, ""]:
    r"""-(mean f(real) - mean f(fake)): minus the Kantorovich-Rubinstein dual value, of a critic's outputs.

    For a K-Lipschitz critic its negative is at most K W1 of the two samples. The two may differ in number.

    Errors: ValueError when one side is empty. Source: Arjovsky, Chintala and Bottou (2017).

    >>> critic_loss(torch.tensor([1.0, 3.0]), torch.tensor([-1.0]))
    tensor(-3.)
    """
    positive = torch.arange(real.numel() + fake.numel(), device=real.device) < real.numel()
    return kr_loss(torch.cat((real.flatten(), fake.flatten())), positive)


def generator_loss(fake: Float[Tensor, "m *one"]) -> Float[Tensor, ""]:
    r"""-mean f(G(z)): what the generator lowers, so that the critic takes its samples for real ones.

    Errors: ValueError when there are none. Source: Arjovsky, Chintala and Bottou (2017).

    >>> generator_loss(torch.tensor([1.0, 3.0]))
    tensor(-2.)
    """
    if not fake.numel():
        raise ValueError("the generator's loss needs at least one sample, got none")
    return -fake.mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Float[Tensor, "n *shape"],
    fake: Float[Tensor, "m *other"],
    *,
    generator: torch.Generator | None = None,
    target: float = 1.0,
    one_sided: bool = False,
) -> Float[Tensor, ""]:
    r"""Mean of (||grad f(x)||_2 - target)^2 at one random point x between each real sample and its fake one.

    It asks for gradients of that norm at the points that are drawn, and proves no constant. The value of a sample must
    depend on that sample alone, so batch norm in training mode is refused. The derivative for the critic's parameters
    is exact, for layers of torch and of taut alike; the layers of l-infinity distances alone have none, and raise
    RuntimeError in the backward pass.

    Args:
        critic: (n, *shape) -> (n,) or (n, 1).
        real: Samples; detached.
        fake: As many of the same shape; detached.
        generator: Of the random points, on the samples' device; torch's global one when None.
        target: The norm asked for.
        one_sided: Penalise only norms above `target`.

    Raises:
        ValueError: Different shapes, no samples, a target that is negative, batch norm in training mode, an output
            that is not one number for each sample.

    Source: Gulrajani et al. (2017), with weight 10; Petzka, Fischer and Lukovnikov (2018) for one side.

    >>> round(float(gradient_penalty(lambda x: 3 * x.sum(1), torch.zeros(4, 1), torch.ones(4, 1))), 5)
    4.0
    """
    if real.shape != fake.shape or not real.numel():
        raise ValueError(f"real and fake must be as many samples of one shape, got {real.shape} and {fake.shape}")
    if not 0 <= target < math.inf:
        raise ValueError(f"target must be a finite number >= 0, got {target}")
    refuse_batch_norm(critic)
    share = torch.rand(len(real), generator=generator, device=real.device, dtype=real.dtype)
    share = share.view(-1, *[1] * (real.dim() - 1))
    with torch.enable_grad():
        between = torch.lerp(real.detach(), fake.detach(), share).requires_grad_()
        values = critic(between)
        if values.numel() != len(real):
            raise ValueError(f"the critic must give one number for each of {len(real)} samples, got {values.shape}")
        (gradient,) = torch.autograd.grad(values.sum(), between, create_graph=True)
    excess = gradient.flatten(1).norm(dim=1) - target
    return (excess.clamp_min(0) if one_sided else excess).square().mean()


def clip_weights_(module: nn.Module, limit: float) -> None:
    """Move every parameter's entries into [-limit, limit], in place: a compact set of functions, with some constant.

    The constant is `taut.lipschitz_bound(module)`, far from `limit`. Buffers, such as running means, stay. A critic
    with layers of taut needs no clipping: what would be clipped is the free weight before its constraint.

    Errors: ValueError unless 0 < limit < infinity. Source: Arjovsky, Chintala and Bottou (2017), with limit 0.01.

    >>> layer = nn.Linear(2, 1)
    >>> clip_weights_(layer, 0.01)
    >>> bool(layer.weight.abs().max() <= 0.01)
    True
    """
    if not 0 < limit < math.inf:
        raise ValueError(f"limit must be a positive finite number, got {limit}")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.clamp_(-limit, limit)
