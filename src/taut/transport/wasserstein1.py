r"""The Wasserstein-1 distance between the distributions of two samples, from both sides."""

import copy
import math
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor, nn

from taut.certify import lipschitz_bound
from taut.models import dense_critic
from taut.nn import fold
from taut.transport.dual import critic_values
from taut.transport.exact import LARGEST, ExactTransport, exact_transport
from taut.transport.interval import check_confidence, mean_difference, transport_upper
from taut.transport.result import Wasserstein1
from taut.transport.samples import find_scale, on_samples, read_samples, split
from taut.transport.training import Progress, train_critic

_ROWS = 1024
"""Samples that the critic is evaluated on at a time."""


def wasserstein1(
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    *,
    critic: nn.Module | None = None,
    held_out: float = 0.5,
    confidence: float = 0.95,
    steps: int = 1000,
    batch_size: int = 256,
    lr: float = 0.03,
    width: int = 128,
    depth: int = 3,
    linear: str = "bjorck",
    activation: str = "group-sort",
    group_size: int = 8,
    seed: int = 0,
    exact: bool = True,
    exact_samples: int = 2000,
    progress: Progress | None = None,
) -> Wasserstein1:
    r"""Bracket of W1 (l2) between the distributions of which x and y are independent samples.

    From below: a critic is trained on one part of the samples; on the other part its mean difference, divided by the
    Lipschitz constant that is proven of it, is at most W1 up to sampling error, however the training went. From above:
    the exact transport value of samples not trained on.

    Args:
        x, y: Arrays or tensors (n, *shape) and (m, *shape), of any floating-point dtype, scale and offset; (n,) is
            taken as (n, 1).
        critic: Another critic: a module from (batch, *shape) to (batch, 1) that `taut.lipschitz_bound` can prove. A
            copy of it is trained, on the samples as they are, or used as it is with `steps` 0; it must not have seen
            the samples before. Without one, K = s / s = 1: f(x) = s g((x - c) / s) with `taut.models.dense_critic` for
            g and the centre and scale of the training part for c and s.
        held_out: Share of the samples that is not trained on; all are held out with `steps` 0.
        confidence: Of the interval and of each one-sided end by itself, in (0.5, 1). It is reached as samples grow in
            number: some tens suffice for values like normal ones; where a rare sample makes much of the distance
            (heavy tails, rare atoms), hundreds of samples can miss it more often.
        steps, batch_size, lr: Of the training: AggMo at a rate that falls from lr to 0.
        width, depth, linear, activation, group_size: As in `taut.models.dense_critic`.
        seed: Of the split, the critic's start and the batches. The global generators are left alone.
        exact: Compute the upper end: with POT, or by sorting where samples are single numbers.
        exact_samples: Most samples of each that exact transport takes; time grows with the square and more.
        progress: Called after each step with the steps done, all steps and the mean difference on the batch.

    Raises:
        TypeError: Samples that are not floating-point numbers; a critic with a part that has no Lipschitz rule.
        ValueError: Samples that are empty, not finite, too few or of different shapes; options outside their range.

    Sources: Villani (2009), theorem 5.10; Anil, Lucas and Grosse (2019), section 5.

    Example:
        >>> import torch, taut
        >>> generator = torch.Generator().manual_seed(0)
        >>> x = torch.randn(400, 1, generator=generator)
        >>> y = torch.randn(300, 1, generator=generator) + 2.0
        >>> w = wasserstein1(x, y, width=16, depth=1, steps=100)
        >>> w.lower < 2.0 < w.upper
        True
    """
    x, y = _pair(x, y)
    _check_options(x, held_out=held_out, confidence=confidence, steps=steps, exact_samples=exact_samples)
    x_train, x_held = split("x", x, held_out, seed, train=steps > 0)
    y_train, y_held = split("y", y, held_out, seed, train=steps > 0)
    network = None if critic is None else copy.deepcopy(critic).to(x.device)
    if network is not None:
        _proven(network, x)  # what cannot be proven is refused before time is spent on it
    elif not steps:
        raise ValueError("steps must be at least 1 unless a critic is given, got 0")
    batches = torch.Generator().manual_seed(seed)

    def train(network: nn.Module, x: Tensor, y: Tensor) -> None:
        options = {"steps": steps, "batch_size": batch_size, "lr": lr}
        train_critic(network, x, y, **options, generator=batches, progress=progress)

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # where layers take their start from
        if network is None:
            scale = find_scale(x_train, y_train, x.dtype)
            shape = tuple(x.shape[1:])
            g = dense_critic(
                shape, width=width, depth=depth, linear=linear, activation=activation, group_size=group_size
            ).to(x.device)
            train(g, scale.apply(x_train), scale.apply(y_train))
            network = on_samples(g, scale, shape, x.dtype)
        elif steps:
            dtype = next((parameter.dtype for parameter in network.parameters()), x.dtype)
            train(network, x_train.to(dtype), y_train.to(dtype))
    folded = fold(network.eval()).eval().cpu().requires_grad_(False)
    bound = _proven(folded, x)
    exactly = copy.deepcopy(folded).double()  # so that rounding has no part in the difference
    found = mean_difference(_values(exactly, x_held), _values(exactly, y_held), bound=bound, confidence=confidence)
    trained = None
    if steps:
        trained = float(_values(exactly, x_train).mean() - _values(exactly, y_train).mean()) / bound
    moved = _transport(x_held, y_held, exact_samples) if exact else None
    return Wasserstein1(
        estimate=found.estimate,
        standard_error=found.standard_error,
        interval=found.interval,
        lower=max(0.0, found.lower),
        upper=_upper(*moved, confidence) if moved else None,
        transport=moved[0].value if moved else None,
        transport_samples=moved[1] if moved else None,
        lipschitz_bound=bound,
        train_estimate=trained,
        samples=(len(x_held), len(y_held)),
        confidence=confidence,
        critic=folded,
    )


def _pair(x: Tensor | np.ndarray, y: Tensor | np.ndarray) -> tuple[Tensor, Tensor]:
    """Both samples checked, of one shape and in one dtype, float32 or float64: that of the critic."""
    first, second = read_samples("x", x), read_samples("y", y)
    if first.shape[1:] != second.shape[1:]:
        shapes = f"{tuple(first.shape[1:])} and {tuple(second.shape[1:])}"
        raise ValueError(f"samples of x and y must have one shape, got {shapes}")
    if first.device != second.device:
        raise ValueError(f"x and y must be on one device, got {first.device} and {second.device}")
    dtype = torch.promote_types(torch.promote_types(first.dtype, second.dtype), torch.float32)
    return first.to(dtype), second.to(dtype)


def _check_options(x: Tensor, *, held_out: float, confidence: float, steps: int, exact_samples: int) -> None:
    check_confidence(confidence)
    if not 0.0 < held_out < 1.0:
        raise ValueError(f"held_out must be a share between 0 and 1, got {held_out!r}")
    for name, value, least in (("steps", steps, 0), ("exact_samples", exact_samples, 2)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be an integer that is at least {least}, got {value!r}")
    if not _is_number(x) and exact_samples**2 > LARGEST:
        raise ValueError(f"exact_samples must be at most {math.isqrt(LARGEST)}, got {exact_samples}")


def _is_number(x: Tensor) -> bool:
    return math.prod(x.shape[1:]) == 1


def _proven(critic: nn.Module, x: Tensor) -> float:
    """K, which is what everything is divided by."""
    bound = lipschitz_bound(critic.eval(), input_shape=tuple(x.shape[1:]))
    if not 0.0 < bound < math.inf:
        raise ValueError(f"the critic's proven Lipschitz constant must be positive and finite, got {bound}")
    return bound


def _values(critic: nn.Module, samples: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([critic_values(critic, rows.cpu().double()) for rows in samples.split(_ROWS)])


def _transport(x: Tensor, y: Tensor, most: int) -> tuple[ExactTransport, tuple[int, int]] | None:
    """Between the samples, or the first of them where there are many; None where POT is needed and not there."""
    if not _is_number(x):
        if find_spec("ot") is None:
            return None
        x, y = x[:most], y[:most]
    return exact_transport(x, y), (len(x), len(y))


def _upper(moved: ExactTransport, sizes: tuple[int, int], confidence: float) -> float:
    return transport_upper(moved.value, moved.standard_error, samples=min(sizes), confidence=confidence)
