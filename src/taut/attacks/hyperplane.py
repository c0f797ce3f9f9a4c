"""The nearest point of a hyperplane within the box, in l2 or linf: exact, by one sort."""

import torch
from jaxtyping import Float
from torch import Tensor


def nearest_on_hyperplane(
    points: Float[Tensor, "batch entries"],
    normal: Float[Tensor, "batch entries"],
    offset: Float[Tensor, " batch"],
    *,
    norm: str,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Float[Tensor, "batch entries"]:
    r"""argmin of ||z - x|| over {z : <w, z> + b = 0, z in the box}, "l2" or "linf", up to rounding.

    Where the plane misses the box, the corner of the box that is nearest to the plane along w. With t the common
    length of the way, entry i moves by t w_i (l2) or t sign(w_i) (linf) until it meets the box; what is gained in
    <w, z> is sum_i a_i min(t, t_i), with a_i = w_i^2 or |w_i|, which is solved for t after sorting the t_i (Croce and
    Hein 2020 derive it for FAB).

    Args:
        points: x, in the box.
        normal: w.
        offset: b.
        norm: Of the distance.
        bounds: The box.

    Example:
        >>> x, w = torch.tensor([[0.5, 0.9]]), torch.tensor([[1.0, 1.0]])
        >>> nearest_on_hyperplane(x, w, torch.tensor([-1.8]), norm="l2")  # the second entry meets the box
        tensor([[0.8000, 1.0000]])
    """
    value = (normal * points).sum(dim=1) + offset
    direction = torch.where(value > 0, -1.0, 1.0).to(normal)[:, None] * normal
    wall = torch.where(direction > 0, bounds[1], bounds[0]).to(points)
    room = (wall - points).abs()
    speed = direction.abs() if norm == "l2" else torch.ones_like(direction)
    moving = direction != 0
    until = torch.where(moving, room / torch.where(moving, speed, 1.0), 0.0)
    gain = speed * direction.abs()
    length = _fill(until, gain, value.abs())
    step = torch.minimum(length[:, None] * speed, room)
    return torch.where(moving, points + direction.sign() * step, points).clamp(*bounds)


def _fill(until: Tensor, gain: Tensor, wanted: Tensor) -> Tensor:
    """The smallest t with sum_i gain_i min(t, until_i) = wanted; infinity where no t reaches it."""
    ordered, order = until.sort(dim=1)
    rates = gain.gather(1, order)
    left = rates.flip(1).cumsum(1).flip(1)  # rate of the entries that still move while t <= ordered
    done = torch.cumsum(rates * ordered, dim=1) - rates * ordered
    reached = done + left * ordered  # gained when t = ordered
    enough = reached >= wanted[:, None]
    first = enough.int().argmax(dim=1, keepdim=True)
    rate = left.gather(1, first).squeeze(1)
    length = (wanted - done.gather(1, first).squeeze(1)) / torch.where(rate > 0, rate, 1.0)
    return torch.where(enough.any(dim=1), length.clamp_min(0.0), torch.inf)
