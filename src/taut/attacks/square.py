"""The Square attack: random search with square windows, which needs outputs alone and no gradients."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from taut.attacks import square_l2
from taut.attacks.ball import project, within_box
from taut.attacks.checks import check_options
from taut.attacks.gradients import like, margins

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries of 10000 after which the share of pixels in a window halves."""
_FIRST_SHARE = 0.8


@torch.no_grad()
def square(
    model: nn.Module,
    inputs: Float[Tensor, "batch *shape"],
    labels: Int64[Tensor, " batch"],
    *,
    eps: float,
    norm: str = "linf",
    steps: int = 5000,
    bounds: tuple[float, float] = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch *shape"]:
    r"""argmin of the margin over {y : ||y - x|| <= eps, y in the box}, by random search in l2 or linf (Andriushchenko
    et al. 2020).

    A change of a window is kept where it lowers the margin. Every returned point is in the ball and the box as stored.
    Inputs that are no pictures are taken for pictures one pixel wide.

    Args:
        model: Maps inputs to logits; only its outputs are used.
        inputs: In `bounds`, pictures (channels, height, width) or vectors.
        labels: True classes.
        eps: Radius in input units.
        norm: Norm of the ball.
        steps: Queries of the model.
        bounds: Smallest and largest value of an input.
        generator: A CPU generator; seeded with 0 when None.

    Raises ValueError as `pgd`.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.eye(2))
        >>> worst = square(model, torch.tensor([[0.6, 0.5]]), torch.tensor([0]), eps=0.2, steps=50)
        >>> bool(worst[0, 0] < worst[0, 1])
        True
    """
    check_options(inputs, eps=eps, norm=norm, steps=steps, bounds=bounds)
    eps = within_box(eps, inputs, norm, bounds)
    generator = generator or torch.Generator().manual_seed(0)
    pictures = inputs if inputs.ndim == 4 else inputs.flatten(1)[:, None, :, None]

    def judged(change: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        point = project(pictures[rows] + change, pictures[rows], eps=eps, norm=norm, bounds=bounds)
        return point, margins(model(point.view(-1, *inputs.shape[1:])), labels[rows])

    everything = torch.arange(len(inputs), device=inputs.device)
    first = _stripes(pictures, eps, generator) if norm == "linf" else square_l2.tiles(pictures, eps, generator)
    worst, lowest = judged(first, everything)
    for step in range(1, steps):
        left = torch.nonzero(lowest >= 0).squeeze(1)
        if not len(left):
            break
        side = window_side(step, steps, pictures.shape[2], pictures.shape[3])
        change = worst[left] - pictures[left]
        if norm == "linf":
            changed = _with_window(change, side, eps, generator)
        else:
            changed = square_l2.with_window(change, side, eps, generator)
        point, margin = judged(changed, left)
        lower = margin < lowest[left]
        lowest[left] = torch.where(lower, margin, lowest[left])
        worst[left] = torch.where(like(lower, point), point, worst[left])
    return worst.view_as(inputs)


def window_side(step: int, steps: int, height: int, width: int) -> int:
    """Side of the window: sqrt(p height width) with p = .8, halved as queries are used up.

    >>> [window_side(step, 10000, 28, 28) for step in (1, 11, 9000)]
    [25, 18, 1]
    """
    passed = sum(step * 10000 / steps > mark for mark in _HALVINGS)
    return max(1, round(math.sqrt(_FIRST_SHARE / 2**passed * height * width)))


def signs(shape: tuple[int, ...], like_this: Tensor, generator: torch.Generator) -> Tensor:
    """Random -1 and 1, drawn on the CPU so that every device gets the same."""
    return (2 * torch.randint(0, 2, shape, generator=generator) - 1).to(like_this)


def corner(length: int, side: int, generator: torch.Generator) -> int:
    """A random place for a window of `side` in `length`."""
    return int(torch.randint(0, length - side + 1, (1,), generator=generator))


def _stripes(pictures: Tensor, eps: float, generator: torch.Generator) -> Tensor:
    """Columns of +-eps, a sign for each channel and column."""
    count, channels, _, width = pictures.shape
    return (eps * signs((count, channels, 1, width), pictures, generator)).expand_as(pictures)


def _with_window(change: Tensor, side: int, eps: float, generator: torch.Generator) -> Tensor:
    """One window set to +-eps, a sign for each sample and channel."""
    count, channels, height, width = change.shape
    down, across = min(side, height), min(side, width)
    top, left = corner(height, down, generator), corner(width, across, generator)
    changed = change.clone()
    changed[:, :, top : top + down, left : left + across] = eps * signs((count, channels, 1, 1), change, generator)
    return changed
